// Tests of what a CUDA step is cut into: partitions and the work table. They need no CUDA.
#include "../kernels/cuda/work_table.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "driven.h"
#include "oracle_loop.h"
#include "small_shapes.h"

namespace tfjs_ftp {
namespace {

constexpr DeviationMode kModes[] = {DeviationMode::kFirst, DeviationMode::kContinue,
                                    DeviationMode::kRejoin};

// The elements a chunk's threads would touch in pass 1 and pass 2, without running a kernel.
template <class Visit>
void VisitChunk(const DevicePartition& p, int64_t chunk, const Visit& visit) {
  if (p.walk == DeviceWalk::kPlain) {
    const ElementRange range = ChunkElements(p, chunk);
    for (int64_t i = range.begin; i < range.end; ++i) visit(i, i);
    return;
  }
  if (p.walk == DeviceWalk::kColumns) {
    const TileRange tile = ChunkTile(p, chunk);
    for (int32_t line = 0; line < tile.lines; ++line) {
      for (int32_t column = 0; column < tile.columns; ++column) {
        const int64_t index = tile.first_index + line * p.columns + column;
        visit(index, (tile.first_column + column) / p.inner);
      }
    }
    return;
  }
  const RowsPlace place = ChunkRows(p, chunk);
  for (int32_t i = 0; i < place.rows; ++i) {
    for (int32_t slot = 0; slot < place.slots; ++slot) {
      const Span span = RowSpan(p, place.first_row + i, place.first_slot + slot);
      for (int32_t e = span.first; e < span.last; ++e) visit(span.index + e, place.first_row + i);
    }
  }
}

// Every element in one chunk, once, with its own row; every element in one share of the check.
void TestPartition() {
  for (const Shape& shape : SmallShapes()) {
    for (const int64_t chunk_elements : {int64_t{1024}, int64_t{4096}, int64_t{16384}}) {
      for (const DeviationMode mode : kModes) {
        for (const bool excluded : {false, true}) {
          const DevicePartition p = MakeDevicePartition(shape.outer, shape.rows, shape.inner,
                                                        excluded, mode, chunk_elements);
          std::vector<int> seen(static_cast<size_t>(p.size), 0);
          std::vector<int> shared(static_cast<size_t>(p.size), 0);
          bool inside = true;
          bool rows_right = true;
          for (int64_t chunk = 0; chunk < p.chunks; ++chunk) {
            VisitChunk(p, chunk, [&](int64_t index, int64_t row) {
              inside = inside && index >= 0 && index < p.size;
              rows_right = rows_right && (excluded || row == index / p.inner % p.rows);
              if (inside) ++seen[static_cast<size_t>(index)];
            });
            const ElementRange range = ChunkElements(p, chunk);
            for (int64_t i = range.begin; i < range.end; ++i) ++shared[static_cast<size_t>(i)];
          }
          const auto once = [](int x) { return x == 1; };
          const std::string name = Name(shape);
          CHECK(inside && rows_right, "%s", name.c_str());
          CHECK(std::all_of(seen.begin(), seen.end(), once), "%s", name.c_str());
          CHECK(std::all_of(shared.begin(), shared.end(), once), "%s", name.c_str());
        }
      }
    }
  }
}

// Sizes over 2^31 and 2^40: chunks stay within the variable and their numbers within 32 bits.
void TestHugePartitions() {
  const std::vector<Shape> shapes = {
      {1, 1, int64_t{3} << 31},       {1, (int64_t{1} << 31) + 1, 3},
      {1, 5, (int64_t{1} << 33) + 3}, {(int64_t{1} << 20) + 1, 4099, 1},
      {(int64_t{1} << 30) + 7, 3, 1}, {9, 65537, 32769},
      {3, int64_t{1} << 31, 1}};
  for (const Shape& shape : shapes) {
    for (const DeviationMode mode : kModes) {
      const DevicePartition p =
          MakeDevicePartition(shape.outer, shape.rows, shape.inner, false, mode, 16384);
      const std::string name = Name(shape);
      CHECK(p.chunks <= INT32_MAX, "%s", name.c_str());
      for (const int64_t chunk : {int64_t{0}, p.chunks / 2, p.chunks - 1}) {
        int64_t count = 0;
        bool inside = true;
        VisitChunk(p, chunk, [&](int64_t index, int64_t row) {
          ++count;
          inside = inside && index >= 0 && index < p.size && row == index / p.inner % p.rows;
        });
        CHECK(inside && count > 0 && count <= 1 << 20, "%s chunk %lld: %lld", name.c_str(),
              static_cast<long long>(chunk), static_cast<long long>(count));
      }
      if (p.has_partials()) {
        const int64_t last = FinishSlot(p, p.rows - 1, FinishTerms(p) - 1);
        CHECK(last == p.plane() - 1, "%s", name.c_str());
      }
    }
  }
}

// The list of the one-launch version: every part once, and nothing in front of what it waits for.
void TestFusedOrder() {
  const StepOptions options = Variant(kAdamWVariant);
  for (const int64_t lag : {1, 2, 10, 100, 100000}) {
    for (const size_t count : {size_t{1}, size_t{3}, SmallShapes().size()}) {
      std::vector<Driven> variables;
      std::vector<VariableStep> list;
      for (size_t i = 0; i < count; ++i) {
        variables.emplace_back(options, SmallShapes()[SmallShapes().size() - 1 - i], i % 6 == 4,
                               static_cast<uint32_t>(i));
      }
      for (Driven& x : variables) list.push_back(x.Step(2, 2, false));
      CudaTuning tuning;
      tuning.variant = CudaVariant::kOneLaunch;
      tuning.chunk_elements = 1024;
      tuning.lag_items = lag;
      const TableShape shape =
          MeasureTable(options, list.data(), static_cast<int64_t>(count), tuning);
      std::vector<double> table(static_cast<size_t>(shape.table_bytes) / sizeof(double) + 1);
      const StepArgs args = BuildTable(options, list.data(), static_cast<int64_t>(count), tuning,
                                       shape, 8, table.data(), table.data());
      std::map<std::pair<int32_t, FusedPhase>, int64_t> done;
      std::map<std::pair<int32_t, FusedPhase>, std::vector<int>> parts;
      for (int32_t i = 0; i < args.fused_count; ++i) {
        const FusedItem& item = args.fused_items[i];
        const DevicePartition& p = args.records[item.record].partition;
        if (item.phase == FusedPhase::kFinish) {
          CHECK((done[{item.record, FusedPhase::kDeviate}]) == p.chunks, "finish before pass 1");
        }
        if (item.phase == FusedPhase::kProject) {
          CHECK((done[{item.record, FusedPhase::kFinish}]) == p.groups, "pass 2 before finish");
        }
        ++done[{item.record, item.phase}];
        std::vector<int>& seen = parts[{item.record, item.phase}];
        seen.resize(static_cast<size_t>(item.phase == FusedPhase::kFinish ? p.groups : p.chunks),
                    0);
        ++seen[static_cast<size_t>(item.part)];
      }
      for (int32_t record = 0; record < static_cast<int32_t>(shape.records); ++record) {
        const VariableRecord& r = args.records[record];
        const bool whole = !r.projects || r.partition.chunks == 1;
        const std::vector<FusedPhase> phases =
            whole ? std::vector<FusedPhase>{FusedPhase::kWhole}
                  : std::vector<FusedPhase>{FusedPhase::kDeviate, FusedPhase::kFinish,
                                            FusedPhase::kProject};
        for (const FusedPhase phase : phases) {
          const std::vector<int>& seen = parts[{record, phase}];
          CHECK(!seen.empty(), "phase missing");
          CHECK(std::all_of(seen.begin(), seen.end(), [](int x) { return x == 1; }), "not once");
        }
      }
    }
  }
}

// Nothing to do, and what is refused.
void TestEdges() {
  const TableShape none = MeasureTable(Variant(kAdamWVariant), nullptr, 0, CudaTuning());
  CHECK(none.status == StepStatus::kOk && none.items == 0, "no variables");
  Driven empty(Variant(kAdamWVariant), Shape{0, 4, 4}, false, 1u);
  const VariableStep nothing = empty.Step(1, 1, true);
  CHECK(MeasureTable(Variant(kAdamWVariant), &nothing, 1, CudaTuning()).items == 0, "empty");
  Driven x(Variant(kAdamWVariant), Shape{1, 2, 3}, true, 1u);
  const VariableStep step = x.Step(1, 1, true);
  const TableShape refused = MeasureTable(Variant(kProposalVariant), &step, 1, CudaTuning());
  CHECK(refused.status == StepStatus::kUnsupported && refused.variable == 0, "excluded proposal");
}

}  // namespace
}  // namespace tfjs_ftp

int main() {
  using namespace tfjs_ftp;
  TestPartition();
  TestHugePartitions();
  TestFusedOrder();
  TestEdges();
  std::printf("work table: %d checks, %d failures\n", g_checks, g_failures);
  return g_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
