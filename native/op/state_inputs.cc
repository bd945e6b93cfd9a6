#include "state_inputs.h"

#include "../kernels/plan.h"

namespace tfjs_ftp {
namespace {

// Whether [offset, offset + length) lies in a state of `total` floats.
bool InState(int64_t offset, int64_t length, int64_t total) {
  return offset >= 0 && length >= 0 && offset <= total && length <= total - offset;
}

bool Refuse(OpContext* op, const char* message) {
  op->Fail(kTfInvalidArgument, message);
  return false;
}

size_t FloatBytes(int64_t count) { return static_cast<size_t>(count) * sizeof(float); }

}  // namespace

bool ReadAllocateInputs(OpContext* op, StateCopy* copy) {
  int64_t words = 0;
  const int32_t* spec = op->Int32Input(0, &words);
  if (!op->ok()) return false;
  const int64_t length = words == 2 ? PlanInt64(spec) : -1;
  if (length < 1) return Refuse(op, "state length must be at least 1");
  TF_Tensor* state = op->FloatOutput(0, {length});
  if (state == nullptr) return false;
  copy->to = static_cast<float*>(Tf().TensorData(state));
  copy->bytes = FloatBytes(length);
  return true;
}

bool ReadReadInputs(OpContext* op, StateCopy* copy) {
  int64_t total = 0;
  int64_t words = 0;
  const float* state = op->FloatInput(0, &total);
  const int32_t* range = op->Int32Input(1, &words);
  if (!op->ok()) return false;
  if (words != 4) return Refuse(op, "range must have 4 words");
  const int64_t offset = PlanInt64(range);
  const int64_t length = PlanInt64(range + 2);
  if (!InState(offset, length, total)) return Refuse(op, "range is outside of the state");
  TF_Tensor* values = op->FloatOutput(0, {length});
  if (values == nullptr) return false;
  copy->to = static_cast<float*>(Tf().TensorData(values));
  copy->from = state + offset;
  copy->bytes = FloatBytes(length);
  return true;
}

bool ReadWriteInputs(OpContext* op, StateCopy* copy) {
  int64_t total = 0;
  int64_t count = 0;
  int64_t words = 0;
  // In place: the state was allocated by TfjsFtpAllocate and is held by its optimizer alone.
  float* state = const_cast<float*>(op->FloatInput(0, &total));
  const float* values = op->FloatInput(1, &count);
  const int32_t* where = op->Int32Input(2, &words);
  if (!op->ok()) return false;
  if (words != 2) return Refuse(op, "offset must have 2 words");
  const int64_t offset = PlanInt64(where);
  if (!InState(offset, count, total)) return Refuse(op, "values reach outside of the state");
  TF_Tensor* done = op->Int32Output(0, {1});
  if (done == nullptr) return false;
  static_cast<int32_t*>(Tf().TensorData(done))[0] = 0;
  copy->to = state + offset;
  copy->from = values;
  copy->bytes = FloatBytes(count);
  return true;
}

}  // namespace tfjs_ftp
