// The floating-point mode of the kernels: round to nearest, subnormal numbers are zero, nothing
// traps. Set by each step and each worker, since callers differ: TensorFlow runs its kernels with
// subnormals flushed, JavaScript does not, and a new thread inherits whatever its creator had.
// Flushed, because first moments of elements without gradients decay into subnormal numbers and
// stay there, and processors take a hundred times longer over those.
#ifndef TFJS_FTP_KERNELS_CPU_FLOAT_MODE_H_
#define TFJS_FTP_KERNELS_CPU_FLOAT_MODE_H_

#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

namespace tfjs_ftp {

class KernelFloatMode {
 public:
#if defined(__x86_64__) || defined(_M_X64)
  KernelFloatMode() : saved_(_mm_getcsr()) { _mm_setcsr(kMode); }
  ~KernelFloatMode() { _mm_setcsr(saved_); }
#elif defined(__aarch64__) && defined(__GNUC__)
  KernelFloatMode() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" : : "r"(kMode));
  }
  ~KernelFloatMode() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }
#else
  KernelFloatMode() : saved_(0) {}
#endif
  KernelFloatMode(const KernelFloatMode&) = delete;
  KernelFloatMode& operator=(const KernelFloatMode&) = delete;

 private:
#if defined(__x86_64__) || defined(_M_X64)
  static constexpr unsigned kMode = 0x1f80 | 0x8000 | 0x0040;  // masked, flush to zero, inputs too
  unsigned saved_;
#else
  static constexpr uint64_t kMode = uint64_t{1} << 24;  // FZ
  uint64_t saved_;
#endif
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CPU_FLOAT_MODE_H_
