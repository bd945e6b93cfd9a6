// AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101; here as the authors of FTP have it:
// GT-RIPL/FTP, util/FTP.py, AdamP): with n the number of updates of the variable
//
//   m = beta1 m + (1 - beta1) g
//   v = beta2 v + (1 - beta2) g^2
//   u = learningRate / (1 - beta1^n) m / (sqrt(v) / sqrt(1 - beta2^n) + epsilon)
//       + learningRate weightDecay w
//
// With AMSGrad the largest v so far takes the place of v in u.
#ifndef TFJS_FTP_KERNELS_METHODS_ADAMW_H_
#define TFJS_FTP_KERNELS_METHODS_ADAMW_H_

#include "method.h"

namespace tfjs_ftp {

struct AdamW {
  static constexpr BaseUpdate kCode = BaseUpdate::kAdamW;
  static constexpr int kNumbers = 5;
  struct Numbers {
    double learning_rate;
    double beta1;
    double beta2;
    double epsilon;
    double weight_decay;
  };
  enum Flags : int32_t { kAmsgrad = 1 };

  static SlotSet SlotsOf(int32_t flags) {
    return Slots(Slot::kM, Slot::kV) | ((flags & kAmsgrad) != 0 ? Slots(Slot::kVmax) : 0);
  }

  struct Scalars {
    float beta1;
    float one_minus_beta1;
    float beta2;
    float one_minus_beta2;
    float step_size;           // learningRate / (1 - beta1^n)
    float inverse_sqrt_bias2;  // 1 / sqrt(1 - beta2^n)
    float epsilon;
    float decay;  // learningRate weightDecay
    bool amsgrad;
    bool reads_weights;
  };

  static Scalars Prepare(const Numbers& o, int32_t flags, const VariableStep& x) {
    Scalars s;
    s.beta1 = static_cast<float>(o.beta1);
    s.one_minus_beta1 = static_cast<float>(1.0 - o.beta1);
    s.beta2 = static_cast<float>(o.beta2);
    s.one_minus_beta2 = static_cast<float>(1.0 - o.beta2);
    s.step_size = static_cast<float>(o.learning_rate / (1.0 - std::pow(o.beta1, x.n)));
    s.inverse_sqrt_bias2 = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(o.beta2, x.n)));
    s.epsilon = static_cast<float>(o.epsilon);
    s.decay = static_cast<float>(o.learning_rate * o.weight_decay);
    s.amsgrad = (flags & kAmsgrad) != 0;
    s.reads_weights = o.weight_decay != 0.0;
    return s;
  }

  template <class T>
  struct Loaded {
    T m;
    T v;
    T vmax;
  };

  template <class Io>
  static FTP_MEMBER Loaded<typename Io::T> Load(const Scalars& s, const Io& io,
                                                const StatePointers& state) {
    Loaded<typename Io::T> x;
    x.m = io.Load(state[Slot::kM]);
    x.v = io.Load(state[Slot::kV]);
    x.vmax = s.amsgrad ? io.Load(state[Slot::kVmax]) : x.v;
    return x;
  }

  template <class T>
  static FTP_MEMBER T Update(const Scalars& s, const T& g, const T& w, Loaded<T>* x) {
    x->m = T(s.beta1) * x->m + T(s.one_minus_beta1) * g;
    x->v = T(s.beta2) * x->v + (T(s.one_minus_beta2) * g) * g;
    x->vmax = s.amsgrad ? Max(x->vmax, x->v) : x->v;
    const T u = (T(s.step_size) * x->m) / (Sqrt(x->vmax) * T(s.inverse_sqrt_bias2) + T(s.epsilon));
    return s.reads_weights ? u + T(s.decay) * w : u;
  }

  template <class Io>
  static FTP_MEMBER void Store(const Scalars& s, const Io& io, const StatePointers& state,
                               const Loaded<typename Io::T>& x) {
    io.Store(state[Slot::kM], x.m);
    io.Store(state[Slot::kV], x.v);
    if (s.amsgrad) io.Store(state[Slot::kVmax], x.vmax);
  }
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_ADAMW_H_
