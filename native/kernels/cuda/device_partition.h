// How a variable is cut into work for thread blocks, and which element a thread touches: pure
// address arithmetic, the same functions on the device and on the host (where native/test runs
// them).
//
// Everything follows from the shape and the kind of step alone, so that sums are added in the same
// order on every device and for every alignment of the buffers.
#ifndef TFJS_FTP_KERNELS_CUDA_DEVICE_PARTITION_H_
#define TFJS_FTP_KERNELS_CUDA_DEVICE_PARTITION_H_

#include <cstdint>

#include "../methods/method.h"
#include "../partition.h"

namespace tfjs_ftp {

constexpr int kBlockThreads = 256;
constexpr int kWarpThreads = 32;
constexpr int kPackWidth = 4;  // floats in 16 bytes

// Rows longer than this are cut into pieces, each with the whole block; shorter ones have up to a
// warp.
constexpr int64_t kWarpRowElements = 4096;
// Segments of a row shorter than this are not worth a run of threads: such variables go by columns.
constexpr int64_t kMinSegment = 32;
// Rows whose partial sums one finishing block adds up.
constexpr int64_t kFinishRows = 128;

enum class DeviceWalk : int32_t {
  kRows,     // whole rows a chunk, `lanes` threads a row; norms are done in pass 1
  kPieces,   // one piece of a long row a chunk
  kColumns,  // a stripe of lines times a block of columns a chunk, one sum a column
  kPlain,    // one pass over elements: no rows
};

struct DevicePartition {
  DeviceWalk walk = DeviceWalk::kPlain;
  int32_t lanes = 1;         // threads side by side: of a row (kRows), along a line (kColumns)
  int32_t width = 1;         // kColumns: columns a thread, 1 or kPackWidth
  int32_t finish_lanes = 1;  // rows side by side in a finishing block, a power of two <= 32
  int64_t outer = 1;
  int64_t rows = 1;
  int64_t inner = 1;
  int64_t size = 0;
  int64_t chunks = 0;
  int64_t chunk_extent = 0;  // a chunk's rows (kRows), slots (kPieces) or lines (kColumns)
  // kRows, kPieces: a slot is one pack of four elements that a segment may touch.
  int64_t segment_slots = 0;
  int64_t row_slots = 0;
  int64_t splits = 1;  // pieces of a row (kPieces), stripes of lines (kColumns)
  // kColumns
  int64_t columns = 0;
  int64_t block_columns = 0;  // columns of a chunk
  int64_t column_blocks = 1;
  int64_t groups = 0;  // finishing blocks

