// Host memory for work tables, page-locked so that the copy to the device does not wait. A step's
// table is read by the device after CudaStep has returned; this keeps it untouched until then,
// without a wait: a slot is used again only when the event behind its copy has passed, and if none
// is free there will be one more. After a few steps nothing is allocated any more.
#ifndef TFJS_FTP_KERNELS_CUDA_PINNED_RING_H_
#define TFJS_FTP_KERNELS_CUDA_PINNED_RING_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace tfjs_ftp {

class PinnedRing {
 public:
  PinnedRing();
  // Waits for nothing: memory that the device may still read is left to the driver.
  ~PinnedRing();
  PinnedRing(const PinnedRing&) = delete;
  PinnedRing& operator=(const PinnedRing&) = delete;

  struct Slot;

  // A slot of at least `bytes`, for the current device. Null, and *error a cudaError_t, if CUDA
  // fails. Give it back with Release in any case.
  Slot* Acquire(int64_t bytes, int* error);
  static void* Memory(Slot* slot);
  // After the last use was enqueued on `stream`. Returns a cudaError_t; after one the slot is never
  // used again, since its copy may still be under way.
  int Release(Slot* slot, void* stream);

  // The ring of this process.
  static PinnedRing& Get();

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_PINNED_RING_H_
