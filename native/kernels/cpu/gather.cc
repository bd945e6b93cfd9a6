// Sums of the gradients on the CPU: chunks of all variables, shared out among threads.
#include "../gather.h"

#include <algorithm>
#include <mutex>
#include <new>
#include <vector>

#include "../partition.h"
#include "dispatch.h"
#include "float_mode.h"
#include "passes.h"
#include "thread_pool.h"

namespace tfjs_ftp {
namespace {

struct Chunk {
  int64_t variable;
  int64_t begin;
  int64_t end;
  double sum;
  bool finite;
};

StepResult Gather(const StepOptions& options, const VariableStep* variables, int64_t count,
                  double* numbers) {
  std::vector<Chunk> chunks;
  int64_t elements = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t size = variables[i].size();
    elements += size;
    for (int64_t begin = 0; begin < size; begin += kPlainChunkElements) {
      chunks.push_back({i, begin, AtMost(begin + kPlainChunkElements, size), 0.0, true});
    }
  }
  const PassTable& passes = CpuPasses();
  ThreadPool& pool = ThreadPool::Get();
  const int threads = StepThreads(options, elements);
  std::unique_lock<std::mutex> lock(pool.Lock(), std::defer_lock);
  if (threads > 1) lock.lock();
  pool.For(threads, static_cast<int64_t>(chunks.size()), [&](int64_t i) {
    Chunk& chunk = chunks[static_cast<size_t>(i)];
    const float* const gradient = variables[chunk.variable].gradient;
    chunk.finite = passes.squares(gradient + chunk.begin, chunk.end - chunk.begin, &chunk.sum);
  });
  for (const Chunk& chunk : chunks) {
    if (options.check_finite && !chunk.finite) {
      return {StepStatus::kNonFiniteGradient, chunk.variable};
    }
  }
  std::fill(numbers, numbers + count * kGatherNumbers, 0.0);
  for (const Chunk& chunk : chunks) numbers[chunk.variable * kGatherNumbers] += chunk.sum;
  return {};
}

}  // namespace

StepResult CpuGather(const StepOptions& options, const VariableStep* variables, int64_t count,
                     int32_t want, double* numbers) {
  if (!CanGather(want)) return {StepStatus::kUnsupported, -1};
  const KernelFloatMode mode;
  try {
    return Gather(options, variables, count, numbers);
  } catch (const std::bad_alloc&) {
    return {StepStatus::kOutOfMemory, -1};
  }
}

}  // namespace tfjs_ftp
