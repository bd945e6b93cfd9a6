// Sixteen lanes of float32 and of float64 on whatever the translation unit is compiled for: one
// AVX-512 register, two of AVX2, four of SSE2 or NEON, or a plain array. The lane count is the
// same everywhere, so element results and sums have the same bits on every machine.
//
// Every function is always_inline and no standard library function is called: this header is
// compiled several times with different instruction sets, and nothing of it may be shared by the
// linker.
#ifndef TFJS_FTP_KERNELS_CPU_SIMD_H_
#define TFJS_FTP_KERNELS_CPU_SIMD_H_

#include <stdint.h>

#include "../lanes.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include <immintrin.h>
#define FTP_SIMD_AVX512 1
#if defined(__GNUC__) && !defined(__clang__)
// GCC's own AVX-512 headers use undefined registers on purpose.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#elif defined(__AVX2__)
#include <immintrin.h>
#define FTP_SIMD_AVX2 1
#elif defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#define FTP_SIMD_SSE2 1
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#define FTP_SIMD_NEON 1
#else
#define FTP_SIMD_SCALAR 1
#endif

#if defined(_MSC_VER)
#define FTP_INLINE_MEMBER __forceinline
#define FTP_LAMBDA_INLINE
#else
#define FTP_INLINE_MEMBER inline __attribute__((always_inline))
#define FTP_LAMBDA_INLINE __attribute__((always_inline))
#endif

