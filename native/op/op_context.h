// RAII for the TensorFlow objects of one op call: inputs, outputs and a status that becomes the
// op's failure at the single exit of each compute function.
#ifndef TFJS_FTP_OP_OP_CONTEXT_H_
#define TFJS_FTP_OP_OP_CONTEXT_H_

#include <string>
#include <vector>

#include "tf_api.h"

namespace tfjs_ftp {

// The functions found by RegisterTensorFlowOps; set before any op can run.
const TfApi& Tf();

class OpContext {
 public:
  explicit OpContext(TF_OpKernelContext* context);
  ~OpContext();
  OpContext(const OpContext&) = delete;
  OpContext& operator=(const OpContext&) = delete;

  bool ok() const { return ok_; }
  // Fails the op with `message`; the first failure stays.
  void Fail(int code, const std::string& message);

  // Inputs and outputs are owned by this object. Null after a failure.
  TF_Tensor* Input(int index);
  // A float tensor of the given shape.
  TF_Tensor* FloatOutput(int index, const std::vector<int64_t>& shape);
  // The same in memory of the pool of outputs where it is large; on the host only.
  TF_Tensor* PooledFloatOutput(int index, const std::vector<int64_t>& shape);
  TF_Tensor* Int32Output(int index, const std::vector<int64_t>& shape);

  // Memory of the op's device for the time of the call, at least `bytes`; null after a failure.
  void* Scratch(int64_t bytes);

  // Data of an input of the given type, null after a failure. `count` receives its elements.
  const int32_t* Int32Input(int index, int64_t* count);
  const float* FloatInput(int index, int64_t* count);

 private:
  TF_Tensor* Output(int index, int dtype, size_t element_bytes, const std::vector<int64_t>& shape);
  void* TypedInput(int index, int dtype, int64_t* count);
  void Check();

  TF_OpKernelContext* context_;
  TF_Status* status_;
  std::vector<TF_Tensor*> tensors_;
  bool ok_ = true;
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_OP_OP_CONTEXT_H_
