// Sums of the gradients, taken before a step.
#ifndef TFJS_FTP_KERNELS_GATHER_H_
#define TFJS_FTP_KERNELS_GATHER_H_

#include <cstdint>

#include "step.h"

namespace tfjs_ftp {

// Numbers that gathering gives for each variable: sum G^2 of the raw gradient, then for each of
// five hyper-parameters its hyper-gradient and the sum of squares of its direction, 0 where not
// wanted.
constexpr int kGatherNumbers = 11;

// What may be wanted, as bits.
enum GatherWant : int32_t { kWantSquares = 1 };

// Whether all that is wanted is compiled: the sums for hyper-parameters are not.
inline bool CanGather(int32_t want) { return (want & ~static_cast<int32_t>(kWantSquares)) == 0; }

// Writes kGatherNumbers doubles for each variable to `numbers`, and nothing else; of the variables
// only sizes and gradients are looked at. With options.check_finite the same read looks for NaN and
// infinities, as a step would. Sums are taken in float64 over parts that follow from the size
// alone: the same bits for any thread count and instruction set. Subnormal gradients count as 0.
StepResult CpuGather(const StepOptions& options, const VariableStep* variables, int64_t count,
                     int32_t want, double* numbers);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_GATHER_H_
