// Both passes over rows whose elements lie in runs of some length: whole rows a chunk (kRows: up to
// a warp a row) or pieces of long rows (kPieces: the whole block on one piece).
#ifndef TFJS_FTP_KERNELS_CUDA_WALK_ROWS_CUH_
#define TFJS_FTP_KERNELS_CUDA_WALK_ROWS_CUH_

#include <type_traits>

#include "elements.cuh"
#include "reduce.cuh"

namespace tfjs_ftp {

// Pass 1 over a row's slots from first_slot + lane on, every `lanes`-th; adds to this thread's sums
// of the row and to its total.
template <class Base, class RulePiece, DeviationMode kMode, int kSums>
FTP_DEVICE void DeviateSlots(BlockShared& shared, const VariableRecord& record, int64_t row,
                             int lane, double (&sums)[kSums], double* total) {
  const auto& base = record.base_scalars.As<typename Base::Scalars>();
  const auto& rule = record.rule_scalars.As<typename RulePiece::Scalars>();
  const RowsPlace& place = shared.rows;
  const float level = record.level();
  const float norm = kMode == DeviationMode::kContinue ? record.norms()[row] : 1.0f;
  // Not unrolled: a pack's loads alone keep memory busy, and registers are scarce.
#pragma unroll 1
  for (int slot = lane; slot < place.slots; slot += place.lanes) {
    const Span span = RowSpan(record.partition, row, place.first_slot + slot);
    if (span.empty()) continue;
    AtSpan(record.aligned, span, [&](const auto& elements) {
      using T = typename std::decay_t<decltype(elements)>::T;
      const auto factors = RulePiece::At(rule, level, T(norm));
      const auto terms = DeviateElements<Base, RulePiece, kMode>(elements, record, base, factors);
#pragma unroll
      for (int s = 0; s < kSums; ++s) AddTo(&sums[s], terms.row[s]);
      if constexpr (RulePiece::template kTotals<kMode>) AddTo(total, terms.total);
    });
  }
}

// Pass 1 over a chunk. Of whole rows it finishes the rows' numbers and leaves the largest one; of a
// piece it leaves the sums for the finish. Either way it leaves the chunk's share of the total.
template <class Base, class RulePiece, DeviationMode kMode>
FTP_DEVICE void DeviateRows(BlockShared& shared, const VariableRecord& record, int64_t chunk) {
  constexpr int kSums = RulePiece::template kRowSums<kMode>;
  const auto& rule = record.rule_scalars.As<typename RulePiece::Scalars>();
  if (Thread() == 0) shared.rows = ChunkRows(record.partition, chunk);
  __syncthreads();
  const RowsPlace& place = shared.rows;
  const int lanes = place.lanes;
  const int lane = Thread() % lanes;
  const bool piece = record.partition.walk == DeviceWalk::kPieces;
  double total = 0.0;
  float largest = 0.0f;
  double sums[kSums];
  // All threads go round equally often: lanes of a warp are added up together.
#pragma unroll 1
  for (int first = 0; first < place.rows; first += kBlockThreads / lanes) {
    const bool active = first + Thread() / lanes < place.rows;
    const int64_t row = place.first_row + first + Thread() / lanes;
#pragma unroll
    for (int s = 0; s < kSums; ++s) sums[s] = 0.0;
    if (active) {
      DeviateSlots<Base, RulePiece, kMode>(shared, record, row, lane, sums, &total);
    }
    if (piece) break;  // the one row of all threads
#pragma unroll
    for (int s = 0; s < kSums; ++s) sums[s] = LaneSum(sums[s], lanes);
    if (active && lane == 0) {
      // Every lane has used the old number: its sum has been added.
      const float norm = RulePiece::FinishRow(rule, kMode, record.level(), sums, &total);
      record.norms()[row] = norm;
      largest = MaxNorm(largest, norm);
    }
  }
  total = BlockSum(shared, total);
  if (!piece) largest = BlockMaxNorm(shared, largest);
  if (Thread() == 0) {
    record.chunk_total()[chunk] = total;
    record.chunk_max()[chunk] = largest;
  }
  if (!piece) return;
#pragma unroll
  for (int s = 0; s < kSums; ++s) {
    const double sum = BlockSum(shared, sums[s]);
    if (Thread() == 0) record.partials()[s * record.partition.plane() + chunk] = sum;
  }
}

// Pass 2 over a chunk.
template <class RulePiece>
FTP_DEVICE void ProjectRows(BlockShared& shared, const VariableRecord& record, int64_t chunk) {
  if (Thread() == 0) shared.rows = ChunkRows(record.partition, chunk);
  __syncthreads();
  const RowsPlace& place = shared.rows;
  const int lanes = place.lanes;
  const float level = LoadPublished(record.constraint());
  for (int i = Thread() / lanes; i < place.rows; i += kBlockThreads / lanes) {
    const int64_t row = place.first_row + i;
    const float ratio = RulePiece::Ratio(level, LoadPublished(record.norms() + row));
#pragma unroll 2
    for (int slot = Thread() % lanes; slot < place.slots; slot += lanes) {
      const Span span = RowSpan(record.partition, row, place.first_slot + slot);
      if (span.empty()) continue;
      AtSpan(record.aligned, span, [&](const auto& elements) {
        using T = typename std::decay_t<decltype(elements)>::T;
        elements.Store(record.output, ProjectElements(elements, record, T(ratio)));
      });
    }
  }
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_WALK_ROWS_CUH_
