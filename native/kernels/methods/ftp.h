// Fast Trainable Projection (Tian et al., NeurIPS 2023, arXiv 2310.19182; authors' code:
// GT-RIPL/FTP, util/FTP.py):
//
//   n_t[r]  = sum_j |C_t[r, j]| + 1e-8                                     slot norms
//   h_t     = sum_r (1 / n_{t-1}[r]) sum_j G_t[r, j] C_{t-1}[r, j]         t > 1; times k if
//   positive gamma_t = Adam step on gamma with h_t, clipped to [1e-8, max_r n_t[r]];  gamma_1 =
//   1e-8 s[r]    = clip(gamma_t / n_t[r], 0, 1)
//
// With the exact hyper-gradient only rows that were cut (gamma_{t-1} < n_{t-1}[r]) count in h: only
// they depend on gamma. Weights that were assigned from outside do not depend on it at all: h is 0
// then.
#ifndef TFJS_FTP_KERNELS_METHODS_FTP_H_
#define TFJS_FTP_KERNELS_METHODS_FTP_H_

#include "ball.h"
#include "method.h"
#include "scalar_adam.h"

namespace tfjs_ftp {

// Added to every row norm, and lower bound and first value of gamma (authors' code: 1e-8).
constexpr double kNormEpsilon = 1e-8;
constexpr double kGammaMin = 1e-8;

struct Ftp {
  static constexpr Rule kCode = Rule::kFtp;
  static constexpr int kNumbers = 4;
  struct Numbers {
    double k;
    double learning_rate;
    double beta1;
    double beta2;
  };
  enum Flags : int32_t { kExact = 1 };
  static constexpr bool kProjects = true;
  static constexpr int kGatherSums = 0;

  static SlotSet SlotsOf(int32_t) {
    return Slots(Slot::kConstraint, Slot::kNorms, Slot::kAnchor, Slot::kDeviation);
  }
  static bool IsWhole(int32_t) { return false; }
  using LastRule = LastOfBall;  // gamma is held

  struct Scalars {
    ScalarAdam adam;
    double k;
    bool exact;
  };
  static Scalars Prepare(const Numbers& o, int32_t flags, const VariableStep& x,
                         const StepOptions&) {
    Scalars s;
    s.adam = MakeScalarAdam(o.learning_rate, o.beta1, o.beta2, x.t);
    s.k = o.k;
    s.exact = (flags & kExact) != 0;
    return s;
  }

  static DeviationMode ModeOf(const VariableStep& x) {
    if (x.t == 1) return DeviationMode::kFirst;
    return x.from_weights ? DeviationMode::kRejoin : DeviationMode::kContinue;
  }
  template <DeviationMode kMode>
  static constexpr bool kHasMode = true;
  // sum |C|; and sum |D|, sum g D where C_{t-1} is formed anew.
  template <DeviationMode kMode>
  static constexpr int kRowSums = kMode == DeviationMode::kRejoin ? 3 : 1;
  template <DeviationMode kMode>
  static constexpr bool kTotals = kMode == DeviationMode::kContinue;  // h

  template <class T>
  struct Factors {
    T ratio;
    T inverse_norm;
  };
  template <class T>
  static FTP_MEMBER Factors<T> At(const Scalars& s, float level, const T& norm) {
    const T gamma(level);
    const T inverse = T(1.0f) / norm;
    return {ProjectRatio(gamma, norm), s.exact ? IfLess(gamma, norm, inverse, T(0.0f)) : inverse};
  }

  // `c`: C_t; `previous`: C_{t-1} (kContinue) or D (kRejoin).
  template <DeviationMode kMode, class T>
  static FTP_MEMBER Terms<T, kRowSums<kMode>> Add(const Factors<T>& factors, const T& g, const T& c,
                                                  const T& previous) {
    Terms<T, kRowSums<kMode>> terms;
    terms.row[0] = Abs(c);
    if constexpr (kMode == DeviationMode::kContinue) {
      terms.total = (previous * factors.inverse_norm) * g;
    }
    if constexpr (kMode == DeviationMode::kRejoin) {
      terms.row[1] = Abs(previous);
      terms.row[2] = previous * g;
    }
    return terms;
  }

  // n_t of a row; adds its share of h where C_{t-1} was formed anew.
  static FTP_MEMBER float FinishRow(const Scalars& s, DeviationMode mode, float, const double* sums,
                                    double* h) {
    if (mode == DeviationMode::kRejoin && !s.exact) {
      *h = *h + sums[2] / (sums[1] + kNormEpsilon);
    }
    return static_cast<float>(sums[0] + kNormEpsilon);
  }

  // gamma_t, its raw moments and h before annealing. The comparisons let NaN through, as the
  // authors' code does.
  static FTP_MEMBER void FinishTensor(const Scalars& s, DeviationMode mode, double h,
                                      double max_norm, float* constraint) {
    if (mode == DeviationMode::kFirst) {
      constraint[0] = static_cast<float>(kGammaMin);
      constraint[1] = constraint[2] = constraint[3] = 0.0f;
      return;
    }
    const double annealed = h > 0.0 ? s.k * h : h;
    double gamma = StepScalar(s.adam, annealed, constraint[0], &constraint[1], &constraint[2]);
    if (gamma < kGammaMin) gamma = kGammaMin;
    if (gamma > max_norm) gamma = max_norm;
    constraint[0] = static_cast<float>(gamma);
    constraint[3] = static_cast<float>(h);
  }

  template <class T>
  static FTP_MEMBER T Ratio(float level, const T& norm) {
    return ProjectRatio(T(level), norm);
  }
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_FTP_H_
