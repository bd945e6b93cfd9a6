#include "dispatch.h"

#include <cstdlib>
#include <cstring>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(_MSC_VER) && defined(_M_X64)
#include <intrin.h>
#endif

namespace tfjs_ftp {
namespace {

constexpr int kMaxThreads = 256;

struct Candidate {
  const PassTable* table;
  bool usable;
};

const PassTable& Pick() {
  Candidate candidates[4];
  int count = 0;
#if defined(FTP_X86)
#if defined(__GNUC__)
  __builtin_cpu_init();
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
  const bool avx2 = __builtin_cpu_supports("avx2");
#else
  const bool avx512 = false;
  const bool avx2 = false;
#endif
  candidates[count++] = {&PassesAvx512(), avx512};
  candidates[count++] = {&PassesAvx2(), avx2};
  candidates[count++] = {&PassesSse2(), true};
#elif defined(FTP_ARM64)
  candidates[count++] = {&PassesNeon(), true};
#else
  candidates[count++] = {&PassesScalar(), true};
#endif
  // From the named one downwards; an unknown name means no limit.
  const char* wish = std::getenv("TFJS_FTP_SIMD");
  int first = 0;
  if (wish != nullptr) {
    for (int i = 0; i < count; ++i) {
      if (std::strcmp(candidates[i].table->name, wish) == 0) first = i;
    }
  }
  for (int i = first; i < count; ++i) {
    if (candidates[i].usable) return *candidates[i].table;
  }
  return *candidates[count - 1].table;
}

int CountThreads() {
  const char* wish = std::getenv("TFJS_FTP_THREADS");
  if (wish != nullptr) {
    const int threads = std::atoi(wish);
    if (threads > 0) return threads < kMaxThreads ? threads : kMaxThreads;
  }
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0 && CPU_COUNT(&allowed) > 0) {
    return CPU_COUNT(&allowed);
  }
#endif
  const unsigned cores = std::thread::hardware_concurrency();
  return cores > 0 ? static_cast<int>(cores) : 1;
}

}  // namespace

const PassTable& CpuPasses() {
  static const PassTable& table = Pick();
  return table;
}

const char* CpuSimdName() { return CpuPasses().name; }

int CpuDefaultThreads() {
  static const int threads = CountThreads();
  return threads;
}

}  // namespace tfjs_ftp
