// Threads that stay between steps: a step of a large model has a few phases a variable, and
// starting threads anew for each would cost more than the work.
#ifndef TFJS_FTP_KERNELS_CPU_THREAD_POOL_H_
#define TFJS_FTP_KERNELS_CPU_THREAD_POOL_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace tfjs_ftp {

// Threads of a step at most: more would not make memory faster on any machine. As MAX_THREADS in
// src/validate.ts.
constexpr int kMaxThreads = 256;

class ThreadPool {
 public:
  // The process's pool; never destroyed, its threads end with the process.
  static ThreadPool& Get();

  // Calls body(i) for i in [0, count), on this thread and up to threads - 1 others; returns when
  // all are done. Indexes are claimed in ascending order. Used by one step at a time (see Lock).
  template <class Body>
  void For(int threads, int64_t count, const Body& body) {
    if (threads <= 1 || count <= 1) {
      for (int64_t i = 0; i < count; ++i) body(i);
      return;
    }
    Run(
        threads, count,
        [](const void* context, int64_t i) { (*static_cast<const Body*>(context))(i); }, &body);
  }

  // Held by a step that uses For with more than one thread. A second step at the same time (another
  // JavaScript thread) waits: both would be bound by the same memory.
  std::mutex& Lock() { return step_lock_; }

 private:
  using Function = void (*)(const void* context, int64_t i);

  struct Job {
    Function function = nullptr;
    const void* context = nullptr;
    int64_t count = 0;
  };

  void Run(int threads, int64_t count, Function function, const void* context);
  void Grow(int workers);
  void Work();
  bool Join(uint64_t number);
  void Drain();

  std::mutex step_lock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
  Job job_;
  // The present job in one word, see thread_pool.cc: its number, whether it can be joined, how many
  // workers it takes and how many have joined.
  std::atomic<uint64_t> state_{0};
  std::atomic<int64_t> next_{0};
  std::atomic<uint64_t> finished_{0};
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CPU_THREAD_POOL_H_
