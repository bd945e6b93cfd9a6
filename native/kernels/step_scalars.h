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

inline DeviationMode ModeOf(const StepOptions&, const VariableStep& variable) {
  return Ftp::ModeOf(variable);
}

inline AdamWScalars MakeAdamW(const StepOptions& options, int32_t n) {
  if (options.base != BaseUpdate::kAdamW) return {};
  const AdamW::Numbers o = ReadNumbers<AdamW::Numbers>(options.base_numbers);
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

inline SgdScalars MakeSgd(const StepOptions& options) {
  if (options.base != BaseUpdate::kSgd) return {};
  const Sgd::Numbers o = ReadNumbers<Sgd::Numbers>(options.base_numbers);
  SgdScalars s;
  s.learning_rate = static_cast<float>(o.learning_rate);
  s.momentum = static_cast<float>(o.momentum);
  s.one_minus_dampening = static_cast<float>(1.0 - o.dampening);
  s.decay = static_cast<float>(o.weight_decay);
  return s;
}

inline ConstraintScalars MakeConstraintScalars(const StepOptions& options, int32_t t) {
  const Ftp::Numbers o = ReadNumbers<Ftp::Numbers>(options.rule_numbers);
  ConstraintScalars s;
  s.k = o.k;
  s.learning_rate = o.learning_rate;
  s.beta1 = o.beta1;
  s.beta2 = o.beta2;
  s.bias1 = 1.0 - std::pow(o.beta1, t);
  s.bias2 = 1.0 - std::pow(o.beta2, t);
  return s;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_STEP_SCALARS_H_
