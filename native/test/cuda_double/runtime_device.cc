// The CUDA runtime's functions for devices and errors, on the double's device.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <string>

#include "cuda_double.h"
#include "device.h"

using tfjs_ftp::cuda_double::Device;

cudaError_t cudaGetDeviceCount(int* count) {
  return Device::Get().Call([&](Device*) {
    *count = 1;
    return cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int* device) {
  return Device::Get().Call([&](Device*) {
    *device = 0;
    return cudaSuccess;
  });
}

cudaError_t cudaSetDevice(int number) {
  return Device::Get().Call([&](Device* device) {
    if (number == 0) return cudaSuccess;
    return device->Misuse(cudaErrorInvalidDevice, "no device " + std::to_string(number));
  });
}

// Name, capability and memory; a capability that no GPU has.
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int number) {
  return Device::Get().Call([&](Device* device) {
    if (number != 0) {
      return device->Misuse(cudaErrorInvalidDevice, "no device " + std::to_string(number));
    }
    *properties = cudaDeviceProp();
    std::snprintf(properties->name, sizeof(properties->name), "%s",
                  tfjs_ftp::cuda_double::kDeviceName);
    properties->totalGlobalMem = device->memory.capacity();
    properties->multiProcessorCount = 1;
    return cudaSuccess;
  });
}

// Has no clock and no memory bus.
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int number) {
  return Device::Get().Call([&](Device* device) {
    if (number != 0) {
      return device->Misuse(cudaErrorInvalidDevice, "no device " + std::to_string(number));
    }
    *value = attribute == cudaDevAttrMultiProcessorCount ? 1 : 0;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return Device::Get().Call(
      [](Device* device) { return device->Finish(device->queues.Everything()); });
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() { return Device::Get().TakeLastError(true); }
cudaError_t cudaPeekAtLastError() { return Device::Get().TakeLastError(false); }

// Those that the double returns, in the words of the CUDA runtime.
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidMemcpyDirection:
      return "invalid copy direction for memcpy";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorInvalidResourceHandle:
      return "invalid resource handle";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorIllegalAddress:
      return "an illegal memory access was encountered";
    case cudaErrorLaunchOutOfResources:
      return "too many resources requested for launch";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
    case cudaErrorNotPermitted:
      return "operation not permitted";
    default:
      return "unrecognized error code";
  }
}
