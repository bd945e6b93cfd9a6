// How the addon was built, and what it finds on this machine.
#include <string>
#include <vector>

#include "../kernels/step.h"
#include "exports.h"
#if defined(TFJS_FTP_HAVE_CUDA)
#include "../kernels/cuda/cuda_device.h"
#endif

namespace tfjs_ftp {
namespace {

const char* Compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "gcc " __VERSION__;
#elif defined(_MSC_VER)
  return "msvc";
#else
  return "unknown";
#endif
}

#if defined(TFJS_FTP_HAVE_CUDA)
// "13.0" from CUDA's 13000.
std::string CudaVersion(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}
#endif

}  // namespace

Napi::Value BuildInfo(const Napi::CallbackInfo& info) {
  Napi::Object result = Napi::Object::New(info.Env());
#if defined(TFJS_FTP_HAVE_CUDA)
  result.Set("cuda", Napi::Boolean::New(info.Env(), true));
#else
  result.Set("cuda", Napi::Boolean::New(info.Env(), false));
#endif
  result.Set("simd", CpuSimdName());
  const std::vector<const char*> names = CpuSimdNames();
  Napi::Array levels = Napi::Array::New(info.Env(), names.size());
  for (size_t i = 0; i < names.size(); ++i) levels.Set(static_cast<uint32_t>(i), names[i]);
  result.Set("simdLevels", levels);
  result.Set("threads", CpuDefaultThreads());
  result.Set("maxThreads", CpuMaxThreads());
  result.Set("compiler", Compiler());
  return result;
}

Napi::Value CudaInfoOf(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object result = Napi::Object::New(env);
  Napi::Array devices = Napi::Array::New(env);
  result.Set("devices", devices);
#if defined(TFJS_FTP_HAVE_CUDA)
  const CudaInfo& cuda = QueryCuda();
  result.Set("built", true);
  result.Set("available", cuda.available);
  result.Set("runtime", CudaVersion(cuda.runtime));
  if (cuda.driver > 0) result.Set("driver", CudaVersion(cuda.driver));
  if (!cuda.reason.empty()) result.Set("reason", cuda.reason);
  for (size_t i = 0; i < cuda.devices.size(); ++i) {
    const CudaDevice& found = cuda.devices[i];
    Napi::Object device = Napi::Object::New(env);
    device.Set("name", found.name);
    device.Set("capability", std::to_string(found.major) + "." + std::to_string(found.minor));
    device.Set("memory", Napi::Number::New(env, found.memory_bytes));
    devices.Set(static_cast<uint32_t>(i), device);
  }
#else
  result.Set("built", false);
  result.Set("available", false);
  result.Set("reason", "this addon was built without CUDA");
#endif
  return result;
}

}  // namespace tfjs_ftp
