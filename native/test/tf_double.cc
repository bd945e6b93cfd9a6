#include "tf_double.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <utility>

#include "../op/tf_api.h"

using tfjs_ftp::TfAllocatorAttributes;
using tfjs_ftp::TfComputeFunction;
using tfjs_ftp::tf_double::TensorRef;

// The opaque types of TensorFlow's C API.
struct TF_Status {
  int code = tfjs_ftp::kTfOk;
  std::string message;
};

struct TF_Tensor {
  TensorRef tensor;
};

struct TF_OpDefinitionBuilder {
  std::string name;
  std::vector<std::string> inputs;  // "name: type" or "name: N * type"
  std::vector<std::string> outputs;
  bool stateful = false;
};

struct TF_KernelBuilder {
  std::string op;
  std::string device;
  TfComputeFunction compute = nullptr;
  std::set<std::string> host_memory;
};

struct TF_OpKernelContext {
  std::vector<TensorRef> inputs;
  std::vector<TensorRef> outputs;
  std::vector<bool> outputs_on_host;
  bool on_host = false;  // where temporary memory comes from
  TF_Status status;
};

namespace tfjs_ftp {
namespace tf_double {
namespace {

constexpr size_t kAlignment = 256;

void* AllocateHost(size_t bytes) {
  void* const memory = std::aligned_alloc(kAlignment, bytes);
  if (memory == nullptr) std::abort();
  return memory;
}

// Blocks of device memory. The block that was given back last is handed out first.
class Pool {
 public:
  void* Allocate(size_t bytes) {
    for (auto block = free_.rbegin(); block != free_.rend(); ++block) {
      if (block->second != bytes) continue;
      void* const memory = block->first;
      free_.erase(std::next(block).base());
      return memory;
    }
    return allocate_(bytes);
  }
  void Free(void* memory, size_t bytes) { free_.emplace_back(memory, bytes); }
  void SetSource(void* (*allocate)(size_t)) { allocate_ = allocate; }

 private:
  std::vector<std::pair<void*, size_t>> free_;
  void* (*allocate_)(size_t) = AllocateHost;
};

struct TensorFlow {
  Pool pool;
  std::map<std::string, TF_OpDefinitionBuilder> ops;
  std::map<std::pair<std::string, std::string>, TF_KernelBuilder> kernels;
  std::string version = "2.21.0";
  int64_t refused_allocation = 0;
  int64_t refused_kernel = 0;
  int64_t live = 0;
  void* last_temporary = nullptr;
  size_t last_temporary_bytes = 0;
};

TensorFlow& State() {
  static TensorFlow* const state = new TensorFlow();
  return *state;
}

bool Falls(int64_t* countdown) { return *countdown > 0 && --*countdown == 0; }

// "states" of "states: N * float".
std::string NameOf(const std::string& spec) { return spec.substr(0, spec.find(':')); }

// For each tensor of a list of arguments, whether it is to be in host memory. A list is of `n`
// tensors, or of `m` where its length has the name M.
std::vector<bool> OnHost(const std::vector<std::string>& specs, const TF_KernelBuilder& kernel,
                         int n, int m) {
  std::vector<bool> on_host;
  for (const std::string& spec : specs) {
    const int list = spec.find("M *") == std::string::npos ? n : m;
    const int count = spec.find('*') == std::string::npos ? 1 : list;
    const bool host = kernel.device == "CPU" || kernel.host_memory.count(NameOf(spec)) > 0;
    on_host.insert(on_host.end(), static_cast<size_t>(count), host);
  }
  return on_host;
}

Result Fail(int code, const std::string& message) { return {code, message, {}}; }

}  // namespace

void SetDeviceMemory(void* (*allocate)(size_t)) {
  State().pool.SetSource(allocate == nullptr ? AllocateHost : allocate);
}

TensorRef NewTensor(int dtype, const std::vector<int64_t>& dims, bool on_host) {
  size_t bytes = 4;
  for (const int64_t extent : dims) bytes *= static_cast<size_t>(extent);
  const size_t rounded =
      std::max<size_t>(bytes + kAlignment - 1, kAlignment) / kAlignment * kAlignment;
  // TensorFlow gives a tensor without elements no device memory.
  const bool device = !on_host && bytes > 0;
  void* const data = device ? State().pool.Allocate(rounded) : AllocateHost(rounded);
  if (data == nullptr) return nullptr;
  ++State().live;
  return TensorRef(new Tensor{dtype, dims, on_host, bytes, data},
                   [device, rounded](const Tensor* tensor) {
                     --State().live;
                     if (device) {
                       State().pool.Free(tensor->data, rounded);
                     } else {
                       std::free(tensor->data);
                     }
                     delete tensor;
                   });
}

Result Run(const std::string& op, const std::string& device, int n,
           const std::vector<TensorRef>& inputs) {
  const auto definition = State().ops.find(op);
  const auto kernel = State().kernels.find({op, device});
  if (definition == State().ops.end() || kernel == State().kernels.end()) {
    return Fail(kTfInternal, "no kernel of " + op + " for " + device);
  }
  // TensorFlow knows M from an attribute of the call; here it is what is left.
  const std::vector<std::string>& specs = definition->second.inputs;
  const size_t others = OnHost(specs, kernel->second, n, 0).size();
  const int m = inputs.size() > others ? static_cast<int>(inputs.size() - others) : 0;
  const std::vector<bool> on_host = OnHost(specs, kernel->second, n, m);
  if (inputs.size() != on_host.size()) return Fail(kTfInvalidArgument, "another number of inputs");
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i]->on_host != on_host[i]) {
      return Fail(kTfInternal,
                  "input " + std::to_string(i) + " of " + op + " is in the wrong memory");
    }
  }
  TF_OpKernelContext context;
  context.inputs = inputs;
  context.outputs_on_host = OnHost(definition->second.outputs, kernel->second, n, m);
  context.outputs.resize(context.outputs_on_host.size());
  context.on_host = device == "CPU";
  State().last_temporary = nullptr;
  State().last_temporary_bytes = 0;
  kernel->second.compute(nullptr, &context);
  Result result = Fail(context.status.code, context.status.message);
  if (!result.ok()) return result;
  for (const TensorRef& output : context.outputs) {
    if (output == nullptr) return Fail(kTfInternal, "an output of " + op + " was not set");
  }
  result.outputs = std::move(context.outputs);
  return result;
}

