// Both passes over rows that are contiguous. Compiled once per instruction set, see simd.h.
//
// A chunk is a number of whole rows, whose norms it finishes, or one piece of a long row, whose
// partial sums are combined by FinishRows (step.cc).
#ifndef TFJS_FTP_KERNELS_CPU_WALK_ROWS_H_
#define TFJS_FTP_KERNELS_CPU_WALK_ROWS_H_

#include "elements.h"

namespace tfjs_ftp {
namespace {

struct RunSums {
  DoubleLanes c;
  DoubleLanes gd;
  DoubleLanes d;
};

// Base update and C_t of elements [begin, end), all of one row with n_{t-1} = previous_norm.
template <BaseUpdate kBase, DeviationMode kMode>
FTP_INLINE void DeviateRun(const PassArgs& a, int64_t begin, int64_t end, float previous_norm,
                           RunSums* sums) {
  const FloatLanes ratio(ProjectRatio(a.gamma, previous_norm));
  const FloatLanes inverse_norm(1.0f / previous_norm);
  DoubleLanes c = ZeroDoubles();
  DoubleLanes gd = sums->gd;
  DoubleLanes d = ZeroDoubles();
  ForGroups(begin, end, [&](auto group, int64_t i) FTP_LAMBDA_INLINE {
    const GroupSums terms = DeviateGroup<kBase, kMode>(a, group, i, ratio, inverse_norm);
    c = Accumulate(c, terms.c);
    if (kMode != DeviationMode::kFirst) gd = Accumulate(gd, terms.gd);
    if (kMode == DeviationMode::kRejoin) d = Accumulate(d, terms.d);
  });
  sums->c = c;
  sums->gd = gd;
  sums->d = d;
}

template <BaseUpdate kBase, DeviationMode kMode>
void DeviateRows(const PassArgs& args, int64_t chunk) {
  const PassArgs a = args;  // a copy that no store can alias
  const Partition& p = a.partition;
  RunSums sums;
  sums.gd = ZeroDoubles();
  if (p.long_rows()) {
    const int64_t row = chunk / p.pieces;
    const int64_t first = (chunk % p.pieces) * kRowChunkElements;
    const int64_t last =
        first + kRowChunkElements < p.row_length ? first + kRowChunkElements : p.row_length;
    DeviateRun<kBase, kMode>(a, row * p.row_length + first, row * p.row_length + last, a.norms[row],
                             &sums);
    constexpr int64_t kSums = kMode == DeviationMode::kRejoin ? kRejoinSums : kPlainSums;
    double* slot = a.partials + chunk * kSums;
    slot[0] = SumLanes(sums.c);
    if (kMode == DeviationMode::kRejoin) {
      slot[1] = SumLanes(sums.d);
      slot[2] = SumLanes(sums.gd);
    }
    a.chunk_h[chunk] = kMode == DeviationMode::kContinue ? SumLanes(sums.gd) : 0.0;
    return;
  }
  const int64_t first = chunk * p.rows_per_chunk;
  const int64_t last = first + p.rows_per_chunk < p.rows ? first + p.rows_per_chunk : p.rows;
  double max_norm = 0.0;
  double h = 0.0;
  for (int64_t row = first; row < last; ++row) {
    DeviateRun<kBase, kMode>(a, row * p.row_length, (row + 1) * p.row_length, a.norms[row], &sums);
    const float norm = static_cast<float>(SumLanes(sums.c) + kNormEpsilon);
    a.norms[row] = norm;
    max_norm = MaxNorm<double>(max_norm, norm);
    if (kMode == DeviationMode::kRejoin) {
      h = h + SumLanes(sums.gd) / (SumLanes(sums.d) + kNormEpsilon);
      sums.gd = ZeroDoubles();
    }
  }
  if (kMode == DeviationMode::kContinue) h = SumLanes(sums.gd);
  a.chunk_h[chunk] = h;
  a.chunk_max[chunk] = max_norm;
}

// W_t = A + ratio C_t over [begin, end), one ratio.
FTP_INLINE void ProjectRun(const PassArgs& a, int64_t begin, int64_t end, float one_ratio) {
  const FloatLanes ratio(one_ratio);
  WriteGroups(a.output, begin, end, a.stream, [&](auto group, int64_t i) FTP_LAMBDA_INLINE {
    return Project(group.load(a.anchor + i), ratio, group.load(a.deviation + i));
  });
}

inline void ProjectRows(const PassArgs& args, int64_t chunk) {
  const PassArgs a = args;
  const Partition& p = a.partition;
  if (p.long_rows()) {
    const int64_t row = chunk / p.pieces;
    const int64_t first = (chunk % p.pieces) * kRowChunkElements;
    const int64_t last =
        first + kRowChunkElements < p.row_length ? first + kRowChunkElements : p.row_length;
    ProjectRun(a, row * p.row_length + first, row * p.row_length + last,
               ProjectRatio(a.gamma, a.norms[row]));
  } else {
    const int64_t first = chunk * p.rows_per_chunk;
    const int64_t last = first + p.rows_per_chunk < p.rows ? first + p.rows_per_chunk : p.rows;
    for (int64_t row = first; row < last; ++row) {
      ProjectRun(a, row * p.row_length, (row + 1) * p.row_length,
                 ProjectRatio(a.gamma, a.norms[row]));
    }
  }
  if (a.stream) StreamFence();
}

}  // namespace
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CPU_WALK_ROWS_H_
