// Which of the compiled passes this processor runs.
#ifndef TFJS_FTP_KERNELS_CPU_DISPATCH_H_
#define TFJS_FTP_KERNELS_CPU_DISPATCH_H_

#include "passes.h"

namespace tfjs_ftp {

// The widest instruction set that both the processor and this build have; the environment variable
// TFJS_FTP_SIMD (avx512, avx2, sse2, neon, scalar) chooses a narrower one. Decided once.
const PassTable& CpuPasses(StateFormat format = StateFormat::kFloat32);

// Threads for a step over so many elements: one where waking others costs more than it gains.
int StepThreads(const StepOptions& options, int64_t elements);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CPU_DISPATCH_H_
