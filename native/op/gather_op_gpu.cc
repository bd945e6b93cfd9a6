// TfjsFtpGather on device memory. The numbers are on the host when it returns, so it waits for
// them.
#include <cuda_runtime_api.h>

#include <cstring>
#include <exception>
#include <vector>

#include "../kernels/cuda/run_step.h"
#include "ops_gpu.h"
#include "step_inputs.h"

namespace tfjs_ftp {
namespace {

void RunGather(OpContext* op, const StepInputs& inputs, int32_t want) {
  const GatherTable table(inputs.options, inputs.variables.data(),
                          static_cast<int64_t>(inputs.variables.size()), want);
  if (table.result().status != StepStatus::kOk) return FailStep(op, table.result());
  void* const scratch = op->Scratch(table.scratch_bytes());
  if (scratch == nullptr) return;
  std::vector<double> numbers(inputs.variables.size() * kGatherNumbers);
  CudaResult result;
  const int error = OrderWithTensorFlow(GpuStreamOrder(), [&](void* stream) {
    result = RunCudaGather(table, scratch, stream, numbers.data());
    return result.cuda;
  });
  if (error != cudaSuccess) {
    op->Fail(IsOutOfMemory(error) ? kTfResourceExhausted : kTfInternal,
             "CUDA: " + CudaErrorMessage(error));
  } else if (result.step.status != StepStatus::kOk) {
    FailStep(op, result.step);
  } else {
    WriteGathered(op, numbers);
  }
}

}  // namespace

void ComputeGatherGpu(void*, TF_OpKernelContext* context) {
  OpContext op(context);
  try {
    StepInputs inputs;
    int32_t want = 0;
    if (ReadGatherInputs(&op, context, &inputs, &want)) RunGather(&op, inputs, want);
  } catch (const std::exception& error) {
    op.Fail(kTfInternal, error.what());
  }
}

}  // namespace tfjs_ftp
