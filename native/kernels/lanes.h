// The number types of the formulas: 16 lanes in the CPU kernels (cpu/simd.h), a pack of a few
// floats that one CUDA thread holds, one float. All have the same operators with the same rounding:
// every operation is performed as written and never fused (build with -ffp-contract=off, nvcc
// --fmad=false), so that every device and every vector width gives the same bits per element.
#ifndef TFJS_FTP_KERNELS_LANES_H_
#define TFJS_FTP_KERNELS_LANES_H_

#include <math.h>
#include <stdint.h>
#include <string.h>

// FTP_INLINE and FTP_MEMBER on both devices, FTP_HOST_INLINE on the host alone. always_inline: no
// out-of-line copy may be shared between translation units that are compiled for different
// instruction sets.
#if defined(__CUDACC__)
#define FTP_INLINE static __host__ __device__ __forceinline__
#define FTP_MEMBER __host__ __device__ __forceinline__
#elif defined(_MSC_VER)
#define FTP_INLINE static __forceinline
#define FTP_MEMBER __forceinline
#else
#define FTP_INLINE static inline __attribute__((always_inline))
#define FTP_MEMBER inline __attribute__((always_inline))
#endif
#if defined(_MSC_VER)
#define FTP_HOST_INLINE static __forceinline
#else
#define FTP_HOST_INLINE static inline __attribute__((always_inline))
#endif

namespace tfjs_ftp {

FTP_INLINE float Sqrt(float x) { return sqrtf(x); }
FTP_INLINE float Abs(float x) { return fabsf(x); }
// The second operand where either is NaN.
FTP_INLINE float Max(float x, float y) { return x > y ? x : y; }
FTP_INLINE float Min(float x, float y) { return x < y ? x : y; }
// x < y ? a : b.
FTP_INLINE float IfLess(float x, float y, float a, float b) { return x < y ? a : b; }

// bfloat16: the upper half of a float32. All number types round to it alike: to nearest, ties to
// even; NaN stays NaN; a subnormal number is zero, of its sign.
constexpr uint32_t kBfloat16Half = 0x7fff;       // just below half of the last place
constexpr uint32_t kBfloat16Mask = 0xffff0000u;  // what is kept of a float32
constexpr uint32_t kQuietNan = 0x00400000u;
constexpr uint32_t kExponentMask = 0x7f800000u;
constexpr uint32_t kSignMask = 0x80000000u;

FTP_INLINE uint32_t BitsOf(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
}
FTP_INLINE float FromBits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof(x));
  return x;
}
FTP_INLINE float RoundToBfloat16(float x) {
  const uint32_t bits = BitsOf(x);
  if ((bits & kExponentMask) == 0) return FromBits(bits & kSignMask);
  const uint32_t rounded = x != x ? bits | kQuietNan : bits + (kBfloat16Half + ((bits >> 16) & 1u));
  return FromBits(rounded & kBfloat16Mask);
}
// Of a number that is one.
FTP_INLINE uint16_t ToBfloat16(float rounded) {
  return static_cast<uint16_t>(BitsOf(rounded) >> 16);
}
FTP_INLINE float FromBfloat16(uint16_t upper) {
  return FromBits(static_cast<uint32_t>(upper) << 16);
}

// Neighbouring floats that one thread of a GPU holds.
template <int kWidth>
struct Pack {
  float e[kWidth];
  Pack() = default;
  FTP_MEMBER explicit Pack(float x) {
    for (int i = 0; i < kWidth; ++i) e[i] = x;
  }
};

#define FTP_PACKWISE(name, expression)                                         \
  template <int kWidth>                                                        \
  FTP_INLINE Pack<kWidth> name(const Pack<kWidth>& x, const Pack<kWidth>& y) { \
    Pack<kWidth> out;                                                          \
    for (int i = 0; i < kWidth; ++i) out.e[i] = expression;                    \
    return out;                                                                \
  }
FTP_PACKWISE(operator+, x.e[i] + y.e[i])
FTP_PACKWISE(operator-, x.e[i] - y.e[i])
FTP_PACKWISE(operator*, x.e[i] * y.e[i])
FTP_PACKWISE(operator/, x.e[i] / y.e[i])
FTP_PACKWISE(Max, Max(x.e[i], y.e[i]))
FTP_PACKWISE(Min, Min(x.e[i], y.e[i]))
#undef FTP_PACKWISE

template <int kWidth>
FTP_INLINE Pack<kWidth> Sqrt(const Pack<kWidth>& x) {
  Pack<kWidth> out;
  for (int i = 0; i < kWidth; ++i) out.e[i] = Sqrt(x.e[i]);
  return out;
}
template <int kWidth>
FTP_INLINE Pack<kWidth> Abs(const Pack<kWidth>& x) {
  Pack<kWidth> out;
  for (int i = 0; i < kWidth; ++i) out.e[i] = Abs(x.e[i]);
  return out;
}
template <int kWidth>
FTP_INLINE Pack<kWidth> IfLess(const Pack<kWidth>& x, const Pack<kWidth>& y, const Pack<kWidth>& a,
                               const Pack<kWidth>& b) {
  Pack<kWidth> out;
  for (int i = 0; i < kWidth; ++i) out.e[i] = IfLess(x.e[i], y.e[i], a.e[i], b.e[i]);
  return out;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_LANES_H_
