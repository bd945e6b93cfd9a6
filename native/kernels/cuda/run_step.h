// A step on a stream with what CudaStep leaves to its caller: page-locked memory for the table, and
// fetching the flag of the check.
#ifndef TFJS_FTP_KERNELS_CUDA_RUN_STEP_H_
#define TFJS_FTP_KERNELS_CUDA_RUN_STEP_H_

#include "device_memory.h"
#include "launch_step.h"
#include "run_gather.h"

namespace tfjs_ftp {

// Enqueues one step, as CudaStep does, whose `sizes` MeasureCudaStep has given. With
// options.check_finite it waits for the step and the result says kNonFiniteGradient where nothing
// was written; otherwise nothing is waited for. Page-locked memory is of the ring of this process:
// nothing is allocated after a few steps.
CudaResult RunCudaStep(const StepOptions& options, const VariableStep* variables, int64_t count,
                       const CudaSizes& sizes, void* scratch, void* stream);

// Steps on DeviceMemory of one device, with the scratch memory that they need: kept from step to
// step, grown where a step needs more, and freed with this object when the device is idle. On the
// legacy default stream (device_memory.h), which also keeps one step's use of the scratch memory
// behind the other's. Of one thread at a time.
class CudaStepper {
 public:
  explicit CudaStepper(int device) : device_(device) {}

  int device() const { return device_; }

  // Gives the scratch memory back until the next step.
  void FreeScratch() { scratch_.Free(); }

  // One step; all pointers of the variables are memory of this device. Where the scratch memory
  // cannot be grown, nothing has been enqueued.
  CudaResult Step(const StepOptions& options, const VariableStep* variables, int64_t count);
  // CpuGather on this device; waits for the numbers.
  CudaResult Gather(const StepOptions& options, const VariableStep* variables, int64_t count,
                    int32_t want, double* numbers);

 private:
  int Reserve(int64_t bytes);

  int device_;
  DeviceMemory scratch_;
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_RUN_STEP_H_
