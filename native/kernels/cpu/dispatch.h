// Which of the compiled passes this processor runs.
#ifndef TFJS_FTP_KERNELS_CPU_DISPATCH_H_
#define TFJS_FTP_KERNELS_CPU_DISPATCH_H_

#include "passes.h"

namespace tfjs_ftp {

// The widest instruction set that both the processor and this build have; the environment variable
// TFJS_FTP_SIMD (avx512, avx2, sse2, neon, scalar) chooses a narrower one. Decided once.
const PassTable& CpuPasses();

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CPU_DISPATCH_H_
