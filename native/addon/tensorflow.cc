// Finding TensorFlow in the process, and the memory of its op's outputs.
#include <string>
#include <vector>

#include "../op/ftp_ops.h"
#include "../op/output_pool.h"
#include "errors.h"
#include "exports.h"

namespace tfjs_ftp {

Napi::Value TensorFlow(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::vector<std::string> paths;
  if (info.Length() > 0 && info[0].IsArray()) {
    const Napi::Array given = info[0].As<Napi::Array>();
    for (uint32_t i = 0; i < given.Length(); ++i) {
      const Napi::Value path = given.Get(i);
      if (!path.IsString()) return Reject(env, "tensorflow: paths must be strings");
      paths.push_back(path.As<Napi::String>().Utf8Value());
    }
  }
  const TensorFlowState state = RegisterTensorFlowOps(paths);
  Napi::Object result = Napi::Object::New(env);
  result.Set("found", state.lookup.found);
  result.Set("registered", state.registered);
  result.Set("gpu", state.gpu);
  if (!state.lookup.version.empty()) result.Set("version", state.lookup.version);
  if (!state.lookup.reason.empty()) result.Set("reason", state.lookup.reason);
  if (!state.lookup.missing.empty()) {
    Napi::Array missing = Napi::Array::New(env, state.lookup.missing.size());
    for (size_t i = 0; i < state.lookup.missing.size(); ++i) {
      missing.Set(static_cast<uint32_t>(i), state.lookup.missing[i]);
    }
    result.Set("missing", missing);
  }
  return result;
}

Napi::Value OutputMemory(const Napi::CallbackInfo& info) {
  OutputPool& pool = OutputPool::Get();
  if (info.Length() > 0 && info[0].ToBoolean().Value()) pool.Trim();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("lent", static_cast<double>(pool.lent_bytes()));
  result.Set("idle", static_cast<double>(pool.idle_bytes()));
  return result;
}

}  // namespace tfjs_ftp
