#include "stream_order.h"

#include <cuda_runtime_api.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#if !defined(_WIN32)
#include <dlfcn.h>
#endif

namespace tfjs_ftp {
namespace {

constexpr int kMaxDevices = 64;

// The two functions of the driver that take in a whole context: an event that stands for all work
// of all its streams so far, and a wait of all its future work for an event. In drivers from
// CUDA 12.5 on; found in the library that the CUDA runtime has loaded, since older drivers do not
// have them.
struct ContextEvents {
  int (*current)(void** context) = nullptr;
  int (*record)(void* context, void* event) = nullptr;
  int (*wait)(void* context, void* event) = nullptr;
  bool found() const { return current != nullptr && record != nullptr && wait != nullptr; }
};

const ContextEvents& FindContextEvents() {
  static const ContextEvents events = [] {
    ContextEvents found;
#if !defined(_WIN32)
    if (void* driver = dlopen("libcuda.so.1", RTLD_NOLOAD | RTLD_LAZY | RTLD_LOCAL)) {
      found.current = reinterpret_cast<int (*)(void**)>(dlsym(driver, "cuCtxGetCurrent"));
      found.record = reinterpret_cast<int (*)(void*, void*)>(dlsym(driver, "cuCtxRecordEvent"));
      found.wait = reinterpret_cast<int (*)(void*, void*)>(dlsym(driver, "cuCtxWaitEvent"));
    }
#endif
    return found;
  }();
  return events;
}

// A stream and two events of ours on the current device, made once and kept.
struct OwnStream {
  cudaStream_t stream = nullptr;
  cudaEvent_t before = nullptr;
  cudaEvent_t after = nullptr;
};

int GetOwnStream(OwnStream* own) {
  static std::mutex mutex;
  static std::array<OwnStream, kMaxDevices> streams;
  int device = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error != cudaSuccess) return error;
  if (device >= kMaxDevices) return cudaErrorInvalidDevice;
  std::lock_guard<std::mutex> lock(mutex);
  OwnStream& entry = streams[static_cast<size_t>(device)];
  if (entry.stream == nullptr) {
    error = cudaEventCreateWithFlags(&entry.before, cudaEventDisableTiming);
    if (error == cudaSuccess) {
      error = cudaEventCreateWithFlags(&entry.after, cudaEventDisableTiming);
    }
    if (error == cudaSuccess) {
      error = cudaStreamCreateWithFlags(&entry.stream, cudaStreamNonBlocking);
    }
    if (error != cudaSuccess) return error;
  }
  *own = entry;
  return cudaSuccess;
}

int LaunchBetweenWaits(const std::function<int(void*)>& launch) {
  // cudaDeviceSynchronize waits for every stream of the current device's context, TensorFlow's
  // included: both use the device's primary context.
  cudaError_t error = cudaDeviceSynchronize();
  if (error != cudaSuccess) return error;
  OwnStream own;
  int result = GetOwnStream(&own);
  if (result != cudaSuccess) return result;
  result = launch(own.stream);
  // Even where a launch failed: what was enqueued before it must not outlive this call.
  error = cudaStreamSynchronize(own.stream);
  return result != cudaSuccess ? result : error;
}

int LaunchBetweenEvents(const ContextEvents& driver, const std::function<int(void*)>& launch) {
  OwnStream own;
  int result = GetOwnStream(&own);
  void* context = nullptr;
  if (result == cudaSuccess) result = driver.current(&context);
  if (result == cudaSuccess) result = driver.record(context, own.before);
  if (result == cudaSuccess) result = cudaStreamWaitEvent(own.stream, own.before, 0);
  if (result != cudaSuccess) return result;
  result = launch(own.stream);
  int after = cudaEventRecord(own.after, own.stream);
  if (after == cudaSuccess) after = driver.wait(context, own.after);
  // If TensorFlow could not be made to wait for us, we do.
  if (after != cudaSuccess) after = cudaStreamSynchronize(own.stream);
  return result != cudaSuccess ? result : after;
}

}  // namespace

std::string ChooseStreamOrder(const std::string& tensorflow_version, StreamOrder* order) {
  if (const char* wish = std::getenv("TFJS_FTP_STREAM_ORDER")) {
    for (const StreamOrder one :
         {StreamOrder::kLegacyStream, StreamOrder::kSynchronize, StreamOrder::kEvents}) {
      if (std::strcmp(wish, StreamOrderName(one)) != 0) continue;
      *order = one;
      return "";
    }
    return "TFJS_FTP_STREAM_ORDER must be legacy, synchronize or events, got '" +
           std::string(wish) + "'";
  }
  int major = 0;
  int minor = 0;
  const bool known =
      std::sscanf(tensorflow_version.c_str(), "%d.%d", &major, &minor) == 2 && major == 2;
  *order = known && minor < 13 ? StreamOrder::kLegacyStream : StreamOrder::kSynchronize;
  return "";
}

const char* StreamOrderName(StreamOrder order) {
  switch (order) {
    case StreamOrder::kLegacyStream:
      return "legacy";
    case StreamOrder::kSynchronize:
      return "synchronize";
    case StreamOrder::kEvents:
      break;
  }
  return "events";
}

// TensorFlow's C API does not tell which stream the built-in GPU device computes on (TF_GetStream
// fails for all but pluggable devices), so we cannot simply enqueue there. What we need on both
// sides of our work:
//   before  gradients and weights come from kernels that TensorFlow has enqueued, perhaps not run;
//   after   TensorFlow reads our outputs, and frees inputs and scratch memory as soon as the op has
//           returned, handing them to later kernels *of its stream*. A kernel of ours that runs on
//           unordered would read memory that is in use again.
//
// A  TensorFlow up to 2.12 creates its streams with flag 0, "blocking": the legacy default stream
// waits for
//    all their work so far, and their later work waits for it. So everything goes to
//    cudaStreamLegacy, explicitly: a build with per-thread default streams must not change it. The
//    host waits for nothing.
// B  TensorFlow from 2.13 on creates non-blocking streams, which the legacy stream does not order.
// The host
//    waits until the device is idle, launches on a stream of ours and waits for that. Right with
//    any TensorFlow; costs the pipeline once a step.
// C  As B, but with events in the place of the host's waits: one that stands for all work of the
// whole
//    context so far, which our stream waits for, and one behind our work that all future work of
//    the context waits for. Needs a driver that has these functions, else B. Not seen on a GPU, so
//    it is never chosen by itself yet (docs/gpu-verification.md).
//
// None of them sets the device: TensorFlow makes its context current around an op, and the CUDA
// runtime works in the current context.
int OrderWithTensorFlow(StreamOrder order, const std::function<int(void* stream)>& launch) {
  switch (order) {
    case StreamOrder::kLegacyStream:
      return launch(cudaStreamLegacy);
    case StreamOrder::kEvents: {
      const ContextEvents& driver = FindContextEvents();
      if (driver.found()) return LaunchBetweenEvents(driver, launch);
      break;
    }
    case StreamOrder::kSynchronize:
      break;
  }
  return LaunchBetweenWaits(launch);
}

}  // namespace tfjs_ftp
