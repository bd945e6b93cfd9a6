// The fused step on the CPU: which passes run over which chunks of which variable, and what is
// done between them. The loops themselves are in passes.cc.
//
// A large variable is shared by all threads: pass 1, norms and gamma, pass 2, with its chunks in
// reverse so that the deviations written last are read back from cache. Small variables are
// handled whole by one thread, many at a time.
#include <atomic>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "../ftp_kernels.h"
#include "../ftp_math.h"
#include "../partition.h"
#include "../state_layout.h"
#include "../step_scalars.h"
#include "dispatch.h"
#include "float_mode.h"
#include "passes.h"
#include "thread_pool.h"

namespace tfjs_ftp {
namespace {

// Variables up to this size are handled by one thread each.
constexpr int64_t kSmallVariable = 65536;
// Below this much work in all, waking other threads costs more than it gains.
constexpr int64_t kSerialElements = 131072;
// Steps over this many elements write their outputs past the caches: by the time a model of that
// size reads its weights again, they would have left the caches anyway.
constexpr int64_t kStreamElements = 1 << 20;
// Partial sums from which on they are added up by several threads.
constexpr int64_t kParallelFinish = 16384;
// Rows whose partial sums are added up by one call.
constexpr int64_t kFinishColumns = 1024;

// A variable prepared for its passes.
struct Work {
  PassArgs args;
  float* constraint = nullptr;  // (4) in the state, null for an excluded variable
  ConstraintScalars constraint_scalars;
  int64_t scratch = 0;  // offset of its doubles among those of its list
};

// Rows whose partial sums one call of FinishRows adds up.
int64_t FinishGroupRows(const Partition& p) { return AtLeast(kFinishColumns / p.inner, 1); }

// The scratch of a variable: partial sums, then chunk_h and chunk_max, which also serve groups of
// finished rows. Points `args` into it where there is one; returns its length in doubles.
int64_t LayScratch(PassArgs* args, double* scratch) {
  const Partition& p = args->partition;
  const int64_t sums = args->mode == DeviationMode::kRejoin ? kRejoinSums : kPlainSums;
  const int64_t partials = p.partials(sums);
  const int64_t shares = AtLeast(p.chunks, CeilDiv(p.rows, FinishGroupRows(p)));
  if (scratch != nullptr) {
    args->partials = scratch;
    args->chunk_h = scratch + partials;
    args->chunk_max = args->chunk_h + shares;
  }
  return partials + 2 * shares;
}

Work Prepare(const StepOptions& options, const VariableStep& variable, bool stream) {
  Work work;
  PassArgs& args = work.args;
  args = PassArgs{};
  args.base = options.base;
  args.amsgrad = options.amsgrad;
  args.momentum_slot = options.momentum_slot;
  args.nesterov = options.nesterov;
  args.first_update = variable.n == 1;
  args.decays = options.weight_decay != 0.0 && options.base != BaseUpdate::kProposal;
  args.stream = stream;
  args.adamw = MakeAdamW(options, variable.n);
  args.sgd = MakeSgd(options);
  args.weights = variable.weights;
  args.gradient = variable.gradient;
  args.output = variable.output;
  const StateLayout layout = LayoutState(options, variable);
  auto section = [&](int64_t offset) {
    return offset == kNoSection ? nullptr : variable.state + offset;
  };
  args.m = section(layout.m);
  args.v = section(layout.v);
  args.vmax = section(layout.vmax);
  args.momentum = section(layout.momentum);
  args.partition = MakePartition(variable.outer, variable.rows, variable.inner);
  if (variable.excluded) return work;
  args.anchor = section(layout.anchor);
  args.deviation = section(layout.deviation);
  args.norms = section(layout.norms);
  work.constraint = section(layout.constraint);
  args.gamma = work.constraint[0];
  args.mode = ModeOf(options, variable);
  work.constraint_scalars = MakeConstraintScalars(options, variable.t);
  return work;
}

// Sums of one row over the chunks that it is spread over.
struct RowSums {
  double c = 0.0;
  double d = 0.0;   // kRejoin
  double gd = 0.0;  // kRejoin
};

// Adds up the stripes of rows [first, first + count), stripe by stripe.
void AddStripes(const PassArgs& args, int64_t first, int64_t count, RowSums* rows) {
  const Partition& p = args.partition;
  const bool rejoin = args.mode == DeviationMode::kRejoin;
  const int64_t plane = p.stripes * p.columns;
  for (int64_t stripe = 0; stripe < p.stripes; ++stripe) {
    const double* slot = args.partials + stripe * p.columns + first * p.inner;
    for (int64_t row = 0; row < count; ++row) {
      for (int64_t i = 0; i < p.inner; ++i, ++slot) {
        rows[row].c += slot[0];
        if (!rejoin) continue;
        rows[row].d += slot[plane];
        rows[row].gd += slot[2 * plane];
      }
    }
  }
}

// Adds up the pieces of a long row.
RowSums AddPieces(const PassArgs& args, int64_t row) {
  const Partition& p = args.partition;
  const bool rejoin = args.mode == DeviationMode::kRejoin;
  const int64_t sums = rejoin ? kRejoinSums : kPlainSums;
  RowSums total;
  for (int64_t piece = 0; piece < p.pieces; ++piece) {
    const double* slot = args.partials + (row * p.pieces + piece) * sums;
    total.c += slot[0];
    if (!rejoin) continue;
    total.d += slot[1];
    total.gd += slot[2];
  }
  return total;
}

// n_t, the share of h and the largest norm of rows [first, last), at most kFinishColumns of them.
void FinishRows(const PassArgs& args, int64_t first, int64_t last, double* max_norm, double* h) {
  RowSums rows[kFinishColumns];
  const int64_t count = last - first;
  if (args.partition.walk == Walk::kColumns) {
    AddStripes(args, first, count, rows);
  } else {
    for (int64_t row = 0; row < count; ++row) rows[row] = AddPieces(args, first + row);
  }
  *max_norm = 0.0;
  for (int64_t row = 0; row < count; ++row) {
    const float norm = static_cast<float>(rows[row].c + kNormEpsilon);
    args.norms[first + row] = norm;
    *max_norm = MaxNorm<double>(*max_norm, norm);
    if (args.mode == DeviationMode::kRejoin) *h += rows[row].gd / (rows[row].d + kNormEpsilon);
  }
}

// Norms where chunks did not finish them, then gamma_t.
void UpdateGamma(Work* work, ThreadPool* pool, int threads) {
  PassArgs& args = work->args;
  const Partition& p = args.partition;
  double h = 0.0;
  for (int64_t chunk = 0; chunk < p.chunks; ++chunk) h += args.chunk_h[chunk];
  int64_t maxima = p.chunks;
  if (p.walk == Walk::kColumns || p.long_rows()) {
    const int64_t group_rows = FinishGroupRows(p);
    maxima = CeilDiv(p.rows, group_rows);
    // chunk_h has been added up: its doubles now take the groups' shares.
    pool->For(threads, maxima, [&](int64_t group) {
      const int64_t first = group * group_rows;
      args.chunk_h[group] = 0.0;
      FinishRows(args, first, AtMost(first + group_rows, p.rows), &args.chunk_max[group],
                 &args.chunk_h[group]);
    });
    for (int64_t group = 0; group < maxima; ++group) h += args.chunk_h[group];
  }
  double max_norm = 0.0;
  for (int64_t i = 0; i < maxima; ++i) {
    max_norm = MaxNorm(max_norm, args.chunk_max[i]);
  }
  float* stored = work->constraint;
  const Constraint previous = {stored[0], stored[1], stored[2], stored[3]};
  const Constraint next = args.mode == DeviationMode::kFirst
                              ? FirstConstraint()
                              : UpdateConstraint(work->constraint_scalars, previous, h, max_norm);
  stored[0] = next.gamma;
  stored[1] = next.first_moment;
  stored[2] = next.second_moment;
  stored[3] = next.hyper_gradient;
  args.gamma = next.gamma;
}

// All passes over one variable, its chunks spread over `threads`.
void RunVariable(const PassTable& passes, Work* work, ThreadPool* pool, int threads) {
  const PassArgs& args = work->args;
  const Partition& p = args.partition;
  if (work->constraint == nullptr) {
    pool->For(threads, CeilDiv(p.size, kPlainChunkElements), [&](int64_t chunk) {
      const int64_t begin = chunk * kPlainChunkElements;
      passes.plain(args, begin, AtMost(begin + kPlainChunkElements, p.size));
    });
    return;
  }
  pool->For(threads, p.chunks, [&](int64_t chunk) { passes.deviate(args, chunk); });
  UpdateGamma(work, pool, p.partials(kPlainSums) > kParallelFinish ? threads : 1);
  pool->For(threads, p.chunks, [&](int64_t chunk) { passes.project(args, p.chunks - 1 - chunk); });
}

// Index of the first variable with a NaN or an infinity in its gradient, or -1.
int64_t FindNonFinite(const PassTable& passes, const VariableStep* variables, int64_t count,
                      ThreadPool* pool, int threads) {
  struct Piece {
    int64_t variable;
    int64_t begin;
    int64_t end;
  };
  std::vector<Piece> pieces;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t size = variables[i].size();
    for (int64_t begin = 0; begin < size; begin += kPlainChunkElements) {
      pieces.push_back({i, begin, AtMost(begin + kPlainChunkElements, size)});
    }
  }
  std::atomic<int64_t> found{std::numeric_limits<int64_t>::max()};
  pool->For(threads, static_cast<int64_t>(pieces.size()), [&](int64_t i) {
    const Piece& piece = pieces[static_cast<size_t>(i)];
    if (passes.all_finite(variables[piece.variable].gradient + piece.begin,
                          piece.end - piece.begin)) {
      return;
    }
    int64_t least = found.load();
    while (piece.variable < least && !found.compare_exchange_weak(least, piece.variable)) {
    }
  });
  const int64_t index = found.load();
  return index == std::numeric_limits<int64_t>::max() ? -1 : index;
}

StepResult RunStep(const StepOptions& options, const VariableStep* variables, int64_t count) {
  const PassTable& passes = CpuPasses();
  ThreadPool& pool = ThreadPool::Get();
  int64_t elements = 0;
  for (int64_t i = 0; i < count; ++i) elements += variables[i].size();
  int threads = options.threads > 0 ? options.threads : CpuDefaultThreads();
  if (elements <= kSerialElements) threads = 1;

  // Everything that can fail comes before the first write.
  std::vector<Work> large;
  std::vector<Work> small;
  int64_t large_scratch = 0;
  int64_t small_scratch = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (variables[i].size() == 0) continue;
    if (options.base == BaseUpdate::kProposal && variables[i].excluded) {
      return {StepStatus::kUnsupported, i};
    }
    const bool is_small = variables[i].size() <= kSmallVariable;
    Work work = Prepare(options, variables[i], elements >= kStreamElements);
    if (work.constraint != nullptr) {
      const int64_t doubles = LayScratch(&work.args, nullptr);
      // Large variables come one after the other and share theirs, which then stays in cache.
      work.scratch = is_small ? small_scratch : 0;
      if (is_small) small_scratch += doubles;
      if (!is_small) large_scratch = AtLeast(large_scratch, doubles);
    }
    (is_small ? small : large).push_back(work);
  }
  std::unique_ptr<double[]> scratch(new double[static_cast<size_t>(large_scratch + small_scratch)]);
  for (Work& work : large) LayScratch(&work.args, scratch.get());
  for (Work& work : small) LayScratch(&work.args, scratch.get() + large_scratch + work.scratch);
  std::unique_lock<std::mutex> lock(pool.Lock(), std::defer_lock);
  if (threads > 1) lock.lock();
  if (options.check_finite) {
    const int64_t index = FindNonFinite(passes, variables, count, &pool, threads);
    if (index >= 0) return {StepStatus::kNonFiniteGradient, index};
  }
  for (Work& work : large) RunVariable(passes, &work, &pool, threads);
  pool.For(threads, static_cast<int64_t>(small.size()),
           [&](int64_t i) { RunVariable(passes, &small[static_cast<size_t>(i)], &pool, 1); });
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
