#include "run_step.h"

#include <cuda_runtime_api.h>

#include "pinned_ring.h"

namespace tfjs_ftp {
namespace {

// Behind the table in page-locked memory: where the flag is copied to.
constexpr int64_t kFlagBytes = kTableAlignment;
// Scratch memory grows to multiples of this, so that a list of variables that changes a little
// keeps it.
constexpr int64_t kScratchGranularity = 1 << 20;

// Copies the flag of the enqueued step to `flag`, page-locked, and waits for it. Returns a
// cudaError_t.
int FetchFlag(const void* scratch, void* flag, cudaStream_t stream) {
  const cudaError_t error = cudaMemcpyAsync(flag, static_cast<const char*>(scratch) + kFlagOffset,
                                            sizeof(int32_t), cudaMemcpyDeviceToHost, stream);
  return error != cudaSuccess ? error : cudaStreamSynchronize(stream);
}

}  // namespace

CudaResult RunCudaStep(const StepOptions& options, const VariableStep* variables, int64_t count,
                       const CudaSizes& sizes, void* scratch, void* stream) {
  CudaResult result;
  PinnedRing& ring = PinnedRing::Get();
  PinnedRing::Slot* const slot = ring.Acquire(sizes.table_bytes + kFlagBytes, &result.cuda);
  if (slot == nullptr) return result;
  char* const table = static_cast<char*>(PinnedRing::Memory(slot));
  result = CudaStep(options, variables, count, scratch, table, stream);
  if (result.ok() && options.check_finite) {
    void* const flag = table + sizes.table_bytes;
    result.cuda = FetchFlag(scratch, flag, static_cast<cudaStream_t>(stream));
    if (result.cuda == cudaSuccess && *static_cast<const int32_t*>(flag) != kNoVariable) {
      result.step = {StepStatus::kNonFiniteGradient, *static_cast<const int32_t*>(flag)};
    }
  }
  const int released = ring.Release(slot, stream);
  if (result.cuda == cudaSuccess) result.cuda = released;
  return result;
}

int CudaStepper::Reserve(int64_t bytes) {
  if (scratch_.bytes() >= bytes) return cudaSuccess;
  const int64_t blocks = (bytes + kScratchGranularity - 1) / kScratchGranularity;
  return scratch_.Allocate(device_, blocks * kScratchGranularity);
}

CudaResult CudaStepper::Step(const StepOptions& options, const VariableStep* variables,
                             int64_t count) {
  CudaResult result;
  const CudaSizes sizes = MeasureCudaStep(options, variables, count);
  result.step = sizes.result;
  if (!result.ok()) return result;
  const DeviceGuard guard(device_);
  result.cuda = guard.error();
  if (result.cuda == cudaSuccess) result.cuda = Reserve(sizes.scratch_bytes);
  if (result.cuda != cudaSuccess) return result;
  return RunCudaStep(options, variables, count, sizes, scratch_.get(), LegacyStream());
}

CudaResult CudaStepper::Gather(const StepOptions& options, const VariableStep* variables,
                               int64_t count, int32_t want, double* numbers) {
  CudaResult result;
  const GatherTable table(options, variables, count, want);
  result.step = table.result();
  if (!result.ok()) return result;
  const DeviceGuard guard(device_);
  result.cuda = guard.error();
  if (result.cuda == cudaSuccess) result.cuda = Reserve(table.scratch_bytes());
  if (result.cuda != cudaSuccess) return result;
  return RunCudaGather(table, scratch_.get(), LegacyStream(), numbers);
}

}  // namespace tfjs_ftp
