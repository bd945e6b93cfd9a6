// Compute functions of the ops on a CUDA device (see ftp_ops.h for what they do).
#ifndef TFJS_FTP_OP_OPS_GPU_H_
#define TFJS_FTP_OP_OPS_GPU_H_

#include "stream_order.h"
#include "tf_api.h"

namespace tfjs_ftp {

void ComputeAllocateGpu(void* kernel, TF_OpKernelContext* context);
void ComputeReadGpu(void* kernel, TF_OpKernelContext* context);
void ComputeWriteGpu(void* kernel, TF_OpKernelContext* context);
void ComputeStepGpu(void* kernel, TF_OpKernelContext* context);
void ComputeGatherGpu(void* kernel, TF_OpKernelContext* context);

// How these ops are ordered with TensorFlow's work; set when they are registered.
StreamOrder GpuStreamOrder();

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_OP_OPS_GPU_H_
