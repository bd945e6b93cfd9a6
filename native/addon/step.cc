// The step on host memory.
#include "../kernels/step.h"

#include "errors.h"
#include "exports.h"
#include "float_array.h"
#include "step_arguments.h"

namespace tfjs_ftp {
namespace {

float* HostFloats(const Napi::Value& value, int64_t length) {
  const FloatArray array = FloatArrayOf(value);
  return array.length < length ? nullptr : array.data;
}

}  // namespace

Napi::Value Step(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  StepArguments arguments;
  if (ReadStepArguments(info, 0, "Float32Arrays", HostFloats, &arguments)) {
    ThrowStatus(env, CpuStep(arguments.options, arguments.variables.data(), arguments.count()));
  }
  return env.Undefined();
}

}  // namespace tfjs_ftp
