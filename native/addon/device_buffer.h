// Buffers of device memory as JavaScript holds them.
#ifndef TFJS_FTP_ADDON_DEVICE_BUFFER_H_
#define TFJS_FTP_ADDON_DEVICE_BUFFER_H_

#include <napi.h>

#include "../kernels/cuda/device_memory.h"

namespace tfjs_ftp {

// The memory behind a buffer's handle, which holds none after a free; null for any other value.
DeviceMemory* DeviceMemoryFrom(const Napi::Value& value);

// Throws an Error for a cudaError_t, OUT_OF_MEMORY or NATIVE_FAILURE; nothing for success.
void ThrowCuda(Napi::Env env, int error);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_ADDON_DEVICE_BUFFER_H_
