// Where a thread's elements lie, and how they are moved: the Io of elements.h.
#ifndef TFJS_FTP_KERNELS_CUDA_ELEMENTS_CUH_
#define TFJS_FTP_KERNELS_CUDA_ELEMENTS_CUH_

#include "simt.cuh"

namespace tfjs_ftp {

// Elements index .. index + kWidth - 1: in one access, for which they must be aligned, or in
// kWidth. A type, so that the choice is made once a pack: made at every access, it would keep the
// loads of a pack apart by branches.
enum class Access { kWhole, kSplit };
template <int kElements, Access kHow = Access::kWhole>
struct Elements {
  static constexpr int kWidth = kElements;
  using T = Pack<kElements>;
  int64_t index;

  __device__ __forceinline__ T Load(const float* p) const { return LoadAs<Reuse::kNever>(p); }
  __device__ __forceinline__ T LoadSoon(const float* p) const { return LoadAs<Reuse::kSoon>(p); }
  __device__ __forceinline__ void Store(float* p, const T& x) const {
    StoreAs<Reuse::kNever>(p, x);
  }
  __device__ __forceinline__ T StoreSoon(float* p, const T& x) const {
    StoreAs<Reuse::kSoon>(p, x);
    return x;
  }

 private:
  template <Reuse kReuse>
  __device__ __forceinline__ T LoadAs(const float* p) const {
    if constexpr (kWidth == kPackWidth && kHow == Access::kWhole) {
      return LoadPack<kReuse>(p + index);
    } else {
      T x;
#pragma unroll
      for (int i = 0; i < kWidth; ++i) x.e[i] = LoadFloat<kReuse>(p + index + i);
      return x;
    }
  }
  template <Reuse kReuse>
  __device__ __forceinline__ void StoreAs(float* p, const T& x) const {
    if constexpr (kWidth == kPackWidth && kHow == Access::kWhole) {
      StorePack<kReuse>(p + index, x);
    } else {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) StoreFloat<kReuse>(p + index + i, x.e[i]);
    }
  }
};

// Runs `body` with the place of the span's pack, or of one element after the other where the span
// is part of a pack or the buffers are not aligned.
template <class Body>
FTP_DEVICE void AtSpan(bool aligned, const Span& span, const Body& body) {
  if (aligned && span.whole()) {
    body(Elements<kPackWidth>{span.index});
  } else {
#pragma unroll 1
    for (int i = span.first; i < span.last; ++i) body(Elements<1>{span.index + i});
  }
}

// Runs `body` with the places of the packs of a range of elements that this thread takes.
template <class Body>
FTP_DEVICE void ForElements(bool aligned, const ElementRange& range, const Body& body) {
#pragma unroll 1
  for (int64_t i = range.begin + Thread() * kPackWidth; i < range.end;
       i += kBlockThreads * kPackWidth) {
    const int64_t left = range.end - i;
    const Span span = {i, 0, left < kPackWidth ? static_cast<int32_t>(left) : kPackWidth};
    AtSpan(aligned, span, body);
  }
}

// Adds a pack to a thread's sum.
template <int kWidth>
FTP_DEVICE void AddTo(double* sum, const Pack<kWidth>& x) {
#pragma unroll
  for (int i = 0; i < kWidth; ++i) *sum += static_cast<double>(x.e[i]);
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_ELEMENTS_CUH_