namespace tfjs_ftp {
// Anonymous: each translation unit has its own, compiled for its own instruction set.
namespace {

constexpr int64_t kLanes = 16;

#if defined(FTP_SIMD_AVX512)
using FloatRegister = __m512;
using DoubleRegister = __m512d;
#define FTP_FLOAT_OP(name) _mm512_##name##_ps
#define FTP_DOUBLE_OP(name) _mm512_##name##_pd
#elif defined(FTP_SIMD_AVX2)
using FloatRegister = __m256;
using DoubleRegister = __m256d;
#define FTP_FLOAT_OP(name) _mm256_##name##_ps
#define FTP_DOUBLE_OP(name) _mm256_##name##_pd
#elif defined(FTP_SIMD_SSE2)
using FloatRegister = __m128;
using DoubleRegister = __m128d;
#define FTP_FLOAT_OP(name) _mm_##name##_ps
#define FTP_DOUBLE_OP(name) _mm_##name##_pd
#elif defined(FTP_SIMD_NEON)
using FloatRegister = float32x4_t;
using DoubleRegister = float64x2_t;
#else
using FloatRegister = float;
using DoubleRegister = double;
#endif

constexpr int kFloatRegisters = static_cast<int>(kLanes * sizeof(float) / sizeof(FloatRegister));
constexpr int kDoubleRegisters = static_cast<int>(kLanes * sizeof(double) / sizeof(DoubleRegister));
constexpr int kFloatRegisterLanes = static_cast<int>(sizeof(FloatRegister) / sizeof(float));
constexpr int kDoubleRegisterLanes = static_cast<int>(sizeof(DoubleRegister) / sizeof(double));

// ---- One register: the only code that names an instruction set. ----
#if defined(FTP_SIMD_AVX512) || defined(FTP_SIMD_AVX2) || defined(FTP_SIMD_SSE2)
FTP_INLINE FloatRegister RegSet(float x) { return FTP_FLOAT_OP(set1)(x); }
FTP_INLINE FloatRegister RegLoad(const float* p) { return FTP_FLOAT_OP(loadu)(p); }
FTP_INLINE void RegStore(float* p, FloatRegister x) { FTP_FLOAT_OP(storeu)(p, x); }
FTP_INLINE void RegStream(float* p, FloatRegister x) { FTP_FLOAT_OP(stream)(p, x); }
FTP_INLINE FloatRegister RegAdd(FloatRegister a, FloatRegister b) {
  return FTP_FLOAT_OP(add)(a, b);
}
FTP_INLINE FloatRegister RegSub(FloatRegister a, FloatRegister b) {
  return FTP_FLOAT_OP(sub)(a, b);
}
FTP_INLINE FloatRegister RegMul(FloatRegister a, FloatRegister b) {
  return FTP_FLOAT_OP(mul)(a, b);
}
FTP_INLINE FloatRegister RegDiv(FloatRegister a, FloatRegister b) {
  return FTP_FLOAT_OP(div)(a, b);
}
FTP_INLINE FloatRegister RegSqrt(FloatRegister a) { return FTP_FLOAT_OP(sqrt)(a); }
// maxps and minps return the second operand where either is NaN, which is a > b ? a : b.
FTP_INLINE FloatRegister RegMax(FloatRegister a, FloatRegister b) {
  return FTP_FLOAT_OP(max)(a, b);
}
FTP_INLINE FloatRegister RegMin(FloatRegister a, FloatRegister b) {
  return FTP_FLOAT_OP(min)(a, b);
}
FTP_INLINE DoubleRegister RegSetD(double x) { return FTP_DOUBLE_OP(set1)(x); }
FTP_INLINE DoubleRegister RegLoadD(const double* p) { return FTP_DOUBLE_OP(loadu)(p); }
FTP_INLINE void RegStoreD(double* p, DoubleRegister x) { FTP_DOUBLE_OP(storeu)(p, x); }
FTP_INLINE DoubleRegister RegAddD(DoubleRegister a, DoubleRegister b) {
  return FTP_DOUBLE_OP(add)(a, b);
}
FTP_INLINE DoubleRegister RegMulD(DoubleRegister a, DoubleRegister b) {
  return FTP_DOUBLE_OP(mul)(a, b);
}
#endif
#if defined(FTP_SIMD_AVX512)
FTP_INLINE FloatRegister RegIfLess(FloatRegister x, FloatRegister y, FloatRegister a,
                                   FloatRegister b) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_LT_OQ), b, a);
}
FTP_INLINE FloatRegister RegAbs(FloatRegister a) { return _mm512_abs_ps(a); }
FTP_INLINE DoubleRegister RegLow(FloatRegister a) {
  return _mm512_cvtps_pd(_mm512_castps512_ps256(a));
}
FTP_INLINE DoubleRegister RegHigh(FloatRegister a) {
  return _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1));
}
#elif defined(FTP_SIMD_AVX2)
FTP_INLINE FloatRegister RegIfLess(FloatRegister x, FloatRegister y, FloatRegister a,
                                   FloatRegister b) {
  return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, y, _CMP_LT_OQ));
}
FTP_INLINE FloatRegister RegAbs(FloatRegister a) {
  return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
FTP_INLINE DoubleRegister RegLow(FloatRegister a) {
  return _mm256_cvtps_pd(_mm256_castps256_ps128(a));
}
FTP_INLINE DoubleRegister RegHigh(FloatRegister a) {
  return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1));
}
#elif defined(FTP_SIMD_SSE2)
FTP_INLINE FloatRegister RegIfLess(FloatRegister x, FloatRegister y, FloatRegister a,
                                   FloatRegister b) {
  const FloatRegister less = _mm_cmplt_ps(x, y);
  return _mm_or_ps(_mm_and_ps(less, a), _mm_andnot_ps(less, b));
}
FTP_INLINE FloatRegister RegAbs(FloatRegister a) { return _mm_andnot_ps(_mm_set1_ps(-0.0f), a); }
FTP_INLINE DoubleRegister RegLow(FloatRegister a) { return _mm_cvtps_pd(a); }
FTP_INLINE DoubleRegister RegHigh(FloatRegister a) { return _mm_cvtps_pd(_mm_movehl_ps(a, a)); }
#elif defined(FTP_SIMD_NEON)
FTP_INLINE FloatRegister RegIfLess(FloatRegister x, FloatRegister y, FloatRegister a,
                                   FloatRegister b) {
  return vbslq_f32(vcltq_f32(x, y), a, b);
}
FTP_INLINE FloatRegister RegSet(float x) { return vdupq_n_f32(x); }
FTP_INLINE FloatRegister RegLoad(const float* p) { return vld1q_f32(p); }
FTP_INLINE void RegStore(float* p, FloatRegister x) { vst1q_f32(p, x); }
FTP_INLINE void RegStream(float* p, FloatRegister x) { vst1q_f32(p, x); }
FTP_INLINE FloatRegister RegAdd(FloatRegister a, FloatRegister b) { return vaddq_f32(a, b); }
FTP_INLINE FloatRegister RegSub(FloatRegister a, FloatRegister b) { return vsubq_f32(a, b); }
FTP_INLINE FloatRegister RegMul(FloatRegister a, FloatRegister b) { return vmulq_f32(a, b); }
FTP_INLINE FloatRegister RegDiv(FloatRegister a, FloatRegister b) { return vdivq_f32(a, b); }
FTP_INLINE FloatRegister RegSqrt(FloatRegister a) { return vsqrtq_f32(a); }
FTP_INLINE FloatRegister RegAbs(FloatRegister a) { return vabsq_f32(a); }
FTP_INLINE FloatRegister RegMax(FloatRegister a, FloatRegister b) {
  return vbslq_f32(vcgtq_f32(a, b), a, b);
}
FTP_INLINE FloatRegister RegMin(FloatRegister a, FloatRegister b) {
  return vbslq_f32(vcltq_f32(a, b), a, b);
}
FTP_INLINE DoubleRegister RegSetD(double x) { return vdupq_n_f64(x); }
FTP_INLINE DoubleRegister RegLoadD(const double* p) { return vld1q_f64(p); }
FTP_INLINE void RegStoreD(double* p, DoubleRegister x) { vst1q_f64(p, x); }
FTP_INLINE DoubleRegister RegAddD(DoubleRegister a, DoubleRegister b) { return vaddq_f64(a, b); }
FTP_INLINE DoubleRegister RegMulD(DoubleRegister a, DoubleRegister b) { return vmulq_f64(a, b); }
FTP_INLINE DoubleRegister RegLow(FloatRegister a) { return vcvt_f64_f32(vget_low_f32(a)); }
FTP_INLINE DoubleRegister RegHigh(FloatRegister a) { return vcvt_high_f64_f32(a); }
#elif defined(FTP_SIMD_SCALAR)
FTP_INLINE FloatRegister RegIfLess(FloatRegister x, FloatRegister y, FloatRegister a,
                                   FloatRegister b) {
  return x < y ? a : b;
}
FTP_INLINE FloatRegister RegSet(float x) { return x; }
FTP_INLINE FloatRegister RegLoad(const float* p) { return *p; }
FTP_INLINE void RegStore(float* p, FloatRegister x) { *p = x; }
FTP_INLINE void RegStream(float* p, FloatRegister x) { *p = x; }
FTP_INLINE FloatRegister RegAdd(FloatRegister a, FloatRegister b) { return a + b; }
FTP_INLINE FloatRegister RegSub(FloatRegister a, FloatRegister b) { return a - b; }
FTP_INLINE FloatRegister RegMul(FloatRegister a, FloatRegister b) { return a * b; }
FTP_INLINE FloatRegister RegDiv(FloatRegister a, FloatRegister b) { return a / b; }
FTP_INLINE FloatRegister RegSqrt(FloatRegister a) { return sqrtf(a); }
FTP_INLINE FloatRegister RegAbs(FloatRegister a) { return fabsf(a); }
FTP_INLINE FloatRegister RegMax(FloatRegister a, FloatRegister b) { return a > b ? a : b; }
FTP_INLINE FloatRegister RegMin(FloatRegister a, FloatRegister b) { return a < b ? a : b; }
FTP_INLINE DoubleRegister RegSetD(double x) { return x; }
FTP_INLINE DoubleRegister RegLoadD(const double* p) { return *p; }
FTP_INLINE void RegStoreD(double* p, DoubleRegister x) { *p = x; }
FTP_INLINE DoubleRegister RegAddD(DoubleRegister a, DoubleRegister b) { return a + b; }
FTP_INLINE DoubleRegister RegMulD(DoubleRegister a, DoubleRegister b) { return a * b; }
#endif

