// The fused step on the CPU: which passes run over which chunks of which variable, and what is
// done between them. The loops themselves are in passes.cc.
//
// A rule that projects takes two passes. A large variable is shared by all threads: pass 1, the
// rule's numbers, pass 2, with its chunks in reverse so that the deviations written last are read
// back from cache. Small variables are handled whole by one thread, many at a time.
#include "../step.h"

#include <atomic>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "../methods.h"
#include "../partition.h"
#include "../prepared.h"
#include "../state.h"
#include "dispatch.h"
#include "float_mode.h"
#include "passes.h"
#include "thread_pool.h"

namespace tfjs_ftp {
namespace {

// Variables up to this size are handled by one thread each.
constexpr int64_t kSmallVariable = 65536;
// Steps over this many elements write their outputs past the caches: by the time a model of that
// size reads its weights again, they would have left the caches anyway.
constexpr int64_t kStreamElements = 1 << 20;
// Partial sums from which on they are added up by several threads.
constexpr int64_t kParallelFinish = 16384;
// Rows whose partial sums are added up by one call.
constexpr int64_t kFinishColumns = 1024;

// Most sums per row, and most sums that a rule gathers.
constexpr int kMaxRowSums = 3;
constexpr int kMaxGatherSums = 3;

// A variable prepared for its passes.
struct Work {
  PassArgs args;
  const PassTable* passes = nullptr;
  int64_t variable = 0;  // index in the caller's list
  bool projects = false;
  int64_t row_sums = 0;     // partial sums per column or piece
  int64_t gather_sums = 0;  // sums that the rule takes before anything is written
  int64_t scratch = 0;      // offset of its doubles among those of its list
  double* gathered = nullptr;
};

// Rows whose partial sums one call of FinishRows adds up.
int64_t FinishGroupRows(const Partition& p) { return AtLeast(kFinishColumns / p.inner, 1); }

// The scratch of a variable: partial sums, then chunk_total and chunk_max, which also serve groups
// of finished rows. Points the work's arguments into it where there is one; returns its length in
// doubles.
int64_t LayScratch(Work* work, double* scratch) {
  PassArgs* args = &work->args;
  const Partition& p = args->partition;
  const int64_t partials = p.partials(work->row_sums);
  const int64_t shares = AtLeast(p.chunks, CeilDiv(p.rows, FinishGroupRows(p)));
  if (scratch != nullptr) {
    args->partials = scratch;
    args->chunk_total = scratch + partials;
    args->chunk_max = args->chunk_total + shares;
  }
  return partials + 2 * shares;
}

Work MakeWork(const StepOptions& options, const VariableStep& variable, const Prepared& prepared,
              bool stream) {
  Work work;
  work.passes = &CpuPasses(variable.format);
  work.projects = prepared.projects;
  work.row_sums = prepared.row_sums;
  work.gather_sums = prepared.gather_sums;
  PassArgs& args = work.args;
  args = PassArgs{};
  args.base = options.base;
  args.rule = prepared.rule;
  args.mode = prepared.mode;
  args.stream = stream;
  args.base_scalars = prepared.base_scalars;
  args.rule_scalars = prepared.rule_scalars;
  args.around = MakeAround(variable);
  args.weights = variable.weights;
  args.gradient = variable.gradient;
  args.proposal = variable.proposal;
  args.output = variable.output;
  args.state = PointersOf(LayoutState(options, variable), variable.state);
  args.partition = prepared.whole ? MakePartition(1, 1, variable.size())
                                  : MakePartition(variable.outer, variable.rows, variable.inner);
  if (work.projects) args.level = args.state[Slot::kConstraint][0];
  return work;
}

// Sums of one row over the chunks that it is spread over.
struct RowSums {
  double sums[kMaxRowSums] = {};
};

// Adds up the stripes of rows [first, first + count), stripe by stripe.
void AddStripes(const Work& work, int64_t first, int64_t count, RowSums* rows) {
  const Partition& p = work.args.partition;
  const int64_t plane = p.stripes * p.columns;
  for (int64_t stripe = 0; stripe < p.stripes; ++stripe) {
    const double* slot = work.args.partials + stripe * p.columns + first * p.inner;
    for (int64_t row = 0; row < count; ++row) {
      for (int64_t i = 0; i < p.inner; ++i, ++slot) {
        rows[row].sums[0] += slot[0];
        for (int64_t s = 1; s < work.row_sums; ++s) rows[row].sums[s] += slot[s * plane];
      }
    }
  }
}

// Adds up the pieces of a long row.
RowSums AddPieces(const Work& work, int64_t row) {
  const Partition& p = work.args.partition;
  RowSums total;
  for (int64_t piece = 0; piece < p.pieces; ++piece) {
    const double* slot = work.args.partials + (row * p.pieces + piece) * work.row_sums;
    for (int64_t s = 0; s < work.row_sums; ++s) total.sums[s] += slot[s];
  }
  return total;
}

// The numbers of rows [first, last), at most kFinishColumns of them, their share of the rule's
// total and the largest of them.
template <class RulePiece>
void FinishRows(const Work& work, int64_t first, int64_t last, double* largest, double* total) {
  const PassArgs& args = work.args;
  const auto& rule = args.rule_scalars.As<typename RulePiece::Scalars>();
  float* const norms = args.state[Slot::kNorms];
  RowSums rows[kFinishColumns];
  const int64_t count = last - first;
  if (args.partition.walk == Walk::kColumns) {
    AddStripes(work, first, count, rows);
  } else {
    for (int64_t row = 0; row < count; ++row) rows[row] = AddPieces(work, first + row);
  }
  *largest = 0.0;
  for (int64_t row = 0; row < count; ++row) {
    norms[first + row] = RulePiece::FinishRow(rule, args.mode, args.level, rows[row].sums, total);
    *largest = MaxNorm<double>(*largest, norms[first + row]);
  }
}

// The rows' numbers where chunks did not finish them, then the tensor's.
template <class RulePiece>
void Finish(Work* work, ThreadPool* pool, int threads) {
  PassArgs& args = work->args;
  const Partition& p = args.partition;
  double total = 0.0;
  for (int64_t chunk = 0; chunk < p.chunks; ++chunk) total += args.chunk_total[chunk];
  int64_t maxima = p.chunks;
  if (p.walk == Walk::kColumns || p.long_rows()) {
    const int64_t group_rows = FinishGroupRows(p);
    maxima = CeilDiv(p.rows, group_rows);
    // chunk_total has been added up: its doubles now take the groups' shares.
    pool->For(threads, maxima, [&](int64_t group) {
      const int64_t first = group * group_rows;
      args.chunk_total[group] = 0.0;
      FinishRows<RulePiece>(*work, first, AtMost(first + group_rows, p.rows),
                            &args.chunk_max[group], &args.chunk_total[group]);
    });
    for (int64_t group = 0; group < maxima; ++group) total += args.chunk_total[group];
  }
  double largest = 0.0;
  for (int64_t i = 0; i < maxima; ++i) largest = MaxNorm(largest, args.chunk_max[i]);
  float* const constraint = args.state[Slot::kConstraint];
  RulePiece::FinishTensor(args.rule_scalars.As<typename RulePiece::Scalars>(), args.mode, total,
                          largest, constraint);
  args.level = constraint[0];
}

// Looks at the gradients before anything is written: takes the sums that a rule gathers and, with
// `check`, finds the first variable with a NaN or an infinity. Returns its index, or -1.
int64_t LookAtGradients(const std::vector<Work*>& works, bool check, ThreadPool* pool,
                        int threads) {
  struct Piece {
    Work* work;
    int64_t begin;
    int64_t chunk;
  };
  std::vector<Piece> pieces;
  for (Work* work : works) {
    if (!check && work->gather_sums == 0) continue;
    const int64_t chunks = CeilDiv(work->args.partition.size, kPlainChunkElements);
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      pieces.push_back({work, chunk * kPlainChunkElements, chunk});
    }
  }
  std::atomic<int64_t> found{std::numeric_limits<int64_t>::max()};
  pool->For(threads, static_cast<int64_t>(pieces.size()), [&](int64_t i) {
    const Piece& piece = pieces[static_cast<size_t>(i)];
    const PassTable& passes = *piece.work->passes;
    const PassArgs& args = piece.work->args;
    const int64_t end = AtMost(piece.begin + kPlainChunkElements, args.partition.size);
    const int64_t sums = piece.work->gather_sums;
    const bool finite =
        sums > 0 ? passes.gather(args, piece.begin, end, piece.work->gathered + piece.chunk * sums)
                 : passes.all_finite(args.gradient + piece.begin, end - piece.begin);
    if (finite || !check) return;
    const int64_t variable = piece.work->variable;
    int64_t least = found.load();
    while (variable < least && !found.compare_exchange_weak(least, variable)) {
    }
  });
  const int64_t index = found.load();
  return index == std::numeric_limits<int64_t>::max() ? -1 : index;
}

// What a rule that gathers makes of its sums, chunk after chunk added up.
template <class RulePiece>
void FinishGathering(Work* work) {
  double sums[kMaxGatherSums] = {};
  const int64_t chunks = CeilDiv(work->args.partition.size, kPlainChunkElements);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    for (int64_t s = 0; s < work->gather_sums; ++s) {
      sums[s] += work->gathered[chunk * work->gather_sums + s];
    }
  }
  PassArgs& args = work->args;
  args.level = RulePiece::FinishGather(args.rule_scalars.As<typename RulePiece::Scalars>(), sums,
                                       args.state[Slot::kConstraint], args.state[Slot::kNorms]);
}

