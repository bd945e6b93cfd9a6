// DiGraP, Directional Gradient Projection (Huang, Tian, Maneechotesuwan, Chopra, Kira, ICLR 2025,
// arXiv 2502.15895), without its second term. With D = W_{t-1} - A, before anything is updated:
//
//   k_t     = sum g D / (sum D^2 + 1e-8)
//   omega_t = Adam step on omega with learningRate_{t-1} k_{t-1} sum g_t D_{t-1}, clipped to [0, 1]
//             (t > 1);  omega_1 = 0
//   g~      = g - omega_t k_t D    where sum g D < 0, the gradient step leads away from the anchor
//             g                    elsewhere
//
// and then the base update with g~. The formulas are those of code by the same authors
// (chengyuehuang511/vlm_robustness, optimizer/pcgrad.py) with weight decay 0.
#ifndef TFJS_FTP_KERNELS_METHODS_DIGRAP_H_
#define TFJS_FTP_KERNELS_METHODS_DIGRAP_H_

#include "last_update.h"
#include "method.h"
#include "scalar_adam.h"

namespace tfjs_ftp {

struct LastOfDigrap;

struct Digrap {
  static constexpr Rule kCode = Rule::kDigrap;
  static constexpr int kNumbers = 3;
  struct Numbers {
    double learning_rate;
    double beta1;
    double beta2;
  };
  static constexpr bool kProjects = false;
  static constexpr int kGatherSums = 3;  // g D, D^2, g D_{t-1}
  // It acts where sum g D < 0; SPD acts on the other side.
  static constexpr double kActsBelow = 0.0;
  static constexpr double kSquareEpsilon = 1e-8;

  // The slot `deviation` holds D before the last step, `norms` learningRate k of then.
  static SlotSet SlotsOf(int32_t) {
    return Slots(Slot::kConstraint, Slot::kNorms, Slot::kAnchor, Slot::kDeviation);
  }
  static bool IsWhole(int32_t) { return true; }
  using LastRule = LastOfDigrap;

  struct Scalars {
    ScalarAdam adam;
    double rate;  // learning rate of the base update
    bool first;
  };
  static Scalars Prepare(const Numbers& o, int32_t, const VariableStep& x,
                         const StepOptions& options) {
    Scalars s;
    s.adam = MakeScalarAdam(o.learning_rate, o.beta1, o.beta2, x.t);
    s.rate = LearningRateOf(options, x);
    s.first = x.t == 1;
    return s;
  }

  template <class T>
  struct GatherTerms {
    T sum[kGatherSums];
  };
  template <class Io, class Args>
  static FTP_MEMBER GatherTerms<typename Io::T> Gather(const Io& io, const Args& a,
                                                       const typename Io::T& g) {
    const auto d = io.LoadSoon(a.weights) - io.LoadSoon(a.state[Slot::kAnchor]);
    return {{g * d, d * d, g * io.Load(a.state[Slot::kDeviation])}};
  }
  // omega_t; returns what D is multiplied by before it is added to g.
  static FTP_MEMBER float FinishGather(const Scalars& s, const double* sums, float* constraint,
                                       float* scaled) {
    double omega = 0.0;
    double h = 0.0;
    if (s.first) {
      constraint[1] = constraint[2] = 0.0f;
    } else {
      h = static_cast<double>(*scaled) * sums[2];
      omega = StepScalar(s.adam, h, constraint[0], &constraint[1], &constraint[2]);
      omega = omega < 0.0 ? 0.0 : omega > 1.0 ? 1.0 : omega;
    }
    const double k = sums[0] / (sums[1] + kSquareEpsilon);
    constraint[0] = static_cast<float>(omega);
    constraint[3] = static_cast<float>(h);
    *scaled = static_cast<float>(s.rate * k);
    return sums[0] < kActsBelow ? static_cast<float>(-omega * k) : 0.0f;
  }

  template <class T>
  struct Extra {
    T d;
  };
  template <class Io, class Args>
  static FTP_MEMBER Extra<typename Io::T> Load(const Io& io, const Args& a,
                                               const typename Io::T& w) {
    return {w - io.Load(a.state[Slot::kAnchor])};
  }
  template <class T>
  static FTP_MEMBER T Gradient(const Scalars&, float level, const T& g, const Extra<T>& extra) {
    return g + T(level) * extra.d;
  }
  template <class T>
  static FTP_MEMBER T Apply(const Scalars&, const T& w, const T& u, const Extra<T>&) {
    return w - u;
  }
  template <class Io, class Args>
  static FTP_MEMBER void Store(const Io& io, const Args& a, const Extra<typename Io::T>& extra) {
    io.Store(a.state[Slot::kDeviation], extra.d);
  }
};

// The last update: the state has D of before it, so that W = A + D.
struct LastOfDigrap : LastOfNone {
  static constexpr bool kHasRow = true;

  struct Last {
    float inverse_rate;  // a learning rate of 0 leaves no k
  };
  static Last Prepare(const Digrap::Numbers&, int32_t, bool, double rate) {
    return {static_cast<float>(rate == 0.0 ? 0.0 : 1.0 / rate)};
  }

  template <class Io, class Args>
  static FTP_MEMBER Held<typename Io::T> Hold(const Io& io, const Args& args) {
    using T = typename Io::T;
    const bool before = args.last.reads_before;
    return {T(0.0f), before ? io.Load(args.state[Slot::kAnchor]) : T(0.0f),
            before || args.last.reads_gradient ? io.Load(args.state[Slot::kDeviation]) : T(0.0f)};
  }
  // `row`: learningRate k, which has the sign of sum g D.
  template <class T>
  static FTP_MEMBER T Gradient(const Last& s, float omega, const T& row, const T& g,
                               const Held<T>& held) {
    const T k = Min(row, T(0.0f)) * T(s.inverse_rate);
    return g - (T(omega) * k) * held.c;
  }
  template <class T>
  static FTP_MEMBER T Before(const LastUpdate&, const Held<T>& held, const T&) {
    return held.a + held.c;
  }
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_DIGRAP_H_
