#include "device_buffer.h"

#include <cstdint>
#include <memory>

#include "../kernels/cuda/launch_step.h"
#include "errors.h"
#include "exports.h"
#include "float_array.h"
#include "handle.h"

namespace tfjs_ftp {
namespace {

constexpr napi_type_tag kBufferTag = {0x7466a0d9c3f24e11, 0x9b5d01be6f4c8a72};
constexpr int64_t kFloatBytes = sizeof(float);

// V8 runs the garbage collector earlier the more memory hangs on its objects.
void TellV8(Napi::BasicEnv env, int64_t bytes) {
  Napi::MemoryManagement::AdjustExternalMemory(env, bytes);
}

void Free(Napi::BasicEnv env, DeviceMemory* memory) {
  TellV8(env, -memory->bytes());
  memory->Free();
}

int64_t IntegerAt(const Napi::CallbackInfo& info, size_t i) {
  return info[i].IsNumber() ? info[i].As<Napi::Number>().Int64Value() : -1;
}

// A range of floats in a buffer that is there.
struct Range {
  DeviceMemory* memory;
  int64_t offset;  // in bytes, as is the size
  int64_t bytes;

  explicit operator bool() const { return memory != nullptr; }
};

// The range behind a handle; false if it is not inside of the buffer, or there is none.
Range RangeOf(const Napi::Value& buffer, int64_t offset, int64_t length) {
  DeviceMemory* const memory = DeviceMemoryFrom(buffer);
  if (memory == nullptr || offset < 0 || length < 0) return {};
  const int64_t floats = memory->bytes() / kFloatBytes;
  if (offset > floats || length > floats - offset) return {};
  return {memory, offset * kFloatBytes, length * kFloatBytes};
}

// upload and download: (buffer, offset, Float32Array).
template <class Copy>
Napi::Value CopyArray(const Napi::CallbackInfo& info, const char* name, const Copy& copy) {
  Napi::Env env = info.Env();
  const FloatArray array = FloatArrayOf(info[2]);
  const Range range = RangeOf(info[0], IntegerAt(info, 1), array.length);
  if (array.data == nullptr || !range) {
    return Reject(env,
                  std::string(name) + " takes (buffer, offset, Float32Array) within the buffer");
  }
  if (range.bytes > 0) ThrowCuda(env, copy(range, array.data));
  return env.Undefined();
}

}  // namespace

DeviceMemory* DeviceMemoryFrom(const Napi::Value& value) {
  return FromHandle<DeviceMemory>(value, kBufferTag);
}

void ThrowCuda(Napi::Env env, int error) {
  if (error == 0) return;
  ThrowCoded(env, IsOutOfMemory(error) ? "OUT_OF_MEMORY" : "NATIVE_FAILURE",
             "CUDA: " + CudaErrorMessage(error));
}

Napi::Value DeviceAllocate(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int64_t device = IntegerAt(info, 0);
  const int64_t length = IntegerAt(info, 1);
  if (device < 0 || device > INT32_MAX || length < 1 || length > INT64_MAX / kFloatBytes) {
    return Reject(env, "allocate takes (device, length), length at least 1");
  }
  std::unique_ptr<DeviceMemory> memory(new DeviceMemory());
  int error = memory->Allocate(static_cast<int>(device), length * kFloatBytes);
  if (error == 0) error = memory->Clear(0, memory->bytes());
  if (error != 0) {
    ThrowCuda(env, error);
    return env.Undefined();
  }
  TellV8(env, memory->bytes());
  return NewHandle(env, kBufferTag, std::move(memory), Free);
}

Napi::Value DeviceFree(const Napi::CallbackInfo& info) {
  DeviceMemory* const memory = DeviceMemoryFrom(info[0]);
  if (memory == nullptr) return Reject(info.Env(), "free takes (buffer)");
  Free(info.Env(), memory);
  return info.Env().Undefined();
}

Napi::Value DeviceAddress(const Napi::CallbackInfo& info) {
  const DeviceMemory* const memory = DeviceMemoryFrom(info[0]);
  if (memory == nullptr) return Reject(info.Env(), "address takes (buffer)");
  return Napi::BigInt::New(info.Env(),
                           static_cast<uint64_t>(reinterpret_cast<uintptr_t>(memory->get())));
}

Napi::Value DeviceUpload(const Napi::CallbackInfo& info) {
  return CopyArray(info, "upload", [](const Range& range, const float* host) {
    return range.memory->Upload(range.offset, host, range.bytes);
  });
}

Napi::Value DeviceDownload(const Napi::CallbackInfo& info) {
  return CopyArray(info, "download", [](const Range& range, float* host) {
    return range.memory->Download(range.offset, host, range.bytes);
  });
}

Napi::Value DeviceClear(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const Range range = RangeOf(info[0], IntegerAt(info, 1), IntegerAt(info, 2));
  if (!range) return Reject(env, "clear takes (buffer, offset, length) within the buffer");
  if (range.bytes > 0) ThrowCuda(env, range.memory->Clear(range.offset, range.bytes));
  return env.Undefined();
}

Napi::Value DeviceCopy(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int64_t length = IntegerAt(info, 4);
  const Range to = RangeOf(info[0], IntegerAt(info, 1), length);
  const Range from = RangeOf(info[2], IntegerAt(info, 3), length);
  if (!to || !from || to.memory->device() != from.memory->device()) {
    return Reject(
        env, "copy takes (to, toOffset, from, fromOffset, length) within buffers of one device");
  }
  if (to.bytes > 0) {
    ThrowCuda(env, to.memory->CopyFrom(to.offset, *from.memory, from.offset, to.bytes));
  }
  return env.Undefined();
}

Napi::Value DeviceMemoryOf(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int64_t free_bytes = 0;
  int64_t total_bytes = 0;
  const int error =
      MeasureDeviceMemory(static_cast<int>(IntegerAt(info, 0)), &free_bytes, &total_bytes);
  if (error != 0) {
    ThrowCuda(env, error);
    return env.Undefined();
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("free", Napi::Number::New(env, static_cast<double>(free_bytes)));
  result.Set("total", Napi::Number::New(env, static_cast<double>(total_bytes)));
  return result;
}

}  // namespace tfjs_ftp
