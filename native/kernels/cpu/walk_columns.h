// Both passes over variables whose rows are not contiguous: `outer` lines of `columns` = rows *
// inner elements (dense [in, out] and conv [h, w, in, out] kernels have inner = 1). Vectors run
// along a line, so every load is contiguous; each column has its own sum, kept in the chunk's
// partials. Compiled once per instruction set, see simd.h.
#ifndef TFJS_FTP_KERNELS_CPU_WALK_COLUMNS_H_
#define TFJS_FTP_KERNELS_CPU_WALK_COLUMNS_H_

#include "groups.h"

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

// Numbers of the rows that columns [first, first + count) belong to, one a column: those of the
// state where a column is a row, else spread into `buffer`. What lies behind them up to a whole
// group can be read and is cleared by keep(). Ratios are formed from norms at every line: two
// divisions are hidden behind memory, two more arrays would push the sums out of the first-level
// cache.
FTP_INLINE const float* ColumnNorms(const PassArgs& a, int64_t first, int64_t count,
                                    float* buffer) {
  const int64_t inner = a.partition.inner;
  const float* const norms = a.state[Slot::kNorms];
  if (inner == 1) return norms + first;  // slots of a state are whole groups long
  int64_t row = first / inner;
  int64_t left = (row + 1) * inner - first;
  for (int64_t j = 0; j < count; ++j) {
    if (left == 0) {
      ++row;
      left = inner;
    }
    --left;
    buffer[j] = norms[row];
  }
  for (int64_t j = count; j % kLanes != 0; ++j) buffer[j] = 1.0f;
  return buffer;
}

// Whether factors and ratios are formed once for all lines of a tile: where fewer bytes are moved,
// two divisions are no longer hidden behind memory. The numbers are the same.
constexpr bool kKeepsFactors = kStateFormat != StateFormat::kFloat32;
constexpr int64_t kTileGroups = kColumnTile / kLanes;

FTP_INLINE void AddToColumn(double* sum, const FloatLanes& x) {
  StoreDoubles(sum, Accumulate(LoadDoubles(sum), x));
}

template <class Base, class RulePiece, DeviationMode kMode>
void DeviateColumns(const PassArgs& args, int64_t chunk) {
  constexpr int kSums = RulePiece::template kRowSums<kMode>;
  constexpr bool kTotals = RulePiece::template kTotals<kMode>;
  const PassArgs a = args;  // a copy that no store can alias
  const typename Base::Scalars base = a.base_scalars.As<typename Base::Scalars>();
  const typename RulePiece::Scalars rule = a.rule_scalars.As<typename RulePiece::Scalars>();
  const Partition& p = a.partition;
  const ColumnRange range = ChunkColumns(p, chunk);
  float buffer[kColumnTile];
  double sums[kSums][kColumnTile];
  const auto factors_at = [&](const float* norms, int64_t j) FTP_LAMBDA_INLINE {
    FloatLanes norm(1.0f);
    if (kMode == DeviationMode::kContinue) norm = Load(norms + j);
    return RulePiece::At(rule, a.level, norm);
  };
  decltype(factors_at(buffer, 0)) kept[kKeepsFactors ? kTileGroups : 1];
  DoubleLanes total = ZeroDoubles();
  for (int64_t first = range.first_column; first < range.last_column; first += kColumnTile) {
    const int64_t count =
        range.last_column - first < kColumnTile ? range.last_column - first : kColumnTile;
    const float* norms = ColumnNorms(a, first, count, buffer);
    for (int64_t s = 0; s < kSums; ++s) {
      for (int64_t j = 0; j < kColumnTile; ++j) sums[s][j] = 0.0;
    }
    for (int64_t j = 0; kKeepsFactors && j < count; j += kLanes) {
      kept[j / kLanes] = factors_at(norms, j);
    }
    for (int64_t line = range.first_line; line < range.last_line; ++line) {
      const int64_t start = line * p.columns + first;
      ForGroups(0, count, [&](auto group) FTP_LAMBDA_INLINE {
        const int64_t j = group.index;
        const auto factors = kKeepsFactors ? kept[j / kLanes] : factors_at(norms, j);
        const auto terms =
            DeviateGroup<Base, RulePiece, kMode>(a, base, group.At(start + j), factors);
        for (int s = 0; s < kSums; ++s) AddToColumn(sums[s] + j, terms.row[s]);
        if (kTotals) total = Accumulate(total, terms.total);
      });
    }
    for (int64_t s = 0; s < kSums; ++s) {
      double* slot = a.partials + (s * p.stripes + range.stripe) * p.columns + first;
      for (int64_t j = 0; j < count; ++j) slot[j] = sums[s][j];
    }
  }
  a.chunk_total[chunk] = kTotals ? SumLanes(total) : 0.0;
}

template <class RulePiece>
void ProjectColumns(const PassArgs& args, int64_t chunk) {
  const PassArgs a = args;
  const Partition& p = a.partition;
  const ColumnRange range = ChunkColumns(p, chunk);
  float buffer[kColumnTile];
  float ratios[kKeepsFactors ? kColumnTile : 1];
  for (int64_t first = range.first_column; first < range.last_column; first += kColumnTile) {
    const int64_t count =
        range.last_column - first < kColumnTile ? range.last_column - first : kColumnTile;
    const float* norms = ColumnNorms(a, first, count, buffer);
    for (int64_t j = 0; kKeepsFactors && j < count; j += kLanes) {
      Store(ratios + j, RulePiece::Ratio(a.level, Load(norms + j)));
    }
    for (int64_t line = range.first_line; line < range.last_line; ++line) {
      const int64_t start = line * p.columns + first;
      WriteGroups(a.output, start, start + count, a.stream, [&](auto group) FTP_LAMBDA_INLINE {
        const auto column = group.At(group.index - start);
        const FloatLanes ratio =
            kKeepsFactors ? column.Load(ratios) : RulePiece::Ratio(a.level, column.Load(norms));
        return ProjectElements(group, a, ratio);
      });
    }
  }
  if (a.stream) StreamFence();
}

}  // namespace
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CPU_WALK_COLUMNS_H_
