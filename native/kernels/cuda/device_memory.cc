#include "device_memory.h"

#include <cuda_runtime_api.h>

#include <cstddef>

namespace tfjs_ftp {
namespace {

// An error that we report is not left behind for whoever asks next.
int Reported(cudaError_t error) {
  if (error != cudaSuccess) (void)cudaGetLastError();
  return error;
}

int Enqueue(void* to, const void* from, int64_t bytes, cudaMemcpyKind kind) {
  return Reported(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind, cudaStreamLegacy));
}

// A copy between host and device, waited for: the host's memory is pageable, and whether such a
// copy has taken its bytes when the call returns depends on driver and platform.
int CopyAndWait(int device, void* to, const void* from, int64_t bytes, cudaMemcpyKind kind) {
  const DeviceGuard guard(device);
  if (guard.error() != cudaSuccess) return guard.error();
  const int error = Enqueue(to, from, bytes, kind);
  return error != cudaSuccess ? error : Reported(cudaStreamSynchronize(cudaStreamLegacy));
}

}  // namespace

void* LegacyStream() { return cudaStreamLegacy; }

bool IsOutOfMemory(int error) { return error == cudaErrorMemoryAllocation; }

int MeasureDeviceMemory(int device, int64_t* free_bytes, int64_t* total_bytes) {
  const DeviceGuard guard(device);
  if (guard.error() != cudaSuccess) return guard.error();
  size_t free_size = 0;
  size_t total_size = 0;
  const int error = Reported(cudaMemGetInfo(&free_size, &total_size));
  *free_bytes = static_cast<int64_t>(free_size);
  *total_bytes = static_cast<int64_t>(total_size);
  return error;
}

DeviceGuard::DeviceGuard(int device) {
  error_ = Reported(cudaGetDevice(&before_));
  if (error_ != cudaSuccess || before_ == device) return;
  error_ = Reported(cudaSetDevice(device));
  changed_ = error_ == cudaSuccess;
}

DeviceGuard::~DeviceGuard() {
  if (changed_) (void)cudaSetDevice(before_);
}

int DeviceMemory::Allocate(int device, int64_t bytes) {
  Free();
  const DeviceGuard guard(device);
  if (guard.error() != cudaSuccess) return guard.error();
  const int error = Reported(cudaMalloc(&memory_, static_cast<size_t>(bytes)));
  if (error != cudaSuccess) {
    memory_ = nullptr;
    return error;
  }
  bytes_ = bytes;
  device_ = device;
  return cudaSuccess;
}

void DeviceMemory::Free() {
  if (memory_ == nullptr) return;
  const DeviceGuard guard(device_);
  if (guard.error() == cudaSuccess) {
    (void)Reported(cudaDeviceSynchronize());
    (void)Reported(cudaFree(memory_));
  }
  memory_ = nullptr;
  bytes_ = 0;
}

int DeviceMemory::Clear(int64_t offset, int64_t bytes) {
  const DeviceGuard guard(device_);
  if (guard.error() != cudaSuccess) return guard.error();
  return Reported(cudaMemsetAsync(At(offset), 0, static_cast<size_t>(bytes), cudaStreamLegacy));
}

int DeviceMemory::Upload(int64_t offset, const void* host, int64_t bytes) {
  return CopyAndWait(device_, At(offset), host, bytes, cudaMemcpyHostToDevice);
}

int DeviceMemory::Download(int64_t offset, void* host, int64_t bytes) const {
  return CopyAndWait(device_, host, At(offset), bytes, cudaMemcpyDeviceToHost);
}

int DeviceMemory::CopyFrom(int64_t offset, const DeviceMemory& from, int64_t from_offset,
                           int64_t bytes) {
  const DeviceGuard guard(device_);
  if (guard.error() != cudaSuccess) return guard.error();
  return Enqueue(At(offset), from.At(from_offset), bytes, cudaMemcpyDeviceToDevice);
}

}  // namespace tfjs_ftp
