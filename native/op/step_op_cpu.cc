// TfjsFtpStep on host memory: one call updates all variables of a model.
#include <exception>

#include "../kernels/cpu/huge_pages.h"
#include "../kernels/ftp_kernels.h"
#include "op_context.h"
#include "ops_cpu.h"
#include "step_inputs.h"

namespace tfjs_ftp {

void ComputeStepCpu(void*, TF_OpKernelContext* context) {
  OpContext op(context);
  try {
    StepInputs inputs;
    if (!ReadStepInputs(&op, context, &inputs)) return;
    for (const VariableStep& variable : inputs.variables) {
      AdviseHugePages(variable.output, static_cast<size_t>(variable.size()) * sizeof(float));
    }
    const StepResult result = CpuStep(inputs.options, inputs.variables.data(),
                                      static_cast<int64_t>(inputs.variables.size()));
    switch (result.status) {
      case StepStatus::kOk:
        return;
      case StepStatus::kNonFiniteGradient:
        return op.Fail(kTfInvalidArgument, NonFiniteMessage(result.variable));
      case StepStatus::kOutOfMemory:
        return op.Fail(kTfResourceExhausted, "out of memory for the sums of the step");
      case StepStatus::kUnsupported:
        return op.Fail(kTfInvalidArgument, "a proposal has no excluded variables");
    }
  } catch (const std::exception& error) {
    op.Fail(kTfInternal, error.what());
  }
}

}  // namespace tfjs_ftp
