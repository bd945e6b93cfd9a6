// Both passes over rows whose elements lie in runs of some length: whole rows a chunk (kRows: up to
// a warp a row) or pieces of long rows (kPieces: the whole block on one piece).
#ifndef TFJS_FTP_KERNELS_CUDA_WALK_ROWS_CUH_
#define TFJS_FTP_KERNELS_CUDA_WALK_ROWS_CUH_

#include <type_traits>

#include "elements.cuh"
#include "reduce.cuh"

namespace tfjs_ftp {

struct RowSums {
  double c;
  double gd;
  double d;
};

// Pass 1 over a row's slots from first_slot + lane on, every `lanes`-th; adds to this thread's
// sums.
template <BaseUpdate kBase, DeviationMode kMode>
FTP_DEVICE void DeviateSlots(BlockShared& shared, const StepConstants& constants,
                             const VariableRecord& record, int64_t row, int lane, RowSums* sums) {
  const RowsPlace& place = shared.rows;
  float ratio = 0.0f;
  float inverse_norm = 0.0f;
  if constexpr (kMode == DeviationMode::kContinue) {
    const float norm = record.norms[row];
    ratio = ProjectRatio(record.constraint[0], norm);
    inverse_norm = 1.0f / norm;
  }
  // Not unrolled: a pack's loads alone keep memory busy, and registers are scarce.
#pragma unroll 1
  for (int slot = lane; slot < place.slots; slot += place.lanes) {
    const Span span = RowSpan(record.partition, row, place.first_slot + slot);
    if (span.empty()) continue;
    AtSpan(record.aligned, span, [&](const auto& elements) {
      constexpr int kWidth = std::decay_t<decltype(elements)>::kWidth;
      const PackTerms<kWidth> terms = DeviatePack<kBase, kMode>(
          constants, record, elements, Fill<kWidth>(ratio), Fill<kWidth>(inverse_norm));
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        sums->c += static_cast<double>(terms.c.e[i]);
        if constexpr (kMode != DeviationMode::kFirst) {
          sums->gd += static_cast<double>(terms.gd.e[i]);
        }
        if constexpr (kMode == DeviationMode::kRejoin) sums->d += static_cast<double>(terms.d.e[i]);
      }
    });
  }
}

// Pass 1 over a chunk. Of whole rows it finishes the norms and leaves the largest one; of a piece
// it leaves the sums for the finish. Either way it leaves the chunk's share of the hyper-gradient.
template <BaseUpdate kBase, DeviationMode kMode>
FTP_DEVICE void DeviateRows(BlockShared& shared, const StepConstants& constants,
                            const VariableRecord& record, int64_t chunk) {
  if (Thread() == 0) shared.rows = ChunkRows(record.partition, chunk);
  __syncthreads();
  const RowsPlace& place = shared.rows;
  const int lanes = place.lanes;
  const int lane = Thread() % lanes;
  const bool piece = record.partition.walk == DeviceWalk::kPieces;
  double h = 0.0;
  float max_norm = 0.0f;
  RowSums sums = {0.0, 0.0, 0.0};
  // All threads go round equally often: lanes of a warp are added up together.
#pragma unroll 1
  for (int base = 0; base < place.rows; base += kBlockThreads / lanes) {
    const bool active = base + Thread() / lanes < place.rows;
    const int64_t row = place.first_row + base + Thread() / lanes;
    if constexpr (kMode == DeviationMode::kRejoin) sums.gd = 0.0;
    sums.c = 0.0;
    sums.d = 0.0;
    if (active) DeviateSlots<kBase, kMode>(shared, constants, record, row, lane, &sums);
    if (piece) break;  // the one row of all threads
    const double c = LaneSum(sums.c, lanes);
    if constexpr (kMode == DeviationMode::kRejoin) {
      const double d = LaneSum(sums.d, lanes);
      const double gd = LaneSum(sums.gd, lanes);
      if (active && lane == 0) h += gd / (d + kNormEpsilon);
    }
    if (active && lane == 0) {
      const float norm = static_cast<float>(c + kNormEpsilon);
      record.norms[row] = norm;  // every lane has used the old one: its sum has been added
      max_norm = MaxNorm(max_norm, norm);
    }
  }
  if constexpr (kMode == DeviationMode::kContinue) h = sums.gd;
  if constexpr (kMode != DeviationMode::kFirst) h = BlockSum(shared, h);
  if (!piece) max_norm = BlockMaxNorm(shared, max_norm);
  if (Thread() == 0) {
    record.chunk_h()[chunk] = h;
    record.chunk_max()[chunk] = max_norm;
  }
  if (!piece) return;
  double* const partials = record.partials();
  const int64_t plane = record.partition.plane();
  const double c = BlockSum(shared, sums.c);
  if (Thread() == 0) partials[chunk] = c;
  if constexpr (kMode == DeviationMode::kRejoin) {
    const double d = BlockSum(shared, sums.d);
    const double gd = BlockSum(shared, sums.gd);
    if (Thread() == 0) {
      partials[plane + chunk] = d;
      partials[2 * plane + chunk] = gd;
    }
  }
}

// Pass 2 over a chunk.
FTP_DEVICE void ProjectRows(BlockShared& shared, const VariableRecord& record, int64_t chunk) {
  if (Thread() == 0) shared.rows = ChunkRows(record.partition, chunk);
  __syncthreads();
  const RowsPlace& place = shared.rows;
  const int lanes = place.lanes;
  const float gamma = LoadPublished(record.constraint);
  for (int i = Thread() / lanes; i < place.rows; i += kBlockThreads / lanes) {
    const int64_t row = place.first_row + i;
    const float ratio = ProjectRatio(gamma, LoadPublished(record.norms + row));
#pragma unroll 2
    for (int slot = Thread() % lanes; slot < place.slots; slot += lanes) {
      const Span span = RowSpan(record.partition, row, place.first_slot + slot);
      if (span.empty()) continue;
      AtSpan(record.aligned, span, [&](const auto& elements) {
        ProjectPack(record, elements, Fill<std::decay_t<decltype(elements)>::kWidth>(ratio));
      });
    }
  }
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_WALK_ROWS_CUH_
