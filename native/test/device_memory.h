// Device memory and checks of CUDA calls for tests and benches.
#ifndef TFJS_FTP_TEST_DEVICE_MEMORY_H_
#define TFJS_FTP_TEST_DEVICE_MEMORY_H_

#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#if defined(TFJS_FTP_CUDA_DOUBLE)
#include "cuda_double/cuda_double.h"
#endif

namespace tfjs_ftp {

inline void CheckCuda(int error, const char* file, int line) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s:%d: CUDA: %s\n", file, line,
               cudaGetErrorString(static_cast<cudaError_t>(error)));
#if defined(TFJS_FTP_CUDA_DOUBLE)
  std::fprintf(stderr, "%s\n", cuda_double::LastMisuse().c_str());
#endif
  std::exit(EXIT_FAILURE);
}
#define CUDA_OK(call) ::tfjs_ftp::CheckCuda((call), __FILE__, __LINE__)

// Floats in device memory, `offset` floats behind a multiple of 256 bytes.
class DeviceFloats {
 public:
  explicit DeviceFloats(int64_t count = 0, int64_t offset = 0) : count_(count), offset_(offset) {
    if (count > 0) {
      CUDA_OK(cudaMalloc(&memory_, static_cast<size_t>(count + offset) * sizeof(float)));
    }
  }
  explicit DeviceFloats(const std::vector<float>& values, int64_t offset = 0)
      : DeviceFloats(static_cast<int64_t>(values.size()), offset) {
    Upload(values);
  }
  ~DeviceFloats() { cudaFree(memory_); }
  DeviceFloats(DeviceFloats&& other) noexcept { *this = std::move(other); }
  DeviceFloats& operator=(DeviceFloats&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(count_, other.count_);
    std::swap(offset_, other.offset_);
    return *this;
  }

  float* get() const { return count_ > 0 ? static_cast<float*>(memory_) + offset_ : nullptr; }
  int64_t size() const { return count_; }
  size_t bytes() const { return static_cast<size_t>(count_) * sizeof(float); }
  void Upload(const std::vector<float>& values) {
    if (count_ > 0) CUDA_OK(cudaMemcpy(get(), values.data(), bytes(), cudaMemcpyHostToDevice));
  }
  std::vector<float> Download() const {
    std::vector<float> values(static_cast<size_t>(count_));
    if (count_ > 0) CUDA_OK(cudaMemcpy(values.data(), get(), bytes(), cudaMemcpyDeviceToHost));
    return values;
  }
  // NaN in every float.
  void Poison() {
    if (count_ > 0) CUDA_OK(cudaMemset(get(), 0xff, bytes()));
  }

 private:
  void* memory_ = nullptr;
  int64_t count_ = 0;
  int64_t offset_ = 0;
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_DEVICE_MEMORY_H_
