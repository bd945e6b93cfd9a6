#include "step_arguments.h"

#include <string>

#include "../kernels/plan.h"
#include "../kernels/state_layout.h"
#include "errors.h"

namespace tfjs_ftp {
namespace {

constexpr size_t kLists = 4;

bool HasTypes(const Napi::CallbackInfo& info, size_t first) {
  if (info.Length() < first + 1 + kLists || !info[first].IsTypedArray() ||
      info[first].As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
    return false;
  }
  for (size_t i = first + 1; i <= first + kLists; ++i) {
    if (!info[i].IsArray()) return false;
  }
  return true;
}

}  // namespace

bool ReadStepArguments(const Napi::CallbackInfo& info, size_t first, const char* arrays,
                       const FloatsOf& floats, StepArguments* arguments) {
  Napi::Env env = info.Env();
  const auto refuse = [&](const std::string& message) {
    Reject(env, "step" + message);
    return false;
  };
  if (!HasTypes(info, first)) {
    return refuse(" takes (Int32Array, states[], weights[], gradients[], outputs[])");
  }
  const Napi::Int32Array plan = info[first].As<Napi::Int32Array>();
  int64_t count = 0;
  if (const char* wrong = DecodePlanHeader(plan.Data(), static_cast<int64_t>(plan.ElementLength()),
                                           &arguments->options, &count)) {
    return refuse(std::string(": ") + wrong);
  }
  Napi::Array lists[kLists];
  for (size_t i = 0; i < kLists; ++i) {
    lists[i] = info[first + 1 + i].As<Napi::Array>();
    if (lists[i].Length() < count) return refuse(": fewer arrays than the plan has variables");
  }
  arguments->variables.resize(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    VariableStep& variable = arguments->variables[static_cast<size_t>(i)];
    const std::string name = ": variable " + std::to_string(i) + ": ";
    if (const char* wrong = DecodePlanVariable(plan.Data(), i, &variable)) {
      return refuse(name + wrong);
    }
    Napi::HandleScope scope(env);
    const auto at = [&](size_t list, int64_t length) {
      return floats(lists[list].Get(static_cast<uint32_t>(i)), length);
    };
    variable.state = at(0, LayoutState(arguments->options, variable).length);
    variable.weights = at(1, variable.size());
    variable.gradient = at(2, variable.size());
    variable.output = at(3, variable.size());
    if (variable.state == nullptr || variable.weights == nullptr || variable.gradient == nullptr ||
        variable.output == nullptr) {
      return refuse(name + "state, weights, gradient and output must be " + arrays +
                    " as long as the plan says");
    }
  }
  return true;
}

}  // namespace tfjs_ftp