// bfloat16: RegRound rounds as RoundToBfloat16 of lanes.h, RegWiden and RegNarrow move a register's
// lanes from and to their upper halves in memory; RegNarrow takes rounded numbers.
#if defined(FTP_SIMD_AVX512)
FTP_INLINE FloatRegister RegRound(FloatRegister a) {
  const __m512i bits = _mm512_castps_si512(a);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i sum =
      _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(kBfloat16Half)));
  const __m512i number = _mm512_mask_or_epi32(sum, _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), bits,
                                              _mm512_set1_epi32(kQuietNan));
  const __m512i exponent = _mm512_set1_epi32(kExponentMask);
  const __m512i rounded =
      _mm512_mask_and_epi32(number, _mm512_testn_epi32_mask(bits, exponent), bits,
                            _mm512_set1_epi32(static_cast<int>(kSignMask)));
  const __m512i kept = _mm512_set1_epi32(static_cast<int>(kBfloat16Mask));
  return _mm512_castsi512_ps(_mm512_and_si512(rounded, kept));
}
FTP_INLINE FloatRegister RegWiden(__m256i upper) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(upper), 16));
}
FTP_INLINE FloatRegister RegWiden(const uint16_t* p) {
  return RegWiden(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
FTP_INLINE void RegNarrow(uint16_t* p, FloatRegister a) {
  const __m512i upper = _mm512_srli_epi32(_mm512_castps_si512(a), 16);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(upper));
}
#elif defined(FTP_SIMD_AVX2)
FTP_INLINE FloatRegister RegRound(FloatRegister a) {
  const __m256i bits = _mm256_castps_si256(a);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i sum =
      _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(kBfloat16Half)));
  const __m256i nan = _mm256_or_si256(bits, _mm256_set1_epi32(kQuietNan));
  const __m256i zero = _mm256_and_si256(bits, _mm256_set1_epi32(static_cast<int>(kSignMask)));
  const __m256i exponent = _mm256_and_si256(bits, _mm256_set1_epi32(kExponentMask));
  const __m256i subnormal = _mm256_cmpeq_epi32(exponent, _mm256_setzero_si256());
  const FloatRegister number = _mm256_blendv_ps(_mm256_castsi256_ps(sum), _mm256_castsi256_ps(nan),
                                                _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
  const FloatRegister rounded =
      _mm256_blendv_ps(number, _mm256_castsi256_ps(zero), _mm256_castsi256_ps(subnormal));
  const __m256i kept = _mm256_set1_epi32(static_cast<int>(kBfloat16Mask));
  return _mm256_and_ps(rounded, _mm256_castsi256_ps(kept));
}
FTP_INLINE FloatRegister RegWiden(const uint16_t* p) {
  const __m128i upper = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(upper), 16));
}
FTP_INLINE void RegNarrow(uint16_t* p, FloatRegister a) {
  const __m256i upper = _mm256_srli_epi32(_mm256_castps_si256(a), 16);
  const __m128i low = _mm256_castsi256_si128(upper);
  const __m128i high = _mm256_extracti128_si256(upper, 1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_packus_epi32(low, high));
}
#elif defined(FTP_SIMD_SSE2)
FTP_INLINE __m128i Choose(__m128i which, __m128i a, __m128i b) {
  return _mm_or_si128(_mm_and_si128(which, a), _mm_andnot_si128(which, b));
}
FTP_INLINE FloatRegister RegRound(FloatRegister a) {
  const __m128i bits = _mm_castps_si128(a);
  const __m128i odd = _mm_and_si128(_mm_srli_epi32(bits, 16), _mm_set1_epi32(1));
  const __m128i sum = _mm_add_epi32(bits, _mm_add_epi32(odd, _mm_set1_epi32(kBfloat16Half)));
  const __m128i nan = _mm_or_si128(bits, _mm_set1_epi32(kQuietNan));
  const __m128i zero = _mm_and_si128(bits, _mm_set1_epi32(static_cast<int>(kSignMask)));
  const __m128i exponent = _mm_and_si128(bits, _mm_set1_epi32(kExponentMask));
  const __m128i subnormal = _mm_cmpeq_epi32(exponent, _mm_setzero_si128());
  const __m128i number = Choose(_mm_castps_si128(_mm_cmpunord_ps(a, a)), nan, sum);
  const __m128i kept = _mm_set1_epi32(static_cast<int>(kBfloat16Mask));
  return _mm_castsi128_ps(_mm_and_si128(Choose(subnormal, zero, number), kept));
}
FTP_INLINE FloatRegister RegWiden(const uint16_t* p) {
  const __m128i upper = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return _mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), upper));
}
FTP_INLINE void RegNarrow(uint16_t* p, FloatRegister a) {
  // Shifted with their signs, the halves fit into what packs does not clamp.
  const __m128i upper = _mm_srai_epi32(_mm_castps_si128(a), 16);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi32(upper, upper));
}
#elif defined(FTP_SIMD_NEON)
FTP_INLINE FloatRegister RegRound(FloatRegister a) {
  const uint32x4_t bits = vreinterpretq_u32_f32(a);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t sum = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(kBfloat16Half)));
  const uint32x4_t nan = vorrq_u32(bits, vdupq_n_u32(kQuietNan));
  const uint32x4_t zero = vandq_u32(bits, vdupq_n_u32(kSignMask));
  const uint32x4_t number = vbslq_u32(vceqq_f32(a, a), sum, nan);
  const uint32x4_t normal = vtstq_u32(bits, vdupq_n_u32(kExponentMask));
  const uint32x4_t rounded = vbslq_u32(normal, number, zero);
  return vreinterpretq_f32_u32(vandq_u32(rounded, vdupq_n_u32(kBfloat16Mask)));
}
FTP_INLINE FloatRegister RegWiden(const uint16_t* p) {
  return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}
