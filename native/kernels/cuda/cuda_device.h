// What CUDA finds on this machine.
#ifndef TFJS_FTP_KERNELS_CUDA_CUDA_DEVICE_H_
#define TFJS_FTP_KERNELS_CUDA_CUDA_DEVICE_H_

#include <string>
#include <vector>

namespace tfjs_ftp {

struct CudaDevice {
  std::string name;
  int major = 0;  // compute capability
  int minor = 0;
  double memory_bytes = 0;
};

struct CudaInfo {
  bool available = false;  // there is a device that the kernels run on
  int driver = 0;          // CUDA version of the driver, 1000 major + 10 minor; 0: no driver
  int runtime = 0;         // CUDA version the kernels were built with
  std::vector<CudaDevice> devices;
  std::string reason;  // why not available, one sentence
};

// Asks driver and runtime, which initialises CUDA; later calls return the first answer. The runtime
// is linked statically and finds the driver itself: without one this reports its error and nothing
// else.
const CudaInfo& QueryCuda();

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_CUDA_DEVICE_H_
