// The plan of a step: one array of 32-bit words that carries every number of a step from JavaScript
// to the kernels, whatever the way in (addon call or TensorFlow op). As a TensorFlow tensor of
// integers it stays in host memory: per-step numbers as attributes would leak a cached kernel a
// step, as a float tensor they would stall a GPU.
//
// Header, 40 words: magic, base, flags, number of variables, threads, 0, then 11 float64 (low word
// first): learningRate, beta1, beta2, epsilon, weightDecay, momentum, dampening, k,
// constraintLearningRate, constraintBeta1, constraintBeta2.
// Then 16 words a variable: flags, 0, outer, rows, inner (int64, low word first), t, n, 0 ...
// src/backends/plan.ts writes it.
#ifndef TFJS_FTP_KERNELS_PLAN_H_
#define TFJS_FTP_KERNELS_PLAN_H_

#include <cstdint>
#include <cstring>

#include "ftp_kernels.h"

namespace tfjs_ftp {

constexpr int32_t kPlanMagic = 0x46545031;  // "FTP1"
constexpr int64_t kPlanHeaderWords = 40;
constexpr int64_t kPlanVariableWords = 16;

enum PlanFlags : int32_t {
  kPlanAmsgrad = 1,
  kPlanMomentum = 2,
  kPlanNesterov = 4,
  kPlanCheckFinite = 8,
};
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

// Decodes the header. Returns nullptr, or what is wrong with the plan.
inline const char* DecodePlanHeader(const int32_t* plan, int64_t words, StepOptions* options,
                                    int64_t* count) {
  if (words < kPlanHeaderWords || plan[0] != kPlanMagic) return "not a step plan";
  if (plan[1] < 0 || plan[1] > 2) return "unknown base update";
  if (plan[3] < 0) return "negative number of variables";
  if (words < kPlanHeaderWords + kPlanVariableWords * static_cast<int64_t>(plan[3])) {
    return "plan is shorter than its number of variables";
  }
  options->base = static_cast<BaseUpdate>(plan[1]);
  options->amsgrad = (plan[2] & kPlanAmsgrad) != 0;
  options->momentum_slot = (plan[2] & kPlanMomentum) != 0;
  options->nesterov = (plan[2] & kPlanNesterov) != 0;
  options->check_finite = (plan[2] & kPlanCheckFinite) != 0;
  *count = plan[3];
  options->threads = plan[4];
  const int32_t* numbers = plan + 6;
  options->learning_rate = PlanDouble(numbers);
  options->beta1 = PlanDouble(numbers + 2);
  options->beta2 = PlanDouble(numbers + 4);
  options->epsilon = PlanDouble(numbers + 6);
  options->weight_decay = PlanDouble(numbers + 8);
  options->momentum = PlanDouble(numbers + 10);
  options->dampening = PlanDouble(numbers + 12);
  options->k = PlanDouble(numbers + 14);
  options->constraint_learning_rate = PlanDouble(numbers + 16);
  options->constraint_beta1 = PlanDouble(numbers + 18);
  options->constraint_beta2 = PlanDouble(numbers + 20);
  return nullptr;
}

// Decodes variable i: sizes, steps and flags, not its pointers. Returns nullptr, or what is wrong.
inline const char* DecodePlanVariable(const int32_t* plan, int64_t i, VariableStep* variable) {
  const int32_t* words = plan + kPlanHeaderWords + kPlanVariableWords * i;
  variable->excluded = (words[0] & kPlanExcluded) != 0;
  variable->from_weights = (words[0] & kPlanFromWeights) != 0;
  variable->outer = PlanInt64(words + 2);
  variable->rows = PlanInt64(words + 4);
  variable->inner = PlanInt64(words + 6);
  variable->t = words[8];
  variable->n = words[9];
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
