#include "op_calls.h"

#include <cstring>

#include "../kernels/plan.h"
#include "../op/tf_api.h"

namespace tfjs_ftp {

using tf_double::NewTensor;
using tf_double::Result;
using tf_double::TensorRef;

std::vector<int32_t> EncodePlan(const StepOptions& o, const std::vector<VariableStep>& variables) {
  int base_numbers = 0;
  int rule_numbers = 0;
  VisitBase(o.base, [&](auto base) { base_numbers = PieceOf<decltype(base)>::kNumbers; });
  VisitRule(o.rule, [&](auto rule) { rule_numbers = PieceOf<decltype(rule)>::kNumbers; });
  std::vector<int32_t> plan = {kPlanMagic,
                               static_cast<int32_t>(o.base),
                               static_cast<int32_t>(o.rule),
                               o.base_flags,
                               o.rule_flags,
                               (o.check_finite ? kPlanCheckFinite : 0) |
                                   (o.has_average ? kPlanEma : 0) |
                                   (o.keeps_gradient ? kPlanGradient : 0),
                               static_cast<int32_t>(variables.size()),
                               o.threads,
                               base_numbers,
                               rule_numbers};
  const auto append = [&plan](const void* from, size_t bytes) {
    const size_t at = plan.size();
    plan.resize(at + bytes / sizeof(int32_t));
    std::memcpy(plan.data() + at, from, bytes);
  };
  for (const VariableStep& x : variables) {
    const int32_t flags =
        (x.excluded ? kPlanExcluded : 0) | (x.from_weights ? kPlanFromWeights : 0);
    const int32_t front[] = {flags, 0};
    const int64_t extents[] = {x.outer, x.rows, x.inner};
    const int32_t steps[] = {x.t, x.n};
    const double seen[] = {x.gradient_scale, x.clip_value, x.ema_momentum};
    const MethodNumbers& numbers = NumbersOf(o, x);
    append(front, sizeof(front));
    append(extents, sizeof(extents));
    append(steps, sizeof(steps));
    append(seen, sizeof(seen));
    append(numbers.base, static_cast<size_t>(base_numbers) * sizeof(double));
    append(numbers.rule, static_cast<size_t>(rule_numbers) * sizeof(double));
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
                const Tensors& weights, const Tensors& gradients, const Tensors& proposals) {
  Tensors inputs = {Integers(plan)};
  for (const Tensors* list : {&states, &weights, &gradients, &proposals}) {
    inputs.insert(inputs.end(), list->begin(), list->end());
  }
  return tf_double::Run("TfjsFtpStep", device, static_cast<int>(states.size()), inputs);
}

Result CallGather(const std::string& device, const std::vector<int32_t>& plan,
                  const Tensors& states, const Tensors& weights, const Tensors& gradients,
                  int32_t want) {
  Tensors inputs = {Integers(plan)};
  for (const Tensors* list : {&states, &weights, &gradients}) {
    inputs.insert(inputs.end(), list->begin(), list->end());
  }
  inputs.push_back(Integers({want}));
  return tf_double::Run("TfjsFtpGather", device, static_cast<int>(states.size()), inputs);
}

std::vector<double> GatheredBy(const Result& result) {
  const TensorRef& output = result.outputs.at(0);
  std::vector<double> numbers(output->bytes / sizeof(double));
  std::memcpy(numbers.data(), output->data, output->bytes);
  return numbers;
}

}  // namespace tfjs_ftp
