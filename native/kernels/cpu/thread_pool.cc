#include "thread_pool.h"

#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace tfjs_ftp {
namespace {

// Looks at the ticket this often before a worker goes to sleep: tens of microseconds, longer than
// the pauses between the phases of a step, shorter than anything a training step does.
constexpr int kSpins = 4000;

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
    const int index = static_cast<int>(workers_.size());
    workers_.emplace_back([this, index] { Work(index); });
  }
}

void ThreadPool::Run(int threads, int64_t count, Function function, const void* context) {
  int workers = threads - 1;
  if (workers > count - 1) workers = static_cast<int>(count - 1);
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
  running_.store(workers, std::memory_order_relaxed);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const uint64_t number = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
    ticket_.store((number << 32) | static_cast<uint32_t>(workers), std::memory_order_release);
  }
  wake_.notify_all();
  Drain();
  int spins = 0;
  while (running_.load(std::memory_order_acquire) != 0) {
    Pause();
    // On a machine with more threads than cores the last worker may need this one.
    if (++spins > kSpins) std::this_thread::yield();
  }
}

void ThreadPool::Drain() {
  for (;;) {
    const int64_t i = next_.fetch_add(1, std::memory_order_relaxed);
    if (i >= job_.count) return;
    job_.function(job_.context, i);
  }
}

void ThreadPool::Work(int index) {
  uint64_t seen = 0;
  for (;;) {
    uint64_t ticket = ticket_.load(std::memory_order_acquire);
    for (int spin = 0; ticket == seen && spin < kSpins; ++spin) {
      Pause();
      ticket = ticket_.load(std::memory_order_acquire);
    }
    if (ticket == seen) {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] {
        ticket = ticket_.load(std::memory_order_acquire);
        return ticket != seen;
      });
    }
    seen = ticket;
    if (index >= static_cast<int>(static_cast<uint32_t>(ticket))) continue;
    Drain();
    running_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace tfjs_ftp
