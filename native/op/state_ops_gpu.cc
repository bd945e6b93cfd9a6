// TfjsFtpAllocate, TfjsFtpRead and TfjsFtpWrite on device memory. Their integer arguments are in
// host memory.
#include <cuda_runtime_api.h>

#include <exception>

#include "../kernels/cuda/launch_step.h"
#include "ops_gpu.h"
#include "state_inputs.h"

namespace tfjs_ftp {
namespace {

void RunCopy(OpContext* op, const StateCopy& copy) {
  if (copy.bytes == 0) return;  // TensorFlow gives empty tensors no device memory
  const int error = OrderWithTensorFlow(GpuStreamOrder(), [&](void* stream) -> int {
    const cudaStream_t on = static_cast<cudaStream_t>(stream);
    return copy.from == nullptr
               ? cudaMemsetAsync(copy.to, 0, copy.bytes, on)
               : cudaMemcpyAsync(copy.to, copy.from, copy.bytes, cudaMemcpyDeviceToDevice, on);
  });
  if (error != cudaSuccess) {
    op->Fail(kTfInternal, "CUDA: " + CudaErrorMessage(error));
  }
}

void Compute(TF_OpKernelContext* context, bool (*read)(OpContext*, StateCopy*)) {
  OpContext op(context);
  try {
    StateCopy copy;
    if (read(&op, &copy)) RunCopy(&op, copy);
  } catch (const std::exception& error) {
    op.Fail(kTfInternal, error.what());
  }
}

}  // namespace

void ComputeAllocateGpu(void*, TF_OpKernelContext* context) {
  Compute(context, ReadAllocateInputs);
}
void ComputeReadGpu(void*, TF_OpKernelContext* context) { Compute(context, ReadReadInputs); }
void ComputeWriteGpu(void*, TF_OpKernelContext* context) { Compute(context, ReadWriteInputs); }

}  // namespace tfjs_ftp
