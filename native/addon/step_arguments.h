// The arguments of a step call, whatever memory its arrays are in.
#ifndef TFJS_FTP_ADDON_STEP_ARGUMENTS_H_
#define TFJS_FTP_ADDON_STEP_ARGUMENTS_H_

#include <napi.h>

#include <functional>
#include <vector>

#include "../kernels/step.h"

namespace tfjs_ftp {

struct StepArguments {
  StepOptions options;
  std::vector<VariableStep> variables;
  std::vector<MethodNumbers> numbers;  // that the variables point to

  int64_t count() const { return static_cast<int64_t>(variables.size()); }
};

// The floats behind a JavaScript value; null if it does not have `length` of them, or is something
// else.
using FloatsOf = std::function<float*(const Napi::Value& value, int64_t length)>;

enum class Call { kStep, kGather };

// Reads (plan, states[], weights[], gradients[]) from argument `first` on, and of a step outputs[]
// and proposals[]. `arrays`
// names what the lists must hold, for messages. Returns false if a TypeError is pending.
bool ReadStepArguments(const Napi::CallbackInfo& info, size_t first, const char* arrays,
                       const FloatsOf& floats, Call call, StepArguments* arguments);

// Reads what is wanted of gathering, argument `index`. Returns false if a TypeError is pending.
bool ReadWant(const Napi::CallbackInfo& info, size_t index, const StepOptions& options,
              int32_t* want);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_ADDON_STEP_ARGUMENTS_H_
