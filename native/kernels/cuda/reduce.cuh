// What blocks do in common: fetch a record, sums and maxima over their threads in a fixed order.
#ifndef TFJS_FTP_KERNELS_CUDA_REDUCE_CUH_
#define TFJS_FTP_KERNELS_CUDA_REDUCE_CUH_

#include <cstring>

#include "simt.cuh"

namespace tfjs_ftp {

// Copies a record to shared memory, where the item's functions find it. All threads take part.
FTP_DEVICE void TakeRecord(BlockShared& shared, const StepArgs& args, int32_t record) {
  constexpr int kWords = sizeof(VariableRecord) / sizeof(int32_t);
  if (Thread() < kWords) {
    const char* const words = reinterpret_cast<const char*>(&args.records[record]);
    memcpy(&shared.record_words[Thread()], words + Thread() * sizeof(int32_t), sizeof(int32_t));
  }
  __syncthreads();
}

// Sum over all threads, the same bits in each. All threads of the block take part.
FTP_DEVICE double BlockSum(BlockShared& shared, double x) {
  const double warp = LaneSum(x, kWarpThreads);
  if (Thread() % kWarpThreads == 0) shared.warp_sums[Thread() / kWarpThreads] = warp;
  __syncthreads();
  double sum = shared.warp_sums[0];
  for (int i = 1; i < kBlockThreads / kWarpThreads; ++i) sum += shared.warp_sums[i];
  __syncthreads();  // before the next one writes
  return sum;
}

// Largest norm over all threads, in each. All threads of the block take part.
FTP_DEVICE float BlockMaxNorm(BlockShared& shared, float x) {
  const float warp = WarpMaxNorm(x);
  if (Thread() % kWarpThreads == 0) shared.warp_norms[Thread() / kWarpThreads] = warp;
  __syncthreads();
  float norm = shared.warp_norms[0];
  for (int i = 1; i < kBlockThreads / kWarpThreads; ++i) norm = MaxNorm(norm, shared.warp_norms[i]);
  __syncthreads();  // before the next one writes
  return norm;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_REDUCE_CUH_
