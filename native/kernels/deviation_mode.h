// Which of three forms pass 1 of a projected variable takes.
#ifndef TFJS_FTP_KERNELS_DEVIATION_MODE_H_
#define TFJS_FTP_KERNELS_DEVIATION_MODE_H_

#include <cstdint>

namespace tfjs_ftp {

// Where C_t and the hyper-gradient come from.
enum class DeviationMode : int32_t {
  kFirst,     // t = 1: C from the weights, no hyper-gradient
  kContinue,  // C from the stored deviation, which also gives the hyper-gradient
  kRejoin,    // W was assigned from outside: C and the hyper-gradient from W - A
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_DEVIATION_MODE_H_
