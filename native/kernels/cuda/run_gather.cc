#include "run_gather.h"

#include <cuda_runtime_api.h>

#include <cstring>

#include "launchers.h"
#include "pinned_ring.h"
#include "profile_range.h"

namespace tfjs_ftp {
namespace {

// Enqueues all of it, with the results at `fetched` of page-locked memory, and waits.
int Run(const GatherTable& table, void* host, void* fetched, void* scratch, cudaStream_t stream) {
  const StepArgs args = table.Build(host, scratch);
  (void)cudaGetLastError();  // somebody else's
  const ProfileRange range("gather");
  cudaError_t error = cudaMemcpyAsync(scratch, host, static_cast<size_t>(table.table_bytes()),
                                      cudaMemcpyHostToDevice, stream);
  if (error != cudaSuccess) return error;
  const StepOptions& options = table.options();
  const int launched = LaunchSums(options.base, options.rule, table.squares_alone(), args, stream);
  if (launched != cudaSuccess) return launched;
  error = cudaMemcpyAsync(fetched, scratch, static_cast<size_t>(table.result_bytes()),
                          cudaMemcpyDeviceToHost, stream);
  return error != cudaSuccess ? error : cudaStreamSynchronize(stream);
}

}  // namespace

CudaResult RunCudaGather(const GatherTable& table, void* scratch, void* stream, double* numbers) {
  CudaResult result;
  result.step = table.result();
  if (!result.ok()) return result;
  PinnedRing& ring = PinnedRing::Get();
  PinnedRing::Slot* const slot =
      ring.Acquire(table.table_bytes() + table.result_bytes(), &result.cuda);
  if (slot == nullptr) return result;
  char* const host = static_cast<char*>(PinnedRing::Memory(slot));
  char* const fetched = host + table.table_bytes();
  result.cuda = Run(table, host, fetched, scratch, static_cast<cudaStream_t>(stream));
  if (result.cuda == cudaSuccess) {
    const int32_t bad = reinterpret_cast<const TableHeader*>(fetched)->non_finite;
    if (bad != kNoVariable) result.step = {StepStatus::kNonFiniteGradient, bad};
  }
  if (result.ok()) {
    const size_t count = static_cast<size_t>(table.count()) * kGatherNumbers;
    std::memcpy(numbers, fetched + GatherTable::numbers_at(), count * sizeof(double));
    for (int64_t i = 0; i < table.count(); ++i) FinishGathered(numbers + i * kGatherNumbers);
  }
  const int released = ring.Release(slot, stream);
  if (result.cuda == cudaSuccess) result.cuda = released;
  return result;
}

}  // namespace tfjs_ftp
