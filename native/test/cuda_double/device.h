// The one device of the double: its memory, its queues, the faults that tests ask for, and how a
// call of the runtime goes through all of them.
#ifndef TFJS_FTP_TEST_CUDA_DOUBLE_DEVICE_H_
#define TFJS_FTP_TEST_CUDA_DOUBLE_DEVICE_H_

#include <cuda_runtime_api.h>

#include <functional>
#include <mutex>
#include <string>

#include "memory.h"
#include "queues.h"

namespace tfjs_ftp {
namespace cuda_double {

// Counts calls down to the one that fails.
class Countdown {
 public:
  void Set(int64_t n) { left_ = n; }
  // Whether this call is the one.
  bool Falls() { return left_ > 0 && --left_ == 0; }

 private:
  int64_t left_ = 0;
};

class Device {
 public:
  static Device& Get();

  // Every function of the runtime that can fail runs its body in here: one call at a time, none
  // from within work on the device, all with the same error once the device is lost.
  cudaError_t Call(const std::function<cudaError_t(Device*)>& body);
  // For what tests ask.
  void Control(const std::function<void(Device*)>& body);

  // Null, and a misuse, if there is no such stream.
  Stream* Find(cudaStream_t handle);
  Event* Find(cudaEvent_t handle);

  // Enqueues; `run` is left out if the device is lost by then.
  OperationRef Enqueue(Stream* stream, std::function<void()> run,
                       const OperationRef& also = nullptr);
  // Waits. The error that the device has met, now or earlier.
  cudaError_t Finish(const OperationRef& operation);
  // Success or cudaErrorNotReady, without waiting.
  cudaError_t Look(const OperationRef& operation);

  // Records what no program may do and returns `error`.
  cudaError_t Misuse(cudaError_t error, const std::string& what);
  // The same in work on the device, which is lost with it.
  void MisuseOnDevice(const std::string& what);
  // Whether work on the device may touch this; a misuse otherwise.
  bool MayTouch(const void* start, size_t bytes, const char* what);

  // Last error of the calling thread: that of the device, where it is lost.
  cudaError_t TakeLastError(bool clear);

  void Reset();

  Memory memory;
  Queues queues;
  Countdown device_allocation_fails;
  Countdown host_allocation_fails;
  Countdown launch_fails;
  Countdown lost;
  int64_t misuses = 0;
  std::string last_misuse;

 private:
  std::recursive_mutex mutex_;
  bool executing_ = false;
  cudaError_t sticky_ = cudaSuccess;
};

}  // namespace cuda_double
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_CUDA_DOUBLE_DEVICE_H_
