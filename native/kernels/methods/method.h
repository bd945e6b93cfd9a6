// What a method consists of. A base update proposes what plain training would subtract; a rule
// holds the weights near their anchor. Each piece is one header, and each formula stands in it
// once: as a template over the number type, which is a vector of 16 floats in the CPU kernels, a
// pack of floats in CUDA kernels and one float in tests (lanes.h). The walks over memory know no
// piece.
//
// Symbols: g gradient, w weight, a anchor, c deviation (C_t, before the rule shortens it), d = w -
// a, u base update (what the plain optimizer would subtract).
//
// Base update:
//   kCode, kNumbers, Numbers (doubles, in the plan's order), SlotsOf(flags)
//   Scalars, Prepare(numbers, flags, variable): the numbers of one variable's step, rounded to
//     float32 once, on the host. `reads_weights`: whether Update looks at w.
//   Loaded<T>, Load, Update, Store: one group of elements. Load comes before and Store behind all
//     arithmetic of the group, so that its loads stand together.
//
// Rule:
//   kCode, kNumbers, Numbers, SlotsOf(flags), IsWhole(flags): one row for the whole tensor
//   Scalars, Prepare(numbers, flags, variable)
//   kProjects: W_t = A + s C_t with one s per row, which takes two passes:
//     ModeOf(variable), kHasMode<mode>, kRowSums<mode>, kTotals<mode>
//     Factors<T>, At(scalars, level, row): what pass 1 takes from the last step. `level` is the
//     first
//       number of the slot `constraint`, `row` the row's number in the slot `norms`.
//     Add<mode>: the terms that a group of elements adds to the sums
//     FinishRow: a row's number from its sums;  FinishTensor: the slot `constraint`
//     Ratio(level, row): s
//   otherwise it takes one pass and changes what the base update sees or gives:
//     Extra<T>, Load, Gradient, Apply, Store
//     kGatherSums > 0: Gather and FinishGather, sums over all elements before anything is written
#ifndef TFJS_FTP_KERNELS_METHODS_METHOD_H_
#define TFJS_FTP_KERNELS_METHODS_METHOD_H_

#include <cmath>
#include <cstdint>

#include "../lanes.h"
#include "../slots.h"
#include "../step.h"

namespace tfjs_ftp {

// Where C_t and the terms with the old deviation come from.
enum class DeviationMode : int32_t {
  kFirst,     // C from the weights, no old deviation
  kContinue,  // C from the stored deviation: W_{t-1} - A = s_{t-1} C_{t-1}
  kRejoin,    // W was assigned from outside: C and the old deviation from W - A
};

// The base update's learning rate for a variable: the first number of every base update that has
// one.
inline double LearningRateOf(const StepOptions& options, const VariableStep& variable) {
  return NumbersOf(options, variable).base[0];
}

// C_t from the stored deviation: W_{t-1} - A = ratio_{t-1} C_{t-1}, so C_t = ratio C_{t-1} - u.
template <class T>
FTP_INLINE T DeviationFromState(T ratio, T c, T u) {
  return ratio * c - u;
}

// C_t from the weights, in the authors' order: (w - u) - a.
template <class T>
FTP_INLINE T DeviationFromWeights(T w, T u, T a) {
  return (w - u) - a;
}

// W_t = a + ratio c.
template <class T>
FTP_INLINE T Project(T a, T ratio, T c) {
  return a + ratio * c;
}

// ratio = clip(radius / n, 0, 1) for a radius > 0 and a norm >= 0. A NaN norm gives NaN, as the
// authors' torch.clamp does: min(1, x) is x where x is NaN.
template <class T>
FTP_INLINE T ProjectRatio(T radius, T norm) {
  return Min(T(1.0f), radius / norm);
}

// The larger of two norms; NaN stays.
template <class T>
FTP_INLINE T MaxNorm(T a, T b) {
  return a != a || b <= a ? a : b;
}

// What a group of elements adds to the sums of its rows and to the total over the tensor.
template <class T, int kRowSums>
struct Terms {
  T row[kRowSums];
  T total;
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_METHOD_H_
