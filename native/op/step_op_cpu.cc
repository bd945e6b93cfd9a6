// TfjsFtpStep on host memory: one call updates all variables of a model.
#include <exception>

#include "../kernels/step.h"
#include "op_context.h"
#include "ops_cpu.h"
#include "step_inputs.h"

namespace tfjs_ftp {

void ComputeStepCpu(void*, TF_OpKernelContext* context) {
  OpContext op(context);
  try {
    StepInputs inputs;
    if (!ReadStepInputs(&op, context, OutputMemory::kPool, &inputs)) return;
    const StepResult result = CpuStep(inputs.options, inputs.variables.data(),
                                      static_cast<int64_t>(inputs.variables.size()));
    FailStep(&op, result);
  } catch (const std::exception& error) {
    op.Fail(kTfInternal, error.what());
  }
}

}  // namespace tfjs_ftp
