// A ball of a fixed radius around the anchor (MARS-SP: Gouk, Hospedales, Pontil: Distance-Based
// Regularisation of Deep Networks for Fine-Tuning, ICLR 2021; authors' code:
// henrygouk/mars-finetuning):
//
//   n_t[r] = sum_j |C_t[r, j]|            MARS norm of a row
//   n_t    = sqrt(sum C_t^2)              Frobenius norm of the tensor, with that flag
//   s      = min(1, radius / n_t)
//
// No epsilon in the norm; the radius is > 0.
#ifndef TFJS_FTP_KERNELS_METHODS_FIXED_RADIUS_H_
#define TFJS_FTP_KERNELS_METHODS_FIXED_RADIUS_H_

#include "ball.h"
#include "method.h"

namespace tfjs_ftp {

struct FixedRadius {
  static constexpr Rule kCode = Rule::kFixedRadius;
  static constexpr int kNumbers = 1;
  struct Numbers {
    double radius;
  };
  enum Flags : int32_t { kFrobenius = 1 };
  static constexpr bool kProjects = true;
  static constexpr int kGatherSums = 0;

  static SlotSet SlotsOf(int32_t) {
    return Slots(Slot::kConstraint, Slot::kNorms, Slot::kAnchor, Slot::kDeviation);
  }
  static bool IsWhole(int32_t flags) { return (flags & kFrobenius) != 0; }
  using LastRule = LastOfBall;

  struct Scalars {
    float radius;
    bool frobenius;
  };
  static Scalars Prepare(const Numbers& o, int32_t flags, const VariableStep&, const StepOptions&) {
    return {static_cast<float>(o.radius), (flags & kFrobenius) != 0};
  }

  // Nothing of the old deviation is needed where C is formed from the weights.
  static DeviationMode ModeOf(const VariableStep& x) {
    return x.from_weights ? DeviationMode::kFirst : DeviationMode::kContinue;
  }
  template <DeviationMode kMode>
  static constexpr bool kHasMode = kMode != DeviationMode::kRejoin;
  template <DeviationMode kMode>
  static constexpr int kRowSums = 1;
  template <DeviationMode kMode>
  static constexpr bool kTotals = false;

  template <class T>
  struct Factors {
    T ratio;
    bool frobenius;
  };
  template <class T>
  static FTP_MEMBER Factors<T> At(const Scalars& s, float level, const T& norm) {
    return {Ratio(level, norm), s.frobenius};
  }
  template <DeviationMode kMode, class T>
  static FTP_MEMBER Terms<T, 1> Add(const Factors<T>& factors, const T&, const T& c, const T&) {
    Terms<T, 1> terms;
    terms.row[0] = factors.frobenius ? c * c : Abs(c);
    return terms;
  }

  static FTP_MEMBER float FinishRow(const Scalars& s, DeviationMode, float, const double* sums,
                                    double*) {
    return static_cast<float>(s.frobenius ? sqrt(sums[0]) : sums[0]);
  }
  static FTP_MEMBER void FinishTensor(const Scalars& s, DeviationMode, double, double,
                                      float* constraint) {
    constraint[0] = s.radius;
  }
  template <class T>
  static FTP_MEMBER T Ratio(float level, const T& norm) {
    return ProjectRatio(T(level), norm);
  }
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_FIXED_RADIUS_H_
