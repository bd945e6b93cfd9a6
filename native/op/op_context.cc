#include "op_context.h"

#include "output_pool.h"

namespace tfjs_ftp {
namespace {

size_t BytesOf(size_t element_bytes, const std::vector<int64_t>& shape) {
  size_t bytes = element_bytes;
  for (int64_t extent : shape) bytes *= static_cast<size_t>(extent);
  return bytes;
}

}  // namespace

OpContext::OpContext(TF_OpKernelContext* context) : context_(context), status_(Tf().NewStatus()) {}

OpContext::~OpContext() {
  for (TF_Tensor* tensor : tensors_) Tf().DeleteTensor(tensor);
  if (!ok_) Tf().OpKernelContext_Failure(context_, status_);
  Tf().DeleteStatus(status_);
}

void OpContext::Fail(int code, const std::string& message) {
  if (!ok_) return;
  ok_ = false;
  Tf().SetStatus(status_, code, message.c_str());
}

void OpContext::Check() {
  if (ok_ && Tf().GetCode(status_) != kTfOk) ok_ = false;
}

TF_Tensor* OpContext::Input(int index) {
  if (!ok_) return nullptr;
  TF_Tensor* tensor = nullptr;
  Tf().GetInput(context_, index, &tensor, status_);
  if (tensor != nullptr) tensors_.push_back(tensor);
  Check();
  return ok_ ? tensor : nullptr;
}

TF_Tensor* OpContext::Output(int index, int dtype, size_t element_bytes,
                             const std::vector<int64_t>& shape) {
  if (!ok_) return nullptr;
  TF_Tensor* tensor =
      Tf().AllocateOutput(context_, index, dtype, shape.data(), static_cast<int>(shape.size()),
                          BytesOf(element_bytes, shape), status_);
  if (tensor != nullptr) tensors_.push_back(tensor);
  Check();
  if (ok_ && tensor == nullptr) Fail(kTfResourceExhausted, "TensorFlow allocated no output");
  return ok_ ? tensor : nullptr;
}

TF_Tensor* OpContext::FloatOutput(int index, const std::vector<int64_t>& shape) {
  return Output(index, kTfFloat, sizeof(float), shape);
}

TF_Tensor* OpContext::PooledFloatOutput(int index, const std::vector<int64_t>& shape) {
  if (!ok_) return nullptr;
  const size_t bytes = BytesOf(sizeof(float), shape);
  if (!OutputPool::Serves(bytes)) return FloatOutput(index, shape);
  void* const memory = OutputPool::Get().Take(bytes);
  if (memory == nullptr) {
    Fail(kTfResourceExhausted, "there is no memory for the new weights");
    return nullptr;
  }
  const auto give_back = [](void* data, size_t size, void*) {
    OutputPool::Get().Return(data, size);
  };
  TF_Tensor* const tensor = Tf().NewTensor(kTfFloat, shape.data(), static_cast<int>(shape.size()),
                                           memory, bytes, give_back, nullptr);
  if (tensor == nullptr) {
    OutputPool::Get().Return(memory, bytes);
    Fail(kTfResourceExhausted, "TensorFlow made no tensor of an output");
    return nullptr;
  }
  tensors_.push_back(tensor);
  Tf().SetOutput(context_, index, tensor, status_);
  Check();
  return ok_ ? tensor : nullptr;
}

TF_Tensor* OpContext::Int32Output(int index, const std::vector<int64_t>& shape) {
  return Output(index, kTfInt32, sizeof(int32_t), shape);
}

void* OpContext::Scratch(int64_t bytes) {
  if (!ok_) return nullptr;
  const int64_t count = (bytes + 3) / static_cast<int64_t>(sizeof(float));
  TfAllocatorAttributes attributes = {kTfAllocatorAttributesSize, 0};
  TF_Tensor* tensor = Tf().AllocateTemp(context_, kTfFloat, &count, 1, &attributes, status_);
  if (tensor != nullptr) tensors_.push_back(tensor);
  Check();
  if (ok_ && tensor == nullptr) {
    Fail(kTfResourceExhausted, "TensorFlow allocated no memory for the sums of the step");
  }
  return ok_ ? Tf().TensorData(tensor) : nullptr;
}

void* OpContext::TypedInput(int index, int dtype, int64_t* count) {
  TF_Tensor* tensor = Input(index);
  if (tensor == nullptr) return nullptr;
  if (Tf().TensorType(tensor) != dtype) {
    Fail(kTfInvalidArgument, "input " + std::to_string(index) + " has an unexpected dtype");
    return nullptr;
  }
  *count = Tf().TensorElementCount(tensor);
  return Tf().TensorData(tensor);
}

const int32_t* OpContext::Int32Input(int index, int64_t* count) {
  return static_cast<const int32_t*>(TypedInput(index, kTfInt32, count));
}

const float* OpContext::FloatInput(int index, int64_t* count) {
  return static_cast<const float*>(TypedInput(index, kTfFloat, count));
}

}  // namespace tfjs_ftp
