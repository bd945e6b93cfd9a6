// JavaScript's Float32Arrays.
#ifndef TFJS_FTP_ADDON_FLOAT_ARRAY_H_
#define TFJS_FTP_ADDON_FLOAT_ARRAY_H_

#include <napi.h>

#include <cstdint>

namespace tfjs_ftp {

// The floats of an array and how many there are; null data if the value is no Float32Array.
struct FloatArray {
  float* data = nullptr;
  int64_t length = 0;
};

inline FloatArray FloatArrayOf(const Napi::Value& value) {
  if (!value.IsTypedArray()) return {};
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr) !=
          napi_ok ||
      type != napi_float32_array) {
    return {};
  }
  static float empty;
  return {data == nullptr ? &empty : static_cast<float*>(data), static_cast<int64_t>(length)};
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_ADDON_FLOAT_ARRAY_H_