FTP_INLINE void RegNarrow(uint16_t* p, FloatRegister a) {
  vst1_u16(p, vshrn_n_u32(vreinterpretq_u32_f32(a), 16));
}
#else
FTP_INLINE FloatRegister RegRound(FloatRegister a) { return RoundToBfloat16(a); }
FTP_INLINE FloatRegister RegWiden(const uint16_t* p) { return FromBfloat16(*p); }
FTP_INLINE void RegNarrow(uint16_t* p, FloatRegister a) { *p = ToBfloat16(a); }
#endif
// Rounds and stores; gives the rounded numbers.
#if defined(FTP_BFLOAT16_INSTRUCTION)
// In assembly: compilers that build the rest may not know the instruction yet. It rounds just as
// RegRound does.
FTP_INLINE FloatRegister RegStoreRounded(uint16_t* p, FloatRegister a) {
  __m256i upper;
  asm("vcvtneps2bf16 %1, %0" : "=v"(upper) : "v"(a));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), upper);
  return RegWiden(upper);
}
#else
FTP_INLINE FloatRegister RegStoreRounded(uint16_t* p, FloatRegister a) {
  const FloatRegister rounded = RegRound(a);
  RegNarrow(p, rounded);
  return rounded;
}
#endif

// ---- Sixteen lanes. ----
struct FloatLanes {
  FloatRegister r[kFloatRegisters];
  FloatLanes() = default;
  explicit FTP_INLINE_MEMBER FloatLanes(float x) {
    for (int i = 0; i < kFloatRegisters; ++i) r[i] = RegSet(x);
  }
};
struct DoubleLanes {
  DoubleRegister r[kDoubleRegisters];
};

