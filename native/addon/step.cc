// The step on host memory.
#include "../kernels/step.h"

#include "../kernels/gather.h"
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
  if (ReadStepArguments(info, 0, "Float32Arrays", HostFloats, Call::kStep, &arguments)) {
    ThrowStatus(env, CpuStep(arguments.options, arguments.variables.data(), arguments.count()));
  }
  return env.Undefined();
}

Napi::Value Gather(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  StepArguments arguments;
  if (!ReadStepArguments(info, 0, "Float32Arrays", HostFloats, Call::kGather, &arguments)) {
    return env.Undefined();
  }
  int32_t want = 0;
  if (!ReadWant(info, 4, arguments.options, &want)) return env.Undefined();
  Napi::Float64Array numbers = Napi::Float64Array::New(
      env, static_cast<size_t>(arguments.count()) * static_cast<size_t>(kGatherNumbers));
  const StepResult result = CpuGather(arguments.options, arguments.variables.data(),
                                      arguments.count(), want, numbers.Data());
  if (result.status != StepStatus::kOk) {
    ThrowStatus(env, result);
    return env.Undefined();
  }
  return numbers;
}

}  // namespace tfjs_ftp
