// Memory of a CUDA device that nobody but us allocates: the buffers of tfjs-ftp/native and the
// scratch memory of their steps. Plain C++, no CUDA header needed to use it; errors are cudaError_t
// as int, 0 for success.
//
// Stream: all work on this memory (copies, zeros, steps) is enqueued on the device's legacy default
// stream, named explicitly so that a build with per-thread default streams changes nothing. The
// legacy stream waits for all earlier work of the blocking streams of the same device, and their
// later work waits for it. So code that computes gradients into such memory on the default stream,
// or on a stream made without cudaStreamNonBlocking, needs no synchronization of its own; work on a
// non-blocking stream does.
#ifndef TFJS_FTP_KERNELS_CUDA_DEVICE_MEMORY_H_
#define TFJS_FTP_KERNELS_CUDA_DEVICE_MEMORY_H_

#include <cstdint>

namespace tfjs_ftp {

// cudaStreamLegacy of the current device, as launch_step.h takes streams.
void* LegacyStream();

// Whether `error` says that the device has not enough memory.
bool IsOutOfMemory(int error);

// Bytes of `device` that are free and that there are. Returns a cudaError_t.
int MeasureDeviceMemory(int device, int64_t* free_bytes, int64_t* total_bytes);

// Makes a device the current one of this thread, and at the end the one that it was before.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device);
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

  // Of making it current; with an error nothing has changed.
  int error() const { return error_; }

 private:
  int before_ = 0;
  bool changed_ = false;
  int error_ = 0;
};

// One allocation. Offsets and sizes in bytes, which the caller has checked. Functions that return
// int return a cudaError_t; errors of work that was enqueued earlier may show in it too.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  ~DeviceMemory() { Free(); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // Gives up what it holds and allocates `bytes` (> 0) with unknown values. After an error it holds
  // nothing.
  int Allocate(int device, int64_t bytes);
  // Waits until the device is idle, since kernels may use the memory still, and frees it. Harmless
  // where there is none, and at the end of the process, when the driver has freed everything.
  void Free();

  void* get() const { return memory_; }
  int64_t bytes() const { return bytes_; }
  int device() const { return device_; }

  // Writes zeros; does not wait for the device.
  int Clear(int64_t offset, int64_t bytes);
  // Waits until the host's bytes are no longer needed.
  int Upload(int64_t offset, const void* host, int64_t bytes);
  // Waits for all earlier work on the stream.
  int Download(int64_t offset, void* host, int64_t bytes) const;
  // From memory of the same device; does not wait for it.
  int CopyFrom(int64_t offset, const DeviceMemory& from, int64_t from_offset, int64_t bytes);

 private:
  char* At(int64_t offset) const { return static_cast<char*>(memory_) + offset; }

  void* memory_ = nullptr;
  int64_t bytes_ = 0;
  int device_ = 0;
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_DEVICE_MEMORY_H_
