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
  const char* code = "NATIVE_FAILURE";
  const char* message = "the step failed";
  switch (result.status) {
    case StepStatus::kOk:
      return;
    case StepStatus::kNonFiniteGradient:
      code = "NON_FINITE_GRADIENT";
      message = "a gradient holds NaN or an infinity";
      break;
    case StepStatus::kOutOfMemory:
      code = "OUT_OF_MEMORY";
      message = "out of memory for the sums of the step";
      break;
    case StepStatus::kUnsupported:
      message = "a proposal has no excluded variables, and a step no more than 2^31 chunks";
      break;
  }
  Napi::Error error = CodedError(env, code, message);
  error.Set("index", Napi::Number::New(env, static_cast<double>(result.variable)));
  error.ThrowAsJavaScriptException();
}

}  // namespace tfjs_ftp
