#include "step_inputs.h"

#include <cstring>

#include "../kernels/gather.h"
#include "../kernels/plan.h"
#include "../kernels/state.h"

namespace tfjs_ftp {
namespace {

// What a step and gathering have in common; `steps`: proposals and outputs too.
bool ReadInputs(OpContext* op, TF_OpKernelContext* context, bool steps, OutputMemory memory,
                StepInputs* inputs) {
  int64_t words = 0;
  const int32_t* plan = op->Int32Input(0, &words);
  if (!op->ok()) return false;
  int64_t count = 0;
  if (const char* wrong = DecodePlanHeader(plan, words, &inputs->options, &count)) {
    op->Fail(kTfInvalidArgument, wrong);
    return false;
  }
  const bool proposed = steps && inputs->options.base == BaseUpdate::kProposal;
  const int64_t lists = proposed ? 4 : 3;
  const int64_t present = 1 + lists * count + (steps ? 0 : 1);
  if (Tf().NumInputs(context) != present || Tf().NumOutputs(context) != (steps ? count : 1)) {
    op->Fail(kTfInvalidArgument,
             "the plan has " + std::to_string(count) + " variables, the op call another number");
    return false;
  }
  inputs->variables.resize(static_cast<size_t>(count));
  inputs->numbers.resize(static_cast<size_t>(count));
  std::vector<int64_t> shape;
  for (int64_t i = 0; i < count; ++i) {
    VariableStep& variable = inputs->variables[static_cast<size_t>(i)];
    const std::string name = "variable " + std::to_string(i) + ": ";
    if (const char* wrong =
            DecodePlanVariable(plan, i, inputs->variables.data(), inputs->numbers.data())) {
      op->Fail(kTfInvalidArgument, name + wrong);
      return false;
    }
    const int index = 1 + static_cast<int>(i);
    int64_t state_count = 0;
    int64_t weight_count = 0;
    int64_t gradient_count = 0;
    variable.state = const_cast<float*>(op->FloatInput(index, &state_count));
    TF_Tensor* weights = op->Input(index + static_cast<int>(count));
    variable.gradient = op->FloatInput(index + 2 * static_cast<int>(count), &gradient_count);
    int64_t proposal_count = variable.size();
    if (proposed) {
      variable.proposal = op->FloatInput(index + 3 * static_cast<int>(count), &proposal_count);
    }
    if (!op->ok()) return false;
    weight_count = Tf().TensorElementCount(weights);
    if (Tf().TensorType(weights) != kTfFloat || weight_count != variable.size() ||
        gradient_count != variable.size() || proposal_count != variable.size() ||
        state_count < LayoutState(inputs->options, variable).length) {
      op->Fail(kTfInvalidArgument,
               name + "sizes of state, weights and gradient do not fit the plan");
      return false;
    }
    variable.weights = static_cast<const float*>(Tf().TensorData(weights));
    if (!steps) continue;
    shape.clear();
    for (int d = 0; d < Tf().NumDims(weights); ++d) shape.push_back(Tf().Dim(weights, d));
    TF_Tensor* const output = memory == OutputMemory::kPool
                                  ? op->PooledFloatOutput(static_cast<int>(i), shape)
                                  : op->FloatOutput(static_cast<int>(i), shape);
    if (output == nullptr) return false;
    variable.output = static_cast<float*>(Tf().TensorData(output));
  }
  return true;
}

}  // namespace

bool ReadStepInputs(OpContext* op, TF_OpKernelContext* context, OutputMemory memory,
                    StepInputs* inputs) {
  return ReadInputs(op, context, true, memory, inputs);
}

bool ReadGatherInputs(OpContext* op, TF_OpKernelContext* context, StepInputs* inputs,
                      int32_t* want) {
  if (!ReadInputs(op, context, false, OutputMemory::kTensorFlow, inputs)) return false;
  int64_t words = 0;
  const int32_t* const last = op->Int32Input(Tf().NumInputs(context) - 1, &words);
  if (!op->ok()) return false;
  const char* const wrong =
      words == 1 ? GatherProblem(inputs->options, *last) : "what is wanted must be one number";
  if (wrong != nullptr) {
    op->Fail(kTfInvalidArgument, wrong);
    return false;
  }
  *want = *last;
  return true;
}

void WriteGathered(OpContext* op, const std::vector<double>& numbers) {
  const int64_t words = 2 * static_cast<int64_t>(numbers.size());
  TF_Tensor* const output = op->Int32Output(0, {words});
  if (output == nullptr) return;
  std::memcpy(Tf().TensorData(output), numbers.data(), numbers.size() * sizeof(double));
}

void FailStep(OpContext* op, const StepResult& result) {
  if (result.status == StepStatus::kOk) return;
  if (result.status == StepStatus::kNonFiniteGradient) {
    const std::string variable = std::to_string(result.variable);
    return op->Fail(kTfInvalidArgument, "TFJS_FTP_NON_FINITE " + variable);
  }
  const bool memory = result.status == StepStatus::kOutOfMemory;
  op->Fail(memory ? kTfResourceExhausted : kTfInvalidArgument, StatusText(result.status));
}

}  // namespace tfjs_ftp
