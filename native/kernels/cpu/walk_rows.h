// Both passes over rows that are contiguous. Compiled once per instruction set, see simd.h.
//
// A chunk is a number of whole rows, whose numbers it finishes, or one piece of a long row, whose
// partial sums are combined by FinishRows (step.cc).
#ifndef TFJS_FTP_KERNELS_CPU_WALK_ROWS_H_
#define TFJS_FTP_KERNELS_CPU_WALK_ROWS_H_

#include "groups.h"

namespace tfjs_ftp {
namespace {

// Sums over elements of one row, and the total that runs on over rows.
template <int kRowSums>
struct RunSums {
  DoubleLanes row[kRowSums];
  DoubleLanes total;
};

// Base update and C_t of elements [begin, end), all of one row whose number of step t - 1 is `row`.
template <class Base, class RulePiece, DeviationMode kMode>
FTP_INLINE void DeviateRun(const PassArgs& a, const typename Base::Scalars& base,
                           const typename RulePiece::Scalars& rule, int64_t begin, int64_t end,
                           float row, RunSums<RulePiece::template kRowSums<kMode>>* result) {
  constexpr int kSums = RulePiece::template kRowSums<kMode>;
  const auto factors = RulePiece::At(rule, a.level, FloatLanes(row));
  RunSums<kSums> sums;
  for (DoubleLanes& sum : sums.row) sum = ZeroDoubles();
  sums.total = result->total;
  ForGroups(begin, end, [&](auto group) FTP_LAMBDA_INLINE {
    const auto terms = DeviateGroup<Base, RulePiece, kMode>(a, base, group, factors);
    for (int s = 0; s < kSums; ++s) sums.row[s] = Accumulate(sums.row[s], terms.row[s]);
    if (RulePiece::template kTotals<kMode>) sums.total = Accumulate(sums.total, terms.total);
  });
  *result = sums;
}

template <class Base, class RulePiece, DeviationMode kMode>
void DeviateRows(const PassArgs& args, int64_t chunk) {
  constexpr int kSums = RulePiece::template kRowSums<kMode>;
  const PassArgs a = args;  // a copy that no store can alias
  const typename Base::Scalars base = a.base_scalars.As<typename Base::Scalars>();
  const typename RulePiece::Scalars rule = a.rule_scalars.As<typename RulePiece::Scalars>();
  const Partition& p = a.partition;
  float* const norms = a.state[Slot::kNorms];
  RunSums<kSums> sums;
  sums.total = ZeroDoubles();
  if (p.long_rows()) {
    const int64_t row = chunk / p.pieces;
    const int64_t first = (chunk % p.pieces) * kRowChunkElements;
    const int64_t last =
        first + kRowChunkElements < p.row_length ? first + kRowChunkElements : p.row_length;
    DeviateRun<Base, RulePiece, kMode>(a, base, rule, row * p.row_length + first,
                                       row * p.row_length + last, norms[row], &sums);
    double* slot = a.partials + chunk * kSums;
    for (int s = 0; s < kSums; ++s) slot[s] = SumLanes(sums.row[s]);
    a.chunk_total[chunk] = RulePiece::template kTotals<kMode> ? SumLanes(sums.total) : 0.0;
    return;
  }
  const int64_t first = chunk * p.rows_per_chunk;
  const int64_t last = first + p.rows_per_chunk < p.rows ? first + p.rows_per_chunk : p.rows;
  double largest = 0.0;
  double total = 0.0;
  for (int64_t row = first; row < last; ++row) {
    DeviateRun<Base, RulePiece, kMode>(a, base, rule, row * p.row_length, (row + 1) * p.row_length,
                                       norms[row], &sums);
    double row_sums[kSums];
    for (int s = 0; s < kSums; ++s) row_sums[s] = SumLanes(sums.row[s]);
    norms[row] = RulePiece::FinishRow(rule, kMode, a.level, row_sums, &total);
    largest = MaxNorm<double>(largest, norms[row]);
  }
  if (RulePiece::template kTotals<kMode>) total = total + SumLanes(sums.total);
  a.chunk_total[chunk] = total;
  a.chunk_max[chunk] = largest;
}

// W_t = A + ratio C_t over [begin, end), one ratio.
FTP_INLINE void ProjectRun(const PassArgs& a, int64_t begin, int64_t end, float one_ratio) {
  const FloatLanes ratio(one_ratio);
  WriteGroups(a.output, begin, end, a.stream,
              [&](auto group) FTP_LAMBDA_INLINE { return ProjectElements(group, a, ratio); });
}

template <class RulePiece>
void ProjectRows(const PassArgs& args, int64_t chunk) {
  const PassArgs a = args;
  const Partition& p = a.partition;
  const float* const norms = a.state[Slot::kNorms];
  if (p.long_rows()) {
    const int64_t row = chunk / p.pieces;
    const int64_t first = (chunk % p.pieces) * kRowChunkElements;
    const int64_t last =
        first + kRowChunkElements < p.row_length ? first + kRowChunkElements : p.row_length;
    ProjectRun(a, row * p.row_length + first, row * p.row_length + last,
               RulePiece::Ratio(a.level, norms[row]));
  } else {
    const int64_t first = chunk * p.rows_per_chunk;
    const int64_t last = first + p.rows_per_chunk < p.rows ? first + p.rows_per_chunk : p.rows;
    for (int64_t row = first; row < last; ++row) {
      ProjectRun(a, row * p.row_length, (row + 1) * p.row_length,
                 RulePiece::Ratio(a.level, norms[row]));
    }
  }
  if (a.stream) StreamFence();
}

}  // namespace
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CPU_WALK_ROWS_H_
