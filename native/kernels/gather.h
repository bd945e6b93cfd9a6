// Sums of the gradients, taken before a step.
#ifndef TFJS_FTP_KERNELS_GATHER_H_
#define TFJS_FTP_KERNELS_GATHER_H_

#include <cstdint>

#include "hyper.h"
#include "step.h"

namespace tfjs_ftp {

// Numbers that gathering gives for each variable: sum G^2 of the raw gradient, then for each of the
// hyper-parameters its hyper-gradient sum G X and sum X^2 (hyper.h), 0 where not wanted or not
// defined.
constexpr int kGatherNumbers = 1 + 2 * kHypers;

// What may be wanted, as bits: the sums of squares, which always come, and from 2 on those for the
// hyper-parameters in their order.
enum GatherWant : int32_t { kWantSquares = 1, kWantAll = (2 << kHypers) - 1 };
inline HyperSet HypersOf(int32_t want) { return want >> 1; }

// What is wrong with what is wanted of states with these options; nullptr: nothing.
inline const char* GatherProblem(const StepOptions& options, int32_t want) {
  if (want < 0 || want > kWantAll) return "what is wanted must be bits of 63";
  bool reads = false;
  VisitMethod(options.base, options.rule, [&](auto base_type, auto rule_type) {
    using Base = PieceOf<decltype(base_type)>;
    using LastRule = typename PieceOf<decltype(rule_type)>::LastRule;
    if constexpr (Base::kLearns != 0) {
      const HyperSet hypers = LearnsOf<Base, LastRule>(options, HypersOf(want));
      reads = ReadsGradient<Base, LastRule>(options, hypers);
    }
  });
  return reads && !options.keeps_gradient
             ? "what is wanted needs the slot 'gradient', which these states have not"
             : nullptr;
}

// Adds one part's sums of a variable to `numbers`, of which there are kGatherNumbers.
inline void AddGathered(const double* sums, double* numbers) {
  for (int i = 0; i < kGatherNumbers; ++i) numbers[i] += sums[i];
}

// Takes the signs of what was summed, -X, and what rounding left of a sum of squares below 0.
inline void FinishGathered(double* numbers) {
  for (int h = 0; h < kHypers; ++h) {
    double* const own = numbers + 1 + 2 * h;
    own[0] = 0.0 - own[0];
    if (own[1] < 0.0) own[1] = 0.0;
  }
}

// Writes kGatherNumbers doubles for each variable to `numbers`, and nothing else. Of a variable's
// numbers, t and n those of its last update are meant; one that is `from_weights` gives the sum of
// squares alone. With options.check_finite the same read looks for NaN and infinities, as a step
// would. Sums are taken in float64 over parts that follow from the shape alone: the same bits for
// any thread count and instruction set. Subnormal numbers count as 0. GatherProblem must find
// nothing.
StepResult CpuGather(const StepOptions& options, const VariableStep* variables, int64_t count,
                     int32_t want, double* numbers);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_GATHER_H_
