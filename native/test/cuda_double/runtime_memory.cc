// The CUDA runtime's functions for memory and copies, on the double's device.
#include <cuda_runtime_api.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "device.h"

namespace tfjs_ftp {
namespace cuda_double {
namespace {

struct Copy {
  void* to;
  const void* from;
  size_t bytes;
  bool from_device;
  bool to_device;
};

// False for a direction that does not exist or does not fit the addresses.
bool Resolve(const Device& device, cudaMemcpyKind kind, Copy* copy) {
  copy->from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  copy->to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  if (kind == cudaMemcpyDefault) {
    copy->from_device = device.memory.IsDevice(copy->from);
    copy->to_device = device.memory.IsDevice(copy->to);
    return true;
  }
  if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDeviceToDevice) return false;
  return (copy->from_device || !device.memory.IsDevice(copy->from)) &&
         (copy->to_device || !device.memory.IsDevice(copy->to));
}

bool InRange(const Device& device, const Copy& copy) {
  return (!copy.from_device || device.memory.InDevice(copy.from, copy.bytes)) &&
         (!copy.to_device || device.memory.InDevice(copy.to, copy.bytes));
}

// Page-locked memory is looked at when the copy runs: it may have been freed by then.
bool StillPinned(Device* device, const void* start, size_t bytes) {
  if (device->memory.InPinned(start, bytes)) return true;
  device->MisuseOnDevice("a copy with page-locked memory that was freed before the copy ran");
  return false;
}

// `waits`: cudaMemcpy. What the host may see and when it goes on is what the CUDA runtime's
// documentation says under "API synchronization behavior", taken at its word.
cudaError_t EnqueueCopy(Device* device, Copy copy, cudaMemcpyKind kind, cudaStream_t handle,
                        bool waits) {
  Stream* const stream = device->Find(handle);
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (copy.bytes == 0) return cudaSuccess;
  if (!Resolve(*device, kind, &copy)) {
    return device->Misuse(cudaErrorInvalidMemcpyDirection, "a copy in a direction that is none");
  }
  if (copy.to == nullptr || copy.from == nullptr || !InRange(*device, copy)) {
    return device->Misuse(cudaErrorInvalidValue, "a copy outside of an allocation");
  }
  const bool from_pinned = !copy.from_device && device->memory.InPinned(copy.from, copy.bytes);
  const bool to_pinned = !copy.to_device && device->memory.InPinned(copy.to, copy.bytes);
  // Pageable memory is read during the call, into memory of the runtime's own.
  std::shared_ptr<std::vector<char>> staged;
  if (!copy.from_device && !from_pinned && copy.to_device) {
    if (waits) {
      const cudaError_t error = device->Finish(stream->tail);
      if (error != cudaSuccess) return error;
    }
    const char* const start = static_cast<const char*>(copy.from);
    staged = std::make_shared<std::vector<char>>(start, start + copy.bytes);
  }
  const OperationRef operation = device->Enqueue(stream, [=] {
    if (copy.from_device && !device->MayTouch(copy.from, copy.bytes, "a copy from")) return;
    if (copy.to_device && !device->MayTouch(copy.to, copy.bytes, "a copy to")) return;
    if (from_pinned && !StillPinned(device, copy.from, copy.bytes)) return;
    if (to_pinned && !StillPinned(device, copy.to, copy.bytes)) return;
    std::memmove(copy.to, staged ? staged->data() : copy.from, copy.bytes);
  });
  const bool within_device = copy.from_device && copy.to_device;
  const bool to_pageable = !copy.to_device && !to_pinned;
  const bool through_pinned = from_pinned || to_pinned;
  if (to_pageable || (waits && !within_device && through_pinned)) return device->Finish(operation);
  return cudaSuccess;
}

cudaError_t EnqueueFill(Device* device, void* to, int value, size_t bytes, cudaStream_t handle) {
  Stream* const stream = device->Find(handle);
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (bytes == 0) return cudaSuccess;
  if (!device->memory.InDevice(to, bytes)) {
    return device->Misuse(cudaErrorInvalidValue, "a fill outside of an allocation");
  }
  device->Enqueue(stream, [=] {
    if (device->MayTouch(to, bytes, "a fill")) std::memset(to, value, bytes);
  });
  return cudaSuccess;
}

}  // namespace
}  // namespace cuda_double
}  // namespace tfjs_ftp

