#include "launch_step.h"

#include <cuda_runtime_api.h>

#include "launchers.h"
#include "profile_range.h"
#include "work_table.h"

namespace tfjs_ftp {

CudaSizes MeasureCudaStep(const StepOptions& options, const VariableStep* variables, int64_t count,
                          const CudaTuning& tuning) {
  const TableShape shape = MeasureTable(options, variables, count, tuning);
  return {{shape.status, shape.variable}, shape.table_bytes, shape.scratch_bytes};
}

CudaResult CudaStep(const StepOptions& options, const VariableStep* variables, int64_t count,
                    void* scratch, void* table, void* stream, const CudaTuning& tuning) {
  CudaResult result;
  const TableShape shape = MeasureTable(options, variables, count, tuning);
  result.step = {shape.status, shape.variable};
  if (shape.status != StepStatus::kOk) return result;
  const bool one_launch = TakesOneLaunch(options, tuning);
  int64_t blocks = 0;
  if (one_launch) {
    blocks = ResidentBlocks(options.base, &result.cuda);
    if (result.cuda != cudaSuccess) return result;
  }
  const StepArgs args =
      BuildTable(options, variables, count, tuning, shape, blocks, table, scratch);
  // An error that somebody's launch left behind is not ours; one that the device cannot recover
  // from stays, and shows below.
  (void)cudaGetLastError();
  {
    const ProfileRange range("table");
    result.cuda = cudaMemcpyAsync(scratch, table, static_cast<size_t>(shape.table_bytes),
                                  cudaMemcpyHostToDevice, static_cast<cudaStream_t>(stream));
  }
  if (result.cuda != cudaSuccess) return result;
  result.cuda = LaunchGathering(options.rule, args, stream);
  if (result.cuda != cudaSuccess) return result;
  result.cuda = one_launch ? LaunchOne(options.base, args, blocks, stream)
                           : LaunchThree(options.base, options.rule, args, stream);
  return result;
}

std::string CudaErrorMessage(int error) {
  return cudaGetErrorString(static_cast<cudaError_t>(error));
}

}  // namespace tfjs_ftp
