#include "step_arguments.h"

#include <string>

#include "../kernels/gather.h"
#include "../kernels/plan.h"
#include "../kernels/state.h"
#include "errors.h"

namespace tfjs_ftp {
namespace {

// States, weights, gradients; outputs of a step, and proposals where another optimizer proposes.
constexpr size_t kGatherLists = 3;
constexpr size_t kLists = 4;
constexpr size_t kMostLists = 5;

bool HasTypes(const Napi::CallbackInfo& info, size_t first, size_t lists) {
  if (info.Length() < first + 1 + lists || !info[first].IsTypedArray() ||
      info[first].As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
    return false;
  }
  for (size_t i = first + 1; i <= first + lists; ++i) {
    if (!info[i].IsArray()) return false;
  }
  return true;
}

}  // namespace

bool ReadStepArguments(const Napi::CallbackInfo& info, size_t first, const char* arrays,
                       const FloatsOf& floats, Call call, StepArguments* arguments) {
  Napi::Env env = info.Env();
  const bool steps = call == Call::kStep;
  const auto refuse = [&](const std::string& message) {
    Reject(env, (steps ? "step" : "gather") + message);
    return false;
  };
  if (!HasTypes(info, first, steps ? kLists : kGatherLists)) {
    return refuse(steps ? " takes (Int32Array, states[], weights[], gradients[], outputs[], "
                          "proposals[]?)"
                        : " takes (Int32Array, states[], weights[], gradients[], want)");
  }
  const Napi::Int32Array plan = info[first].As<Napi::Int32Array>();
  int64_t count = 0;
  if (const char* wrong = DecodePlanHeader(plan.Data(), static_cast<int64_t>(plan.ElementLength()),
                                           &arguments->options, &count)) {
    return refuse(std::string(": ") + wrong);
  }
  const bool proposed = steps && arguments->options.base == BaseUpdate::kProposal;
  if (proposed && (info.Length() <= first + kMostLists || !info[first + kMostLists].IsArray())) {
    return refuse(" of a proposal takes proposals[] last");
  }
  Napi::Array lists[kMostLists];
  const size_t present = proposed ? kMostLists : steps ? kLists : kGatherLists;
  for (size_t i = 0; i < present; ++i) {
    lists[i] = info[first + 1 + i].As<Napi::Array>();
    if (lists[i].Length() < count) return refuse(": fewer arrays than the plan has variables");
  }
  arguments->variables.resize(static_cast<size_t>(count));
  arguments->numbers.resize(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    VariableStep& variable = arguments->variables[static_cast<size_t>(i)];
    const std::string name = ": variable " + std::to_string(i) + ": ";
    if (const char* wrong = DecodePlanVariable(plan.Data(), i, arguments->variables.data(),
                                               arguments->numbers.data())) {
      return refuse(name + wrong);
    }
    Napi::HandleScope scope(env);
    const auto at = [&](size_t list, int64_t length) {
      return floats(lists[list].Get(static_cast<uint32_t>(i)), length);
    };
    variable.state = at(0, LayoutState(arguments->options, variable).length);
    variable.weights = at(1, variable.size());
    variable.gradient = at(2, variable.size());
    if (steps) variable.output = at(3, variable.size());
    if (proposed) variable.proposal = at(4, variable.size());
    const bool lacks_proposal = proposed && variable.proposal == nullptr;
    if (lacks_proposal || variable.state == nullptr || variable.weights == nullptr ||
        variable.gradient == nullptr || (steps && variable.output == nullptr)) {
      return refuse(name + "state, weights, gradient, output and proposal must be " + arrays +
                    " as long as the plan says");
    }
  }
  return true;
}

bool ReadWant(const Napi::CallbackInfo& info, size_t index, const StepOptions& options,
              int32_t* want) {
  Napi::Env env = info.Env();
  if (info.Length() <= index || !info[index].IsNumber()) {
    Reject(env, "gather takes want last");
    return false;
  }
  *want = info[index].As<Napi::Number>().Int32Value();
  const char* const wrong = GatherProblem(options, *want);
  if (wrong != nullptr) Reject(env, std::string("gather: ") + wrong);
  return wrong == nullptr;
}

}  // namespace tfjs_ftp
