// CudaStep on the host: the same table, the same kernel bodies, fibers for threads (simt_host.h).
#ifndef TFJS_FTP_TEST_EMULATE_H_
#define TFJS_FTP_TEST_EMULATE_H_

#include "../kernels/cuda/launch_step.h"
#include "../kernels/cuda/work_table.h"
#include "simt_host.h"

namespace tfjs_ftp {

// One launch each, run to its end in this call. What `args` points to is host memory here.
void EmulateCheck(const StepArgs& args, ThreadOrder order);
void EmulateDeviate(BaseUpdate base, const StepArgs& args, ThreadOrder order);
void EmulateFinish(const StepArgs& args, ThreadOrder order);
void EmulateProject(const StepArgs& args, ThreadOrder order);
// The one-launch version with `blocks` blocks, all of them resident.
void EmulateFused(BaseUpdate base, const StepArgs& args, int64_t blocks, ThreadOrder order);

struct Emulation {
  CudaTuning tuning;
  int64_t resident = 3;  // blocks at a time in the one-launch version
  ThreadOrder order = ThreadOrder::kForward;
};

// A whole step on host memory. Its scratch memory has exactly the size that MeasureTable asks for
// and holds NaN where the table is not copied to.
StepResult EmulateStep(const StepOptions& options, const VariableStep* variables, int64_t count,
                       const Emulation& emulation);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_EMULATE_H_
