// The table that a CUDA step works from: one record a variable, and lists of items (record, chunk)
// that say which block does what. Built on the host in one piece of memory, copied to the device in
// front of the kernels, so that a step of a whole model is one copy and a few launches.
//
//   table     header | progress (records) | records | items | finish items | fused items
//   scratch   table, then the sums that blocks leave for one another (not copied, not cleared)
//
// The header's flag and all counters get their first values with the copy: no kernel has to clear
// anything. No CUDA header is needed here; native/test runs all of it on the host.
#ifndef TFJS_FTP_KERNELS_CUDA_WORK_TABLE_H_
#define TFJS_FTP_KERNELS_CUDA_WORK_TABLE_H_

#include <cstdint>

#include "../around.h"
#include "../methods/last_update.h"
#include "../methods/method.h"
#include "../scalar_bytes.h"
#include "../slots.h"
#include "../step.h"
#include "device_partition.h"
#include "launch_step.h"

namespace tfjs_ftp {

// At the very start of the scratch memory (kFlagOffset in launch_step.h).
struct TableHeader {
  int32_t non_finite;  // least index of a variable with a non-finite gradient, or kNoVariable
  int32_t next_item;   // first fused item that no block has taken
  int32_t unused[2];
};

// How far the blocks have come with one variable.
struct Progress {
  int32_t arrived;   // chunks through pass 1 (one-launch version)
  int32_t finished;  // groups through the finish
  int32_t ready;     // 1 from when norms and gamma of this step are stored (one-launch version)
  int32_t unused;
};

// Most sums per row.
constexpr int kMaxRowSums = 3;

struct VariableRecord {
  const float* weights;
  const float* gradient;
  const float* proposal;
  float* output;
  StatePointers state;
  // Of a rule that projects: chunk_total (chunks) | chunk_max (chunks) | group_total (groups) |
  // group_max (groups) | partials. Of one that gathers: its sums (chunks x sums), what it found
  // (1).
  double* sums;
  ScalarBytes base_scalars;
  ScalarBytes rule_scalars;
  Around around;
  int32_t index;  // in the caller's list
  Rule rule;
  DeviationMode mode;
  int32_t row_sums;
  int32_t gather_sums;
  bool projects;
  bool aligned;  // every buffer starts at a multiple of 16 bytes
  DevicePartition partition;
  LastUpdate last;  // of gathering, whose scalars are those of the last update

  // Pass 1 reads the numbers of step t - 1; those of step t are there before pass 2.
  FTP_MEMBER float* norms() const { return state[Slot::kNorms]; }
  FTP_MEMBER float* constraint() const { return state[Slot::kConstraint]; }
  FTP_MEMBER float level() const { return constraint()[0]; }

  FTP_MEMBER double* chunk_total() const { return sums; }
  FTP_MEMBER double* chunk_max() const { return sums + partition.chunks; }
  FTP_MEMBER double* group_total() const { return sums + 2 * partition.chunks; }
  FTP_MEMBER double* group_max() const { return group_total() + partition.groups; }
  FTP_MEMBER double* partials() const { return group_max() + partition.groups; }
  FTP_MEMBER double* gathered() const { return sums; }
  FTP_MEMBER double* gathered_level() const { return sums + partition.chunks * gather_sums; }
};

// A chunk of a record, or a group of its rows.
struct WorkItem {
  int32_t record;
  int32_t part;
};

enum class FusedPhase : int32_t {
  kWhole,    // a variable of one chunk, or a chunk of one that takes one pass: everything at once
  kDeviate,  // pass 1 of a chunk
  kFinish,   // numbers of a group of rows; the last group does the tensor
  kProject,  // pass 2 of a chunk
};

struct FusedItem {
  int32_t record;
  int32_t part;
  FusedPhase phase;
};

// The argument of every kernel.
struct StepArgs {
  TableHeader* header;
  Progress* progress;
  const VariableRecord* records;
  const WorkItem* items;  // chunks, those of projected variables first
  const WorkItem* finish_items;
  const FusedItem* fused_items;
  int32_t item_count;
  int32_t projected_count;  // items of projected variables
  int32_t finish_count;
  int32_t fused_count;
  int32_t record_count;
  bool check;       // that gradients are finite
  double* numbers;  // of gathering
};

// Most items of a table. Room above for the blocks that find the counter of fused items past its
// end.
constexpr int64_t kMaxItems = INT32_MAX - (1 << 20);

// What a part of a table takes.
inline int64_t AlignUp(int64_t bytes) {
  return (bytes + kTableAlignment - 1) / kTableAlignment * kTableAlignment;
}

// What a record has of its variable, whatever is done with it.
VariableRecord RecordOf(const StepOptions& options, const VariableStep& variable, int64_t index);

// Sizes of a table and byte offsets of its parts.
struct TableShape {
  StepStatus status = StepStatus::kOk;
  int64_t variable = -1;  // that the status speaks of
  int64_t records = 0;
  int64_t items = 0;
  int64_t projected_items = 0;
  int64_t finish_items = 0;
  int64_t fused_items = 0;  // 0 for the baseline
  int64_t sums = 0;         // doubles
  int64_t progress_at = 0;
  int64_t records_at = 0;
  int64_t items_at = 0;
  int64_t finish_at = 0;
  int64_t fused_at = 0;
  int64_t table_bytes = 0;
  int64_t scratch_bytes = 0;
};

// Whether the step runs as one launch: only FTP's kernels are compiled that way.
inline bool TakesOneLaunch(const StepOptions& options, const CudaTuning& tuning) {
  return tuning.variant == CudaVariant::kOneLaunch && options.rule == Rule::kFtp;
}

TableShape MeasureTable(const StepOptions& options, const VariableStep* variables, int64_t count,
                        const CudaTuning& tuning);

// Writes the table to `host`, with the addresses it will have at `device`, and returns the argument
// of the kernels. `resident_blocks`: of the one-launch version, how many items are in work at a
// time.
StepArgs BuildTable(const StepOptions& options, const VariableStep* variables, int64_t count,
                    const CudaTuning& tuning, const TableShape& shape, int64_t resident_blocks,
                    void* host, void* device);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_WORK_TABLE_H_
