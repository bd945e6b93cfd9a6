// Both passes over variables whose rows are not contiguous: `outer` lines of `columns` = rows *
// inner elements (dense [in, out] and conv [h, w, in, out] kernels have inner = 1). Vectors run
// along a line, so every load is contiguous; each column has its own sum, kept in the chunk's
// partials. Compiled once per instruction set, see simd.h.
#ifndef TFJS_FTP_KERNELS_CPU_WALK_COLUMNS_H_
#define TFJS_FTP_KERNELS_CPU_WALK_COLUMNS_H_

#include "elements.h"

namespace tfjs_ftp {
namespace {

// Columns handled at a time: their ratios, inverse norms and sums stay in the first-level cache.
constexpr int64_t kColumnTile = 4096;

// A chunk's lines and columns.
struct ColumnRange {
  int64_t first_line;
  int64_t last_line;
  int64_t first_column;
  int64_t last_column;
  int64_t stripe;
};

FTP_INLINE ColumnRange ChunkColumns(const Partition& p, int64_t chunk) {
  ColumnRange range;
  range.stripe = chunk / p.column_blocks;
  range.first_line = range.stripe * p.stripe;
  range.last_line = range.first_line + p.stripe < p.outer ? range.first_line + p.stripe : p.outer;
  range.first_column = (chunk % p.column_blocks) * p.column_block;
  range.last_column = range.first_column + p.column_block < p.columns
                          ? range.first_column + p.column_block
                          : p.columns;
  return range;
}

// Norms of the rows that columns [first, first + count) belong to, one a column: those of the state
// where a column is a row, else spread into `buffer`. What lies behind them up to a whole group can
// be read and is cleared by keep(). Ratios are formed from norms at every line: two divisions are
// hidden behind memory, two more arrays would push the sums out of the first-level cache.
FTP_INLINE const float* ColumnNorms(const PassArgs& a, int64_t first, int64_t count,
                                    float* buffer) {
  const int64_t inner = a.partition.inner;
  if (inner == 1) return a.norms + first;  // sections of a state are whole groups long
  int64_t row = first / inner;
  int64_t left = (row + 1) * inner - first;
  for (int64_t j = 0; j < count; ++j) {
    if (left == 0) {
      ++row;
      left = inner;
    }
    --left;
    buffer[j] = a.norms[row];
  }
  for (int64_t j = count; j % kLanes != 0; ++j) buffer[j] = 1.0f;
  return buffer;
}

// ProjectRatio for 16 rows: min(1, x) gives x where x is NaN.
FTP_INLINE FloatLanes ProjectRatios(const PassArgs& a, const FloatLanes& norm) {
  return Min(FloatLanes(1.0f), FloatLanes(a.gamma) / norm);
}

FTP_INLINE void AddToColumn(double* sum, const FloatLanes& x) {
  StoreDoubles(sum, Accumulate(LoadDoubles(sum), x));
}

template <BaseUpdate kBase, DeviationMode kMode>
void DeviateColumns(const PassArgs& args, int64_t chunk) {
  const PassArgs a = args;  // a copy that no store can alias
  const Partition& p = a.partition;
  const ColumnRange range = ChunkColumns(p, chunk);
  constexpr bool kRejoin = kMode == DeviationMode::kRejoin;
  constexpr int64_t kSums = kRejoin ? kRejoinSums : kPlainSums;
  float buffer[kColumnTile];
  double sums[kSums][kColumnTile];
  DoubleLanes gd = ZeroDoubles();
  for (int64_t first = range.first_column; first < range.last_column; first += kColumnTile) {
    const int64_t count =
        range.last_column - first < kColumnTile ? range.last_column - first : kColumnTile;
    const float* norms = ColumnNorms(a, first, count, buffer);
    for (int64_t s = 0; s < kSums; ++s) {
      for (int64_t j = 0; j < kColumnTile; ++j) sums[s][j] = 0.0;
    }
    for (int64_t line = range.first_line; line < range.last_line; ++line) {
      const int64_t start = line * p.columns + first;
      ForGroups(0, count, [&](auto group, int64_t j) FTP_LAMBDA_INLINE {
        FloatLanes r(0.0f);
        FloatLanes q(0.0f);
        if (kMode == DeviationMode::kContinue) {
          const FloatLanes norm = Load(norms + j);
          r = ProjectRatios(a, norm);
          q = FloatLanes(1.0f) / norm;
        }
        const GroupSums terms = DeviateGroup<kBase, kMode>(a, group, start + j, r, q);
        AddToColumn(sums[0] + j, terms.c);
        if (kMode == DeviationMode::kContinue) gd = Accumulate(gd, terms.gd);
        if (kRejoin) {
          AddToColumn(sums[kSums - 2] + j, terms.d);
          AddToColumn(sums[kSums - 1] + j, terms.gd);
        }
      });
    }
    for (int64_t s = 0; s < kSums; ++s) {
      double* slot = a.partials + (s * p.stripes + range.stripe) * p.columns + first;
      for (int64_t j = 0; j < count; ++j) slot[j] = sums[s][j];
    }
  }
  a.chunk_h[chunk] = kMode == DeviationMode::kContinue ? SumLanes(gd) : 0.0;
}

inline void ProjectColumns(const PassArgs& args, int64_t chunk) {
  const PassArgs a = args;
  const Partition& p = a.partition;
  const ColumnRange range = ChunkColumns(p, chunk);
  float buffer[kColumnTile];
  for (int64_t first = range.first_column; first < range.last_column; first += kColumnTile) {
    const int64_t count =
        range.last_column - first < kColumnTile ? range.last_column - first : kColumnTile;
    const float* norms = ColumnNorms(a, first, count, buffer);
    for (int64_t line = range.first_line; line < range.last_line; ++line) {
      const int64_t start = line * p.columns + first;
      const float* anchor = a.anchor + start;
      const float* deviation = a.deviation + start;
      float* output = a.output + start;
      WriteGroups(output, 0, count, a.stream, [&](auto group, int64_t j) FTP_LAMBDA_INLINE {
        const FloatLanes ratio = ProjectRatios(a, group.load(norms + j));
        return Project(group.load(anchor + j), ratio, group.load(deviation + j));
      });
    }
  }
  if (a.stream) StreamFence();
}

}  // namespace
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CPU_WALK_COLUMNS_H_
