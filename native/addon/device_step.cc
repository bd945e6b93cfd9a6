// The step on device memory.
#include <memory>

#include "../kernels/cuda/run_step.h"
#include "device_buffer.h"
#include "errors.h"
#include "exports.h"
#include "handle.h"
#include "step_arguments.h"

namespace tfjs_ftp {
namespace {

constexpr napi_type_tag kStepperTag = {0x2d0c93ab5e1f4c66, 0xa8e47b1290d35f04};

CudaStepper* StepperFrom(const Napi::Value& value) {
  return FromHandle<CudaStepper>(value, kStepperTag);
}

const char* const kArrays = "buffers of the stepper's device";

FloatsOf FloatsOfStepper(const CudaStepper& stepper) {
  const int device = stepper.device();
  return [device](const Napi::Value& value, int64_t length) -> float* {
    const DeviceMemory* const memory = DeviceMemoryFrom(value);
    const int64_t bytes = length * static_cast<int64_t>(sizeof(float));
    if (memory == nullptr || memory->device() != device || memory->bytes() < bytes) return nullptr;
    return static_cast<float*>(memory->get());
  };
}

void Throw(Napi::Env env, const CudaResult& result) {
  if (result.cuda != 0) {
    ThrowCuda(env, result.cuda);
  } else {
    ThrowStatus(env, result.step);
  }
}

}  // namespace

Napi::Value NewDeviceStepper(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < 1 || !info[0].IsNumber()) return Reject(env, "newStepper takes (device)");
  std::unique_ptr<CudaStepper> stepper(new CudaStepper(info[0].As<Napi::Number>().Int32Value()));
  return NewHandle(env, kStepperTag, std::move(stepper), [](Napi::BasicEnv, CudaStepper*) {});
}

Napi::Value FreeDeviceStepper(const Napi::CallbackInfo& info) {
  CudaStepper* const stepper = StepperFrom(info[0]);
  if (stepper == nullptr) return Reject(info.Env(), "freeStepper takes (stepper)");
  stepper->FreeScratch();
  return info.Env().Undefined();
}

Napi::Value DeviceStep(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  CudaStepper* const stepper = StepperFrom(info[0]);
  if (stepper == nullptr) return Reject(env, "step takes a stepper first");
  StepArguments arguments;
  if (!ReadStepArguments(info, 1, kArrays, FloatsOfStepper(*stepper), Call::kStep, &arguments)) {
    return env.Undefined();
  }
  Throw(env, stepper->Step(arguments.options, arguments.variables.data(), arguments.count()));
  return env.Undefined();
}

Napi::Value DeviceGather(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  CudaStepper* const stepper = StepperFrom(info[0]);
  if (stepper == nullptr) return Reject(env, "gather takes a stepper first");
  StepArguments arguments;
  int32_t want = 0;
  if (!ReadStepArguments(info, 1, kArrays, FloatsOfStepper(*stepper), Call::kGather, &arguments) ||
      !ReadWant(info, 5, arguments.options, &want)) {
    return env.Undefined();
  }
  Napi::Float64Array numbers = Napi::Float64Array::New(
      env, static_cast<size_t>(arguments.count()) * static_cast<size_t>(kGatherNumbers));
  const CudaResult result = stepper->Gather(arguments.options, arguments.variables.data(),
                                            arguments.count(), want, numbers.Data());
  if (result.ok()) return numbers;
  Throw(env, result);
  return env.Undefined();
}

}  // namespace tfjs_ftp