// All passes over one variable, its chunks spread over `threads`.
void RunVariable(Work* work, ThreadPool* pool, int threads) {
  const PassTable& passes = *work->passes;
  const PassArgs& args = work->args;
  const Partition& p = args.partition;
  if (!work->projects) {
    VisitRule(args.rule, [&](auto rule_type) {
      using RulePiece = PieceOf<decltype(rule_type)>;
      if constexpr (RulePiece::kGatherSums > 0) FinishGathering<RulePiece>(work);
    });
    pool->For(threads, CeilDiv(p.size, kPlainChunkElements), [&](int64_t chunk) {
      const int64_t begin = chunk * kPlainChunkElements;
      passes.plain(args, begin, AtMost(begin + kPlainChunkElements, p.size));
    });
    return;
  }
  pool->For(threads, p.chunks, [&](int64_t chunk) { passes.deviate(args, chunk); });
  VisitRule(args.rule, [&](auto rule_type) {
    using RulePiece = PieceOf<decltype(rule_type)>;
    if constexpr (RulePiece::kProjects) {
      Finish<RulePiece>(work, pool, p.partials(1) > kParallelFinish ? threads : 1);
    }
  });
  pool->For(threads, p.chunks, [&](int64_t chunk) { passes.project(args, p.chunks - 1 - chunk); });
}

