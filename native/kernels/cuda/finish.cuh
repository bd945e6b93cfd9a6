// Between the passes: norms from the partial sums of strided and of long rows, the hyper-gradient,
// the largest norm and the Adam step on gamma. Every sum is added in an order that the shape
// decides.
#ifndef TFJS_FTP_KERNELS_CUDA_FINISH_CUH_
#define TFJS_FTP_KERNELS_CUDA_FINISH_CUH_

#include "reduce.cuh"

namespace tfjs_ftp {

// One kind of partial sums of a row, every `step`-th from `first` on.
template <class Simt>
FTP_DEVICE double SumTerms(const Simt& simt, const DevicePartition& p, const double* plane,
                           int64_t row, int64_t first, int step) {
  const int64_t terms = FinishTerms(p);
  double sum = 0.0;
#pragma unroll 4
  for (int64_t term = first; term < terms; term += step)
    sum += simt.LoadPublished(plane + FinishSlot(p, row, term));
  return sum;
}

// The sum over the block's threads that have the same row, in those with term_lane 0.
template <class Simt>
FTP_DEVICE double RowTotal(const Simt& simt, int rows, double x) {
  BlockShared& shared = simt.Shared();
  const int thread = simt.Thread();
  shared.sums[0][thread] = x;
  simt.Sync();
  double sum = 0.0;
  if (thread < rows) {
    for (int i = thread; i < kBlockThreads; i += rows) sum += shared.sums[0][i];
  }
  simt.Sync();
  return sum;
}

// Norms of a group of rows; leaves its largest norm and its share of the hyper-gradient.
// `finish_lanes` rows at a time, each with 256 / finish_lanes threads.
template <class Simt>
FTP_DEVICE void FinishGroup(const Simt& simt, const VariableRecord& record, int64_t group) {
  const DevicePartition& p = record.partition;
  const bool rejoin = record.mode == DeviationMode::kRejoin;
  const double* const partials = record.partials();
  const int rows_at_once = p.finish_lanes;
  const int term_lanes = kBlockThreads / rows_at_once;
  const int term_lane = simt.Thread() / rows_at_once;
  const int64_t last = LeastOf((group + 1) * kFinishRows, p.rows);
  double h = 0.0;
  float max_norm = 0.0f;
  for (int64_t base = group * kFinishRows; base < last; base += rows_at_once) {
    const int64_t row = base + simt.Thread() % rows_at_once;
    const bool active = row < last;
    double c = active ? SumTerms(simt, p, partials, row, term_lane, term_lanes) : 0.0;
    c = RowTotal(simt, rows_at_once, c);
    double d = 0.0;
    double gd = 0.0;
    if (rejoin) {
      d = active ? SumTerms(simt, p, partials + p.plane(), row, term_lane, term_lanes) : 0.0;
      d = RowTotal(simt, rows_at_once, d);
      gd = active ? SumTerms(simt, p, partials + 2 * p.plane(), row, term_lane, term_lanes) : 0.0;
      gd = RowTotal(simt, rows_at_once, gd);
    }
    if (active && term_lane == 0) {
      const float norm = static_cast<float>(c + kNormEpsilon);
      record.norms[row] = norm;
      max_norm = MaxNorm(max_norm, norm);
      if (rejoin) h += gd / (d + kNormEpsilon);
    }
  }
  h = BlockSum(simt, h);
  max_norm = BlockMaxNorm(simt, max_norm);
  if (simt.Thread() == 0) {
    record.group_h()[group] = h;
    record.group_max()[group] = max_norm;
  }
}

// gamma_t, from what the chunks and the groups left.
template <class Simt>
FTP_DEVICE void UpdateGamma(const Simt& simt, const StepConstants& constants,
                            const VariableRecord& record) {
  const DevicePartition& p = record.partition;
  const bool partials = p.has_partials();
  const int thread = simt.Thread();
  double h = 0.0;
  float max_norm = 0.0f;
  for (int64_t i = thread; i < p.chunks; i += kBlockThreads) {
    h += simt.LoadPublished(record.chunk_h() + i);
    if (!partials)
      max_norm = MaxNorm(max_norm, static_cast<float>(simt.LoadPublished(record.chunk_max() + i)));
  }
  if (partials) {
    for (int64_t i = thread; i < p.groups; i += kBlockThreads) {
      h += simt.LoadPublished(record.group_h() + i);
      max_norm = MaxNorm(max_norm, static_cast<float>(simt.LoadPublished(record.group_max() + i)));
    }
  }
  h = BlockSum(simt, h);
  max_norm = BlockMaxNorm(simt, max_norm);
  if (thread == 0) {
    float* const stored = record.constraint;
    const Constraint previous = {stored[0], stored[1], stored[2], stored[3]};
    const ConstraintScalars scalars = {constants.k,
                                       constants.constraint_learning_rate,
                                       constants.constraint_beta1,
                                       constants.constraint_beta2,
                                       record.bias1,
                                       record.bias2};
    const Constraint next = record.mode == DeviationMode::kFirst
                                ? FirstConstraint()
                                : UpdateConstraint(scalars, previous, h, max_norm);
    stored[0] = next.gamma;
    stored[1] = next.first_moment;
    stored[2] = next.second_moment;
    stored[3] = next.hyper_gradient;
  }
}

// A group of rows; the block that is the last of its variable to come here also updates gamma.
// Which block that is changes no bit: it adds up what all of them stored, in the order of their
// numbers. Returns, in all threads, whether it was this one. The record is in shared memory
// (TakeRecord).
template <class Simt>
FTP_DEVICE bool FinishItem(const Simt& simt, const StepArgs& args, const WorkItem& item) {
  const VariableRecord& record = simt.Shared().record();
  if (record.partition.has_partials()) FinishGroup(simt, record, item.part);
  const int64_t groups = record.partition.groups;
  if (groups > 1) {
    BlockShared& shared = simt.Shared();
    simt.Fence();
    simt.Sync();
    if (simt.Thread() == 0) {
      shared.word = simt.AtomicAdd(&args.progress[item.record].finished, 1);
      simt.Fence();
    }
    simt.Sync();
    const bool is_last = shared.word == groups - 1;
    simt.Sync();
    if (!is_last) return false;
  } else {
    simt.Sync();
  }
  UpdateGamma(simt, args.constants, record);
  return true;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_FINISH_CUH_
