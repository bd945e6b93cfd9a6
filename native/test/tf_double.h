// A double of TensorFlow's C API for ops and kernels, a shared library as TensorFlow is:
// op/tf_api.cc finds its functions by name, op/ftp_ops.cc registers the ops with it, and a test
// then runs them. It knows no CUDA: device memory comes from a function that the test gives.
//
// What it does as TensorFlow does: memory of a tensor goes back to a pool as soon as nobody refers
// to it, whether or not the device still works with it, and is handed out again at once
// (TensorFlow's allocator relies on the order of its one stream); temporary memory goes back when
// the op returns; arguments declared host memory must be and are in host memory, all others in
// device memory.
#ifndef TFJS_FTP_TEST_TF_DOUBLE_H_
#define TFJS_FTP_TEST_TF_DOUBLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#define TFJS_FTP_TF_DOUBLE __attribute__((visibility("default")))

namespace tfjs_ftp {
namespace tf_double {

struct Tensor {
  int dtype;  // kTfFloat or kTfInt32
  std::vector<int64_t> dims;
  bool on_host;
  size_t bytes;
  void* data;

  int64_t count() const { return static_cast<int64_t>(bytes / 4); }
  float* floats() const { return static_cast<float*>(data); }
  int32_t* ints() const { return static_cast<int32_t*>(data); }
};
// The last reference gives the memory back.
using TensorRef = std::shared_ptr<Tensor>;

// Where device memory comes from; it is never given back there. Null (the default): host memory.
TFJS_FTP_TF_DOUBLE void SetDeviceMemory(void* (*allocate)(size_t bytes));

// Not cleared: whatever was in this memory before.
TFJS_FTP_TF_DOUBLE TensorRef NewTensor(int dtype, const std::vector<int64_t>& dims, bool on_host);

struct Result {
  int code;  // of TensorFlow's status
  std::string message;
  std::vector<TensorRef> outputs;
  bool ok() const { return code == 0; }
};

// Runs the kernel that is registered for `device` ("CPU" or "GPU"). `n`: the attribute N of the op;
// 0 if it has none.
TFJS_FTP_TF_DOUBLE Result Run(const std::string& op, const std::string& device, int n,
                              const std::vector<TensorRef>& inputs);

// The temporary memory that the last op took; null if none.
TFJS_FTP_TF_DOUBLE void* LastTemporary();
TFJS_FTP_TF_DOUBLE size_t LastTemporaryBytes();
// Tensors that live.
TFJS_FTP_TF_DOUBLE int64_t LiveTensors();

// The n-th allocation by an op from now (1: the next; outputs and temporary memory alike) is
// refused, once. 0: none.
TFJS_FTP_TF_DOUBLE void RefuseAllocation(int64_t n);
// The n-th registration of a kernel from now is refused, once.
TFJS_FTP_TF_DOUBLE void RefuseKernel(int64_t n);
// What TF_Version says; 2.21.0 at first.
TFJS_FTP_TF_DOUBLE void SetVersion(const std::string& version);

TFJS_FTP_TF_DOUBLE bool HasKernel(const std::string& op, const std::string& device);
TFJS_FTP_TF_DOUBLE int64_t Registrations();  // of kernels, refused ones not counted

}  // namespace tf_double
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_TF_DOUBLE_H_