#define FTP_LANEWISE(name, reg)                                               \
  FTP_INLINE FloatLanes name(const FloatLanes& a, const FloatLanes& b) {      \
    FloatLanes out;                                                           \
    for (int i = 0; i < kFloatRegisters; ++i) out.r[i] = reg(a.r[i], b.r[i]); \
    return out;                                                               \
  }
FTP_LANEWISE(operator+, RegAdd)
FTP_LANEWISE(operator-, RegSub)
FTP_LANEWISE(operator*, RegMul)
FTP_LANEWISE(operator/, RegDiv)
FTP_LANEWISE(Max, RegMax)
FTP_LANEWISE(Min, RegMin)
#undef FTP_LANEWISE

// x < y ? a : b, lane by lane.
FTP_INLINE FloatLanes IfLess(const FloatLanes& x, const FloatLanes& y, const FloatLanes& a,
                             const FloatLanes& b) {
  FloatLanes out;
  for (int i = 0; i < kFloatRegisters; ++i) out.r[i] = RegIfLess(x.r[i], y.r[i], a.r[i], b.r[i]);
  return out;
}
FTP_INLINE FloatLanes Sqrt(const FloatLanes& a) {
  FloatLanes out;
  for (int i = 0; i < kFloatRegisters; ++i) out.r[i] = RegSqrt(a.r[i]);
  return out;
}
FTP_INLINE FloatLanes Abs(const FloatLanes& a) {
  FloatLanes out;
  for (int i = 0; i < kFloatRegisters; ++i) out.r[i] = RegAbs(a.r[i]);
  return out;
}
FTP_INLINE FloatLanes Load(const float* p) {
  FloatLanes out;
  for (int i = 0; i < kFloatRegisters; ++i) out.r[i] = RegLoad(p + i * kFloatRegisterLanes);
  return out;
}
FTP_INLINE void Store(float* p, const FloatLanes& x) {
  for (int i = 0; i < kFloatRegisters; ++i) RegStore(p + i * kFloatRegisterLanes, x.r[i]);
}
// Past the caches; p must be 64-byte aligned.
FTP_INLINE void Stream(float* p, const FloatLanes& x) {
  for (int i = 0; i < kFloatRegisters; ++i) RegStream(p + i * kFloatRegisterLanes, x.r[i]);
}
// The first `count` lanes from p, zeros behind.
FTP_INLINE FloatLanes LoadPart(const float* p, int64_t count) {
#if defined(FTP_SIMD_AVX512)
  FloatLanes out;
  out.r[0] = _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), p);
  return out;
