// N-API surface of tfjs-ftp: the export list, and the unwrapping of arguments. Defaults and checks
// of values live in TypeScript (src/native.ts types these exports); what is checked here is what
// would otherwise reach outside of an array.
#include <napi.h>

#include <string>
#include <vector>

#include "../kernels/cpu/huge_pages.h"
#include "../kernels/ftp_kernels.h"
#include "../kernels/plan.h"
#include "../kernels/state_layout.h"
#include "../op/ftp_ops.h"
#if defined(TFJS_FTP_HAVE_CUDA)
#include "../kernels/cuda/cuda_device.h"
#endif
#include "pin_library.h"

#ifndef TFJS_FTP_VERSION
#define TFJS_FTP_VERSION "0.0.0"
#endif

namespace tfjs_ftp {
namespace {

// Throws a TypeError that names the argument. Callers return right after.
Napi::Value Reject(Napi::Env env, const std::string& message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

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

Napi::Value BuildInfo(const Napi::CallbackInfo& info) {
  Napi::Object result = Napi::Object::New(info.Env());
#if defined(TFJS_FTP_HAVE_CUDA)
  result.Set("cuda", Napi::Boolean::New(info.Env(), true));
#else
  result.Set("cuda", Napi::Boolean::New(info.Env(), false));
#endif
  result.Set("simd", CpuSimdName());
  result.Set("threads", CpuDefaultThreads());
  result.Set("compiler", Compiler());
  return result;
}

#if defined(TFJS_FTP_HAVE_CUDA)
// "13.0" from CUDA's 13000.
std::string CudaVersion(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}
#endif

// cudaInfo() -> {built, available, runtime?, driver?, devices, reason?}; never throws.
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

// stateLayout(base, flags, excluded, elements, rows) -> {length, sections}
Napi::Value StateLayoutOf(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < 5 || !info[0].IsNumber() || !info[1].IsNumber() || !info[2].IsBoolean() ||
      !info[3].IsNumber() || !info[4].IsNumber()) {
    return Reject(env, "stateLayout takes (base, flags, excluded, elements, rows)");
  }
  const int32_t base = info[0].As<Napi::Number>().Int32Value();
  const int32_t flags = info[1].As<Napi::Number>().Int32Value();
  const bool excluded = info[2].As<Napi::Boolean>().Value();
  const int64_t elements = info[3].As<Napi::Number>().Int64Value();
  const int64_t rows = info[4].As<Napi::Number>().Int64Value();
  if (base < 0 || base > 2 || elements < 0 || rows < 0) {
    return Reject(env, "stateLayout: base must be 0, 1 or 2, sizes must be >= 0");
  }
  const StateLayout layout = LayoutState(static_cast<BaseUpdate>(base), (flags & kPlanAmsgrad) != 0,
                                         (flags & kPlanMomentum) != 0, excluded, elements, rows);
  Napi::Object sections = Napi::Object::New(env);
  auto add = [&](const char* name, int64_t offset, int64_t length) {
    if (offset == kNoSection) return;
    Napi::Object section = Napi::Object::New(env);
    section.Set("offset", Napi::Number::New(env, static_cast<double>(offset)));
    section.Set("length", Napi::Number::New(env, static_cast<double>(length)));
    sections.Set(name, section);
  };
  add("constraint", layout.constraint, kConstraintLength);
  add("norms", layout.norms, rows);
  add("anchor", layout.anchor, elements);
  add("deviation", layout.deviation, elements);
  add("m", layout.m, elements);
  add("v", layout.v, elements);
  add("vmax", layout.vmax, elements);
  add("momentum", layout.momentum, elements);
  Napi::Object result = Napi::Object::New(env);
  result.Set("length", Napi::Number::New(env, static_cast<double>(layout.length)));
  result.Set("sections", sections);
  return result;
}

// Element i of a JavaScript array as a Float32Array of at least `length` floats; null if it is not.
float* FloatsAt(const Napi::Array& array, uint32_t i, int64_t length) {
  const Napi::Value value = array.Get(i);
  if (!value.IsTypedArray()) return nullptr;
  napi_typedarray_type type;
  size_t count = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(array.Env(), value, &type, &count, &data, nullptr, nullptr) !=
          napi_ok ||
      type != napi_float32_array || static_cast<int64_t>(count) < length) {
    return nullptr;
  }
  static float empty;
  return data == nullptr ? &empty : static_cast<float*>(data);
}

// adviseState(state): huge pages for a new state slab; before anything is written to it.
Napi::Value AdviseState(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsTypedArray()) {
    return Reject(info.Env(), "adviseState takes (Float32Array)");
  }
  const Napi::TypedArray array = info[0].As<Napi::TypedArray>();
  void* data = nullptr;
  if (napi_get_typedarray_info(info.Env(), array, nullptr, nullptr, &data, nullptr, nullptr) ==
          napi_ok &&
      data != nullptr) {
    AdviseHugePages(data, array.ByteLength());
  }
  return info.Env().Undefined();
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
      message = "out of memory for the sums of the step";
      break;
    case StepStatus::kUnsupported:
      message = "a proposal has no excluded variables";
      break;
  }
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", code);
  error.Set("index", Napi::Number::New(env, static_cast<double>(result.variable)));
  error.ThrowAsJavaScriptException();
}

