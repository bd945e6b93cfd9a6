// TfjsFtpAllocate, TfjsFtpRead and TfjsFtpWrite on host memory.
#include <cstring>

#include "../kernels/cpu/huge_pages.h"
#include "../kernels/plan.h"
#include "op_context.h"
#include "ops_cpu.h"

namespace tfjs_ftp {
namespace {

// Whether [offset, offset + length) lies in a state of `total` floats.
bool InState(int64_t offset, int64_t length, int64_t total) {
  return offset >= 0 && length >= 0 && offset <= total && length <= total - offset;
}

}  // namespace

void ComputeAllocateCpu(void*, TF_OpKernelContext* context) {
  OpContext op(context);
  int64_t words = 0;
  const int32_t* spec = op.Int32Input(0, &words);
  if (!op.ok()) return;
  const int64_t length = words == 2 ? PlanInt64(spec) : -1;
  if (length < 1) return op.Fail(kTfInvalidArgument, "state length must be at least 1");
  TF_Tensor* state = op.FloatOutput(0, {length});
  if (state == nullptr) return;
  const size_t bytes = static_cast<size_t>(length) * sizeof(float);
  AdviseHugePages(Tf().TensorData(state), bytes);
  std::memset(Tf().TensorData(state), 0, bytes);
}

void ComputeReadCpu(void*, TF_OpKernelContext* context) {
  OpContext op(context);
  int64_t total = 0;
  int64_t words = 0;
  const float* state = op.FloatInput(0, &total);
  const int32_t* range = op.Int32Input(1, &words);
  if (!op.ok()) return;
  if (words != 4) return op.Fail(kTfInvalidArgument, "range must have 4 words");
  const int64_t offset = PlanInt64(range);
  const int64_t length = PlanInt64(range + 2);
  if (!InState(offset, length, total)) {
    return op.Fail(kTfInvalidArgument, "range is outside of the state");
  }
  TF_Tensor* values = op.FloatOutput(0, {length});
  if (values == nullptr || length == 0) return;
  std::memcpy(Tf().TensorData(values), state + offset, static_cast<size_t>(length) * sizeof(float));
}

void ComputeWriteCpu(void*, TF_OpKernelContext* context) {
  OpContext op(context);
  int64_t total = 0;
  int64_t count = 0;
  int64_t words = 0;
  // In place: the state was allocated by TfjsFtpAllocate and is held by its optimizer alone.
  float* state = const_cast<float*>(op.FloatInput(0, &total));
  const float* values = op.FloatInput(1, &count);
  const int32_t* where = op.Int32Input(2, &words);
  if (!op.ok()) return;
  if (words != 2) return op.Fail(kTfInvalidArgument, "offset must have 2 words");
  const int64_t offset = PlanInt64(where);
  if (!InState(offset, count, total)) {
    return op.Fail(kTfInvalidArgument, "values reach outside of the state");
  }
  TF_Tensor* done = op.Int32Output(0, {1});
  if (done == nullptr) return;
  static_cast<int32_t*>(Tf().TensorData(done))[0] = 0;
  if (count > 0) std::memcpy(state + offset, values, static_cast<size_t>(count) * sizeof(float));
}

}  // namespace tfjs_ftp
