// TfjsFtpStep on device memory: one call updates all variables of a model, in a few launches.
//
// Where a non-finite gradient is thrown: at the call that it belongs to. With the check on, the op
// waits for the flag that the check kernel leaves, once a step. Not waiting would mean to find out
// at the next call, when JavaScript has already counted the step (t and n come from there) and
// assigned outputs that nobody wrote. Without the check (nonFinite: 'ignore') nothing is waited for
// but what the stream order asks for.
#include <cuda_runtime_api.h>

#include <cstring>
#include <exception>

#include "../kernels/cuda/launch_step.h"
#include "../kernels/cuda/pinned_ring.h"
#include "ops_gpu.h"
#include "step_inputs.h"

namespace tfjs_ftp {
namespace {

// Behind the table in page-locked memory: where the flag is copied to.
constexpr int64_t kFlagBytes = kTableAlignment;

struct Launch {
  bool started = false;
  CudaResult result;
  int32_t flag = kNoVariable;
};

// Everything that goes to the stream. Returns a cudaError_t.
int Enqueue(const StepInputs& inputs, const CudaSizes& sizes, void* scratch, PinnedRing::Slot* slot,
            void* stream, Launch* launch) {
  launch->started = true;
  char* const table = static_cast<char*>(PinnedRing::Memory(slot));
  char* const flag = table + sizes.table_bytes;
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  launch->result = CudaStep(inputs.options, inputs.variables.data(),
                            static_cast<int64_t>(inputs.variables.size()), scratch, table, stream);
  int error = launch->result.cuda;
  const bool check = launch->result.ok() && inputs.options.check_finite;
  if (check) {
    error = cudaMemcpyAsync(flag, static_cast<char*>(scratch) + kFlagOffset, sizeof(launch->flag),
                            cudaMemcpyDeviceToHost, on);
    if (error == cudaSuccess) error = cudaStreamSynchronize(on);
    if (error == cudaSuccess) std::memcpy(&launch->flag, flag, sizeof(launch->flag));
  }
  const int released = PinnedRing::Get().Release(slot, stream);
  return error != cudaSuccess ? error : released;
}

void FailStep(OpContext* op, const StepResult& result) {
  switch (result.status) {
    case StepStatus::kOk:
      return;
    case StepStatus::kNonFiniteGradient:
      return op->Fail(kTfInvalidArgument, NonFiniteMessage(result.variable));
    case StepStatus::kOutOfMemory:
      return op->Fail(kTfResourceExhausted, "out of memory for the sums of the step");
    case StepStatus::kUnsupported:
      return op->Fail(kTfInvalidArgument,
                      "a proposal has no excluded variables, and a step no more than 2^31 chunks");
  }
}

void RunStep(OpContext* op, const StepInputs& inputs) {
  const CudaSizes sizes = MeasureCudaStep(inputs.options, inputs.variables.data(),
                                          static_cast<int64_t>(inputs.variables.size()));
  if (sizes.result.status != StepStatus::kOk) return FailStep(op, sizes.result);
  void* const scratch = op->Scratch(sizes.scratch_bytes);
  if (scratch == nullptr) return;
  int error = cudaSuccess;
  PinnedRing::Slot* const slot = PinnedRing::Get().Acquire(sizes.table_bytes + kFlagBytes, &error);
  Launch launch;
  if (slot != nullptr) {
    error = OrderWithTensorFlow(GpuStreamOrder(), [&](void* stream) {
      return Enqueue(inputs, sizes, scratch, slot, stream, &launch);
    });
    if (!launch.started) PinnedRing::Get().Cancel(slot);
  }
  if (error != cudaSuccess) {
    op->Fail(error == cudaErrorMemoryAllocation ? kTfResourceExhausted : kTfInternal,
             "CUDA: " + CudaErrorMessage(error));
  } else if (launch.flag != kNoVariable) {
    FailStep(op, {StepStatus::kNonFiniteGradient, launch.flag});
  } else {
    FailStep(op, launch.result.step);
  }
}

}  // namespace

void ComputeStepGpu(void*, TF_OpKernelContext* context) {
  OpContext op(context);
  try {
    StepInputs inputs;
    if (ReadStepInputs(&op, context, &inputs)) RunStep(&op, inputs);
  } catch (const std::exception& error) {
    op.Fail(kTfInternal, error.what());
  }
}

}  // namespace tfjs_ftp