StepResult RunStep(const StepOptions& options, const VariableStep* variables, int64_t count) {
  ThreadPool& pool = ThreadPool::Get();
  int64_t elements = 0;
  for (int64_t i = 0; i < count; ++i) elements += variables[i].size();
  const int threads = StepThreads(options, elements);

  // Everything that can fail comes before the first write.
  std::vector<Work> large;
  std::vector<Work> small;
  int64_t large_scratch = 0;
  int64_t small_scratch = 0;
  int64_t gather_doubles = 0;
  Preparation preparation(options);
  for (int64_t i = 0; i < count; ++i) {
    if (variables[i].size() == 0) continue;
    if (!IsCompiled(options, variables[i].excluded)) return {StepStatus::kUnsupported, i};
    const bool is_small = variables[i].size() <= kSmallVariable;
    Work work =
        MakeWork(options, variables[i], preparation.Of(variables[i]), elements >= kStreamElements);
    work.variable = i;
    gather_doubles += work.gather_sums * CeilDiv(variables[i].size(), kPlainChunkElements);
    if (work.projects) {
      const int64_t doubles = LayScratch(&work, nullptr);
      // Large variables come one after the other and share theirs, which then stays in cache.
      work.scratch = is_small ? small_scratch : 0;
      if (is_small) small_scratch += doubles;
      if (!is_small) large_scratch = AtLeast(large_scratch, doubles);
    }
    (is_small ? small : large).push_back(work);
  }
  const int64_t doubles = large_scratch + small_scratch + gather_doubles;
  std::unique_ptr<double[]> scratch(new double[static_cast<size_t>(doubles)]);
  for (Work& work : large) LayScratch(&work, scratch.get());
  for (Work& work : small) LayScratch(&work, scratch.get() + large_scratch + work.scratch);
  std::vector<Work*> works;
  double* gathered = scratch.get() + large_scratch + small_scratch;
  for (std::vector<Work>* list : {&large, &small}) {
    for (Work& work : *list) {
      works.push_back(&work);
      work.gathered = gathered;
      gathered += work.gather_sums * CeilDiv(work.args.partition.size, kPlainChunkElements);
    }
  }
  std::unique_lock<std::mutex> lock(pool.Lock(), std::defer_lock);
  if (threads > 1) lock.lock();
  if (options.check_finite || gather_doubles > 0) {
    const int64_t index = LookAtGradients(works, options.check_finite, &pool, threads);
    if (index >= 0) return {StepStatus::kNonFiniteGradient, index};
  }
  for (Work& work : large) RunVariable(&work, &pool, threads);
  pool.For(threads, static_cast<int64_t>(small.size()),
           [&](int64_t i) { RunVariable(&small[static_cast<size_t>(i)], &pool, 1); });
  return {};
}

}  // namespace

StepResult CpuStep(const StepOptions& options, const VariableStep* variables, int64_t count) {
  const KernelFloatMode mode;
  try {
    return RunStep(options, variables, count);
  } catch (const std::bad_alloc&) {
    return {StepStatus::kOutOfMemory, -1};
  }
}

}  // namespace tfjs_ftp
