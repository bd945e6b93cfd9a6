// How a variable is cut into chunks. The partition follows from the shape alone, never from the
// number of threads, so sums are added in the same order on every machine.
#ifndef TFJS_FTP_KERNELS_PARTITION_H_
#define TFJS_FTP_KERNELS_PARTITION_H_

#include <cstdint>

namespace tfjs_ftp {

// Rows that are one contiguous run are walked row by row; everything else is walked as `outer`
// lines of `columns` = rows * inner elements, with one sum a column.
enum class Walk : int32_t { kRows, kColumns };

constexpr int64_t kMinRowLength = 16;                // shorter rows are walked as columns
constexpr int64_t kRowChunkElements = 65536;         // target size of a chunk of whole rows
constexpr int64_t kLongRow = 2 * kRowChunkElements;  // longer rows are cut into pieces
constexpr int64_t kColumnChunkElements = 32768;
// Fewest lines a stripe: a stripe's sums (8 bytes a column) stay a small share of what it moves.
constexpr int64_t kMinStripe = 64;
constexpr int64_t kColumnBlock = 8192;          // widest block of columns in a chunk
constexpr int64_t kPlainChunkElements = 65536;  // of element-wise passes

struct Partition {
  Walk walk = Walk::kRows;
  int64_t rows = 0;
  int64_t inner = 0;
  int64_t size = 0;
  // kRows
  int64_t row_length = 0;
  int64_t rows_per_chunk = 0;  // whole rows a chunk; 0 where rows are cut into pieces
  int64_t pieces = 1;          // pieces a row
  // kColumns
  int64_t outer = 0;
  int64_t columns = 0;
  int64_t column_blocks = 0;
  int64_t column_block = 0;
  int64_t stripe = 0;  // lines a chunk
  int64_t stripes = 0;
  int64_t chunks = 0;

  bool long_rows() const { return walk == Walk::kRows && rows_per_chunk == 0; }
  // Doubles of partial sums, for `sums` sums per column or piece.
  int64_t partials(int64_t sums) const {
    if (walk == Walk::kColumns) return stripes * columns * sums;
    return long_rows() ? rows * pieces * sums : 0;
  }
};

inline int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t AtLeast(int64_t a, int64_t least) { return a < least ? least : a; }
inline int64_t AtMost(int64_t a, int64_t most) { return a > most ? most : a; }

// Cuts [outer, rows, inner] (all > 0).
inline Partition MakePartition(int64_t outer, int64_t rows, int64_t inner) {
  if (rows == 1) {
    inner *= outer;
    outer = 1;
  }
  Partition p;
  p.rows = rows;
  p.inner = inner;
  p.size = outer * rows * inner;
  if (outer == 1 && (inner >= kMinRowLength || rows == 1)) {
    p.walk = Walk::kRows;
    p.row_length = inner;
    if (inner > kLongRow) {
      p.pieces = CeilDiv(inner, kRowChunkElements);
      p.chunks = rows * p.pieces;
    } else {
      p.rows_per_chunk = AtLeast(kRowChunkElements / inner, 1);
      p.chunks = CeilDiv(rows, p.rows_per_chunk);
    }
    return p;
  }
  p.walk = Walk::kColumns;
  p.outer = outer;
  p.columns = rows * inner;
  p.column_block = AtMost(p.columns, kColumnBlock);
  p.column_blocks = CeilDiv(p.columns, p.column_block);
  p.stripe = AtMost(AtLeast(kColumnChunkElements / p.column_block, kMinStripe), outer);
  p.stripes = CeilDiv(outer, p.stripe);
  p.chunks = p.stripes * p.column_blocks;
  return p;
}

// Of gathering: with up to ten sums a column, blocks are narrow enough for them to stay in cache,
// and stripes are long enough for what they leave to be a small share of what was read.
constexpr int64_t kGatherColumns = 1024;
constexpr int64_t kGatherLines = 512;

inline Partition MakeGatherPartition(int64_t outer, int64_t rows, int64_t inner) {
  Partition p = MakePartition(outer, rows, inner);
  if (p.walk == Walk::kRows) return p;
  p.column_block = AtMost(p.columns, kGatherColumns);
  p.column_blocks = CeilDiv(p.columns, p.column_block);
  p.stripe = AtMost(kGatherLines, outer);
  p.stripes = CeilDiv(outer, p.stripe);
  p.chunks = p.stripes * p.column_blocks;
  return p;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_PARTITION_H_
