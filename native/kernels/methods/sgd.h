// SGD as the authors of FTP have it (GT-RIPL/FTP, util/FTP.py, SGDP), with coupled decay:
//
//   d   = g + weightDecay w
//   buf = momentum buf + (1 - dampening) d      first update: buf = d
//   u   = learningRate (d + momentum buf)       with Nesterov
//         learningRate buf                      without
//         learningRate d                        without momentum
#ifndef TFJS_FTP_KERNELS_METHODS_SGD_H_
#define TFJS_FTP_KERNELS_METHODS_SGD_H_

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
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_SGD_H_
