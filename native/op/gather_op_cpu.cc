// TfjsFtpGather on host memory: sums of the gradients before a step.
#include <exception>
#include <vector>

#include "../kernels/gather.h"
#include "op_context.h"
#include "ops_cpu.h"
#include "step_inputs.h"

namespace tfjs_ftp {

void ComputeGatherCpu(void*, TF_OpKernelContext* context) {
  OpContext op(context);
  try {
    StepInputs inputs;
    int32_t want = 0;
    if (!ReadGatherInputs(&op, context, &inputs, &want)) return;
    std::vector<double> numbers(inputs.variables.size() * kGatherNumbers);
    const StepResult result =
        CpuGather(inputs.options, inputs.variables.data(),
                  static_cast<int64_t>(inputs.variables.size()), want, numbers.data());
    if (result.status != StepStatus::kOk) return FailStep(&op, result);
    WriteGathered(&op, numbers);
  } catch (const std::exception& error) {
    op.Fail(kTfInternal, error.what());
  }
}

}  // namespace tfjs_ftp
