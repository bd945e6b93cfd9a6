// What cuda_bench times: the fused step over a workload in one version, and a device copy to hold
// it against.
#ifndef TFJS_FTP_BENCH_CUDA_CONTENDERS_H_
#define TFJS_FTP_BENCH_CUDA_CONTENDERS_H_

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../test/device_memory.h"
#include "cuda_cases.h"
#include "lists.h"

namespace tfjs_ftp {

// One allocation cut into slices, each at a multiple of 256 bytes, as TensorFlow's allocator gives
// them.
class Slices {
 public:
  explicit Slices(const std::vector<int64_t>& lengths);
  float* operator[](size_t i) const { return memory_.get() + offsets_[i]; }
  DeviceFloats& all() { return memory_; }
  static int64_t TotalLength(const std::vector<int64_t>& lengths);

 private:
  std::vector<int64_t> offsets_;
  DeviceFloats memory_;
};

// What all contenders of a workload read, and the outputs and states that they share: one runs at a
// time, and sets the states up anew before it is timed.
struct DeviceBuffers {
  std::vector<ListedVariable> list;
  int64_t elements = 0;
  Slices weights, gradients, outputs, states;

  DeviceBuffers(const std::vector<ListedVariable>& variables, const std::vector<Case>& cases);
};

// Device memory that DeviceBuffers and the contenders of these cases take, in bytes.
int64_t MeasureBytes(const std::vector<ListedVariable>& variables, const std::vector<Case>& cases);

class CudaContender {
 public:
  virtual ~CudaContender() = default;
  virtual const std::string& name() const = 0;
  virtual int launches() const = 0;
  // That one run must move.
  virtual double bytes() const = 0;
  // As before the first step.
  virtual void Prepare() {}
  // Enqueues one step, or one copy.
  virtual void Run(cudaStream_t stream) = 0;
  // Empty, or what is wrong with the result of a few runs.
  virtual std::string Check() = 0;
};

std::unique_ptr<CudaContender> MakeDeviceCopy(int64_t bytes);
std::unique_ptr<CudaContender> MakeCudaStep(const Case& made, DeviceBuffers* buffers);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_BENCH_CUDA_CONTENDERS_H_
