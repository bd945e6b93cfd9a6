#include "errors.h"

namespace tfjs_ftp {
namespace {

Napi::Error CodedError(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", code);
  return error;
}

}  // namespace

Napi::Value Reject(Napi::Env env, const std::string& message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

void ThrowCoded(Napi::Env env, const char* code, const std::string& message) {
  CodedError(env, code, message).ThrowAsJavaScriptException();
}

void ThrowStatus(Napi::Env env, const StepResult& result) {
  if (result.status == StepStatus::kOk) return;
  const char* code = result.status == StepStatus::kNonFiniteGradient ? "NON_FINITE_GRADIENT"
                     : result.status == StepStatus::kOutOfMemory     ? "OUT_OF_MEMORY"
                                                                     : "NATIVE_FAILURE";
  Napi::Error error = CodedError(env, code, StatusText(result.status));
  error.Set("index", Napi::Number::New(env, static_cast<double>(result.variable)));
  error.ThrowAsJavaScriptException();
}

}  // namespace tfjs_ftp
