// SGD as the authors of FTP have it (GT-RIPL/FTP, util/FTP.py, SGDP), with coupled decay:
//
//   d   = g + weightDecay w
//   buf = momentum buf + (1 - dampening) d      first update: buf = d
//   u   = learningRate (d + momentum buf)       with Nesterov
//         learningRate buf                      without
//         learningRate d                        without momentum
#ifndef TFJS_FTP_KERNELS_METHODS_SGD_H_
#define TFJS_FTP_KERNELS_METHODS_SGD_H_

#include "last_update.h"
#include "method.h"

namespace tfjs_ftp {

struct Sgd {
  static constexpr BaseUpdate kCode = BaseUpdate::kSgd;
  static constexpr int kNumbers = 4;
  struct Numbers {
    double learning_rate;
    double momentum;
    double dampening;
    double weight_decay;
  };
  enum Flags : int32_t { kMomentum = 1, kNesterov = 2 };

  static SlotSet SlotsOf(int32_t flags) {
    return (flags & kMomentum) != 0 ? Slots(Slot::kMomentum) : 0;
  }

  struct Scalars {
    float learning_rate;
    float momentum;
    float one_minus_dampening;
    float decay;  // weightDecay
    bool has_buffer;
    bool first_update;
    bool nesterov;
    bool reads_weights;
  };

  static Scalars Prepare(const Numbers& o, int32_t flags, const VariableStep& x) {
    Scalars s;
    s.learning_rate = static_cast<float>(o.learning_rate);
    s.momentum = static_cast<float>(o.momentum);
    s.one_minus_dampening = static_cast<float>(1.0 - o.dampening);
    s.decay = static_cast<float>(o.weight_decay);
    s.has_buffer = (flags & kMomentum) != 0;
    s.first_update = x.n == 1;
    s.nesterov = (flags & kNesterov) != 0;
    s.reads_weights = o.weight_decay != 0.0;
    return s;
  }

  template <class T>
  struct Loaded {
    T buffer;
  };

  template <class Io>
  static FTP_MEMBER Loaded<typename Io::T> Load(const Scalars& s, const Io& io,
                                                const StatePointers& state) {
    using T = typename Io::T;
    return {s.has_buffer && !s.first_update ? io.Load(state[Slot::kMomentum]) : T(0.0f)};
  }

  template <class T>
  static FTP_MEMBER T Update(const Scalars& s, const T& g, const T& w, Loaded<T>* x) {
    T d = s.reads_weights ? g + T(s.decay) * w : g;
    if (s.has_buffer) {
      x->buffer = s.first_update ? d : T(s.momentum) * x->buffer + T(s.one_minus_dampening) * d;
      d = s.nesterov ? d + T(s.momentum) * x->buffer : x->buffer;
    }
    return T(s.learning_rate) * d;
  }

  template <class Io>
  static FTP_MEMBER void Store(const Scalars& s, const Io& io, const StatePointers& state,
                               const Loaded<typename Io::T>& x) {
    if (s.has_buffer) io.Store(state[Slot::kMomentum], x.buffer);
  }

  // The last update (hyper.h). With buf' before it, which is (buf - (1 - dampening) d) / momentum,
  // and 0 before the first:
  //
  //   dU/dweightDecay = rate w, times 1 - dampening behind the first update, or 1 + momentum with
  //                     Nesterov
  //   dU/dmomentum    = rate buf', or rate (buf + momentum buf') with Nesterov
  static constexpr HyperSet kLearns =
      HyperSetOf(Hyper::kLearningRate, Hyper::kWeightDecay, Hyper::kFirst);
  static HyperSet LearnsOf(int32_t flags) {
    return (flags & kMomentum) != 0 ? kLearns : kLearns & ~HyperSetOf(Hyper::kFirst);
  }
  static bool DirectionHasGradient(int32_t flags) {
    return (flags & kMomentum) == 0 || (flags & kNesterov) != 0;
  }
  static double CoupledDecay(const Numbers& o) { return o.weight_decay; }
  static double DecayOf(const Numbers&, int32_t flags, double coupled) {
    return DirectionHasGradient(flags) ? coupled : 0.0;
  }

  struct Last {
    float momentum;
    float share;     // of d in buf
    float by_decay;  // dU/dweightDecay over w
    float by_kept;   // of momentum buf' in dU/dmomentum
    bool has_buffer;
    bool first_update;
    bool nesterov;
  };
  static Last PrepareLast(const Numbers& o, int32_t flags, const VariableStep& x) {
    Last s;
    s.has_buffer = (flags & kMomentum) != 0;
    s.first_update = x.n == 1;
    s.nesterov = (flags & kNesterov) != 0;
    const double share = s.first_update ? 1.0 : 1.0 - o.dampening;
    const double by_decay = !s.has_buffer ? 1.0 : s.nesterov ? 1.0 + o.momentum : share;
    s.momentum = static_cast<float>(o.momentum);
    s.share = static_cast<float>(share);
    s.by_decay = static_cast<float>(o.learning_rate * by_decay);
    s.by_kept = static_cast<float>(s.nesterov ? o.learning_rate : o.learning_rate / o.momentum);
    return s;
  }

  template <class T>
  struct Left {
    T direction;
    T buffer;
  };
  template <class Io>
  static FTP_MEMBER Left<typename Io::T> LeftBy(const Last& s, const Io& io,
                                                const StatePointers& state,
                                                const typename Io::T& gradient) {
    using T = typename Io::T;
    if (!s.has_buffer) return {gradient, T(0.0f)};
    const T buffer = io.Load(state[Slot::kMomentum]);
    return {s.nesterov ? gradient + T(s.momentum) * buffer : buffer, buffer};
  }

  template <class T>
  static FTP_MEMBER T ByDecay(const Last& s, const LastUpdate&, const T& before) {
    return T(s.by_decay) * before;
  }
  template <class T>
  static FTP_MEMBER T ByFirst(const Last& s, const LastUpdate&, const Left<T>& x, const T& seen) {
    const T kept = s.first_update ? T(0.0f) : x.buffer - T(s.share) * seen;
    return T(s.by_kept) * (s.nesterov ? x.buffer + kept : kept);
  }
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_SGD_H_
