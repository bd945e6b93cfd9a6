// Gathering on a stream: CpuGather on device memory.
#ifndef TFJS_FTP_KERNELS_CUDA_RUN_GATHER_H_
#define TFJS_FTP_KERNELS_CUDA_RUN_GATHER_H_

#include "gather_table.h"
#include "launch_step.h"

namespace tfjs_ftp {

// Takes the sums that `table` is made for and waits for them: kGatherNumbers doubles for each
// variable to `numbers`, on the host. All pointers of the variables, and `scratch`, are memory of
// the current device. Nothing is written to `numbers` unless the result is ok().
CudaResult RunCudaGather(const GatherTable& table, void* scratch, void* stream, double* numbers);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_RUN_GATHER_H_
