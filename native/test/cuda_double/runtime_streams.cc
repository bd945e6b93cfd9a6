// The CUDA runtime's functions for streams and events, and the driver's for events of a whole
// context, on the double's device.
#include <cuda_runtime_api.h>

#include "context_events.h"
#include "device.h"

using tfjs_ftp::cuda_double::Device;
using tfjs_ftp::cuda_double::Event;
using tfjs_ftp::cuda_double::OperationRef;
using tfjs_ftp::cuda_double::Stream;

namespace {

// Runs `body` with the stream, if there is one.
template <class Body>
cudaError_t OnStream(cudaStream_t handle, const Body& body) {
  return Device::Get().Call([&](Device* device) {
    Stream* const stream = device->Find(handle);
    return stream == nullptr ? cudaErrorInvalidResourceHandle : body(device, stream);
  });
}

template <class Body>
cudaError_t OnEvent(cudaEvent_t handle, const Body& body) {
  return Device::Get().Call([&](Device* device) {
    Event* const event = device->Find(handle);
    return event == nullptr ? cudaErrorInvalidResourceHandle : body(device, event);
  });
}

}  // namespace

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return Device::Get().Call([&](Device* device) {
    if (stream == nullptr || (flags != cudaStreamDefault && flags != cudaStreamNonBlocking)) {
      return device->Misuse(cudaErrorInvalidValue, "a stream of an unknown kind");
    }
    *stream = reinterpret_cast<cudaStream_t>(device->queues.AddStream(flags == cudaStreamDefault));
    return cudaSuccess;
  });
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

// What is on the stream still runs, some time.
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return OnStream(handle, [](Device* device, Stream* stream) {
    if (stream == device->queues.legacy()) {
      return device->Misuse(cudaErrorInvalidResourceHandle, "the default stream was destroyed");
    }
    stream->destroyed = true;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return OnStream(handle,
                  [](Device* device, Stream* stream) { return device->Finish(stream->tail); });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return OnStream(handle,
                  [](Device* device, Stream* stream) { return device->Look(stream->tail); });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event_handle, unsigned) {
  return OnStream(handle, [&](Device* device, Stream* stream) {
    return OnEvent(event_handle, [&](Device*, Event* event) {
      device->Enqueue(stream, nullptr, event->mark);
      return cudaSuccess;
    });
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* data) {
  return OnStream(handle, [&](Device* device, Stream* stream) {
    device->Enqueue(stream, [=] { function(data); });
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return Device::Get().Call([&](Device* device) {
    if (event == nullptr) return device->Misuse(cudaErrorInvalidValue, "an event to nowhere");
    *event = reinterpret_cast<cudaEvent_t>(device->queues.AddEvent());
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  return OnEvent(handle, [](Device*, Event* event) {
    event->destroyed = true;
    return cudaSuccess;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream_handle) {
  return OnEvent(handle, [&](Device* device, Event* event) {
    return OnStream(stream_handle, [&](Device*, Stream* stream) {
      event->mark = device->Enqueue(stream, nullptr);
      return cudaSuccess;
    });
  });
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  return OnEvent(handle, [](Device* device, Event* event) { return device->Look(event->mark); });
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  return OnEvent(handle, [](Device* device, Event* event) { return device->Finish(event->mark); });
}

// Time of the host between the marks.
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t first, cudaEvent_t last) {
  return OnEvent(first, [&](Device*, Event* from) {
    return OnEvent(last, [&](Device* device, Event* to) {
      if (from->mark == nullptr || to->mark == nullptr) {
        return device->Misuse(cudaErrorInvalidResourceHandle, "the time of no recorded event");
      }
      if (!from->mark->done || !to->mark->done) return cudaErrorNotReady;
      const std::chrono::duration<float, std::milli> time = to->mark->done_at - from->mark->done_at;
      *milliseconds = time.count();
      return cudaSuccess;
    });
  });
}

// The driver's functions (context_events.h). The only context is that of the device.
int tfjsFtpDoubleContextCurrent(void** context) {
  *context = &Device::Get();
  return cudaSuccess;
}

int tfjsFtpDoubleContextRecord(void* context, void* event_handle) {
  return OnEvent(static_cast<cudaEvent_t>(event_handle), [&](Device* device, Event* event) {
    if (context != device) return device->Misuse(cudaErrorInvalidValue, "no such context");
    event->mark = device->queues.Everything();
    return cudaSuccess;
  });
}

int tfjsFtpDoubleContextWait(void* context, void* event_handle) {
  return OnEvent(static_cast<cudaEvent_t>(event_handle), [&](Device* device, Event* event) {
    if (context != device) return device->Misuse(cudaErrorInvalidValue, "no such context");
    device->queues.HoldBack(event->mark);
    return cudaSuccess;
  });
}
