#include "gather_table.h"

#include <cstring>

namespace tfjs_ftp {

GatherTable::GatherTable(const StepOptions& options, const VariableStep* variables, int64_t count,
                         int32_t want, int64_t chunk_elements)
    : options_(options), variables_(variables), count_(count) {
  int64_t sums = 0;
  for (int64_t i = 0; i < count; ++i) {
    const VariableStep& x = variables[i];
    if (x.size() == 0) continue;
    Part part = {i, {}, {}, 0, 0};
    const bool compiled = IsCompiled(options, x.excluded);
    if (compiled) part.prepared = PrepareLast(options, x, HypersOf(want));
    const bool rows = part.prepared.projects && !part.prepared.whole;
    // Single columns, as in the first step: up to ten sums a column are all that registers hold.
    part.partition =
        MakeDevicePartition(rows ? x.outer : 1, rows ? x.rows : 1, rows ? x.inner : x.size(),
                            !part.prepared.projects, DeviationMode::kFirst, chunk_elements);
    const DevicePartition& p = part.partition;
    const bool turns = part.prepared.turn_sums > 0 && p.has_partials();
    part.groups = turns ? p.groups : 0;
    part.sums = kGatherNumbers * (p.chunks + part.groups);
    if (turns) part.sums += part.prepared.turn_sums * p.plane();
    items_ += p.chunks;
    groups_ += part.groups;
    sums += part.sums;
    if (!compiled || items_ > kMaxItems) {
      result_ = {StepStatus::kUnsupported, i};
      return;
    }
    squares_alone_ = squares_alone_ && part.prepared.last.hypers == 0;
    parts_.push_back(part);
  }
  int64_t next = numbers_at();
  const auto take = [&next](int64_t number, size_t bytes) {
    const int64_t at = next;
    next = AlignUp(next + number * static_cast<int64_t>(bytes));
    return at;
  };
  take(count * kGatherNumbers, sizeof(double));
  records_at_ = take(static_cast<int64_t>(parts_.size()), sizeof(VariableRecord));
  items_at_ = take(items_, sizeof(WorkItem));
  groups_at_ = take(groups_, sizeof(WorkItem));
  table_bytes_ = next;
  scratch_bytes_ = next + sums * static_cast<int64_t>(sizeof(double));
}

StepArgs GatherTable::Build(void* host, void* device) const {
  char* const here = static_cast<char*>(host);
  char* const there = static_cast<char*>(device);
  std::memset(here, 0, static_cast<size_t>(records_at_));
  reinterpret_cast<TableHeader*>(here)->non_finite = kNoVariable;
  auto* record = reinterpret_cast<VariableRecord*>(here + records_at_);
  auto* item = reinterpret_cast<WorkItem*>(here + items_at_);
  auto* group = reinterpret_cast<WorkItem*>(here + groups_at_);
  double* sums = reinterpret_cast<double*>(there + table_bytes_);
  int32_t index = 0;
  for (const Part& part : parts_) {
    *record = RecordOf(options_, variables_[part.variable], part.variable);
    record->sums = sums;
    record->base_scalars = part.prepared.base_scalars;
    record->rule_scalars = part.prepared.rule_scalars;
    record->last = part.prepared.last;
    record->rule = part.prepared.rule;
    record->row_sums = part.prepared.turn_sums;
    record->projects = part.prepared.projects;
    record->partition = part.partition;
    for (int64_t i = 0; i < part.partition.chunks; ++i) *item++ = {index, static_cast<int32_t>(i)};
    for (int64_t i = 0; i < part.groups; ++i) *group++ = {index, static_cast<int32_t>(i)};
    sums += part.sums;
    ++record;
    ++index;
  }
  StepArgs args = StepArgs();
  args.header = reinterpret_cast<TableHeader*>(there);
  args.numbers = reinterpret_cast<double*>(there + numbers_at());
  args.records = reinterpret_cast<const VariableRecord*>(there + records_at_);
  args.items = reinterpret_cast<const WorkItem*>(there + items_at_);
  args.finish_items = reinterpret_cast<const WorkItem*>(there + groups_at_);
  args.item_count = static_cast<int32_t>(items_);
  args.finish_count = static_cast<int32_t>(groups_);
  args.record_count = index;
  args.check = options_.check_finite;
  return args;
}

}  // namespace tfjs_ftp