void* LastTemporary() { return State().last_temporary; }
size_t LastTemporaryBytes() { return State().last_temporary_bytes; }
int64_t LiveTensors() { return State().live; }
void RefuseAllocation(int64_t n) { State().refused_allocation = n; }
void RefuseKernel(int64_t n) { State().refused_kernel = n; }
void SetVersion(const std::string& version) { State().version = version; }
bool HasKernel(const std::string& op, const std::string& device) {
  return State().kernels.count({op, device}) > 0;
}
int64_t Registrations() { return static_cast<int64_t>(State().kernels.size()); }

namespace {

void SetStatus(TF_Status* status, int code, const std::string& message) {
  status->code = code;
  status->message = message;
}

TF_Tensor* Allocate(int dtype, const int64_t* dims, int num_dims, bool on_host, TF_Status* status) {
  TensorRef tensor;
  if (!Falls(&State().refused_allocation)) {
    tensor = NewTensor(dtype, std::vector<int64_t>(dims, dims + num_dims), on_host);
  }
  if (tensor == nullptr) {
    SetStatus(status, kTfResourceExhausted, "OOM when allocating a tensor");
    return nullptr;
  }
  SetStatus(status, kTfOk, "");
  return new TF_Tensor{tensor};
}

}  // namespace
}  // namespace tf_double
}  // namespace tfjs_ftp

// ---- The C functions, with the signatures of op/tf_api.h. ----

using tfjs_ftp::tf_double::Allocate;
using tfjs_ftp::tf_double::Falls;
using tfjs_ftp::tf_double::SetStatus;
using tfjs_ftp::tf_double::State;

#define TF_DOUBLE_API extern "C" TFJS_FTP_TF_DOUBLE

// Declared all together, so that none has another signature than the table, and none is missing.
#define TFJS_FTP_DECLARE(result, name, arguments) TF_DOUBLE_API result TF_##name arguments;
TFJS_FTP_TF_FUNCTIONS(TFJS_FTP_DECLARE)
#undef TFJS_FTP_DECLARE

TF_DOUBLE_API const char* TF_Version() { return State().version.c_str(); }

TF_Status* TF_NewStatus() { return new TF_Status(); }
void TF_DeleteStatus(TF_Status* status) { delete status; }
void TF_SetStatus(TF_Status* status, int code, const char* message) {
  SetStatus(status, code, message);
}
int TF_GetCode(const TF_Status* status) { return status->code; }
const char* TF_Message(const TF_Status* status) { return status->message.c_str(); }

TF_OpDefinitionBuilder* TF_NewOpDefinitionBuilder(const char* name) {
  TF_OpDefinitionBuilder* const builder = new TF_OpDefinitionBuilder();
  builder->name = name;
  return builder;
}
void TF_OpDefinitionBuilderAddInput(TF_OpDefinitionBuilder* builder, const char* spec) {
  builder->inputs.push_back(spec);
}
void TF_OpDefinitionBuilderAddOutput(TF_OpDefinitionBuilder* builder, const char* spec) {
  builder->outputs.push_back(spec);
}
void TF_OpDefinitionBuilderAddAttr(TF_OpDefinitionBuilder*, const char*) {}
void TF_OpDefinitionBuilderSetIsStateful(TF_OpDefinitionBuilder* builder, bool stateful) {
  builder->stateful = stateful;
}
void TF_OpDefinitionBuilderSetShapeInferenceFunction(TF_OpDefinitionBuilder*,
                                                     void (*)(TF_ShapeInferenceContext*,
                                                              TF_Status*)) {}
void TF_RegisterOpDefinition(TF_OpDefinitionBuilder* builder, TF_Status* status) {
  const bool added = State().ops.emplace(builder->name, *builder).second;
  SetStatus(status, added ? tfjs_ftp::kTfOk : tfjs_ftp::kTfAlreadyExists,
            added ? "" : "Op with name " + builder->name + " already exists");
  delete builder;
}
void TF_ShapeInferenceContextSetUnknownShape(TF_ShapeInferenceContext*, TF_Status*) {}

