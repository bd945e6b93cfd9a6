// Selective Projection Decay (Tian, Huang, Kira: Rethinking Weight Decay for Robust Fine-Tuning of
// Foundation Models, arXiv 2411.01713; authors' code: GT-RIPL/Selective-Projection-Decay,
// adamSPD.py). With D = W_{t-1} - A:
//
//   r = clip((|C_t| - |D|) / |C_t|, 0, 1)       2-norms of the tensor; 0 where C_t is 0
//   s = 1 - strength r   where sum g D > 0: the gradient step leads back, momentum carries on
//   outward
//       1                elsewhere
//
// With the flag for rows there is one r per row, from norms sum_j |.| + 1e-8 (the authors' later
// code). The strength is not limited to 1.
#ifndef TFJS_FTP_KERNELS_METHODS_SPD_H_
#define TFJS_FTP_KERNELS_METHODS_SPD_H_

#include "last_update.h"
#include "method.h"

namespace tfjs_ftp {

struct LastOfSpd;

struct Spd {
  static constexpr Rule kCode = Rule::kSpd;
  static constexpr int kNumbers = 1;
  struct Numbers {
    double strength;
  };
  enum Flags : int32_t { kRows = 1 };
  static constexpr bool kProjects = true;
  static constexpr int kGatherSums = 0;
  // It decays where sum g D > 0; DiGraP acts on the other side.
  static constexpr double kActsAbove = 0.0;
  static constexpr double kRowEpsilon = 1e-8;

  static SlotSet SlotsOf(int32_t) {
    return Slots(Slot::kConstraint, Slot::kNorms, Slot::kAnchor, Slot::kDeviation);
  }
  static bool IsWhole(int32_t flags) { return (flags & kRows) == 0; }
  using LastRule = LastOfSpd;

  struct Scalars {
    float strength;
    bool rows;
  };
  static Scalars Prepare(const Numbers& o, int32_t flags, const VariableStep&, const StepOptions&) {
    return {static_cast<float>(o.strength), (flags & kRows) != 0};
  }

  static DeviationMode ModeOf(const VariableStep& x) {
    return x.from_weights ? DeviationMode::kRejoin : DeviationMode::kContinue;
  }
  template <DeviationMode kMode>
  static constexpr bool kHasMode = kMode != DeviationMode::kFirst;
  template <DeviationMode kMode>
  static constexpr int kRowSums = 2;  // of C_t and of D
  template <DeviationMode kMode>
  static constexpr bool kTotals = true;  // sum g D

  template <class T>
  struct Factors {
    T ratio;
    bool rows;
  };
  template <class T>
  static FTP_MEMBER Factors<T> At(const Scalars& s, float level, const T& row) {
    return {Ratio(level, row), s.rows};
  }
  template <DeviationMode kMode, class T>
  static FTP_MEMBER Terms<T, 2> Add(const Factors<T>& factors, const T& g, const T& c,
                                    const T& previous) {
    const T d = kMode == DeviationMode::kContinue ? factors.ratio * previous : previous;
    Terms<T, 2> terms;
    terms.row[0] = factors.rows ? Abs(c) : c * c;
    terms.row[1] = factors.rows ? Abs(d) : d * d;
    terms.total = g * d;
    return terms;
  }

  // r.
  static FTP_MEMBER float FinishRow(const Scalars& s, DeviationMode, float, const double* sums,
                                    double*) {
    const double c = s.rows ? sums[0] + kRowEpsilon : sqrt(sums[0]);
    const double d = s.rows ? sums[1] + kRowEpsilon : sqrt(sums[1]);
    if (c == 0.0) return 0.0f;
    const double r = (c - d) / c;
    return static_cast<float>(r < 0.0 ? 0.0 : r);
  }
  // The strength that acts in this step, and what decided it.
  static FTP_MEMBER void FinishTensor(const Scalars& s, DeviationMode, double dot, double,
                                      float* constraint) {
    constraint[0] = dot > kActsAbove ? s.strength : 0.0f;
    constraint[1] = static_cast<float>(dot);
  }
  template <class T>
  static FTP_MEMBER T Ratio(float level, const T& row) {
    return T(1.0f) - T(level) * row;
  }
};

// The last update. r does not depend on the strength, and is held for the base's numbers:
// dW/dstrength = -r C where it acted.
struct LastOfSpd : LastOfProjection {
  static constexpr HyperSet kLearns = HyperSetOf(Hyper::kStrength);
  static HyperSet LearnsOf(int32_t) { return kLearns; }

  template <class Io, class Args>
  static FTP_MEMBER Held<typename Io::T> Hold(const Io& io, const Args& args) {
    return HoldDeviation(io, args, args.last.Has(Hyper::kStrength));
  }
  template <class T>
  static FTP_MEMBER T Scale(float strength, const T& r) {
    return Spd::Ratio(strength, r);
  }
  template <class T>
  static FTP_MEMBER T ByStrength(const LastUpdate&, float strength, const T& r, const Held<T>& held,
                                 const T&) {
    return T(strength > 0.0f ? 1.0f : 0.0f) * (r * held.c);
  }
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_SPD_H_