#else
  float lanes[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) lanes[i] = i < count ? p[i] : 0.0f;
  return Load(lanes);
#endif
}
FTP_INLINE void StorePart(float* p, const FloatLanes& x, int64_t count) {
#if defined(FTP_SIMD_AVX512)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1u), x.r[0]);
#else
  float lanes[kLanes];
  Store(lanes, x);
  for (int64_t i = 0; i < count; ++i) p[i] = lanes[i];
#endif
}
FTP_INLINE FloatLanes LoadBfloat16(const uint16_t* p) {
  FloatLanes out;
  for (int i = 0; i < kFloatRegisters; ++i) out.r[i] = RegWiden(p + i * kFloatRegisterLanes);
  return out;
}
// Rounds the lanes; gives them as they are stored.
FTP_INLINE FloatLanes StoreBfloat16(uint16_t* p, const FloatLanes& x) {
  FloatLanes out;
  for (int i = 0; i < kFloatRegisters; ++i) {
    out.r[i] = RegStoreRounded(p + i * kFloatRegisterLanes, x.r[i]);
  }
  return out;
}
FTP_INLINE FloatLanes LoadBfloat16Part(const uint16_t* p, int64_t count) {
  uint16_t lanes[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) lanes[i] = i < count ? p[i] : 0;
  return LoadBfloat16(lanes);
}
FTP_INLINE FloatLanes StoreBfloat16Part(uint16_t* p, const FloatLanes& x, int64_t count) {
  uint16_t lanes[kLanes];
  const FloatLanes out = StoreBfloat16(lanes, x);
  for (int64_t i = 0; i < count; ++i) p[i] = lanes[i];
  return out;
}
// Elements before p reaches a 64-byte boundary, at most `count`.
FTP_INLINE int64_t AlignedHead(const float* p, int64_t count) {
  constexpr uintptr_t kLine = kLanes * sizeof(float);
  const uintptr_t beyond = reinterpret_cast<uintptr_t>(p) % kLine;
  const int64_t head = beyond == 0 ? 0 : static_cast<int64_t>((kLine - beyond) / sizeof(float));
  return head < count ? head : count;
}
FTP_INLINE FloatLanes KeepPart(const FloatLanes& x, int64_t count) {
#if defined(FTP_SIMD_AVX512)
  FloatLanes out;
  out.r[0] = _mm512_maskz_mov_ps(static_cast<__mmask16>((1u << count) - 1u), x.r[0]);
  return out;
#else
  float lanes[kLanes];
  Store(lanes, x);
  return LoadPart(lanes, count);
#endif
}

