// Adam on one number, such as FTP's gamma: in double, its moments kept in float32.
#ifndef TFJS_FTP_KERNELS_METHODS_SCALAR_ADAM_H_
#define TFJS_FTP_KERNELS_METHODS_SCALAR_ADAM_H_

#include <cmath>
#include <cstdint>

#include "../lanes.h"

namespace tfjs_ftp {

// Outside the square root, not an option (authors' code of FTP: 1e-8).
constexpr double kScalarAdamEpsilon = 1e-8;

struct ScalarAdam {
  double learning_rate;
  double beta1;
  double beta2;
  double bias1;  // 1 - beta1^t
  double bias2;  // 1 - beta2^t
};

inline ScalarAdam MakeScalarAdam(double learning_rate, double beta1, double beta2, int32_t t) {
  return {learning_rate, beta1, beta2, 1.0 - std::pow(beta1, t), 1.0 - std::pow(beta2, t)};
}

// x after one step with gradient h; m and v are the raw moments.
FTP_INLINE double StepScalar(const ScalarAdam& s, double h, double x, float* m, float* v) {
  const double first = s.beta1 * *m + (1.0 - s.beta1) * h;
  const double second = s.beta2 * *v + (1.0 - s.beta2) * h * h;
  *m = static_cast<float>(first);
  *v = static_cast<float>(second);
  return x - s.learning_rate * (first / s.bias1) / (sqrt(second / s.bias2) + kScalarAdamEpsilon);
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_SCALAR_ADAM_H_
