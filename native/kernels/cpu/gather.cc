// Sums of the gradients on the CPU: chunks of all variables, shared out among threads; then the
// rows that turn and lie in several chunks, by variable.
#include "../gather.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "../partition.h"
#include "../state.h"
#include "dispatch.h"
#include "float_mode.h"
#include "passes.h"
#include "thread_pool.h"

namespace tfjs_ftp {
namespace {

// Rows whose turning sums are added up at a time.
constexpr int64_t kTurningRows = 128;

struct Work {
  PassArgs args;
  int64_t chunks = 0;
  int32_t turn_sums = 0;
};

struct Chunk {
  int64_t variable;
  int64_t chunk;
  bool finite;
  double numbers[kGatherNumbers];
};

Work MakeWork(const StepOptions& options, const VariableStep& variable,
              const PreparedLast& prepared) {
  Work work;
  work.turn_sums = prepared.turn_sums;
  PassArgs& args = work.args;
  args = PassArgs{};
  args.base = options.base;
  args.rule = prepared.rule;
  args.last = prepared.last;
  args.base_scalars = prepared.base_scalars;
  args.rule_scalars = prepared.rule_scalars;
  args.weights = variable.weights;
  args.gradient = variable.gradient;
  args.state = PointersOf(LayoutState(options, variable), variable.state);
  if (prepared.projects && !prepared.whole) {
    args.partition = MakeGatherPartition(variable.outer, variable.rows, variable.inner);
  } else {
    args.partition = MakePartition(1, 1, variable.size());
  }
  work.chunks =
      prepared.projects ? args.partition.chunks : CeilDiv(args.partition.size, kPlainChunkElements);
  if (const float* const constraint = args.state[Slot::kConstraint]) args.level = constraint[0];
  return work;
}

// Doubles that the chunks of rows that turn leave.
int64_t PartialsOf(const Work& work) { return work.args.partition.partials(work.turn_sums); }

// Adds what turning makes of the rows that lie in several chunks.
void TurnRows(const Work& work, double* numbers) {
  const PassArgs& a = work.args;
  const Partition& p = a.partition;
  const auto& rule = a.rule_scalars.As<LastOfBall::Last>();
  const float* const norms = a.state[Slot::kNorms];
  const bool columns = p.walk == Walk::kColumns;
  double sums[kTurningRows][kTurnSums];
  for (int64_t first = 0; first < p.rows; first += kTurningRows) {
    const int64_t rows = AtMost(kTurningRows, p.rows - first);
    std::fill(sums[0], sums[0] + kTurningRows * kTurnSums, 0.0);
    for (int s = 0; s < kTurnSums; ++s) {
      const int place = TurnPlace(a.last.hypers, s);
      if (place < 0) continue;
      for (int64_t stripe = 0; columns && stripe < p.stripes; ++stripe) {
        const double* slot =
            a.partials + (place * p.stripes + stripe) * p.columns + first * p.inner;
        for (int64_t row = 0; row < rows; ++row) {
          for (int64_t i = 0; i < p.inner; ++i) sums[row][s] += *slot++;
        }
      }
      for (int64_t i = 0; !columns && i < rows * p.pieces; ++i) {
        sums[i / p.pieces][s] += a.partials[(first * p.pieces + i) * work.turn_sums + place];
      }
    }
    for (int64_t row = 0; row < rows; ++row) {
      TurnRow(rule, a.last.hypers, a.level, norms[first + row], sums[row], numbers);
    }
  }
}

StepResult Gather(const StepOptions& options, const VariableStep* variables, int64_t count,
                  int32_t want, double* numbers) {
  std::vector<Work> works(static_cast<size_t>(count));
  std::vector<Chunk> chunks;
  std::vector<Work*> turning;
  int64_t elements = 0;
  int64_t doubles = 0;
  for (int64_t i = 0; i < count; ++i) {
    const VariableStep& variable = variables[i];
    if (variable.size() == 0) continue;
    if (!IsCompiled(options, variable.excluded)) return {StepStatus::kUnsupported, i};
    elements += variable.size();
    Work& work = works[static_cast<size_t>(i)];
    work = MakeWork(options, variable, PrepareLast(options, variable, HypersOf(want)));
    doubles += PartialsOf(work);
    if (PartialsOf(work) > 0) turning.push_back(&work);
    for (int64_t chunk = 0; chunk < work.chunks; ++chunk) chunks.push_back({i, chunk, true, {}});
  }
  const std::unique_ptr<double[]> scratch(new double[static_cast<size_t>(doubles)]);
  double* partials = scratch.get();
  for (Work* work : turning) {
    work->args.partials = partials;
    partials += PartialsOf(*work);
  }
  ThreadPool& pool = ThreadPool::Get();
  const int threads = StepThreads(options, elements);
  std::unique_lock<std::mutex> lock(pool.Lock(), std::defer_lock);
  if (threads > 1) lock.lock();
  pool.For(threads, static_cast<int64_t>(chunks.size()), [&](int64_t i) {
    Chunk& chunk = chunks[static_cast<size_t>(i)];
    const PassArgs& args = works[static_cast<size_t>(chunk.variable)].args;
    const PassTable& passes = CpuPasses(variables[chunk.variable].format);
    chunk.finite = passes.sums(args, chunk.chunk, chunk.numbers);
  });
  for (const Chunk& chunk : chunks) {
    if (options.check_finite && !chunk.finite) {
      return {StepStatus::kNonFiniteGradient, chunk.variable};
    }
  }
  std::fill(numbers, numbers + count * kGatherNumbers, 0.0);
  for (const Chunk& chunk : chunks) {
    AddGathered(chunk.numbers, numbers + chunk.variable * kGatherNumbers);
  }
  pool.For(threads, static_cast<int64_t>(turning.size()), [&](int64_t i) {
    const Work* const work = turning[static_cast<size_t>(i)];
    TurnRows(*work, numbers + (work - works.data()) * kGatherNumbers + 1);
  });
  for (int64_t i = 0; i < count; ++i) FinishGathered(numbers + i * kGatherNumbers);
  return {};
}

}  // namespace

StepResult CpuGather(const StepOptions& options, const VariableStep* variables, int64_t count,
                     int32_t want, double* numbers) {
  const KernelFloatMode mode;
  try {
    return Gather(options, variables, count, want, numbers);
  } catch (const std::bad_alloc&) {
    return {StepStatus::kOutOfMemory, -1};
  }
}

}  // namespace tfjs_ftp
