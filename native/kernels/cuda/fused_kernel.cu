// The one-launch CUDA step of FTP (fused.cuh says how it works). 36 bytes a float32 parameter under
// AdamW where C stays in L2 between the passes of a variable. Gives the same bits as the three
// launches: the same functions on the same partition, only in another order of blocks.
#include <cuda_runtime.h>

#include <atomic>

#include "fused.cuh"
#include "launchers.h"
#include "profile_range.h"

namespace tfjs_ftp {
namespace {

// Blocks that a multiprocessor must hold: three, as in pass 1. Of compute capability 12.0 it has a
// smaller share of memory's speed, which two keep busy; with three ptxas spills a few registers.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1200
constexpr int kFusedBlocks = 2;
#else
constexpr int kFusedBlocks = 3;
#endif

template <class Base>
__global__ void __launch_bounds__(kBlockThreads, kFusedBlocks) fused_kernel(const StepArgs args) {
  __shared__ BlockShared shared;
  RunFusedBlock<Base, Ftp>(shared, args);
}

using FusedKernel = void (*)(StepArgs);

FusedKernel KernelOf(BaseUpdate base) {
  FusedKernel kernel = nullptr;
  VisitBase(base, [&](auto base_type) { kernel = fused_kernel<PieceOf<decltype(base_type)>>; });
  return kernel;
}

}  // namespace

int LaunchOne(BaseUpdate base, const StepArgs& args, int64_t blocks, void* stream) {
  if (args.fused_count == 0) return cudaSuccess;
  const ProfileRange range("one launch");
  const int64_t grid = blocks < args.fused_count ? blocks : args.fused_count;
  const FusedKernel kernel = KernelOf(base);
  kernel<<<static_cast<unsigned>(grid), kBlockThreads, 0, static_cast<cudaStream_t>(stream)>>>(
      args);
  return cudaPeekAtLastError();
}

int64_t ResidentBlocks(BaseUpdate base, int* error) {
  constexpr int kDevices = 64;
  constexpr int kBases = static_cast<int>(BaseUpdate::kProposal) + 1;
  static std::atomic<int> known[kDevices][kBases];
  int device = 0;
  *error = cudaGetDevice(&device);
  if (*error != cudaSuccess) return 0;
  std::atomic<int>* const entry =
      device < kDevices ? &known[device][static_cast<int>(base)] : nullptr;
  if (entry != nullptr && entry->load() > 0) return entry->load();
  int processors = 0;
  int blocks = 0;
  *error = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
  if (*error != cudaSuccess) return 0;
  *error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, KernelOf(base), kBlockThreads, 0);
  if (*error != cudaSuccess) return 0;
  if (entry != nullptr) entry->store(processors * blocks);
  return static_cast<int64_t>(processors) * blocks;
}

}  // namespace tfjs_ftp
