#include "memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(start, bytes) ((void)(start), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(start, bytes) ((void)(start), (void)(bytes))
#endif

namespace tfjs_ftp {
namespace cuda_double {

const Memory::Blocks::value_type* Memory::Find(const Blocks& blocks, const void* address) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  auto found = blocks.upper_bound(at);
  if (found == blocks.begin()) return nullptr;
  --found;
  return at - found->first < found->second.bytes ? &*found : nullptr;
}

bool Memory::Holds(const Blocks& blocks, const void* start, size_t bytes) {
  const Blocks::value_type* const found = Find(blocks, start);
  if (found == nullptr) return false;
  return bytes <= found->first + found->second.bytes - reinterpret_cast<uintptr_t>(start);
}

// Whole pages, so that each allocation can be locked.
void* Memory::Allocate(Blocks* blocks, size_t bytes) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t mapped = (bytes + page - 1) / page * page;
  void* const memory =
      mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  std::memset(memory, 0xff, mapped);
  ASAN_POISON_MEMORY_REGION(static_cast<char*>(memory) + bytes, mapped - bytes);
  (*blocks)[reinterpret_cast<uintptr_t>(memory)] = {bytes, mapped};
  return memory;
}

bool Memory::Free(Blocks* blocks, void* memory) {
  const auto found = blocks->find(reinterpret_cast<uintptr_t>(memory));
  if (found == blocks->end()) return false;
  ASAN_UNPOISON_MEMORY_REGION(memory, found->second.mapped);
  munmap(memory, found->second.mapped);
  blocks->erase(found);
  return true;
}

void* Memory::AllocateDevice(size_t bytes) {
  if (bytes > capacity_ - used_) return nullptr;
  void* const memory = Allocate(&device_, bytes);
  if (memory == nullptr) return nullptr;
  used_ += bytes;
  mprotect(memory, device_[reinterpret_cast<uintptr_t>(memory)].mapped, PROT_NONE);
  return memory;
}

void* Memory::AllocatePinned(size_t bytes) { return Allocate(&pinned_, bytes); }

bool Memory::FreeDevice(void* memory) {
  const auto found = device_.find(reinterpret_cast<uintptr_t>(memory));
  if (found == device_.end()) return false;
  used_ -= found->second.bytes;
  return Free(&device_, memory);
}

bool Memory::FreePinned(void* memory) { return Free(&pinned_, memory); }

bool Memory::InDevice(const void* start, size_t bytes) const {
  if (Holds(device_, start, bytes)) return true;
  return accepts_host_ && start != nullptr && !IsDevice(start) && Find(pinned_, start) == nullptr;
}

bool Memory::InPinned(const void* start, size_t bytes) const {
  return Holds(pinned_, start, bytes);
}

bool Memory::IsDevice(const void* address) const { return Find(device_, address) != nullptr; }

void Memory::Protect(int protection) const {
  for (const auto& [start, block] : device_) {
    if (mprotect(reinterpret_cast<void*>(start), block.mapped, protection) != 0) std::abort();
  }
}

void Memory::Unlock() { Protect(PROT_READ | PROT_WRITE); }
void Memory::Lock() { Protect(PROT_NONE); }

}  // namespace cuda_double
}  // namespace tfjs_ftp