  // Sums that chunks leave per row piece or column: how many doubles one kind of sum takes.
  FTP_MEMBER int64_t plane() const {
    if (walk == DeviceWalk::kColumns) return splits * columns;
    return walk == DeviceWalk::kPieces ? rows * splits : 0;
  }
  FTP_MEMBER bool has_partials() const {
    return walk == DeviceWalk::kColumns || walk == DeviceWalk::kPieces;
  }
};

FTP_INLINE int64_t LeastOf(int64_t a, int64_t b) { return a < b ? a : b; }

// The elements of a pack that a thread works on: index + first .. index + last - 1. `index` is a
// multiple of four from the variable's start wherever rows are walked, so packs of all rows are
// aligned alike; the first and last of a row may be shared with its neighbours.
struct Span {
  int64_t index;
  int32_t first;
  int32_t last;
  FTP_MEMBER bool empty() const { return first >= last; }
  FTP_MEMBER bool whole() const { return first == 0 && last == kPackWidth; }
};

// Elements [begin, end) of a run that lie in its pack number `slot`.
FTP_INLINE Span RunSpan(int64_t begin, int64_t end, int64_t slot) {
  Span span;
  span.index = (begin / kPackWidth + slot) * kPackWidth;
  const int64_t first = begin - span.index;
  const int64_t last = end - span.index;
  span.first = first > 0 ? static_cast<int32_t>(first) : 0;
  span.last = last >= kPackWidth ? kPackWidth : last > 0 ? static_cast<int32_t>(last) : 0;
  return span;
}

// Packs that a run of `length` elements may touch, whatever its start.
FTP_INLINE int64_t RunSlots(int64_t length) {
  return length % kPackWidth == 0 ? length / kPackWidth
                                  : (length + 2 * (kPackWidth - 1)) / kPackWidth;
}

// Slot number `slot` of row `row`, counted over its `outer` segments.
FTP_INLINE Span RowSpan(const DevicePartition& p, int64_t row, int64_t slot) {
  int64_t segment = 0;
  if (p.outer > 1) {
    // 64-bit division costs some hundred instructions, and nearly no variable needs it.
    if ((static_cast<uint64_t>(slot) >> 32) == 0) {
      segment = static_cast<uint32_t>(slot) / static_cast<uint32_t>(p.segment_slots);
    } else {
      segment = slot / p.segment_slots;
    }
    slot -= segment * p.segment_slots;
  }
  const int64_t begin = (segment * p.rows + row) * p.inner;
  return RunSpan(begin, begin + p.inner, slot);
}

// The rows of a kRows chunk with all of their slots, or the piece of a row that a kPieces chunk is,
// and how many threads share a row. Numbers within a chunk fit 32 bits.
struct RowsPlace {
  int64_t first_row;
  int64_t first_slot;
  int32_t rows;
  int32_t slots;
  int32_t lanes;
};
FTP_INLINE RowsPlace ChunkRows(const DevicePartition& p, int64_t chunk) {
  RowsPlace place;
  place.lanes = p.lanes;
  if (p.walk == DeviceWalk::kPieces) {
    place.first_row = chunk / p.splits;
    place.first_slot = (chunk - place.first_row * p.splits) * p.chunk_extent;
    place.rows = 1;
    place.slots = static_cast<int32_t>(LeastOf(p.chunk_extent, p.row_slots - place.first_slot));
    return place;
  }
  place.first_row = chunk * p.chunk_extent;
  place.first_slot = 0;
  place.rows = static_cast<int32_t>(LeastOf(p.chunk_extent, p.rows - place.first_row));
  place.slots = static_cast<int32_t>(p.row_slots);
  return place;
}

// Lines and columns of a kColumns chunk. Neighbouring chunks share their lines.
struct TileRange {
  int64_t stripe;
  int64_t first_column;
  int64_t first_index;  // of the first line's element in the first column
  int32_t lines;
  int32_t columns;
  int32_t line_lanes;  // lines at a time
};
FTP_INLINE TileRange ChunkTile(const DevicePartition& p, int64_t chunk) {
  TileRange tile;
  tile.stripe = chunk / p.column_blocks;
  tile.first_column = (chunk - tile.stripe * p.column_blocks) * p.block_columns;
  const int64_t first_line = tile.stripe * p.chunk_extent;
  tile.first_index = first_line * p.columns + tile.first_column;
  tile.lines = static_cast<int32_t>(LeastOf(p.chunk_extent, p.outer - first_line));
  tile.columns = static_cast<int32_t>(LeastOf(p.block_columns, p.columns - tile.first_column));
  tile.line_lanes = kBlockThreads / p.lanes;
  return tile;
}

// Elements of a kPlain chunk, and of the share that a chunk of any variable has in the check for
// finite gradients. A multiple of four, so that packs stay aligned.
struct ElementRange {
  int64_t begin;
  int64_t end;
};
FTP_INLINE ElementRange ChunkElements(const DevicePartition& p, int64_t chunk) {
  int64_t share = (p.size + p.chunks - 1) / p.chunks;
  share = (share + kPackWidth - 1) / kPackWidth * kPackWidth;
  const int64_t begin = LeastOf(chunk * share, p.size);
  return {begin, LeastOf(begin + share, p.size)};
}

// Partial sum number `term` (of FinishTerms) of row `row` within a plane.
FTP_INLINE int64_t FinishTerms(const DevicePartition& p) {
  return p.walk == DeviceWalk::kColumns ? p.splits * p.inner : p.splits;
}
FTP_INLINE int64_t FinishSlot(const DevicePartition& p, int64_t row, int64_t term) {
  if (p.walk != DeviceWalk::kColumns) return row * p.splits + term;
  const int64_t stripe = p.inner == 1 ? term : term / p.inner;
  return stripe * p.columns + row * p.inner + (term - stripe * p.inner);
}

// ---- Host only: from a shape to its partition. ----

inline int64_t PowerOfTwoUpTo(int64_t x) {
  int64_t power = 1;
  while (2 * power <= x) power *= 2;
  return power;
}

inline void PartitionRows(DevicePartition* p, int64_t chunk_elements) {
  p->segment_slots = RunSlots(p->inner);
  p->row_slots = p->outer * p->segment_slots;
  const int64_t row_elements = p->outer * p->inner;
  const int64_t chunk_slots = chunk_elements / kPackWidth;
  if (row_elements > kWarpRowElements) {
    p->walk = DeviceWalk::kPieces;
    p->lanes = kBlockThreads;
    p->splits = CeilDiv(p->row_slots, chunk_slots);
    p->chunk_extent = CeilDiv(p->row_slots, p->splits);
    p->splits = CeilDiv(p->row_slots, p->chunk_extent);
    p->chunks = p->rows * p->splits;
    return;
  }
  p->walk = DeviceWalk::kRows;
  // Two packs a thread and row where there are that many: fewer steps to add the lanes up.
  const int64_t lanes = PowerOfTwoUpTo(AtLeast(p->row_slots / 2, 1));
  p->lanes = static_cast<int32_t>(AtMost(lanes, kWarpThreads));
  const int64_t rows_at_once = kBlockThreads / p->lanes;
  const int64_t rows = AtLeast(chunk_elements / row_elements, 1);
  p->chunk_extent = CeilDiv(rows, rows_at_once) * rows_at_once;
  p->chunks = CeilDiv(p->rows, p->chunk_extent);
}

inline void PartitionColumns(DevicePartition* p, DeviationMode mode, int64_t chunk_elements) {
  p->walk = DeviceWalk::kColumns;
  p->columns = p->rows * p->inner;
  // The first step and the first after W was assigned from outside take single columns: they are
  // rare, and with up to three sums a column they would need more registers than all the others.
  const bool packs = p->columns % kPackWidth == 0 && mode == DeviationMode::kContinue;
  p->width = packs ? kPackWidth : 1;
  const int64_t slots = p->columns / p->width;
  // As many threads along a line as it has packs, at most 64 (1 KB), or more if there are few
  // lines.
  const int64_t most = p->outer >= 4 ? kBlockThreads / 4 : kBlockThreads / 2;
  const int64_t tiles = CeilDiv(slots, most);
  p->lanes = static_cast<int32_t>(CeilDiv(slots, tiles));
  const int64_t tile_columns = static_cast<int64_t>(p->lanes) * p->width;
  const int64_t line_lanes = kBlockThreads / p->lanes;
  const int64_t lines = AtLeast(chunk_elements / tile_columns / line_lanes, 1) * line_lanes;
  if (lines >= p->outer) {
    p->chunk_extent = p->outer;
  } else {
    // Stripes of even height, in whole steps of line_lanes.
    const int64_t stripes = CeilDiv(p->outer, lines);
    p->chunk_extent = CeilDiv(CeilDiv(p->outer, stripes), line_lanes) * line_lanes;
  }
  p->splits = CeilDiv(p->outer, p->chunk_extent);
  // Few lines: a chunk has several tiles side by side.
  const int64_t tiles_a_chunk = AtLeast(chunk_elements / (tile_columns * p->chunk_extent), 1);
  p->block_columns = AtMost(tiles_a_chunk, tiles) * tile_columns;
  p->column_blocks = CeilDiv(p->columns, p->block_columns);
  p->chunks = p->splits * p->column_blocks;
}

// Cuts [outer, rows, inner] (all > 0).
inline DevicePartition MakeDevicePartition(int64_t outer, int64_t rows, int64_t inner, bool plain,
                                           DeviationMode mode, int64_t chunk_elements) {
  DevicePartition p;
  if (rows == 1) {
    inner *= outer;
    outer = 1;
  }
  p.outer = outer;
  p.rows = rows;
  p.inner = inner;
  p.size = outer * rows * inner;
  if (plain) {
    p.walk = DeviceWalk::kPlain;
    p.chunks = CeilDiv(p.size, chunk_elements);
    return p;
  }
  if (outer == 1 || inner >= kMinSegment) {
    PartitionRows(&p, chunk_elements);
  } else {
    PartitionColumns(&p, mode, chunk_elements);
  }
  p.finish_lanes = static_cast<int32_t>(PowerOfTwoUpTo(AtMost(rows, kWarpThreads)));
  p.groups = p.has_partials() ? CeilDiv(rows, kFinishRows) : 1;
  return p;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_DEVICE_PARTITION_H_
