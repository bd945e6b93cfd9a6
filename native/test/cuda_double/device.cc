#include "device.h"

#include <utility>

#include "cuda_double.h"

namespace tfjs_ftp {
namespace cuda_double {
namespace {

thread_local cudaError_t t_last_error = cudaSuccess;

}  // namespace

const char* const kDeviceName = "host emulation (tests only)";

// Never destroyed: what other statics hold may be freed after it.
Device& Device::Get() {
  static Device* const device = new Device();
  return *device;
}

cudaError_t Device::Call(const std::function<cudaError_t(Device*)>& body) {
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  cudaError_t error = sticky_;
  if (executing_) {
    error = Misuse(cudaErrorNotPermitted, "a call of the runtime from within a host function");
  } else if (error == cudaSuccess) {
    error = body(this);
  }
  if (error != cudaSuccess) t_last_error = error;
  return error;
}

void Device::Control(const std::function<void(Device*)>& body) {
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  body(this);
}

Stream* Device::Find(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy) return queues.legacy();
  Stream* const stream = reinterpret_cast<Stream*>(handle);
  if (queues.Knows(stream)) return stream;
  Misuse(cudaErrorInvalidResourceHandle, handle == cudaStreamPerThread
                                             ? "the double has no default stream per thread"
                                             : "no such stream");
  return nullptr;
}

Event* Device::Find(cudaEvent_t handle) {
  Event* const event = reinterpret_cast<Event*>(handle);
  if (queues.Knows(event)) return event;
  Misuse(cudaErrorInvalidResourceHandle, "no such event");
  return nullptr;
}

OperationRef Device::Enqueue(Stream* stream, std::function<void()> run, const OperationRef& also) {
  if (!run) return queues.Enqueue(stream, nullptr, also);
  return queues.Enqueue(
      stream,
      [this, run = std::move(run)] {
        if (sticky_ != cudaSuccess) return;
        if (lost.Falls()) {
          sticky_ = cudaErrorLaunchFailure;
          return;
        }
        run();
      },
      also);
}

cudaError_t Device::Look(const OperationRef& operation) {
  if (operation == nullptr || operation->done) return sticky_;
  // After so many looks it runs: a device does get on.
  constexpr int kPatience = 1000;
  return ++operation->asked > kPatience ? Finish(operation) : cudaErrorNotReady;
}

cudaError_t Device::Finish(const OperationRef& operation) {
  if (operation == nullptr || operation->done) return sticky_;
  executing_ = true;
  memory.Unlock();
  queues.Finish(operation);
  memory.Lock();
  executing_ = false;
  return sticky_;
}

cudaError_t Device::Misuse(cudaError_t error, const std::string& what) {
  ++misuses;
  last_misuse = what;
  return error;
}

void Device::MisuseOnDevice(const std::string& what) {
  sticky_ = Misuse(cudaErrorIllegalAddress, what);
}

bool Device::MayTouch(const void* start, size_t bytes, const char* what) {
  if (bytes == 0 || memory.InDevice(start, bytes)) return true;
  MisuseOnDevice(std::string(what) + " outside of live device memory");
  return false;
}

cudaError_t Device::TakeLastError(bool clear) {
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  if (sticky_ != cudaSuccess) return sticky_;
  const cudaError_t last = t_last_error;
  if (clear) t_last_error = cudaSuccess;
  return last;
}

void Device::Reset() {
  queues.Drop();
  queues.SetSchedule(0);
  for (Countdown* fault :
       {&device_allocation_fails, &host_allocation_fails, &launch_fails, &lost}) {
    fault->Set(0);
  }
  misuses = 0;
  last_misuse.clear();
  sticky_ = cudaSuccess;
  t_last_error = cudaSuccess;
}

void FailDeviceAllocation(int64_t n) {
  Device::Get().Control([&](Device* d) { d->device_allocation_fails.Set(n); });
}
void FailHostAllocation(int64_t n) {
  Device::Get().Control([&](Device* d) { d->host_allocation_fails.Set(n); });
}
void FailLaunch(int64_t n) {
  Device::Get().Control([&](Device* d) { d->launch_fails.Set(n); });
}
void LoseDevice(int64_t operations) {
  Device::Get().Control([&](Device* d) { d->lost.Set(operations + 1); });
}
void SetSchedule(uint64_t seed) {
  Device::Get().Control([&](Device* d) { d->queues.SetSchedule(seed); });
}
void SetMemory(size_t bytes) {
  Device::Get().Control([&](Device* d) { d->memory.SetCapacity(bytes); });
}
void AcceptHostMemory(bool accept) {
  Device::Get().Control([&](Device* d) { d->memory.AcceptHostMemory(accept); });
}
int64_t Misuses() {
  int64_t count = 0;
  Device::Get().Control([&](Device* d) { count = d->misuses; });
  return count;
}
std::string LastMisuse() {
  std::string what;
  Device::Get().Control([&](Device* d) { what = d->last_misuse; });
  return what;
}
int64_t DeviceAllocations() {
  int64_t count = 0;
  Device::Get().Control([&](Device* d) { count = d->memory.device_allocations(); });
  return count;
}
int64_t QueuedOperations() {
  int64_t count = 0;
  Device::Get().Control([&](Device* d) { count = d->queues.Queued(); });
  return count;
}
void Reset() {
  Device::Get().Control([](Device* d) { d->Reset(); });
}

}  // namespace cuda_double
}  // namespace tfjs_ftp
