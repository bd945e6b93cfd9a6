// Options of a step as tests and benches give them.
#ifndef TFJS_FTP_TEST_METHOD_OPTIONS_H_
#define TFJS_FTP_TEST_METHOD_OPTIONS_H_

#include "../kernels/methods.h"
#include "../kernels/step.h"

namespace tfjs_ftp {

constexpr AdamW::Numbers kAdamWNumbers = {1e-2, 0.9, 0.999, 1e-8, 0.0};
constexpr Sgd::Numbers kSgdNumbers = {1e-2, 0.0, 0.0, 0.0};
constexpr Ftp::Numbers kFtpNumbers = {1.0, 1e-2, 0.9, 0.999};

// FTP around a base update; `flags` are the base's.
template <class Base>
StepOptions FtpOptions(const typename Base::Numbers& numbers, int32_t flags = 0) {
  StepOptions options;
  SetBase<Base>(&options, numbers, flags);
  SetRule<Ftp>(&options, kFtpNumbers);
  return options;
}

inline AdamW::Numbers AdamWWithDecay(double weight_decay) {
  AdamW::Numbers numbers = kAdamWNumbers;
  numbers.weight_decay = weight_decay;
  return numbers;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_METHOD_OPTIONS_H_
