// Asks the system for huge pages under a large array.
#ifndef TFJS_FTP_KERNELS_CPU_HUGE_PAGES_H_
#define TFJS_FTP_KERNELS_CPU_HUGE_PAGES_H_

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace tfjs_ftp {

// A step walks seven arrays at once, and with pages of 4 KiB every one needs its own entry in the
// processor's address cache every 1024 elements. Call it before the memory is first written: pages
// that exist are only merged later, if at all. A hint: without effect where there are no huge
// pages.
inline void AdviseHugePages(void* memory, size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t kHugePage = uintptr_t{2} << 20;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(memory) + kHugePage - 1) & ~(kHugePage - 1);
  const uintptr_t end = (reinterpret_cast<uintptr_t>(memory) + bytes) & ~(kHugePage - 1);
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)memory;
  (void)bytes;
#endif
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CPU_HUGE_PAGES_H_
