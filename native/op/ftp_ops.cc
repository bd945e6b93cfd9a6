#include "ftp_ops.h"

#include <mutex>

#include "op_context.h"
#include "ops_cpu.h"

namespace tfjs_ftp {
namespace {

TfApi g_api;

struct OpDefinition {
  const char* name;
  std::vector<const char*> inputs;
  std::vector<const char*> outputs;
  std::vector<const char*> attrs;
  std::vector<const char*> host_memory;  // arguments that stay in host memory on a GPU
  TfComputeFunction compute_cpu;
};

const std::vector<OpDefinition>& Definitions() {
  static const std::vector<OpDefinition> definitions = {
      {"TfjsFtpAllocate", {"spec: int32"}, {"state: float"}, {}, {"spec"}, ComputeAllocateCpu},
      {"TfjsFtpRead",
       {"state: float", "range: int32"},
       {"values: float"},
       {},
       {"range"},
       ComputeReadCpu},
      {"TfjsFtpWrite",
       {"state: float", "values: float", "offset: int32"},
       {"done: int32"},
       {},
       {"offset", "done"},
       ComputeWriteCpu},
      {"TfjsFtpStep",
       {"plan: int32", "states: N * float", "weights: N * float", "gradients: N * float"},
       {"outputs: N * float"},
       {"N: int >= 1"},
       {"plan"},
       ComputeStepCpu},
  };
  return definitions;
}

// Eager execution asks for no static shapes.
void UnknownShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  g_api.ShapeInferenceContextSetUnknownShape(context, status);
}

// Registers one op; "" or what went wrong. An op that exists already (a second copy of the addon in
// this process) is fine.
std::string RegisterOp(const OpDefinition& definition) {
  TF_OpDefinitionBuilder* builder = g_api.NewOpDefinitionBuilder(definition.name);
  for (const char* attr : definition.attrs) g_api.OpDefinitionBuilderAddAttr(builder, attr);
  for (const char* input : definition.inputs) g_api.OpDefinitionBuilderAddInput(builder, input);
  for (const char* output : definition.outputs) g_api.OpDefinitionBuilderAddOutput(builder, output);
  // Stateful: results depend on a state that is updated in place, so no call may be left out.
  g_api.OpDefinitionBuilderSetIsStateful(builder, true);
  g_api.OpDefinitionBuilderSetShapeInferenceFunction(builder, UnknownShape);
  TF_Status* status = g_api.NewStatus();
  g_api.RegisterOpDefinition(builder, status);  // takes the builder
  std::string wrong;
  const int code = g_api.GetCode(status);
  if (code == kTfOk) {
    TF_KernelBuilder* kernel =
        g_api.NewKernelBuilder(definition.name, "CPU", nullptr, definition.compute_cpu, nullptr);
    const std::string kernel_name = std::string(definition.name) + "Cpu";
    g_api.RegisterKernelBuilder(kernel_name.c_str(), kernel, status);  // takes the builder
    if (g_api.GetCode(status) != kTfOk) wrong = g_api.Message(status);
  } else if (code != kTfAlreadyExists) {
    wrong = g_api.Message(status);
  }
  g_api.DeleteStatus(status);
  return wrong;
}

}  // namespace

const TfApi& Tf() { return g_api; }

TensorFlowState RegisterTensorFlowOps(const std::vector<std::string>& paths) {
  static std::mutex mutex;
  static TensorFlowState state;
  std::lock_guard<std::mutex> lock(mutex);
  if (state.registered) return state;
  state.lookup = LookUpTensorFlow(paths, &g_api);
  if (!state.lookup.found || !state.lookup.missing.empty()) return state;
  for (const OpDefinition& definition : Definitions()) {
    const std::string wrong = RegisterOp(definition);
    if (!wrong.empty()) {
      state.lookup.reason = std::string("TensorFlow refused ") + definition.name + ": " + wrong;
      return state;
    }
  }
  state.registered = true;
  return state;
}

}  // namespace tfjs_ftp