TF_KernelBuilder* TF_NewKernelBuilder(const char* op, const char* device,
                                      void* (*)(TF_OpKernelConstruction*),
                                      TfComputeFunction compute, void (*)(void*)) {
  return new TF_KernelBuilder{op, device, compute, {}};
}
void TF_KernelBuilder_HostMemory(TF_KernelBuilder* builder, const char* argument) {
  builder->host_memory.insert(argument);
}
void TF_RegisterKernelBuilder(const char*, TF_KernelBuilder* builder, TF_Status* status) {
  const std::unique_ptr<TF_KernelBuilder> taken(builder);
  if (Falls(&State().refused_kernel)) {
    return SetStatus(status, tfjs_ftp::kTfInternal, "refused by the test");
  }
  const bool added =
      State().kernels.emplace(std::make_pair(builder->op, builder->device), *builder).second;
  SetStatus(status, added ? tfjs_ftp::kTfOk : tfjs_ftp::kTfAlreadyExists,
            added ? "" : "the kernel is registered already");
}

int TF_NumInputs(TF_OpKernelContext* context) { return static_cast<int>(context->inputs.size()); }
int TF_NumOutputs(TF_OpKernelContext* context) { return static_cast<int>(context->outputs.size()); }
void TF_GetInput(TF_OpKernelContext* context, int index, TF_Tensor** tensor, TF_Status* status) {
  if (index < 0 || index >= TF_NumInputs(context)) {
    return SetStatus(status, tfjs_ftp::kTfInvalidArgument, "input index out of range");
  }
  SetStatus(status, tfjs_ftp::kTfOk, "");
  *tensor = new TF_Tensor{context->inputs[static_cast<size_t>(index)]};
}
TF_Tensor* TF_AllocateOutput(TF_OpKernelContext* context, int index, int dtype, const int64_t* dims,
                             int num_dims, size_t, TF_Status* status) {
  if (index < 0 || index >= TF_NumOutputs(context)) {
    SetStatus(status, tfjs_ftp::kTfInvalidArgument, "output index out of range");
    return nullptr;
  }
  const size_t i = static_cast<size_t>(index);
  TF_Tensor* const output = Allocate(dtype, dims, num_dims, context->outputs_on_host[i], status);
  if (output != nullptr) context->outputs[i] = output->tensor;
  return output;
}
TF_Tensor* TF_NewTensor(int dtype, const int64_t* dims, int num_dims, void* data, size_t bytes,
                        void (*free)(void*, size_t, void*), void* argument) {
  ++State().live;
  const auto drop = [free, argument](const tfjs_ftp::tf_double::Tensor* tensor) {
    --State().live;
    free(tensor->data, tensor->bytes, argument);
    delete tensor;
  };
  const std::vector<int64_t> shape(dims, dims + num_dims);
  return new TF_Tensor{
      TensorRef(new tfjs_ftp::tf_double::Tensor{dtype, shape, true, bytes, data}, drop)};
}
void TF_SetOutput(TF_OpKernelContext* context, int index, const TF_Tensor* tensor,
                  TF_Status* status) {
  if (index < 0 || index >= TF_NumOutputs(context)) {
    return SetStatus(status, tfjs_ftp::kTfInvalidArgument, "output index out of range");
  }
  const size_t i = static_cast<size_t>(index);
  if (context->outputs_on_host[i] != tensor->tensor->on_host) {
    return SetStatus(status, tfjs_ftp::kTfInternal, "the output is in the wrong memory");
  }
  context->outputs[i] = tensor->tensor;
  SetStatus(status, tfjs_ftp::kTfOk, "");
}
TF_Tensor* TF_AllocateTemp(TF_OpKernelContext* context, int dtype, const int64_t* dims,
                           int num_dims, TfAllocatorAttributes* attributes, TF_Status* status) {
  TF_Tensor* const temporary =
      Allocate(dtype, dims, num_dims, context->on_host || attributes->on_host != 0, status);
  if (temporary != nullptr) {
    State().last_temporary = temporary->tensor->data;
    State().last_temporary_bytes = temporary->tensor->bytes;
  }
  return temporary;
}
void TF_OpKernelContext_Failure(TF_OpKernelContext* context, TF_Status* status) {
  context->status = *status;
}

int TF_TensorType(const TF_Tensor* tensor) { return tensor->tensor->dtype; }
int TF_NumDims(const TF_Tensor* tensor) { return static_cast<int>(tensor->tensor->dims.size()); }
int64_t TF_Dim(const TF_Tensor* tensor, int index) {
  return tensor->tensor->dims[static_cast<size_t>(index)];
}
int64_t TF_TensorElementCount(const TF_Tensor* tensor) { return tensor->tensor->count(); }
void* TF_TensorData(const TF_Tensor* tensor) { return tensor->tensor->data; }
void TF_DeleteTensor(TF_Tensor* tensor) { delete tensor; }
