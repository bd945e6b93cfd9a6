// The ops' CPU kernels of an addon for tests: those for GPUs, on the double's device. TensorFlow's
// CPU tensors are its device memory then, and TensorFlow reads them as soon as an op has returned;
// so of the ways in op/stream_order.cc only the one by which the host waits gives it results.
#include "../../op/ops_cpu.h"
#include "../../op/ops_gpu.h"
#include "cuda_double.h"

namespace tfjs_ftp {
namespace {

void Run(TfComputeFunction compute, void* kernel, TF_OpKernelContext* context) {
  cuda_double::AcceptHostMemory(true);
  compute(kernel, context);
}

}  // namespace

void ComputeAllocateCpu(void* kernel, TF_OpKernelContext* context) {
  Run(ComputeAllocateGpu, kernel, context);
}
void ComputeReadCpu(void* kernel, TF_OpKernelContext* context) {
  Run(ComputeReadGpu, kernel, context);
}
void ComputeWriteCpu(void* kernel, TF_OpKernelContext* context) {
  Run(ComputeWriteGpu, kernel, context);
}
void ComputeStepCpu(void* kernel, TF_OpKernelContext* context) {
  Run(ComputeStepGpu, kernel, context);
}
void ComputeGatherCpu(void* kernel, TF_OpKernelContext* context) {
  Run(ComputeGatherGpu, kernel, context);
}

}  // namespace tfjs_ftp
