// Between the passes: the rows' numbers from the partial sums of strided and of long rows, the
// total, the largest number, and what the rule makes of them for the tensor. Every sum is added in
// an order that the shape decides.
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

// The numbers of a group of rows; leaves the largest one and its share of the total.
// `finish_lanes` rows at a time, each with 256 / finish_lanes threads.
template <class RulePiece>
FTP_DEVICE void FinishGroup(BlockShared& shared, const VariableRecord& record, int64_t group) {
  const auto& rule = record.rule_scalars.As<typename RulePiece::Scalars>();
  const DevicePartition& p = record.partition;
  const int rows_at_once = p.finish_lanes;
  const int term_lanes = kBlockThreads / rows_at_once;
  const int term_lane = Thread() / rows_at_once;
  const int64_t last = LeastOf((group + 1) * kFinishRows, p.rows);
  double total = 0.0;
  float largest = 0.0f;
  for (int64_t base = group * kFinishRows; base < last; base += rows_at_once) {
    const int64_t row = base + Thread() % rows_at_once;
    const bool active = row < last;
    double sums[kMaxRowSums] = {};
#pragma unroll
    for (int s = 0; s < kMaxRowSums; ++s) {
      if (s >= record.row_sums) continue;
      const double* const plane = record.partials() + s * p.plane();
      sums[s] = active ? SumTerms(p, plane, row, term_lane, term_lanes) : 0.0;
      sums[s] = RowTotal(shared, rows_at_once, sums[s]);
    }
    if (active && term_lane == 0) {
      const float norm = RulePiece::FinishRow(rule, record.mode, record.level(), sums, &total);
      record.norms()[row] = norm;
      largest = MaxNorm(largest, norm);
    }
  }
  total = BlockSum(shared, total);
  largest = BlockMaxNorm(shared, largest);
  if (Thread() == 0) {
    record.group_total()[group] = total;
    record.group_max()[group] = largest;
  }
}

// The tensor's numbers, from what the chunks and the groups left.
template <class RulePiece>
FTP_DEVICE void FinishTensor(BlockShared& shared, const VariableRecord& record) {
  const DevicePartition& p = record.partition;
  const bool partials = p.has_partials();
  const int thread = Thread();
  double total = 0.0;
  float largest = 0.0f;
  for (int64_t i = thread; i < p.chunks; i += kBlockThreads) {
    total += LoadPublished(record.chunk_total() + i);
    if (!partials)
      largest = MaxNorm(largest, static_cast<float>(LoadPublished(record.chunk_max() + i)));
  }
  if (partials) {
    for (int64_t i = thread; i < p.groups; i += kBlockThreads) {
      total += LoadPublished(record.group_total() + i);
      largest = MaxNorm(largest, static_cast<float>(LoadPublished(record.group_max() + i)));
    }
  }
  total = BlockSum(shared, total);
  largest = BlockMaxNorm(shared, largest);
  if (thread == 0) {
    RulePiece::FinishTensor(record.rule_scalars.As<typename RulePiece::Scalars>(), record.mode,
                            total, largest, record.constraint());
  }
}

// A group of rows; the block that is the last of its variable to come here also does the tensor.
// Which block that is changes no bit: it adds up what all of them stored, in the order of their
// numbers. Returns, in all threads, whether it was this one. The record is in shared memory
// (TakeRecord).
template <class RulePiece>
FTP_DEVICE bool FinishItem(BlockShared& shared, const StepArgs& args, const WorkItem& item) {
  const VariableRecord& record = shared.record();
  if (record.partition.has_partials()) FinishGroup<RulePiece>(shared, record, item.part);
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
  FinishTensor<RulePiece>(shared, record);
  return true;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_FINISH_CUH_
