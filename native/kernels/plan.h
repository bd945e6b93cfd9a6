// The plan of a step: one array of 32-bit words that carries every number of a step from JavaScript
// to the kernels, whatever the way in (addon call or TensorFlow op). As a TensorFlow tensor of
// integers it stays in host memory: per-step numbers as attributes would leak a cached kernel per
// step, as a float tensor they would stall a GPU.
//
// Header: magic, base, rule, base flags, rule flags, step flags, number of variables, threads,
// count of the base's numbers, count of the rule's numbers; then these numbers as float64 (low word
// first). Then 16 words per variable: flags, 0, outer, rows, inner (int64, low word first), t, n,
// and as float64 the variable's own factors on learning rate, weight decay and the rule's number.
// src/backends/plan.ts writes it; the pieces' headers in methods/ say what their numbers are.
#ifndef TFJS_FTP_KERNELS_PLAN_H_
#define TFJS_FTP_KERNELS_PLAN_H_

#include <cstdint>
#include <cstring>

#include "methods.h"
#include "step.h"

namespace tfjs_ftp {

constexpr int32_t kPlanMagic = 0x46545032;  // "FTP2"
constexpr int64_t kPlanHeaderWords = 10;    // in front of the numbers
constexpr int64_t kPlanVariableWords = 16;

enum PlanStepFlags : int32_t { kPlanCheckFinite = 1 };
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

// Words in front of the variables.
inline int64_t PlanVariablesAt(const int32_t* plan) {
  return kPlanHeaderWords + 2 * (static_cast<int64_t>(plan[8]) + plan[9]);
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
  if (words < PlanVariablesAt(plan) + kPlanVariableWords * *count) {
    return "plan is shorter than its number of variables";
  }
  const int32_t* numbers = plan + kPlanHeaderWords;
  for (int i = 0; i < base_numbers; ++i, numbers += 2) {
    options->base_numbers[i] = PlanDouble(numbers);
  }
  for (int i = 0; i < rule_numbers; ++i, numbers += 2) {
    options->rule_numbers[i] = PlanDouble(numbers);
  }
  return nullptr;
}

// Decodes variable i: sizes, steps, flags and factors, not its pointers. Returns nullptr, or what
// is wrong.
inline const char* DecodePlanVariable(const int32_t* plan, int64_t i, VariableStep* variable) {
  const int32_t* words = plan + PlanVariablesAt(plan) + kPlanVariableWords * i;
  variable->excluded = (words[0] & kPlanExcluded) != 0;
  variable->from_weights = (words[0] & kPlanFromWeights) != 0;
  variable->outer = PlanInt64(words + 2);
  variable->rows = PlanInt64(words + 4);
  variable->inner = PlanInt64(words + 6);
  variable->t = words[8];
  variable->n = words[9];
  variable->learning_rate_scale = PlanDouble(words + 10);
  variable->weight_decay_scale = PlanDouble(words + 12);
  variable->rule_scale = PlanDouble(words + 14);
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
