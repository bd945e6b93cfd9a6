// Both passes over variables whose rows are strided: lines of `columns` = rows * inner elements
// (dense [in, out] and conv [h, w, in, out] kernels have inner = 1). Threads side by side take
// neighbouring packs of a line, so every access is coalesced; each thread keeps its columns from
// line to line, with one sum a column in registers.
#ifndef TFJS_FTP_KERNELS_CUDA_WALK_COLUMNS_CUH_
#define TFJS_FTP_KERNELS_CUDA_WALK_COLUMNS_CUH_

#include "elements.cuh"
#include "reduce.cuh"

namespace tfjs_ftp {

// Where a thread stands in a tile of `lanes` packs by `line_lanes` lines: some of the last threads
// stand behind the last line.
struct TilePlace {
  int lane;
  int line_lane;
};

FTP_DEVICE TilePlace PlaceInTile(const DevicePartition& p) {
  const int line_lane = Thread() / p.lanes;
  return {Thread() - line_lane * p.lanes, line_lane};
}

// Runs `body` with the place of the columns from `index` on.
template <int kWidth, class Body>
FTP_DEVICE void AtColumns(bool aligned, int64_t index, const Body& body) {
  if (kWidth == 1 || aligned) {
    body(Elements<kWidth>{index});
  } else {
    body(Elements<kWidth, Access::kSplit>{index});
  }
}

FTP_DEVICE int64_t RowOfColumn(const DevicePartition& p, int64_t column) {
  return p.inner == 1 ? column : column / p.inner;
}

// Adds one kind of column sum over the lines that the block had at a time and writes one partial a
// column: `slot` points to the tile's first column. All threads take part.
template <int kWidth>
FTP_DEVICE void StoreColumnSums(BlockShared& shared, int lanes, int columns,
                                const double (&sums)[kWidth], double* slot) {
  const int thread = Thread();
#pragma unroll
  for (int i = 0; i < kWidth; ++i) shared.sums[i][thread] = sums[i];
  __syncthreads();
  // lanes * kWidth may exceed the block where a line of 65 to 128 packs has it to itself in pairs.
  for (int column = thread; column < lanes * kWidth; column += kBlockThreads) {
    const int lane = column / kWidth;
    const double* const first = &shared.sums[column - lane * kWidth][lane];
    double sum = first[0];
#pragma unroll 4
    for (int y = 1; y < shared.tile.line_lanes; ++y) sum += first[y * lanes];
    if (column < columns) slot[column] = sum;
  }
  __syncthreads();  // before the next one writes
}

// The numbers of the rows that neighbouring columns belong to.
template <int kWidth, class LoadNorm>
FTP_DEVICE Pack<kWidth> ColumnNorms(const VariableRecord& record, int64_t column,
                                    const LoadNorm& load) {
  Pack<kWidth> norms;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    norms.e[i] = load(record.norms() + RowOfColumn(record.partition, column + i));
  }
  return norms;
}

template <class Base, class RulePiece, DeviationMode kMode, int kWidth>
FTP_DEVICE void DeviateColumns(BlockShared& shared, const VariableRecord& record, int64_t chunk) {
  constexpr int kSums = RulePiece::template kRowSums<kMode>;
  const auto& base = record.base_scalars.As<typename Base::Scalars>();
  const auto& rule = record.rule_scalars.As<typename RulePiece::Scalars>();
  const DevicePartition& p = record.partition;
  const TileRange& range = shared.tile;
  if (Thread() == 0) shared.tile = ChunkTile(p, chunk);
  __syncthreads();
  const TilePlace place = PlaceInTile(p);
  double total = 0.0;
#pragma unroll 1
  for (int tile = 0; tile < range.columns; tile += p.lanes * kWidth) {
    const int column = tile + place.lane * kWidth;
    double sums[kSums][kWidth] = {};
    if (place.line_lane < range.line_lanes && column < range.columns) {
      Pack<kWidth> norms(1.0f);
      if constexpr (kMode == DeviationMode::kContinue) {
        norms = ColumnNorms<kWidth>(record, range.first_column + column,
                                    [](const float* p) { return *p; });
      }
      const auto factors = RulePiece::At(rule, record.level(), norms);
      int64_t index = range.first_index + column + place.line_lane * p.columns;
#pragma unroll 1
      for (int line = place.line_lane; line < range.lines; line += range.line_lanes) {
        AtColumns<kWidth>(record.aligned, index, [&](const auto& elements) {
          const auto terms =
              DeviateElements<Base, RulePiece, kMode>(elements, record, base, factors);
#pragma unroll
          for (int i = 0; i < kWidth; ++i) {
#pragma unroll
            for (int s = 0; s < kSums; ++s) sums[s][i] += static_cast<double>(terms.row[s].e[i]);
          }
          if constexpr (RulePiece::template kTotals<kMode>) AddTo(&total, terms.total);
        });
        index += range.line_lanes * p.columns;
      }
    }
    double* const slot = record.partials() + range.stripe * p.columns + range.first_column + tile;
#pragma unroll
    for (int s = 0; s < kSums; ++s) {
      StoreColumnSums<kWidth>(shared, p.lanes, range.columns - tile, sums[s], slot + s * p.plane());
    }
  }
  total = BlockSum(shared, total);
  if (Thread() == 0) record.chunk_total()[chunk] = total;
}

template <class RulePiece, int kWidth>
FTP_DEVICE void ProjectColumns(BlockShared& shared, const VariableRecord& record, int64_t chunk) {
  const DevicePartition& p = record.partition;
  const TileRange& range = shared.tile;
  if (Thread() == 0) shared.tile = ChunkTile(p, chunk);
  __syncthreads();
  const TilePlace place = PlaceInTile(p);
  const float level = LoadPublished(record.constraint());
#pragma unroll 1
  for (int tile = 0; tile < range.columns; tile += p.lanes * kWidth) {
    const int column = tile + place.lane * kWidth;
    if (place.line_lane >= range.line_lanes || column >= range.columns) continue;
    const Pack<kWidth> ratio = RulePiece::Ratio(
        level, ColumnNorms<kWidth>(record, range.first_column + column,
                                   [](const float* p) { return LoadPublished(p); }));
    int64_t index = range.first_index + column + place.line_lane * p.columns;
#pragma unroll 2
    for (int line = place.line_lane; line < range.lines; line += range.line_lanes) {
      AtColumns<kWidth>(record.aligned, index, [&](const auto& elements) {
        elements.Store(record.output, ProjectElements(elements, record, ratio));
      });
      index += range.line_lanes * p.columns;
    }
  }
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_WALK_COLUMNS_CUH_