using tfjs_ftp::cuda_double::Copy;
using tfjs_ftp::cuda_double::Device;
using tfjs_ftp::cuda_double::EnqueueCopy;
using tfjs_ftp::cuda_double::EnqueueFill;

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  return Device::Get().Call([&](Device* device) {
    if (memory == nullptr) return device->Misuse(cudaErrorInvalidValue, "cudaMalloc to nowhere");
    *memory = nullptr;
    if (bytes == 0) return cudaSuccess;
    if (device->device_allocation_fails.Falls()) return cudaErrorMemoryAllocation;
    *memory = device->memory.AllocateDevice(bytes);
    return *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
  });
}

// Waits for all work on the device first, as the runtime does.
cudaError_t cudaFree(void* memory) {
  if (memory == nullptr) return cudaSuccess;
  return Device::Get().Call([&](Device* device) {
    const cudaError_t error = device->Finish(device->queues.Everything());
    if (error != cudaSuccess) return error;
    if (device->memory.FreeDevice(memory)) return cudaSuccess;
    return device->Misuse(cudaErrorInvalidValue, "cudaFree of what is no allocation");
  });
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  return Device::Get().Call([&](Device* device) {
    if (memory == nullptr) return device->Misuse(cudaErrorInvalidValue, "cudaHostAlloc to nowhere");
    *memory = nullptr;
    if (bytes == 0) return cudaSuccess;
    if (device->host_allocation_fails.Falls()) return cudaErrorMemoryAllocation;
    *memory = device->memory.AllocatePinned(bytes);
    return *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
  });
}

cudaError_t cudaMallocHost(void** memory, size_t bytes) {
  return cudaHostAlloc(memory, bytes, cudaHostAllocDefault);
}

// Waits for nothing: copies that are still to run must not use the memory any more.
cudaError_t cudaFreeHost(void* memory) {
  if (memory == nullptr) return cudaSuccess;
  return Device::Get().Call([&](Device* device) {
    if (device->memory.FreePinned(memory)) return cudaSuccess;
    return device->Misuse(cudaErrorInvalidValue, "cudaFreeHost of what is no allocation");
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return Device::Get().Call([&](Device* device) {
    return EnqueueCopy(device, Copy{to, from, bytes, false, false}, kind, cudaStreamLegacy, true);
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return Device::Get().Call([&](Device* device) {
    return EnqueueCopy(device, Copy{to, from, bytes, false, false}, kind, stream, false);
  });
}

// Of device memory: the host does not wait.
cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  return cudaMemsetAsync(to, value, bytes, cudaStreamLegacy);
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  return Device::Get().Call(
      [&](Device* device) { return EnqueueFill(device, to, value, bytes, stream); });
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return Device::Get().Call([&](Device* device) {
    *free = device->memory.capacity() - device->memory.used();
    *total = device->memory.capacity();
    return cudaSuccess;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  return Device::Get().Call([&](Device* device) {
    *attributes = cudaPointerAttributes();
    void* const pointer = const_cast<void*>(address);
    attributes->device = 0;
    if (device->memory.IsDevice(address)) {
      attributes->type = cudaMemoryTypeDevice;
      attributes->devicePointer = pointer;
    } else if (device->memory.InPinned(address, 1)) {
      attributes->type = cudaMemoryTypeHost;
      attributes->devicePointer = pointer;
      attributes->hostPointer = pointer;
    } else {
      attributes->type = cudaMemoryTypeUnregistered;
      attributes->device = -1;
    }
    return cudaSuccess;
  });
}
