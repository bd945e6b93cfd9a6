// What blocks do in common: fetch a record, sums and maxima over their threads in a fixed order.
#ifndef TFJS_FTP_KERNELS_CUDA_REDUCE_CUH_
#define TFJS_FTP_KERNELS_CUDA_REDUCE_CUH_

#include <cstring>

#include "simt.cuh"

namespace tfjs_ftp {

// Copies a record to shared memory, where the item's functions find it. All threads take part.
template <class Simt>
FTP_DEVICE void TakeRecord(const Simt& simt, const StepArgs& args, int32_t record) {
  constexpr int kWords = sizeof(VariableRecord) / sizeof(int32_t);
  if (simt.Thread() < kWords) {
    const char* const words = reinterpret_cast<const char*>(&args.records[record]);
    memcpy(&simt.Shared().record_words[simt.Thread()], words + simt.Thread() * sizeof(int32_t),
           sizeof(int32_t));
  }
  simt.Sync();
}

// Sum over all threads, the same bits in each. All threads of the block take part.
template <class Simt>
FTP_DEVICE double BlockSum(const Simt& simt, double x) {
  BlockShared& shared = simt.Shared();
  const double warp = simt.LaneSum(x, kWarpThreads);
  if (simt.Thread() % kWarpThreads == 0) shared.warp_sums[simt.Thread() / kWarpThreads] = warp;
  simt.Sync();
  double sum = shared.warp_sums[0];
  for (int i = 1; i < kBlockThreads / kWarpThreads; ++i) sum += shared.warp_sums[i];
  simt.Sync();  // before the next one writes
  return sum;
}

// Largest norm over all threads, in each. All threads of the block take part.
template <class Simt>
FTP_DEVICE float BlockMaxNorm(const Simt& simt, float x) {
  BlockShared& shared = simt.Shared();
  const float warp = simt.WarpMaxNorm(x);
  if (simt.Thread() % kWarpThreads == 0) shared.warp_norms[simt.Thread() / kWarpThreads] = warp;
  simt.Sync();
  float norm = shared.warp_norms[0];
  for (int i = 1; i < kBlockThreads / kWarpThreads; ++i) norm = MaxNorm(norm, shared.warp_norms[i]);
  simt.Sync();  // before the next one writes
  return norm;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_REDUCE_CUH_
