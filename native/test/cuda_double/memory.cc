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
namespace {

// Addresses, not memory: more than any capacity that a test sets.
constexpr size_t kArenaBytes = size_t{1} << 36;

size_t WholePages(size_t bytes) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

void* Map(size_t bytes, int protection) {
  void* const memory =
      mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

void SetProtection(void* memory, size_t bytes, int protection) {
  if (mprotect(memory, bytes, protection) != 0) std::abort();
}

}  // namespace

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

uintptr_t Memory::FirstGap(size_t mapped) const {
  uintptr_t at = arena_;
  for (const auto& [start, block] : device_) {
    if (start - at >= mapped) return at;
    at = start + block.mapped;
  }
  return arena_ + kArenaBytes - at >= mapped ? at : 0;
}

// Whole pages, so that what is freed can be given back.
void* Memory::AllocateDevice(size_t bytes) {
  if (bytes > capacity_ - used_) return nullptr;
  if (arena_ == 0) arena_ = reinterpret_cast<uintptr_t>(Map(kArenaBytes, PROT_NONE));
  if (arena_ == 0) return nullptr;
  const size_t mapped = WholePages(bytes);
  const uintptr_t at = FirstGap(mapped);
  if (at == 0) return nullptr;
  void* const memory = reinterpret_cast<void*>(at);
  SetProtection(memory, mapped, PROT_READ | PROT_WRITE);
  ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
  std::memset(memory, 0xff, bytes);
  ASAN_POISON_MEMORY_REGION(static_cast<char*>(memory) + bytes, mapped - bytes);
  SetProtection(memory, mapped, PROT_NONE);
  device_[at] = {bytes, mapped};
  used_ += bytes;
  return memory;
}

bool Memory::FreeDevice(void* memory) {
  const auto found = device_.find(reinterpret_cast<uintptr_t>(memory));
  if (found == device_.end()) return false;
  ASAN_POISON_MEMORY_REGION(memory, found->second.mapped);
  madvise(memory, found->second.mapped, MADV_DONTNEED);
  used_ -= found->second.bytes;
  device_.erase(found);
  return true;
}

void* Memory::AllocatePinned(size_t bytes) {
  void* const memory = Map(WholePages(bytes), PROT_READ | PROT_WRITE);
  if (memory == nullptr) return nullptr;
  std::memset(memory, 0xff, bytes);
  pinned_[reinterpret_cast<uintptr_t>(memory)] = {bytes, WholePages(bytes)};
  return memory;
}

bool Memory::FreePinned(void* memory) {
  const auto found = pinned_.find(reinterpret_cast<uintptr_t>(memory));
  if (found == pinned_.end()) return false;
  munmap(memory, found->second.mapped);
  pinned_.erase(found);
  return true;
}

bool Memory::InDevice(const void* start, size_t bytes) const {
  if (Holds(device_, start, bytes)) return true;
  return accepts_host_ && start != nullptr && !IsDevice(start) && Find(pinned_, start) == nullptr;
}

bool Memory::InPinned(const void* start, size_t bytes) const {
  return Holds(pinned_, start, bytes);
}

ptx::Allocation Memory::AllocationAt(uint64_t address) const {
  const void* const start = reinterpret_cast<const void*>(address);
  const Blocks::value_type* const found = Find(device_, start);
  if (found != nullptr) return {found->first, found->first + found->second.bytes};
  if (!InDevice(start, 1)) return {};
  const uint64_t page = WholePages(1);
  return {address / page * page, address / page * page + page};
}

bool Memory::IsDevice(const void* address) const { return Find(device_, address) != nullptr; }

void Memory::Protect(int protection) const {
  if (device_.empty()) return;
  const auto& [start, block] = *device_.rbegin();
  SetProtection(reinterpret_cast<void*>(arena_), start + block.mapped - arena_, protection);
}

void Memory::Unlock() { Protect(PROT_READ | PROT_WRITE); }
void Memory::Lock() { Protect(PROT_NONE); }

}  // namespace cuda_double
}  // namespace tfjs_ftp
