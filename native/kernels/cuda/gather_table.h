// The table that gathering on a CUDA device works from, as the step's (work_table.h):
//
//   table     header | numbers (kGatherNumbers of each variable) | records | items | groups that
//   turn scratch   table, then what blocks leave for one another
//
// The numbers are zeros that come with the copy, and with the header they are what is copied back.
#ifndef TFJS_FTP_KERNELS_CUDA_GATHER_TABLE_H_
#define TFJS_FTP_KERNELS_CUDA_GATHER_TABLE_H_

#include <vector>

#include "../gather.h"
#include "work_table.h"

namespace tfjs_ftp {

// What a record's chunks leave: kGatherNumbers doubles each; then its groups of rows that turn and
// lie in several chunks, as many; then the sums that these rows need, a plane for each kind.
FTP_INLINE int64_t TurnGroups(const VariableRecord& record) {
  const bool turns = record.row_sums > 0 && record.partition.has_partials();
  return turns ? record.partition.groups : 0;
}
FTP_INLINE double* ChunkNumbers(const VariableRecord& record) { return record.sums; }
FTP_INLINE double* GroupNumbers(const VariableRecord& record) {
  return ChunkNumbers(record) + kGatherNumbers * record.partition.chunks;
}
FTP_INLINE double* TurnPartials(const VariableRecord& record) {
  return GroupNumbers(record) + kGatherNumbers * TurnGroups(record);
}

class GatherTable {
 public:
  // `options` and the variables must live as long as this. GatherProblem must find nothing.
  GatherTable(const StepOptions& options, const VariableStep* variables, int64_t count,
              int32_t want, int64_t chunk_elements = CudaTuning().chunk_elements);

  // kOk, or what is wrong with the variables.
  const StepResult& result() const { return result_; }
  const StepOptions& options() const { return options_; }
  // Whether only squares are asked for: no number of any variable has a derivative.
  bool squares_alone() const { return squares_alone_; }
  int64_t count() const { return count_; }
  int64_t table_bytes() const { return table_bytes_; }
  int64_t scratch_bytes() const { return scratch_bytes_; }
  // Of the table's start: what is to be copied back, and where its numbers are.
  int64_t result_bytes() const { return records_at_; }
  static int64_t numbers_at() { return AlignUp(sizeof(TableHeader)); }

  // Writes the table to `host`, with the addresses it will have at `device`, and returns the
  // argument of the kernels.
  StepArgs Build(void* host, void* device) const;

 private:
  struct Part {
    int64_t variable;
    PreparedLast prepared;
    DevicePartition partition;
    int64_t groups;  // that turn
    int64_t sums;    // doubles
  };

  const StepOptions& options_;
  const VariableStep* variables_;
  int64_t count_;
  StepResult result_;
  std::vector<Part> parts_;
  bool squares_alone_ = true;
  int64_t items_ = 0;
  int64_t groups_ = 0;
  int64_t records_at_ = 0;
  int64_t items_at_ = 0;
  int64_t groups_at_ = 0;
  int64_t table_bytes_ = 0;
  int64_t scratch_bytes_ = 0;
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_GATHER_TABLE_H_
