// What a kernel needs from the machine: who am I, sums over lanes, memory accesses with their cache
// hints; and what the threads of a block share.
#ifndef TFJS_FTP_KERNELS_CUDA_SIMT_CUH_
#define TFJS_FTP_KERNELS_CUDA_SIMT_CUH_

#include <cstdint>

#include "../elements.h"
#include "work_table.h"

#define FTP_DEVICE static __device__ __forceinline__

namespace tfjs_ftp {

// How soon a value is used again.
enum class Reuse {
  kSoon,   // stays in L2 if it can
  kNever,  // read or written once in this step: first to be evicted
};

// What the threads of a block share.
struct BlockShared {
  double sums[kPackWidth][kBlockThreads];
  double warp_sums[kBlockThreads / kWarpThreads];
  float warp_norms[kBlockThreads / kWarpThreads];
  // The record of the item in work. Read from here where it is needed, it keeps its dozen pointers
  // out of the registers, which in pass 1 are what limits the threads a multiprocessor can hold.
  alignas(16) int32_t record_words[sizeof(VariableRecord) / sizeof(int32_t)];
  // Where the item's chunk lies, worked out by one thread: 64-bit divisions are long.
  RowsPlace rows;
  TileRange tile;
  FusedItem fused;
  int32_t word;

  FTP_MEMBER const VariableRecord& record() const {
    return *reinterpret_cast<const VariableRecord*>(record_words);
  }
};
static_assert(sizeof(VariableRecord) % sizeof(int32_t) == 0, "copied word by word");
static_assert(sizeof(VariableRecord) / sizeof(int32_t) <= kBlockThreads, "one word a thread");

FTP_DEVICE int Thread() { return static_cast<int>(threadIdx.x); }
FTP_DEVICE int Block() { return static_cast<int>(blockIdx.x); }

// Sum over `lanes` neighbouring threads (a power of two <= 32), the same bits in each of them:
// every step adds the same two numbers in both lanes of a pair. All threads of the warp take
// part.
FTP_DEVICE double LaneSum(double x, int lanes) {
  for (int step = 1; step < lanes; step *= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  return x;
}
// MaxNorm over the warp, in each of its threads.
FTP_DEVICE float WarpMaxNorm(float x) {
  for (int step = 1; step < kWarpThreads; step *= 2) {
    x = MaxNorm(x, __shfl_xor_sync(0xffffffffu, x, step));
  }
  return x;
}

// Tensor elements are moved by these four. The instructions are written out: ordinary accesses
// through these pointers would be generic ones, and the intrinsics of older toolkits let the
// compiler move a load across a barrier. No element is read twice by a multiprocessor, so L1 is
// passed by.
template <Reuse kReuse>
FTP_DEVICE float LoadFloat(const float* p) {
  float x;
  if (kReuse == Reuse::kNever) {
    asm volatile("ld.global.cs.f32 %0, [%1];" : "=f"(x) : "l"(p));
  } else {
    asm volatile("ld.global.cg.f32 %0, [%1];" : "=f"(x) : "l"(p));
  }
  return x;
}
template <Reuse kReuse>
FTP_DEVICE Pack<kPackWidth> LoadPack(const float* p) {
  Pack<kPackWidth> x;
  if (kReuse == Reuse::kNever) {
    asm volatile("ld.global.cs.v4.f32 {%0,%1,%2,%3}, [%4];"
                 : "=f"(x.e[0]), "=f"(x.e[1]), "=f"(x.e[2]), "=f"(x.e[3])
                 : "l"(p));
  } else {
    asm volatile("ld.global.cg.v4.f32 {%0,%1,%2,%3}, [%4];"
                 : "=f"(x.e[0]), "=f"(x.e[1]), "=f"(x.e[2]), "=f"(x.e[3])
                 : "l"(p));
  }
  return x;
}
template <Reuse kReuse>
FTP_DEVICE void StoreFloat(float* p, float x) {
  if (kReuse == Reuse::kNever) {
    asm volatile("st.global.cs.f32 [%0], %1;" ::"l"(p), "f"(x) : "memory");
  } else {
    asm volatile("st.global.cg.f32 [%0], %1;" ::"l"(p), "f"(x) : "memory");
  }
}
template <Reuse kReuse>
FTP_DEVICE void StorePack(float* p, const Pack<kPackWidth>& x) {
  if (kReuse == Reuse::kNever) {
    asm volatile("st.global.cs.v4.f32 [%0], {%1,%2,%3,%4};" ::"l"(p), "f"(x.e[0]), "f"(x.e[1]),
                 "f"(x.e[2]), "f"(x.e[3])
                 : "memory");
  } else {
    asm volatile("st.global.cg.v4.f32 [%0], {%1,%2,%3,%4};" ::"l"(p), "f"(x.e[0]), "f"(x.e[1]),
                 "f"(x.e[2]), "f"(x.e[3])
                 : "memory");
  }
}

// What other blocks stored earlier in this launch, once a counter has said so: read past L1,
// which may hold the line from before (a fence empties it, but only from compute capability 7.0
// on).
FTP_DEVICE float LoadPublished(const float* p) {
  float x;
  asm volatile("ld.global.cg.f32 %0, [%1];" : "=f"(x) : "l"(p));
  return x;
}
FTP_DEVICE double LoadPublished(const double* p) {
  double x;
  asm volatile("ld.global.cg.f64 %0, [%1];" : "=d"(x) : "l"(p));
  return x;
}
// A word that other blocks write during this launch.
FTP_DEVICE int32_t LoadVolatile(const int32_t* p) {
  return *static_cast<const volatile int32_t*>(p);
}
FTP_DEVICE void StoreVolatile(int32_t* p, int32_t x) { *static_cast<volatile int32_t*>(p) = x; }
// Between two looks at such a word.
FTP_DEVICE void Pause() {
#if __CUDA_ARCH__ >= 700
  __nanosleep(100);
#endif
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_SIMT_CUH_
