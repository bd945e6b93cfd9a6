// Between the passes: norms from the partial sums of strided and of long rows, the hyper-gradient,
// the largest norm and the Adam step on gamma. Every sum is added in an order that the shape
// decides.
#ifndef TFJS_FTP_KERNELS_CUDA_FINISH_CUH_
#define TFJS_FTP_KERNELS_CUDA_FINISH_CUH_

#include "reduce.cuh"

namespace tfjs_ftp {

// One kind of partial sums of a row, every `step`-th from `first` on.
FTP_DEVICE double SumTerms(const DevicePartition& p, const double* plane, int64_t row,
                           int64_t first, int step) {
  const int64_t terms = FinishTerms(p);
  double sum = 0.0;
#pragma unroll 4
  for (int64_t term = first; term < terms; term += step)
    sum += LoadPublished(plane + FinishSlot(p, row, term));
  return sum;
}

// The sum over the block's threads that have the same row, in those with term_lane 0.
FTP_DEVICE double RowTotal(BlockShared& shared, int rows, double x) {
  const int thread = Thread();
  shared.sums[0][thread] = x;
  __syncthreads();
  double sum = 0.0;
  if (thread < rows) {
    for (int i = thread; i < kBlockThreads; i += rows) sum += shared.sums[0][i];
  }
  __syncthreads();
  return sum;
}

// Norms of a group of rows; leaves its largest norm and its share of the hyper-gradient.
// `finish_lanes` rows at a time, each with 256 / finish_lanes threads.
FTP_DEVICE void FinishGroup(BlockShared& shared, const VariableRecord& record, int64_t group) {
  const DevicePartition& p = record.partition;
  const bool rejoin = record.mode == DeviationMode::kRejoin;
  const double* const partials = record.partials();
  const int rows_at_once = p.finish_lanes;
  const int term_lanes = kBlockThreads / rows_at_once;
  const int term_lane = Thread() / rows_at_once;
  const int64_t last = LeastOf((group + 1) * kFinishRows, p.rows);
  double h = 0.0;
  float max_norm = 0.0f;
  for (int64_t base = group * kFinishRows; base < last; base += rows_at_once) {
    const int64_t row = base + Thread() % rows_at_once;
    const bool active = row < last;
    double c = active ? SumTerms(p, partials, row, term_lane, term_lanes) : 0.0;
    c = RowTotal(shared, rows_at_once, c);
    double d = 0.0;
    double gd = 0.0;
    if (rejoin) {
      d = active ? SumTerms(p, partials + p.plane(), row, term_lane, term_lanes) : 0.0;
      d = RowTotal(shared, rows_at_once, d);
      gd = active ? SumTerms(p, partials + 2 * p.plane(), row, term_lane, term_lanes) : 0.0;
      gd = RowTotal(shared, rows_at_once, gd);
    }
    if (active && term_lane == 0) {
      const float norm = static_cast<float>(c + kNormEpsilon);
      record.norms[row] = norm;
      max_norm = MaxNorm(max_norm, norm);
      if (rejoin) h += gd / (d + kNormEpsilon);
    }
  }
  h = BlockSum(shared, h);
  max_norm = BlockMaxNorm(shared, max_norm);
  if (Thread() == 0) {
    record.group_h()[group] = h;
    record.group_max()[group] = max_norm;
  }
}

// gamma_t, from what the chunks and the groups left.
FTP_DEVICE void UpdateGamma(BlockShared& shared, const StepConstants& constants,
                            const VariableRecord& record) {
  const DevicePartition& p = record.partition;
  const bool partials = p.has_partials();
  const int thread = Thread();
  double h = 0.0;
  float max_norm = 0.0f;
  for (int64_t i = thread; i < p.chunks; i += kBlockThreads) {
    h += LoadPublished(record.chunk_h() + i);
    if (!partials)
      max_norm = MaxNorm(max_norm, static_cast<float>(LoadPublished(record.chunk_max() + i)));
  }
  if (partials) {
    for (int64_t i = thread; i < p.groups; i += kBlockThreads) {
      h += LoadPublished(record.group_h() + i);
      max_norm = MaxNorm(max_norm, static_cast<float>(LoadPublished(record.group_max() + i)));
    }
  }
  h = BlockSum(shared, h);
  max_norm = BlockMaxNorm(shared, max_norm);
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
FTP_DEVICE bool FinishItem(BlockShared& shared, const StepArgs& args, const WorkItem& item) {
  const VariableRecord& record = shared.record();
  if (record.partition.has_partials()) FinishGroup(shared, record, item.part);
  const int64_t groups = record.partition.groups;
  if (groups > 1) {
    __syncthreads();
    if (Thread() == 0) {
      __threadfence();  // of the whole block's writes, which the barrier has put in front of it
      shared.word = atomicAdd(&args.progress[item.record].finished, 1);
      __threadfence();
    }
    __syncthreads();
    const bool is_last = shared.word == groups - 1;
    __syncthreads();
    if (!is_last) return false;
  } else {
    __syncthreads();
  }
  UpdateGamma(shared, args.constants, record);
  return true;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_FINISH_CUH_
