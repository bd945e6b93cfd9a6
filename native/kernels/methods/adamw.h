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

#include "last_update.h"
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

  // The last update (hyper.h). With c = 1 - beta^n, V = (vmax or v) / c2, D = sqrt(V) + epsilon,
  // and m', v' before it:
  //
  //   dU/dbeta1 = rate / D [(m' - g) / c1 + m n beta1^(n-1) / c1^2]
  //   dU/dbeta2 = -rate m / c1 / D^2 / (2 sqrt V) [(v' - g^2) / c2 + V n beta2^(n-1) / c2]
  //
  // where m' - g = (m - g) / beta1 and v' - g^2 = (v - g^2) / beta2. Under AMSGrad v' - g^2 counts
  // where vmax is v. Where V is 0 the second one is 0.
  static constexpr HyperSet kLearns =
      HyperSetOf(Hyper::kLearningRate, Hyper::kWeightDecay, Hyper::kFirst, Hyper::kBeta2);
  static HyperSet LearnsOf(int32_t) { return kLearns; }
  // Whether the direction has the gradient as a part.
  static bool DirectionHasGradient(int32_t) { return false; }
  // Share of W in what the update took for its gradient.
  static double CoupledDecay(const Numbers&) { return 0.0; }
  // Share of W in what it subtracted, by that in its gradient.
  static double DecayOf(const Numbers& o, int32_t, double) { return o.weight_decay; }

  struct Last {
    float inverse_bias1;       // 1 / c1
    float inverse_sqrt_bias2;  // 1 / sqrt(c2)
    float epsilon;
    float first_change;  // 1 / (beta1 c1)
    float first_rest;    // n beta1^(n-1) / c1^2
    float second_change;
    float second_rest;  // n beta2^(n-1) / c2^2
    bool amsgrad;
  };
  static Last PrepareLast(const Numbers& o, int32_t flags, const VariableStep& x) {
    const double bias1 = 1.0 - std::pow(o.beta1, x.n);
    const double bias2 = 1.0 - std::pow(o.beta2, x.n);
    Last s;
    s.inverse_bias1 = static_cast<float>(1.0 / bias1);
    s.inverse_sqrt_bias2 = static_cast<float>(1.0 / std::sqrt(bias2));
    s.epsilon = static_cast<float>(o.epsilon);
    s.first_change = static_cast<float>(1.0 / (o.beta1 * bias1));
    s.first_rest = static_cast<float>(x.n * std::pow(o.beta1, x.n - 1) / (bias1 * bias1));
    s.second_change = static_cast<float>(1.0 / (o.beta2 * bias2));
    s.second_rest = static_cast<float>(x.n * std::pow(o.beta2, x.n - 1) / (bias2 * bias2));
    s.amsgrad = (flags & kAmsgrad) != 0;
    return s;
  }

  template <class T>
  struct Left {
    T direction;
    T m;
    T v;
    T second;
    T root;
    T denominator;
  };
  template <class Io>
  static FTP_MEMBER Left<typename Io::T> LeftBy(const Last& s, const Io& io,
                                                const StatePointers& state, const typename Io::T&) {
    using T = typename Io::T;
    Left<T> x;
    x.m = io.Load(state[Slot::kM]);
    x.v = io.Load(state[Slot::kV]);
    x.second = s.amsgrad ? io.Load(state[Slot::kVmax]) : x.v;
    x.root = Sqrt(x.second) * T(s.inverse_sqrt_bias2);
    x.denominator = x.root + T(s.epsilon);
    x.direction = (x.m * T(s.inverse_bias1)) / x.denominator;
    return x;
  }

  // Derivatives of what was subtracted. `seen`: the gradient that the update took.
  template <class T>
  static FTP_MEMBER T ByDecay(const Last&, const LastUpdate& u, const T& before) {
    return T(u.rate) * before;
  }
  template <class T>
  static FTP_MEMBER T ByFirst(const Last& s, const LastUpdate& u, const Left<T>& x, const T& seen) {
    const T change = (x.m - seen) * T(s.first_change) + x.m * T(s.first_rest);
    return (T(u.rate) * change) / x.denominator;
  }
  template <class T>
  static FTP_MEMBER T ByBeta2(const Last& s, const LastUpdate& u, const Left<T>& x, const T& seen) {
    const T zero(0.0f);
    T change = (x.v - seen * seen) * T(s.second_change);
    if (s.amsgrad) change = IfLess(x.v, x.second, zero, change);
    const T of_root = (change + x.second * T(s.second_rest)) / (x.root + x.root);
    const T by_root = (T(-u.rate) * x.direction) / x.denominator;
    return IfLess(zero, x.root, by_root * of_root, zero);
  }
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_ADAMW_H_
