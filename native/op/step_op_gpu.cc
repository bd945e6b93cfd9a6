// TfjsFtpStep on device memory: one call updates all variables of a model, in a few launches.
//
// Where a non-finite gradient is thrown: at the call that it belongs to. With the check on, the op
// waits for the flag that the check kernel leaves, once a step. Not waiting would mean to find out
// at the next call, when JavaScript has already counted the step (t and n come from there) and
// assigned outputs that nobody wrote. Without the check (nonFinite: 'ignore') nothing is waited for
// but what the stream order asks for.
#include <cuda_runtime_api.h>

#include <exception>

#include "../kernels/cuda/run_step.h"
#include "ops_gpu.h"
#include "step_inputs.h"

namespace tfjs_ftp {
namespace {

void RunStep(OpContext* op, const StepInputs& inputs) {
  const CudaSizes sizes = MeasureCudaStep(inputs.options, inputs.variables.data(),
                                          static_cast<int64_t>(inputs.variables.size()));
  if (sizes.result.status != StepStatus::kOk) return FailStep(op, sizes.result);
  void* const scratch = op->Scratch(sizes.scratch_bytes);
  if (scratch == nullptr) return;
  CudaResult result;
  const int error = OrderWithTensorFlow(GpuStreamOrder(), [&](void* stream) {
    result = RunCudaStep(inputs.options, inputs.variables.data(),
                         static_cast<int64_t>(inputs.variables.size()), sizes, scratch, stream);
    return result.cuda;
  });
  if (error != cudaSuccess) {
    op->Fail(IsOutOfMemory(error) ? kTfResourceExhausted : kTfInternal,
             "CUDA: " + CudaErrorMessage(error));
  } else {
    FailStep(op, result.step);
  }
}

}  // namespace

void ComputeStepGpu(void*, TF_OpKernelContext* context) {
  OpContext op(context);
  try {
    StepInputs inputs;
    if (ReadStepInputs(&op, context, OutputMemory::kTensorFlow, &inputs)) RunStep(&op, inputs);
  } catch (const std::exception& error) {
    op.Fail(kTfInternal, error.what());
  }
}

}  // namespace tfjs_ftp
