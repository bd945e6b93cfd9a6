#include "op_calls.h"

#include <cstring>

#include "../kernels/plan.h"
#include "../op/tf_api.h"

namespace tfjs_ftp {

using tf_double::NewTensor;
using tf_double::Result;
using tf_double::TensorRef;

std::vector<int32_t> EncodePlan(const StepOptions& o, const std::vector<VariableStep>& variables) {
  const size_t header = static_cast<size_t>(kPlanHeaderWords);
  const size_t words_each = static_cast<size_t>(kPlanVariableWords);
  std::vector<int32_t> plan(header + words_each * variables.size(), 0);
  plan[0] = kPlanMagic;
  plan[1] = static_cast<int32_t>(o.base);
  plan[2] = (o.amsgrad ? kPlanAmsgrad : 0) | (o.momentum_slot ? kPlanMomentum : 0) |
            (o.nesterov ? kPlanNesterov : 0) | (o.check_finite ? kPlanCheckFinite : 0);
  plan[3] = static_cast<int32_t>(variables.size());
  plan[4] = o.threads;
  const double numbers[] = {o.learning_rate,
                            o.beta1,
                            o.beta2,
                            o.epsilon,
                            o.weight_decay,
                            o.momentum,
                            o.dampening,
                            o.k,
                            o.constraint_learning_rate,
                            o.constraint_beta1,
                            o.constraint_beta2};
  std::memcpy(&plan[6], numbers, sizeof(numbers));
  for (size_t i = 0; i < variables.size(); ++i) {
    const VariableStep& x = variables[i];
    int32_t* const words = &plan[header + words_each * i];
    words[0] = (x.excluded ? kPlanExcluded : 0) | (x.from_weights ? kPlanFromWeights : 0);
    const int64_t extents[] = {x.outer, x.rows, x.inner};
    std::memcpy(words + 2, extents, sizeof(extents));
    words[8] = x.t;
    words[9] = x.n;
  }
  return plan;
}

TensorRef Integers(const std::vector<int32_t>& words) {
  const TensorRef tensor = NewTensor(kTfInt32, {static_cast<int64_t>(words.size())}, true);
  std::memcpy(tensor->data, words.data(), tensor->bytes);
  return tensor;
}

TensorRef Integers64(const std::vector<int64_t>& numbers) {
  std::vector<int32_t> words(2 * numbers.size());
  std::memcpy(words.data(), numbers.data(), words.size() * sizeof(int32_t));
  return Integers(words);
}

Result CallAllocate(const std::string& device, int64_t length) {
  return tf_double::Run("TfjsFtpAllocate", device, 0, {Integers64({length})});
}

Result CallRead(const std::string& device, const TensorRef& state, int64_t offset, int64_t length) {
  return tf_double::Run("TfjsFtpRead", device, 0, {state, Integers64({offset, length})});
}

Result CallWrite(const std::string& device, const TensorRef& state, const TensorRef& values,
                 int64_t offset) {
  return tf_double::Run("TfjsFtpWrite", device, 0, {state, values, Integers64({offset})});
}

Result CallStep(const std::string& device, const std::vector<int32_t>& plan, const Tensors& states,
                const Tensors& weights, const Tensors& gradients) {
  Tensors inputs = {Integers(plan)};
  for (const Tensors* list : {&states, &weights, &gradients}) {
    inputs.insert(inputs.end(), list->begin(), list->end());
  }
  return tf_double::Run("TfjsFtpStep", device, static_cast<int>(states.size()), inputs);
}

}  // namespace tfjs_ftp
