// Device memory and page-locked host memory, and who may touch it when.
#ifndef TFJS_FTP_TEST_CUDA_DOUBLE_MEMORY_H_
#define TFJS_FTP_TEST_CUDA_DOUBLE_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <map>

#include "../ptx/machine.h"

namespace tfjs_ftp {
namespace cuda_double {

class Memory {
 public:
  // Null where there is no room. Filled with NaN. Device memory can be touched between Unlock and
  // Lock alone, that is by what runs on the device.
  void* AllocateDevice(size_t bytes);
  void* AllocatePinned(size_t bytes);
  // False if this is not the start of such an allocation.
  bool FreeDevice(void* memory);
  bool FreePinned(void* memory);

  // Whether the whole range lies in one allocation of the kind.
  bool InDevice(const void* start, size_t bytes) const;
  bool InPinned(const void* start, size_t bytes) const;
  // What a kernel may touch around an address: the allocation there. Host memory that counts as
  // device memory is taken page by page, as its bounds are not known.
  ptx::Allocation AllocationAt(uint64_t address) const;
  // Whether an address lies in device memory, however long what is there.
  bool IsDevice(const void* address) const;

  void Unlock();
  void Lock();

  void SetCapacity(size_t bytes) { capacity_ = bytes; }
  size_t capacity() const { return capacity_; }
  size_t used() const { return used_; }
  int64_t device_allocations() const { return static_cast<int64_t>(device_.size()); }
  void AcceptHostMemory(bool accept) { accepts_host_ = accept; }

 private:
  struct Block {
    size_t bytes = 0;
    size_t mapped = 0;  // in whole pages
  };
  using Blocks = std::map<uintptr_t, Block>;

  static const Blocks::value_type* Find(const Blocks& blocks, const void* address);
  static bool Holds(const Blocks& blocks, const void* start, size_t bytes);
  uintptr_t FirstGap(size_t mapped) const;
  void Protect(int protection) const;

  // All device memory lies in one range of addresses, reserved at the first allocation, so that it
  // is locked and unlocked in one call.
  uintptr_t arena_ = 0;
  Blocks device_;
  Blocks pinned_;
  size_t capacity_ = size_t{8} << 30;
  size_t used_ = 0;
  bool accepts_host_ = false;
};

}  // namespace cuda_double
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_CUDA_DOUBLE_MEMORY_H_
