// What a step does around its method: the gradient that the method sees, and the running average of
// the weights.
//
//   g   = clamp(gradientScale G, -clipValue, clipValue)       NaN stays
//   ema = emaMomentum ema + (1 - emaMomentum) W_t             at the very end
#ifndef TFJS_FTP_KERNELS_AROUND_H_
#define TFJS_FTP_KERNELS_AROUND_H_

#include <cmath>

#include "lanes.h"
#include "step.h"

namespace tfjs_ftp {

// The numbers of a variable, rounded to float32 once.
struct Around {
  float gradient_scale;
  float clip_value;
  float ema_momentum;
  float one_minus_ema_momentum;
  bool changes_gradient;
};

inline Around MakeAround(const VariableStep& x) {
  Around around;
  around.gradient_scale = static_cast<float>(x.gradient_scale);
  around.clip_value = static_cast<float>(x.clip_value);
  around.ema_momentum = static_cast<float>(x.ema_momentum);
  around.one_minus_ema_momentum = static_cast<float>(1.0 - x.ema_momentum);
  around.changes_gradient = around.gradient_scale != 1.0f || std::isfinite(around.clip_value);
  return around;
}

// g. Max and Min give their second operand where either is NaN.
template <class T>
FTP_INLINE T SeenGradient(const Around& around, const T& gradient) {
  if (!around.changes_gradient) return gradient;
  const T g = T(around.gradient_scale) * gradient;
  return Min(T(around.clip_value), Max(T(-around.clip_value), g));
}

// Takes W_t into the average at `ema`, where there is one.
template <class Io, class T>
FTP_INLINE void AddToAverage(const Io& io, const Around& around, float* ema, const T& w) {
  if (ema == nullptr) return;
  io.Store(ema, T(around.ema_momentum) * io.Load(ema) + T(around.one_minus_ema_momentum) * w);
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_AROUND_H_
