#include "cuda_device.h"

#include <cuda_runtime_api.h>

#include "launch_step.h"
#include "launchers.h"

namespace tfjs_ftp {
namespace {

CudaInfo Ask() {
  CudaInfo info;
  if (cudaDriverGetVersion(&info.driver) != cudaSuccess) info.driver = 0;
  if (cudaRuntimeGetVersion(&info.runtime) != cudaSuccess) info.runtime = 0;
  int count = 0;
  const cudaError_t counted = cudaGetDeviceCount(&count);
  (void)cudaGetLastError();
  if (counted != cudaSuccess) {
    // Without a driver CUDA complains of an old one.
    info.reason = info.driver == 0 ? "no NVIDIA driver" : CudaErrorMessage(counted);
    return info;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    CudaDevice device;
    device.name = properties.name;
    device.major = properties.major;
    device.minor = properties.minor;
    device.memory_bytes = static_cast<double>(properties.totalGlobalMem);
    info.devices.push_back(device);
  }
  if (info.devices.empty()) {
    info.reason = "no CUDA device";
    return info;
  }
  const int error = LoadKernels();
  (void)cudaGetLastError();
  if (error != cudaSuccess) {
    info.reason = CudaErrorMessage(error);
    return info;
  }
  info.available = true;
  return info;
}

}  // namespace

const CudaInfo& QueryCuda() {
  static const CudaInfo info = Ask();
  return info;
}

}  // namespace tfjs_ftp
