// The plan of a step: one array of 32-bit words that carries every number of a step from JavaScript
// to the kernels, whatever the way in (addon call or TensorFlow op). As a TensorFlow tensor of
// integers it stays in host memory: per-step numbers as attributes would leak a cached kernel per
// step, as a float tensor they would stall a GPU.
//
// Header: magic, base, rule, base flags, rule flags, step flags, number of variables, threads,
// count of the base's numbers B, count of the rule's numbers R. Then 16 + 2 (B + R) words per
// variable: flags, format of the state, outer, rows, inner (int64, low word first), t, n; then as
// float64, low word first, the factor on the gradient, the limit of the gradient, the share of the
// average that stays, the base's numbers and the rule's, as they are for this variable.
// src/backends/plan.ts writes it; the pieces' headers in methods/ say what their numbers are.
#ifndef TFJS_FTP_KERNELS_PLAN_H_
#define TFJS_FTP_KERNELS_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "methods.h"
#include "step.h"

namespace tfjs_ftp {

constexpr int32_t kPlanMagic = 0x46545033;  // "FTP3"
constexpr int64_t kPlanHeaderWords = 10;
constexpr int64_t kPlanNumbersAt = 16;  // within a variable

enum PlanStepFlags : int32_t { kPlanCheckFinite = 1, kPlanEma = 2, kPlanGradient = 4 };
enum PlanVariableFlags : int32_t { kPlanExcluded = 1, kPlanFromWeights = 2 };

inline double PlanDouble(const int32_t* words) {
  double value;
  std::memcpy(&value, words, sizeof(value));
  return value;
}

inline int64_t PlanInt64(const int32_t* words) {
  int64_t value;
  std::memcpy(&value, words, sizeof(value));
  return value;
}

// Words of a variable.
inline int64_t PlanVariableWords(const int32_t* plan) {
  return kPlanNumbersAt + 2 * (static_cast<int64_t>(plan[8]) + plan[9]);
}

// Decodes the header. Returns nullptr, or what is wrong with the plan.
inline const char* DecodePlanHeader(const int32_t* plan, int64_t words, StepOptions* options,
                                    int64_t* count) {
  if (words < kPlanHeaderWords || plan[0] != kPlanMagic) return "not a step plan";
  options->base = static_cast<BaseUpdate>(plan[1]);
  options->rule = static_cast<Rule>(plan[2]);
  options->base_flags = plan[3];
  options->rule_flags = plan[4];
  options->check_finite = (plan[5] & kPlanCheckFinite) != 0;
  options->has_average = (plan[5] & kPlanEma) != 0;
  options->keeps_gradient = (plan[5] & kPlanGradient) != 0;
  *count = plan[6];
  options->threads = plan[7];
  int base_numbers = -1;
  int rule_numbers = -1;
  VisitBase(options->base, [&](auto base) { base_numbers = PieceOf<decltype(base)>::kNumbers; });
  VisitRule(options->rule, [&](auto rule) { rule_numbers = PieceOf<decltype(rule)>::kNumbers; });
  if (base_numbers < 0) return "unknown base update";
  if (rule_numbers < 0) return "unknown rule";
  if (plan[8] != base_numbers) return "another number of numbers than the base update has";
  if (plan[9] != rule_numbers) return "another number of numbers than the rule has";
  if (plan[6] < 0) return "negative number of variables";
  if (words < kPlanHeaderWords + PlanVariableWords(plan) * *count) {
    return "plan is shorter than its number of variables";
  }
  return nullptr;
}

// Decodes variable i of the lists `variables` and `numbers`, those before it decoded: all but its
// pointers. A variable with the numbers of the one before it points to that one's. Returns nullptr,
// or what is wrong.
inline const char* DecodePlanVariable(const int32_t* plan, int64_t i, VariableStep* variables,
                                      MethodNumbers* numbers) {
  const int64_t length = PlanVariableWords(plan);
  const int32_t* words = plan + kPlanHeaderWords + length * i;
  VariableStep* const variable = variables + i;
  variable->excluded = (words[0] & kPlanExcluded) != 0;
  variable->from_weights = (words[0] & kPlanFromWeights) != 0;
  if (words[1] < 0 || words[1] >= kStateFormats) return "unknown format of the state";
  variable->format = static_cast<StateFormat>(words[1]);
  variable->outer = PlanInt64(words + 2);
  variable->rows = PlanInt64(words + 4);
  variable->inner = PlanInt64(words + 6);
  variable->t = words[8];
  variable->n = words[9];
  variable->gradient_scale = PlanDouble(words + 10);
  variable->clip_value = PlanDouble(words + 12);
  variable->ema_momentum = PlanDouble(words + 14);
  const int32_t* const own = words + kPlanNumbersAt;
  const size_t bytes = static_cast<size_t>(length - kPlanNumbersAt) * sizeof(int32_t);
  if (i > 0 && std::memcmp(own, own - length, bytes) == 0) {
    variable->numbers = variables[i - 1].numbers;
  } else {
    const size_t base_bytes = static_cast<size_t>(plan[8]) * sizeof(double);
    std::memcpy(numbers[i].base, own, base_bytes);
    std::memcpy(numbers[i].rule, own + 2 * plan[8], bytes - base_bytes);
    variable->numbers = &numbers[i];
  }
  constexpr int64_t kMaxExtent = int64_t{1} << 46;
  if (variable->outer < 0 || variable->rows < 0 || variable->inner < 0) return "negative size";
  if (variable->outer > kMaxExtent || variable->rows > kMaxExtent || variable->inner > kMaxExtent) {
    return "size out of range";
  }
  if (variable->outer > 0 && variable->rows > 0 &&
      variable->inner > kMaxExtent / variable->outer / variable->rows) {
    return "size out of range";
  }
  if (variable->t < 1 || variable->n < 1) return "step counts start at 1";
  return nullptr;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_PLAN_H_
