#include "dispatch.h"

#include <cstdlib>
#include <cstring>
#include <thread>

#include "cpu_quota.h"
#include "thread_pool.h"

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(_MSC_VER) && defined(_M_X64)
#include <intrin.h>
#endif
#if defined(FTP_X86) && defined(__GNUC__)
#include <cpuid.h>
#endif

namespace tfjs_ftp {
namespace {

constexpr int64_t kSerialElements = 131072;

// One instruction set.
struct Candidate {
  const PassTable* tables[kStateFormats];  // by format of the state
  bool usable;

  const char* name() const { return tables[0]->name; }
};

// All passes of this build, the widest first; the last runs everywhere.
struct Candidates {
  Candidate list[3];
  int count = 0;

  void Add(const PassTable& float32, const PassTable& bfloat16, bool usable) {
    list[count++] = {{&float32, &bfloat16}, usable};
  }
};

#if defined(FTP_X86)
// Of AVX-512 for state in bfloat16.
const PassTable& Avx512Bfloat16() {
#if defined(__GNUC__)
  // The flag avx512_bf16 of CPUID; __builtin_cpu_supports of older compilers does not know it.
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 5 & 1) != 0) {
    return PassesAvx512Bfloat16Instruction();
  }
#endif
  return PassesAvx512Bfloat16();
}
#endif

Candidates FindCandidates() {
  Candidates found;
#if defined(FTP_X86)
#if defined(__GNUC__)
  __builtin_cpu_init();
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
  const bool avx2 = __builtin_cpu_supports("avx2");
#else
  const bool avx512 = false;
  const bool avx2 = false;
#endif
  found.Add(PassesAvx512(), Avx512Bfloat16(), avx512);
  found.Add(PassesAvx2(), PassesAvx2Bfloat16(), avx2);
  found.Add(PassesSse2(), PassesSse2Bfloat16(), true);
#elif defined(FTP_ARM64)
  found.Add(PassesNeon(), PassesNeonBfloat16(), true);
#else
  found.Add(PassesScalar(), PassesScalarBfloat16(), true);
#endif
  return found;
}

Candidate Pick() {
  const Candidates candidates = FindCandidates();
  // From the named one downwards. Unknown names are refused where the addon is loaded
  // (src/native/addon.ts) and mean no limit here.
  const char* wish = std::getenv("TFJS_FTP_SIMD");
  int first = 0;
  if (wish != nullptr) {
    for (int i = 0; i < candidates.count; ++i) {
      if (std::strcmp(candidates.list[i].name(), wish) == 0) first = i;
    }
  }
  for (int i = first; i < candidates.count; ++i) {
    if (candidates.list[i].usable) return candidates.list[i];
  }
  return candidates.list[candidates.count - 1];
}

// Cores that this process may run on.
int CountCores() {
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0 && CPU_COUNT(&allowed) > 0) {
    return CPU_COUNT(&allowed);
  }
#endif
  const unsigned cores = std::thread::hardware_concurrency();
  return cores > 0 ? static_cast<int>(cores) : 1;
}

int CountThreads() {
  const char* wish = std::getenv("TFJS_FTP_THREADS");
  int threads = wish != nullptr ? std::atoi(wish) : 0;
  if (threads <= 0) {
    threads = CountCores();
#if defined(__linux__)
    // A container that may use two processors of 64 sees them all; 64 threads would be stopped for
    // most of every period.
    const int quota = CpuQuota();
    if (quota > 0 && quota < threads) threads = quota;
#endif
  }
  return threads < kMaxThreads ? threads : kMaxThreads;
}

}  // namespace

const PassTable& CpuPasses(StateFormat format) {
  static const Candidate picked = Pick();
  return *picked.tables[static_cast<int>(format)];
}

const char* CpuSimdName() { return CpuPasses().name; }

std::vector<const char*> CpuSimdNames() {
  std::vector<const char*> names;
  const Candidates candidates = FindCandidates();
  for (int i = 0; i < candidates.count; ++i) {
    if (candidates.list[i].usable) names.push_back(candidates.list[i].name());
  }
  return names;
}

int StepThreads(const StepOptions& options, int64_t elements) {
  if (elements <= kSerialElements) return 1;
  return options.threads > 0 ? options.threads : CpuDefaultThreads();
}

int CpuMaxThreads() { return kMaxThreads; }

int CpuDefaultThreads() {
  static const int threads = CountThreads();
  return threads;
}

}  // namespace tfjs_ftp
