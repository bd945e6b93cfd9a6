// Named ranges for profilers (NVTX): `nsys` shows what was enqueued within one, `ncu --nvtx` picks
// kernels by it.
//
// They stand around the launches themselves, in the launchers: only there is it known which kernel
// is which phase, and a program that uses the kernels (a bench, a training loop under
// TensorFlow) can be profiled by phases without knowing them. NVTX is a header alone; without a
// tool that attaches itself a range costs two calls through a pointer that say there is none, and
// nothing is loaded or linked. TFJS_FTP_NVTX=0, or a toolkit without the header, leaves them out.
#ifndef TFJS_FTP_KERNELS_CUDA_PROFILE_RANGE_H_
#define TFJS_FTP_KERNELS_CUDA_PROFILE_RANGE_H_

#ifndef TFJS_FTP_NVTX
#if __has_include(<nvtx3/nvToolsExt.h>)
#define TFJS_FTP_NVTX 1
#else
#define TFJS_FTP_NVTX 0
#endif
#endif

#if TFJS_FTP_NVTX
#include <nvtx3/nvToolsExt.h>
#endif

namespace tfjs_ftp {

#if TFJS_FTP_NVTX

// From here to the end of the block, in the NVTX domain "tfjs_ftp".
class ProfileRange {
 public:
  explicit ProfileRange(const char* name) {
    nvtxEventAttributes_t attributes = {};
    attributes.version = NVTX_VERSION;
    attributes.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
    attributes.messageType = NVTX_MESSAGE_TYPE_ASCII;
    attributes.message.ascii = name;
    nvtxDomainRangePushEx(Domain(), &attributes);
  }
  ~ProfileRange() { nvtxDomainRangePop(Domain()); }
  ProfileRange(const ProfileRange&) = delete;
  ProfileRange& operator=(const ProfileRange&) = delete;

 private:
  static nvtxDomainHandle_t Domain() {
    static const nvtxDomainHandle_t domain = nvtxDomainCreateA("tfjs_ftp");
    return domain;
  }
};

#else

class ProfileRange {
 public:
  explicit ProfileRange(const char*) {}
  ~ProfileRange() {}  // so that a range is no unused variable
};

#endif

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_PROFILE_RANGE_H_
