#include "work_table.h"

#include <cstring>
#include <deque>

#include "../prepared.h"
#include "../state.h"

namespace tfjs_ftp {
namespace {

DevicePartition PartitionOf(const Prepared& prepared, const VariableStep& variable,
                            const CudaTuning& tuning) {
  if (prepared.whole) {
    return MakeDevicePartition(1, 1, variable.size(), false, prepared.mode, tuning.chunk_elements);
  }
  return MakeDevicePartition(variable.outer, variable.rows, variable.inner, !prepared.projects,
                             prepared.mode, tuning.chunk_elements);
}

// Doubles that the blocks leave for one another.
int64_t SumsOf(const DevicePartition& p, const Prepared& prepared) {
  if (prepared.projects) return 2 * (p.chunks + p.groups) + prepared.row_sums * p.plane();
  return prepared.gather_sums > 0 ? p.chunks * prepared.gather_sums + 1 : 0;
}

bool Aligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % (kPackWidth * sizeof(float)) == 0;
}

VariableRecord MakeRecord(const StepOptions& options, const VariableStep& variable, int64_t index,
                          const CudaTuning& tuning, const Prepared& prepared) {
  VariableRecord record = RecordOf(options, variable, index);
  record.base_scalars = prepared.base_scalars;
  record.rule_scalars = prepared.rule_scalars;
  record.rule = prepared.rule;
  record.mode = prepared.mode;
  record.row_sums = prepared.row_sums;
  record.gather_sums = prepared.gather_sums;
  record.projects = prepared.projects;
  record.partition = PartitionOf(prepared, variable, tuning);
  return record;
}

// Fused items of a variable.
int64_t FusedItems(const DevicePartition& p, bool projects) {
  return !projects || p.chunks == 1 ? p.chunks : 2 * p.chunks + p.groups;
}

// Lists the fused items. Blocks take them in this order, and each item waits only for earlier ones,
// which running blocks hold: whatever the number of blocks, some block can always go on. The finish
// of a variable comes `lag` items after its pass 1, when that has most likely ended, and pass 2
// soon after, while C is still in L2.
class FusedOrder {
 public:
  FusedOrder(FusedItem* items, const VariableRecord* records, int64_t lag)
      : items_(items), records_(records), finish_lag_(lag), project_lag_(AtLeast(lag / 4, 1)) {}

  void Add(int32_t record) {
    const DevicePartition& p = records_[record].partition;
    const bool whole = !records_[record].projects || p.chunks == 1;
    for (int64_t chunk = 0; chunk < p.chunks; ++chunk) {
      Emit(record, chunk, whole ? FusedPhase::kWhole : FusedPhase::kDeviate);
      EmitDue(count_);
    }
    if (!whole) finishes_.push_back({record, count_ + finish_lag_});
  }

  // Lists all that is left.
  void End() {
    EmitDue(INT64_MAX);
    EmitDue(INT64_MAX);
  }

 private:
  struct Due {
    int32_t record;
    int64_t at;
  };

  void EmitDue(int64_t position) {
    while (!projects_.empty() && projects_.front().at <= position) {
      const int32_t record = projects_.front().record;
      projects_.pop_front();
      // What was written last is most likely to be in cache still.
      for (int64_t chunk = records_[record].partition.chunks - 1; chunk >= 0; --chunk) {
        Emit(record, chunk, FusedPhase::kProject);
      }
    }
    while (!finishes_.empty() && finishes_.front().at <= position) {
      const int32_t record = finishes_.front().record;
      finishes_.pop_front();
      for (int64_t group = 0; group < records_[record].partition.groups; ++group) {
        Emit(record, group, FusedPhase::kFinish);
      }
      projects_.push_back({record, count_ + project_lag_});
    }
  }

  void Emit(int32_t record, int64_t part, FusedPhase phase) {
    items_[count_++] = {record, static_cast<int32_t>(part), phase};
  }

  FusedItem* items_;
  const VariableRecord* records_;
  int64_t finish_lag_;
  int64_t project_lag_;
  int64_t count_ = 0;
  std::deque<Due> finishes_;
  std::deque<Due> projects_;
};

}  // namespace

VariableRecord RecordOf(const StepOptions& options, const VariableStep& variable, int64_t index) {
  VariableRecord record = VariableRecord();
  record.weights = variable.weights;
  record.gradient = variable.gradient;
  record.proposal = variable.proposal;
  record.output = variable.output;
  record.state = PointersOf(LayoutState(options, variable), variable.state);
  record.around = MakeAround(variable);
  record.index = static_cast<int32_t>(index);
  // Slots of the state start at multiples of 64 bytes from its own start.
  record.aligned = Aligned(variable.weights) && Aligned(variable.gradient) &&
                   Aligned(variable.proposal) && Aligned(variable.output) &&
                   Aligned(variable.state);
  return record;
}

