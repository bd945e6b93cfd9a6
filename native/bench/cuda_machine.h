// The GPU, driver, toolkit, commit and date that stand beside what cuda_bench measures.
#ifndef TFJS_FTP_BENCH_CUDA_MACHINE_H_
#define TFJS_FTP_BENCH_CUDA_MACHINE_H_

#include <cuda_runtime_api.h>

#include <cstdint>
#include <ctime>
#include <fstream>
#include <string>

#include "../kernels/cuda/cuda_device.h"
#include "bench_commit.h"  // written by cmake/commit.cmake: TFJS_FTP_COMMIT, TFJS_FTP_MODIFIED
#include "json_writer.h"

namespace tfjs_ftp {

// CUDA versions are 1000 major + 10 minor.
inline std::string CudaVersionText(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// Of the kernel module, "580.65.06" say; empty where the system does not tell (Linux does).
inline std::string DriverVersion() {
  std::ifstream file("/proc/driver/nvidia/version");
  for (std::string word; file >> word;) {
    const size_t dot = word.find('.');
    if (dot != 0 && dot != std::string::npos &&
        word.find_first_not_of("0123456789.") == std::string::npos) {
      return word;
    }
  }
  return "";
}

inline std::string UtcNow() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  return text;
}

// An attribute times `scale`; null where this runtime or device does not have it.
inline void WriteAttribute(JsonWriter* json, const char* name, cudaDeviceAttr attribute, int device,
                           double scale) {
  int value = 0;
  json->Key(name);
  if (cudaDeviceGetAttribute(&value, attribute, device) == cudaSuccess && value > 0) {
    json->Value(value * scale);
  } else {
    (void)cudaGetLastError();
    json->Null();
  }
}

// Members `date` to `device` of the report; `commit` overrides that of the build.
inline void WriteMachine(JsonWriter* json, const std::string& commit) {
  const CudaInfo& info = QueryCuda();
  int device = 0;
  (void)cudaGetDevice(&device);
  const CudaDevice& properties = info.devices.at(static_cast<size_t>(device));
  json->Member("date", UtcNow());
  json->MemberOrNull("commit", commit.empty() ? TFJS_FTP_COMMIT : commit);
  json->Key("modified");
  if (commit.empty() && sizeof TFJS_FTP_COMMIT > 1) {
    json->Value(TFJS_FTP_MODIFIED != 0);
  } else {
    json->Null();
  }
  json->MemberOrNull("driver", DriverVersion());
  json->Member("driverCuda", CudaVersionText(info.driver));
  json->Member("toolkit", CudaVersionText(info.runtime));
  json->Key("device").BeginObject();
  json->Member("name", properties.name);
#ifdef TFJS_FTP_CUDA_DOUBLE
  json->Member("emulated", true);
#else
  json->Member("emulated", false);
#endif
  json->Member("computeCapability",
               std::to_string(properties.major) + "." + std::to_string(properties.minor));
  json->Member("memoryBytes", properties.memory_bytes);
  WriteAttribute(json, "multiprocessors", cudaDevAttrMultiProcessorCount, device, 1);
  WriteAttribute(json, "clockHz", cudaDevAttrClockRate, device, 1e3);
  WriteAttribute(json, "memoryClockHz", cudaDevAttrMemoryClockRate, device, 1e3);
  WriteAttribute(json, "memoryBusBits", cudaDevAttrGlobalMemoryBusWidth, device, 1);
  WriteAttribute(json, "l2Bytes", cudaDevAttrL2CacheSize, device, 1);
  json->EndObject();
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_BENCH_CUDA_MACHINE_H_