// step(plan, states, weights, gradients, outputs): one fused step on Float32Arrays.
Napi::Value Step(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < 5 || !info[0].IsTypedArray() || !info[1].IsArray() || !info[2].IsArray() ||
      !info[3].IsArray() || !info[4].IsArray() ||
      info[0].As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
    return Reject(env, "step takes (Int32Array, states[], weights[], gradients[], outputs[])");
  }
  const Napi::Int32Array plan = info[0].As<Napi::Int32Array>();
  const Napi::Array states = info[1].As<Napi::Array>();
  const Napi::Array weights = info[2].As<Napi::Array>();
  const Napi::Array gradients = info[3].As<Napi::Array>();
  const Napi::Array outputs = info[4].As<Napi::Array>();
  StepOptions options;
  int64_t count = 0;
  if (const char* wrong = DecodePlanHeader(plan.Data(), static_cast<int64_t>(plan.ElementLength()),
                                           &options, &count)) {
    return Reject(env, std::string("step: ") + wrong);
  }
  if (states.Length() < count || weights.Length() < count || gradients.Length() < count ||
      outputs.Length() < count) {
    return Reject(env, "step: fewer arrays than the plan has variables");
  }
  std::vector<VariableStep> variables(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    VariableStep& variable = variables[static_cast<size_t>(i)];
    const std::string name = "step: variable " + std::to_string(i) + ": ";
    if (const char* wrong = DecodePlanVariable(plan.Data(), i, &variable)) {
      return Reject(env, name + wrong);
    }
    Napi::HandleScope scope(env);
    const uint32_t index = static_cast<uint32_t>(i);
    variable.state = FloatsAt(states, index, LayoutState(options, variable).length);
    variable.weights = FloatsAt(weights, index, variable.size());
    variable.gradient = FloatsAt(gradients, index, variable.size());
    variable.output = FloatsAt(outputs, index, variable.size());
    if (variable.state == nullptr || variable.weights == nullptr || variable.gradient == nullptr ||
        variable.output == nullptr) {
      return Reject(env, name +
                             "state, weights, gradient and output must be Float32Arrays as long "
                             "as the plan says");
    }
  }
  ThrowStatus(env, CpuStep(options, variables.data(), count));
  return env.Undefined();
}

// tensorflow(paths?) -> {found, version?, registered, gpu, reason?, missing?}
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

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  // Kernels registered with TensorFlow and the pool's threads outlive any one environment.
  PinThisLibrary();
  exports.Set("version", TFJS_FTP_VERSION);
  exports.Set("buildInfo", Napi::Function::New<BuildInfo>(env, "buildInfo"));
  exports.Set("cudaInfo", Napi::Function::New<CudaInfoOf>(env, "cudaInfo"));
  exports.Set("stateLayout", Napi::Function::New<StateLayoutOf>(env, "stateLayout"));
  exports.Set("adviseState", Napi::Function::New<AdviseState>(env, "adviseState"));
  exports.Set("step", Napi::Function::New<Step>(env, "step"));
  exports.Set("tensorflow", Napi::Function::New<TensorFlow>(env, "tensorflow"));
  return exports;
}

}  // namespace
}  // namespace tfjs_ftp

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return tfjs_ftp::Init(env, exports);
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