TableShape MeasureTable(const StepOptions& options, const VariableStep* variables, int64_t count,
                        const CudaTuning& tuning) {
  TableShape shape;
  const bool fused = TakesOneLaunch(options, tuning);
  for (int64_t i = 0; i < count; ++i) {
    const VariableStep& variable = variables[i];
    if (variable.size() == 0) continue;
    // State in another format is not in these kernels.
    if (!IsCompiled(options, variable.excluded) || variable.format != StateFormat::kFloat32) {
      shape.status = StepStatus::kUnsupported;
      shape.variable = i;
      return shape;
    }
    const Prepared prepared = Prepare(options, variable, false);
    const DevicePartition p = PartitionOf(prepared, variable, tuning);
    ++shape.records;
    shape.items += p.chunks;
    shape.sums += SumsOf(p, prepared);
    if (prepared.projects) {
      shape.projected_items += p.chunks;
      shape.finish_items += p.groups;
    }
    if (fused) shape.fused_items += FusedItems(p, prepared.projects);
    if (shape.items > kMaxItems || shape.fused_items > kMaxItems) {
      shape.status = StepStatus::kUnsupported;
      shape.variable = i;
      return shape;
    }
  }
  int64_t next = sizeof(TableHeader);
  const auto take = [&next](int64_t bytes) {
    const int64_t at = next;
    next = AlignUp(next + bytes);
    return at;
  };
  shape.progress_at = take(shape.records * static_cast<int64_t>(sizeof(Progress)));
  shape.records_at = take(shape.records * static_cast<int64_t>(sizeof(VariableRecord)));
  shape.items_at = take(shape.items * static_cast<int64_t>(sizeof(WorkItem)));
  shape.finish_at = take(shape.finish_items * static_cast<int64_t>(sizeof(WorkItem)));
  shape.fused_at = take(shape.fused_items * static_cast<int64_t>(sizeof(FusedItem)));
  shape.table_bytes = next;
  shape.scratch_bytes = next + shape.sums * static_cast<int64_t>(sizeof(double));
  return shape;
}

StepArgs BuildTable(const StepOptions& options, const VariableStep* variables, int64_t count,
                    const CudaTuning& tuning, const TableShape& shape, int64_t resident_blocks,
                    void* host, void* device) {
  char* const here = static_cast<char*>(host);
  char* const there = static_cast<char*>(device);
  std::memset(here, 0, static_cast<size_t>(shape.records_at));
  reinterpret_cast<TableHeader*>(here)->non_finite = kNoVariable;
  auto* const records = reinterpret_cast<VariableRecord*>(here + shape.records_at);
  auto* const items = reinterpret_cast<WorkItem*>(here + shape.items_at);
  auto* const finish_items = reinterpret_cast<WorkItem*>(here + shape.finish_at);
  auto* const fused_items = reinterpret_cast<FusedItem*>(here + shape.fused_at);
  double* sums = reinterpret_cast<double*>(there + shape.table_bytes);
  int32_t record_count = 0;
  int64_t item_count = 0;
  int64_t finish_count = 0;
  Preparation preparation(options);
  for (const bool excluded : {false, true}) {
    for (int64_t i = 0; i < count; ++i) {
      if (variables[i].excluded != excluded || variables[i].size() == 0) continue;
      const int32_t index = record_count++;
      VariableRecord& record = records[index];
      const Prepared& prepared = preparation.Of(variables[i]);
      record = MakeRecord(options, variables[i], i, tuning, prepared);
      record.sums = sums;
      sums += SumsOf(record.partition, prepared);
      const DevicePartition& p = record.partition;
      for (int64_t chunk = 0; chunk < p.chunks; ++chunk) {
        items[item_count++] = {index, static_cast<int32_t>(chunk)};
      }
      if (!record.projects) continue;
      for (int64_t group = 0; group < p.groups; ++group) {
        finish_items[finish_count++] = {index, static_cast<int32_t>(group)};
      }
    }
  }
  if (shape.fused_items > 0) {
    FusedOrder order(fused_items, records,
                     tuning.lag_items > 0 ? tuning.lag_items : resident_blocks);
    for (int32_t index = 0; index < record_count; ++index) order.Add(index);
    order.End();
  }
  StepArgs args;
  args.header = reinterpret_cast<TableHeader*>(there);
  args.progress = reinterpret_cast<Progress*>(there + shape.progress_at);
  args.records = reinterpret_cast<const VariableRecord*>(there + shape.records_at);
  args.items = reinterpret_cast<const WorkItem*>(there + shape.items_at);
  args.finish_items = reinterpret_cast<const WorkItem*>(there + shape.finish_at);
  args.fused_items = reinterpret_cast<const FusedItem*>(there + shape.fused_at);
  args.item_count = static_cast<int32_t>(shape.items);
  args.projected_count = static_cast<int32_t>(shape.projected_items);
  args.finish_count = static_cast<int32_t>(shape.finish_items);
  args.fused_count = static_cast<int32_t>(shape.fused_items);
  args.record_count = static_cast<int32_t>(shape.records);
  args.check = options.check_finite;
  args.numbers = nullptr;
  return args;
}

}  // namespace tfjs_ftp
