// Compute functions of the ops on host memory (see ftp_ops.h for what they do).
#ifndef TFJS_FTP_OP_OPS_CPU_H_
#define TFJS_FTP_OP_OPS_CPU_H_

#include "tf_api.h"

namespace tfjs_ftp {

void ComputeAllocateCpu(void* kernel, TF_OpKernelContext* context);
void ComputeReadCpu(void* kernel, TF_OpKernelContext* context);
void ComputeWriteCpu(void* kernel, TF_OpKernelContext* context);
void ComputeStepCpu(void* kernel, TF_OpKernelContext* context);
void ComputeGatherCpu(void* kernel, TF_OpKernelContext* context);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_OP_OPS_CPU_H_
