// L2-SP (Li, Grandvalet, Davoine: Explicit Inductive Bias for Transfer Learning with Convolutional
// Networks, ICML 2018): decay towards the anchor. With d = w - a:
//
//   coupled:    g + strength d takes the place of g      the penalty strength / 2 sum d^2 of the
//   loss decoupled:  w - learningRate strength d - u          as AdamW's decay
#ifndef TFJS_FTP_KERNELS_METHODS_L2_SP_H_
#define TFJS_FTP_KERNELS_METHODS_L2_SP_H_

#include "last_update.h"
#include "method.h"

namespace tfjs_ftp {

struct LastOfL2Sp;

struct L2Sp {
  static constexpr Rule kCode = Rule::kL2Sp;
  static constexpr int kNumbers = 1;
  struct Numbers {
    double strength;
  };
  enum Flags : int32_t { kCoupled = 1 };
  static constexpr bool kProjects = false;
  static constexpr int kGatherSums = 0;

  static SlotSet SlotsOf(int32_t) { return Slots(Slot::kAnchor); }
  static bool IsWhole(int32_t) { return false; }
  using LastRule = LastOfL2Sp;

  struct Scalars {
    float decay;  // strength; times the learning rate where decoupled
    bool coupled;
  };
  static Scalars Prepare(const Numbers& o, int32_t flags, const VariableStep& x,
                         const StepOptions& options) {
    const bool coupled = (flags & kCoupled) != 0;
    const double rate = LearningRateOf(options, x);
    return {static_cast<float>(coupled ? o.strength : rate * o.strength), coupled};
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
  static FTP_MEMBER T Gradient(const Scalars& s, float, const T& g, const Extra<T>& extra) {
    return s.coupled ? g + T(s.decay) * extra.d : g;
  }
  template <class T>
  static FTP_MEMBER T Apply(const Scalars& s, const T& w, const T& u, const Extra<T>& extra) {
    return s.coupled ? w - u : (w - T(s.decay) * extra.d) - u;
  }
  template <class Io, class Args>
  static FTP_MEMBER void Store(const Io&, const Args&, const Extra<typename Io::T>&) {}
};

// The last update. The strength of the decoupled form can be learned: dW/dstrength = -rate d.
struct LastOfL2Sp : LastOfNone {
  static constexpr HyperSet kLearns = HyperSetOf(Hyper::kStrength);
  static constexpr bool kStrengthReadsBefore = true;
  static bool IsCoupled(int32_t flags) { return (flags & L2Sp::kCoupled) != 0; }
  static HyperSet LearnsOf(int32_t flags) { return IsCoupled(flags) ? 0 : kLearns; }
  static double GradientPull(const L2Sp::Numbers& o, int32_t flags) {
    return IsCoupled(flags) ? o.strength : 0.0;
  }
  static double Pull(const L2Sp::Numbers& o, int32_t flags) {
    return IsCoupled(flags) ? 0.0 : o.strength;
  }

  struct Last {
    float strength;
    bool coupled;
  };
  static Last Prepare(const L2Sp::Numbers& o, int32_t flags, bool, double) {
    return {static_cast<float>(o.strength), IsCoupled(flags)};
  }

  template <class Io, class Args>
  static FTP_MEMBER Held<typename Io::T> Hold(const Io& io, const Args& args) {
    using T = typename Io::T;
    return {args.last.reads_before ? io.Load(args.weights) : T(0.0f),
            io.Load(args.state[Slot::kAnchor]), T(0.0f)};
  }
  template <class T>
  static FTP_MEMBER T Gradient(const Last& s, float, const T&, const T& g, const Held<T>& held) {
    return s.coupled ? g - T(s.strength) * held.a : g;
  }
  template <class T>
  static FTP_MEMBER T Direction(const Last& s, const T& direction, const Held<T>& held) {
    return s.coupled ? direction : direction - T(s.strength) * held.a;
  }
  template <class T>
  static FTP_MEMBER T ByStrength(const LastUpdate& u, float, const T&, const Held<T>& held,
                                 const T& before) {
    return T(u.rate) * (before - held.a);
  }
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_L2_SP_H_
