#include "thread_pool.h"

#include "float_mode.h"

#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace tfjs_ftp {
namespace {

// Layout of ThreadPool::state_.
constexpr int kNumberShift = 32;               // bits 32..63: number of the job
constexpr uint64_t kOpen = uint64_t{1} << 31;  // bit 31: workers may join
constexpr int kWantedShift = 16;               // bits 16..30: workers it takes
constexpr uint64_t kWantedMask = 0x7fff;
constexpr uint64_t kJoinedMask = 0xffff;  // bits 0..15: workers that joined

// A thread that waits looks this often, a few microseconds, before it gives its core to others.
constexpr int kSpins = 200;
// A worker offers its core so often before it sleeps: tens of microseconds, longer than the pauses
// between the phases of a step, shorter than anything a training step does. Where the machine is
// busy the worker may share a core with the thread that runs the step, and would hold it up if it
// only looked on.
constexpr int kYields = 64;

inline void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#elif defined(_MSC_VER)
  _mm_pause();
#endif
}

}  // namespace

ThreadPool& ThreadPool::Get() {
  static ThreadPool* pool = new ThreadPool();
  return *pool;
}

void ThreadPool::Grow(int workers) {
  while (static_cast<int>(workers_.size()) < workers) {
    workers_.emplace_back([this] { Work(); });
  }
}

// A job ends when its indexes are done and the workers that joined have left. Workers that are
// still asleep by then are not waited for: on a busy machine they may take longer to wake than the
// job.
void ThreadPool::Run(int threads, int64_t count, Function function, const void* context) {
  int workers = threads - 1;
  if (workers > count - 1) workers = static_cast<int>(count - 1);
  if (workers > kMaxThreads - 1) workers = kMaxThreads - 1;
  try {
    Grow(workers);
  } catch (...) {
    // The system gives no more threads: go on with those there are.
    workers = static_cast<int>(workers_.size());
  }
  job_.function = function;
  job_.context = context;
  job_.count = count;
  next_.store(0, std::memory_order_relaxed);
  finished_.store(0, std::memory_order_relaxed);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const uint64_t number = (state_.load(std::memory_order_relaxed) >> kNumberShift) + 1;
    state_.store(
        (number << kNumberShift) | kOpen | (static_cast<uint64_t>(workers) << kWantedShift),
        std::memory_order_release);
  }
  wake_.notify_all();
  Drain();
  const uint64_t joined = state_.fetch_and(~kOpen, std::memory_order_acq_rel) & kJoinedMask;
  for (int spins = 0; finished_.load(std::memory_order_acquire) != joined; ++spins) {
    Pause();
    // On a machine with more threads than cores the last worker may need this one.
    if (spins > kSpins) std::this_thread::yield();
  }
}

void ThreadPool::Drain() {
  for (;;) {
    const int64_t i = next_.fetch_add(1, std::memory_order_relaxed);
    if (i >= job_.count) return;
    job_.function(job_.context, i);
  }
}

// Whether this worker is part of job `number` now.
bool ThreadPool::Join(uint64_t number) {
  uint64_t state = state_.load(std::memory_order_acquire);
  while ((state >> kNumberShift) == number && (state & kOpen) != 0 &&
         (state & kJoinedMask) < ((state >> kWantedShift) & kWantedMask)) {
    if (state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) return true;
  }
  return false;
}

void ThreadPool::Work() {
  const KernelFloatMode mode;
  uint64_t seen = 0;
  for (;;) {
    auto number = [this] { return state_.load(std::memory_order_acquire) >> kNumberShift; };
    uint64_t present = number();
    for (int looks = 0; present == seen && looks < kSpins + kYields; ++looks) {
      if (looks < kSpins) {
        Pause();
      } else {
        std::this_thread::yield();
      }
      present = number();
    }
    if (present == seen) {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] {
        present = number();
        return present != seen;
      });
    }
    seen = present;
    if (!Join(present)) continue;
    Drain();
    finished_.fetch_add(1, std::memory_order_release);
  }
}

}  // namespace tfjs_ftp