FTP_INLINE DoubleLanes ZeroDoubles() {
  DoubleLanes out;
  for (int i = 0; i < kDoubleRegisters; ++i) out.r[i] = RegSetD(0.0);
  return out;
}
FTP_INLINE DoubleLanes LoadDoubles(const double* p) {
  DoubleLanes out;
  for (int i = 0; i < kDoubleRegisters; ++i) out.r[i] = RegLoadD(p + i * kDoubleRegisterLanes);
  return out;
}
FTP_INLINE void StoreDoubles(double* p, const DoubleLanes& x) {
  for (int i = 0; i < kDoubleRegisters; ++i) RegStoreD(p + i * kDoubleRegisterLanes, x.r[i]);
}
// sum + x, lane by lane, in float64.
FTP_INLINE DoubleLanes Accumulate(const DoubleLanes& sum, const FloatLanes& x) {
  DoubleLanes out;
#if defined(FTP_SIMD_SCALAR)
  for (int i = 0; i < kDoubleRegisters; ++i) out.r[i] = sum.r[i] + static_cast<double>(x.r[i]);
#else
  for (int i = 0; i < kFloatRegisters; ++i) {
    out.r[2 * i] = RegAddD(sum.r[2 * i], RegLow(x.r[i]));
    out.r[2 * i + 1] = RegAddD(sum.r[2 * i + 1], RegHigh(x.r[i]));
  }
#endif
  return out;
}
// sum + x y, lane by lane, in float64.
FTP_INLINE DoubleLanes AccumulateProduct(const DoubleLanes& sum, const FloatLanes& x,
                                         const FloatLanes& y) {
  DoubleLanes out;
#if defined(FTP_SIMD_SCALAR)
  for (int i = 0; i < kDoubleRegisters; ++i) {
    out.r[i] = sum.r[i] + static_cast<double>(x.r[i]) * static_cast<double>(y.r[i]);
  }
#else
  for (int i = 0; i < kFloatRegisters; ++i) {
    out.r[2 * i] = RegAddD(sum.r[2 * i], RegMulD(RegLow(x.r[i]), RegLow(y.r[i])));
    out.r[2 * i + 1] = RegAddD(sum.r[2 * i + 1], RegMulD(RegHigh(x.r[i]), RegHigh(y.r[i])));
  }
#endif
  return out;
}
// The sum of the lanes as a fixed tree: halves are folded until one is left.
FTP_INLINE double SumLanes(const DoubleLanes& x) {
  double lanes[kLanes];
  StoreDoubles(lanes, x);
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) lanes[i] = lanes[i] + lanes[i + half];
  }
  return lanes[0];
}
// Makes streaming stores visible to other threads.
FTP_INLINE void StreamFence() {
#if defined(FTP_SIMD_AVX512) || defined(FTP_SIMD_AVX2) || defined(FTP_SIMD_SSE2)
  _mm_sfence();
#endif
}

}  // namespace
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CPU_SIMD_H_
