// TfjsFtpAllocate, TfjsFtpRead and TfjsFtpWrite on host memory.
#include <cstring>

#include "../kernels/cpu/huge_pages.h"
#include "ops_cpu.h"
#include "state_inputs.h"

namespace tfjs_ftp {

void ComputeAllocateCpu(void*, TF_OpKernelContext* context) {
  OpContext op(context);
  StateCopy copy;
  if (!ReadAllocateInputs(&op, &copy)) return;
  AdviseHugePages(copy.to, copy.bytes);
  std::memset(copy.to, 0, copy.bytes);
}

void ComputeReadCpu(void*, TF_OpKernelContext* context) {
  OpContext op(context);
  StateCopy copy;
  if (ReadReadInputs(&op, &copy) && copy.bytes > 0) std::memcpy(copy.to, copy.from, copy.bytes);
}

void ComputeWriteCpu(void*, TF_OpKernelContext* context) {
  OpContext op(context);
  StateCopy copy;
  if (ReadWriteInputs(&op, &copy) && copy.bytes > 0) std::memcpy(copy.to, copy.from, copy.bytes);
}

}  // namespace tfjs_ftp
