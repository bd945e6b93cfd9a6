// Inputs and outputs of TfjsFtpStep, decoded and checked, whatever the device.
#ifndef TFJS_FTP_OP_STEP_INPUTS_H_
#define TFJS_FTP_OP_STEP_INPUTS_H_

#include <string>
#include <vector>

#include "../kernels/step.h"
#include "op_context.h"

namespace tfjs_ftp {

struct StepInputs {
  StepOptions options;
  std::vector<VariableStep> variables;
  std::vector<MethodNumbers> numbers;  // that the variables point to
};

// Where the outputs of a step come from.
enum class OutputMemory { kTensorFlow, kPool };

// Reads the plan (host memory) and the pointers of all inputs, and allocates the outputs. On any
// failure the op context has failed and false is returned; nothing has been written.
bool ReadStepInputs(OpContext* op, TF_OpKernelContext* context, OutputMemory memory,
                    StepInputs* inputs);

// The same for TfjsFtpGather, whose last input is what is wanted; it has no outputs per variable.
bool ReadGatherInputs(OpContext* op, TF_OpKernelContext* context, StepInputs* inputs,
                      int32_t* want);

// The op's one output, in host memory: tfjs has no float64, so each number is two words.
void WriteGathered(OpContext* op, const std::vector<double>& numbers);

// Fails the op where the step has failed. src/backends/op.ts recognises the message of a gradient
// that is not finite.
void FailStep(OpContext* op, const StepResult& result);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_OP_STEP_INPUTS_H_
