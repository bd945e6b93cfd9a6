// The arithmetic of Fast Trainable Projection (FTP, Tian et al., NeurIPS 2023, arXiv 2310.19182;
// authors' code: GT-RIPL/FTP, util/FTP.py), written once for every device.
//
// Each formula is a template over the number type: `float` in CUDA kernels and tests, a vector of
// 16 floats in the CPU kernels. Operations are performed in the order written and never fused
// (build with -ffp-contract=off, nvcc --fmad=false), so that every device and every vector width
// gives the same bits per element.
//
// Symbols: g gradient, w weight, a anchor, c deviation (C_t), u base update (what the plain
// optimizer would subtract), n MARS norm of a row, gamma constraint, h hyper-gradient.
#ifndef TFJS_FTP_KERNELS_FTP_MATH_H_
#define TFJS_FTP_KERNELS_FTP_MATH_H_

#include "methods.h"

namespace tfjs_ftp {

// Numbers of one AdamW step, rounded to float32 once on the host.
struct AdamWScalars {
  float beta1;
  float one_minus_beta1;
  float beta2;
  float one_minus_beta2;
  float step_size;           // learningRate / (1 - beta1^n)
  float inverse_sqrt_bias2;  // 1 / sqrt(1 - beta2^n)
  float epsilon;
  float decay;  // learningRate * weightDecay
};

// Numbers of one SGD step.
struct SgdScalars {
  float learning_rate;
  float momentum;
  float one_minus_dampening;
  float decay;  // weightDecay
};

// m = beta1 m + (1 - beta1) g
template <class T>
FTP_INLINE T FirstMoment(const AdamWScalars& s, T g, T m) {
  return T(s.beta1) * m + T(s.one_minus_beta1) * g;
}

// v = beta2 v + (1 - beta2) g g
template <class T>
FTP_INLINE T SecondMoment(const AdamWScalars& s, T g, T v) {
  return T(s.beta2) * v + (T(s.one_minus_beta2) * g) * g;
}

// u = step_size m / (sqrt(v) / sqrt(1 - beta2^n) + epsilon); v is vmax under AMSGrad.
template <class T>
FTP_INLINE T AdamWUpdate(const AdamWScalars& s, T m, T v) {
  return (T(s.step_size) * m) / (Sqrt(v) * T(s.inverse_sqrt_bias2) + T(s.epsilon));
}

// Decoupled decay towards zero, part of the base update: u + learningRate weightDecay w.
template <class T>
FTP_INLINE T AddDecoupledDecay(const AdamWScalars& s, T u, T w) {
  return u + T(s.decay) * w;
}

// Coupled decay of SGD: d = g + weightDecay w.
template <class T>
FTP_INLINE T AddCoupledDecay(const SgdScalars& s, T g, T w) {
  return g + T(s.decay) * w;
}

// buf = momentum buf + (1 - dampening) d; the first buffer is a copy of d (no dampening).
template <class T>
FTP_INLINE T MomentumBuffer(const SgdScalars& s, T d, T buffer) {
  return T(s.momentum) * buffer + T(s.one_minus_dampening) * d;
}

// Nesterov: d + momentum buf.
template <class T>
FTP_INLINE T NesterovDirection(const SgdScalars& s, T d, T buffer) {
  return d + T(s.momentum) * buffer;
}

// The constraint of one variable: gamma, the raw moments of its Adam step and the last
// hyper-gradient before annealing.
struct Constraint {
  float gamma;
  float first_moment;
  float second_moment;
  float hyper_gradient;
};

struct ConstraintScalars {
  double k;
  double learning_rate;
  double beta1;
  double beta2;
  double bias1;  // 1 - beta1^t
  double bias2;  // 1 - beta2^t
};

// gamma_t for t > 1: anneal h where it is positive, one Adam step, clip to [1e-8, max_r n_t[r]].
// The comparison order lets NaN through, as the authors' code does.
FTP_INLINE Constraint UpdateConstraint(const ConstraintScalars& s, const Constraint& previous,
                                       double h, double max_norm) {
  Constraint next;
  next.hyper_gradient = static_cast<float>(h);
  const double annealed = h > 0.0 ? s.k * h : h;
  const double m = s.beta1 * previous.first_moment + (1.0 - s.beta1) * annealed;
  const double v = s.beta2 * previous.second_moment + (1.0 - s.beta2) * annealed * annealed;
  double gamma =
      previous.gamma - s.learning_rate * (m / s.bias1) / (sqrt(v / s.bias2) + kScalarAdamEpsilon);
  if (gamma < kGammaMin) gamma = kGammaMin;
  if (gamma > max_norm) gamma = max_norm;
  next.first_moment = static_cast<float>(m);
  next.second_moment = static_cast<float>(v);
  next.gamma = static_cast<float>(gamma);
  return next;
}

// gamma_1 = 1e-8, moments zero: step 1 puts the variable back on its anchor.
FTP_INLINE Constraint FirstConstraint() {
  Constraint first;
  first.gamma = static_cast<float>(kGammaMin);
  first.first_moment = 0.0f;
  first.second_moment = 0.0f;
  first.hyper_gradient = 0.0f;
  return first;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_FTP_MATH_H_
