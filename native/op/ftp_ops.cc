#include "ftp_ops.h"

#include <cstdlib>
#include <cstring>
#include <mutex>

#include "op_context.h"
#include "ops_cpu.h"
#if defined(TFJS_FTP_HAVE_CUDA)
#include "../kernels/cuda/cuda_device.h"
#include "ops_gpu.h"
#endif

namespace tfjs_ftp {
namespace {

TfApi g_api;

#if defined(TFJS_FTP_HAVE_CUDA)
#define TFJS_FTP_GPU(function) function
StreamOrder g_stream_order = StreamOrder::kSynchronize;
#else
#define TFJS_FTP_GPU(function) nullptr
#endif

struct OpDefinition {
  const char* name;
  std::vector<const char*> inputs;
  std::vector<const char*> outputs;
  std::vector<const char*> attrs;
  std::vector<const char*> host_memory;  // arguments that stay in host memory on a GPU
  TfComputeFunction compute_cpu;
  TfComputeFunction compute_gpu;  // null in a build without CUDA, and where there is none
};

const std::vector<OpDefinition>& Definitions() {
  static const std::vector<OpDefinition> definitions = {
      {"TfjsFtpAllocate",
       {"spec: int32"},
       {"state: float"},
       {},
       {"spec"},
       ComputeAllocateCpu,
       TFJS_FTP_GPU(ComputeAllocateGpu)},
      {"TfjsFtpRead",
       {"state: float", "range: int32"},
       {"values: float"},
       {},
       {"range"},
       ComputeReadCpu,
       TFJS_FTP_GPU(ComputeReadGpu)},
      {"TfjsFtpWrite",
       {"state: float", "values: float", "offset: int32"},
       {"done: int32"},
       {},
       {"offset", "done"},
       ComputeWriteCpu,
       TFJS_FTP_GPU(ComputeWriteGpu)},
      {"TfjsFtpStep",
       {"plan: int32", "states: N * float", "weights: N * float", "gradients: N * float",
        "proposals: M * float"},
       {"outputs: N * float"},
       {"N: int >= 1", "M: int >= 0"},
       {"plan"},
       ComputeStepCpu,
       TFJS_FTP_GPU(ComputeStepGpu)},
      {"TfjsFtpGather",
       {"plan: int32", "states: N * float", "weights: N * float", "gradients: N * float",
        "want: int32"},
       {"numbers: int32"},
       {"N: int >= 1"},
       {"plan", "want", "numbers"},
       ComputeGatherCpu,
       TFJS_FTP_GPU(ComputeGatherGpu)},
  };
  return definitions;
}

// Eager execution asks for no static shapes.
void UnknownShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  g_api.ShapeInferenceContextSetUnknownShape(context, status);
}

#if defined(TFJS_FTP_HAVE_CUDA)
// The GPU kernels have not run on a GPU yet (docs/gpu-verification.md): used only where asked for.
bool GpuWanted() {
  const char* wish = std::getenv("TFJS_FTP_GPU");
  return wish != nullptr && std::strcmp(wish, "1") == 0;
}
#endif

// Registers a kernel of an op; "" or what went wrong.
std::string RegisterKernel(const OpDefinition& definition, const char* device,
                           TfComputeFunction compute) {
  TF_KernelBuilder* kernel =
      g_api.NewKernelBuilder(definition.name, device, nullptr, compute, nullptr);
  if (std::strcmp(device, "GPU") == 0) {
    for (const char* argument : definition.host_memory) {
      g_api.KernelBuilder_HostMemory(kernel, argument);
    }
  }
  TF_Status* status = g_api.NewStatus();
  const std::string name = std::string(definition.name) + device;
  g_api.RegisterKernelBuilder(name.c_str(), kernel, status);  // takes the builder
  const std::string wrong = g_api.GetCode(status) == kTfOk ? "" : g_api.Message(status);
  g_api.DeleteStatus(status);
  return wrong;
}

// What of an op is registered. TensorFlow takes nothing twice, so a second try after a failure adds
// only what is missing.
struct Registered {
  bool op = false;
  bool cpu = false;
  bool gpu = false;
};

// Registers one op; "" or what went wrong. An op that exists already without our doing comes from a
// second copy of the addon in this process, which has registered its kernels too.
std::string RegisterOp(const OpDefinition& definition, Registered* done) {
  TF_OpDefinitionBuilder* builder = g_api.NewOpDefinitionBuilder(definition.name);
  for (const char* attr : definition.attrs) g_api.OpDefinitionBuilderAddAttr(builder, attr);
  for (const char* input : definition.inputs) g_api.OpDefinitionBuilderAddInput(builder, input);
  for (const char* output : definition.outputs) g_api.OpDefinitionBuilderAddOutput(builder, output);
  // Stateful: results depend on a state that is updated in place, so no call may be left out.
  g_api.OpDefinitionBuilderSetIsStateful(builder, true);
  g_api.OpDefinitionBuilderSetShapeInferenceFunction(builder, UnknownShape);
  TF_Status* status = g_api.NewStatus();
  g_api.RegisterOpDefinition(builder, status);  // takes the builder
  const int code = g_api.GetCode(status);
  const std::string wrong = code == kTfOk || code == kTfAlreadyExists ? "" : g_api.Message(status);
  g_api.DeleteStatus(status);
  if (code == kTfOk) done->op = true;
  if (code == kTfAlreadyExists) *done = {true, true, true};
  return wrong;
}

// Registers what is missing of one op and its kernels, that for GPUs if `gpu`; "" or what went
// wrong.
std::string Complete(const OpDefinition& definition, bool gpu, Registered* done) {
  std::string wrong;
  if (!done->op) wrong = RegisterOp(definition, done);
  if (wrong.empty() && !done->cpu) {
    wrong = RegisterKernel(definition, "CPU", definition.compute_cpu);
    done->cpu = wrong.empty();
  }
  if (wrong.empty() && gpu && definition.compute_gpu != nullptr && !done->gpu) {
    wrong = RegisterKernel(definition, "GPU", definition.compute_gpu);
    done->gpu = wrong.empty();
  }
  return wrong;
}

}  // namespace

const TfApi& Tf() { return g_api; }

#if defined(TFJS_FTP_HAVE_CUDA)
StreamOrder GpuStreamOrder() { return g_stream_order; }
#endif

TensorFlowState RegisterTensorFlowOps(const std::vector<std::string>& paths) {
  static std::mutex mutex;
  static TensorFlowState state;
  static std::vector<Registered> done(Definitions().size());
  std::lock_guard<std::mutex> lock(mutex);
  if (state.registered) return state;
  state.lookup = LookUpTensorFlow(paths, &g_api);
  if (!state.lookup.found || !state.lookup.missing.empty()) return state;
  bool gpu = false;
#if defined(TFJS_FTP_HAVE_CUDA)
  gpu = GpuWanted() && QueryCuda().available;
  state.lookup.reason = ChooseStreamOrder(state.lookup.version, &g_stream_order);
  if (!state.lookup.reason.empty()) return state;
#endif
  for (size_t i = 0; i < Definitions().size(); ++i) {
    const OpDefinition& definition = Definitions()[i];
    const std::string wrong = Complete(definition, gpu, &done[i]);
    if (!wrong.empty()) {
      state.lookup.reason = std::string("TensorFlow refused ") + definition.name + ": " + wrong;
      return state;
    }
  }
  state.registered = true;
  state.gpu = gpu;
  return state;
}

}  // namespace tfjs_ftp
