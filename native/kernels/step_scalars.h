// The numbers of a step as the formulas of ftp_math.h take them, worked out on the host, the same
// for every device: computed in double and rounded once.
#ifndef TFJS_FTP_KERNELS_STEP_SCALARS_H_
#define TFJS_FTP_KERNELS_STEP_SCALARS_H_

#include <cmath>
#include <cstdint>

#include "deviation_mode.h"
#include "ftp_kernels.h"
#include "ftp_math.h"

namespace tfjs_ftp {

inline DeviationMode ModeOf(const StepOptions& options, const VariableStep& variable) {
  if (variable.t == 1) return DeviationMode::kFirst;
  // A proposal's C_t never needs the old weights.
  const bool joins_anew = variable.from_weights && options.base != BaseUpdate::kProposal;
  return joins_anew ? DeviationMode::kRejoin : DeviationMode::kContinue;
}

inline AdamWScalars MakeAdamW(const StepOptions& o, int32_t n) {
  AdamWScalars s;
  s.beta1 = static_cast<float>(o.beta1);
  s.one_minus_beta1 = static_cast<float>(1.0 - o.beta1);
  s.beta2 = static_cast<float>(o.beta2);
  s.one_minus_beta2 = static_cast<float>(1.0 - o.beta2);
  s.step_size = static_cast<float>(o.learning_rate / (1.0 - std::pow(o.beta1, n)));
  s.inverse_sqrt_bias2 = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(o.beta2, n)));
  s.epsilon = static_cast<float>(o.epsilon);
  s.decay = static_cast<float>(o.learning_rate * o.weight_decay);
  return s;
}

inline SgdScalars MakeSgd(const StepOptions& o) {
  SgdScalars s;
  s.learning_rate = static_cast<float>(o.learning_rate);
  s.momentum = static_cast<float>(o.momentum);
  s.one_minus_dampening = static_cast<float>(1.0 - o.dampening);
  s.decay = static_cast<float>(o.weight_decay);
  return s;
}

inline ConstraintScalars MakeConstraintScalars(const StepOptions& o, int32_t t) {
  ConstraintScalars s;
  s.k = o.k;
  s.learning_rate = o.constraint_learning_rate;
  s.beta1 = o.constraint_beta1;
  s.beta2 = o.constraint_beta2;
  s.bias1 = 1.0 - std::pow(o.constraint_beta1, t);
  s.bias2 = 1.0 - std::pow(o.constraint_beta2, t);
  return s;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_STEP_SCALARS_H_
