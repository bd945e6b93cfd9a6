// Tests of the CUDA step that need no GPU: partitions and tables, and the kernel bodies themselves,
// run on the host thread by thread (emulate.h) against the float64 oracle and the CPU step. Run
// under the sanitizers by `npm run sanitize`.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "driven.h"
#include "emulate.h"
#include "oracle_loop.h"

namespace tfjs_ftp {
namespace {

constexpr DeviationMode kModes[] = {DeviationMode::kFirst, DeviationMode::kContinue,
                                    DeviationMode::kRejoin};

std::vector<Shape> SmallShapes() {
  return {{1, 1, 1},    {1, 1, 3},     {1, 1, 17},   {1, 1, 5000}, {1, 5, 16},  {1, 7, 33},
          {1, 3, 4097}, {1, 300, 7},   {1, 100, 3},  {1, 400, 2},  {1, 130, 9}, {5, 7, 1},
          {9, 16, 1},   {33, 65, 1},   {3, 520, 1},  {2, 260, 4},  {4, 5, 6},   {9, 12, 64},
          {2, 1, 9},    {40, 130, 1},  {300, 70, 1}, {16, 1, 40},  {3, 7, 33},  {2, 3, 2050},
          {70, 260, 1}, {1, 2, 70001}, {64, 10, 1},  {129, 2, 1},  {5, 6, 31},  {1, 129, 4100},
          {3, 300, 5},  {7, 64, 32}};
}

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

// Every step against the oracle, and its element-wise state against the CPU step, bit by bit.
void TestOne(OracleRun run, const Emulation& emulation) {
  run.options.threads = 1;
  CheckAgainstOracle(run, [&](const VariableStep& step, Driven* x) {
    Driven cpu = *x;
    const VariableStep cpu_step = cpu.Step(step.t, step.n, step.from_weights);
    const StepResult result = EmulateStep(run.options, &step, 1, emulation);
    CHECK(result.status == StepStatus::kOk, "%s", run.name.c_str());
    CpuStep(run.options, &cpu_step, 1);
    const StateLayout layout = x->Layout(run.options);
    const int64_t first = layout[Slot::kAnchor] == kNoSection ? 0 : layout[Slot::kAnchor];
    CHECK(std::equal(x->state.begin() + first, x->state.end(), cpu.state.begin() + first),
          "%s t=%d: element-wise state is not that of the CPU step", run.name.c_str(), step.t);
  });
}

// Sanitizers take their time: a part of the combinations, every shape among them.
#if defined(__SANITIZE_ADDRESS__)
constexpr int kShare = 5;  // of threes and twos, so that both versions and all orders come up
#else
constexpr int kShare = 1;
#endif

void TestOracle() {
  int number = 0;
  for (const Shape& shape : SmallShapes()) {
    for (int variant = 0; variant < kFtpVariants; ++variant, ++number) {
      if (number % kShare != 0) continue;
      Emulation emulation;
      emulation.tuning.chunk_elements = number % 3 == 0 ? 16384 : 1024;
      emulation.tuning.variant =
          number % 2 == 0 ? CudaVariant::kThreeLaunches : CudaVariant::kOneLaunch;
      int kind = number;
      ForEachKind(shape, variant, 3, [&](const OracleRun& run) {
        emulation.order = static_cast<ThreadOrder>(kind++ % 3);
        TestOne(run, emulation);
      });
    }
  }
}

// A model: projected and excluded variables of all shapes, an empty one among them. Starts `offset`
// floats behind a multiple of 16 bytes.
struct Model {
  StepOptions options;
  std::vector<Driven> variables;
  std::vector<std::vector<float>> memory;
  size_t offset;

  Model(const StepOptions& o, size_t offset_floats) : options(o), offset(offset_floats) {
    uint32_t seed = 1;
    for (const Shape& shape : SmallShapes()) {
      const bool excluded = options.base != BaseUpdate::kProposal && seed % 5 == 0;
      variables.emplace_back(options, shape, excluded, seed++);
    }
    variables.emplace_back(options, Shape{0, 4, 4}, false, seed);
  }

  float* Place(const std::vector<float>& values) {
    memory.emplace_back(values.size() + offset);
    std::copy(values.begin(), values.end(), memory.back().begin() + static_cast<int64_t>(offset));
    return memory.back().data() + offset;
  }

  // States and weights after some steps.
  std::vector<std::vector<float>> Run(const Emulation& emulation, int steps) {
    for (int t = 1; t <= steps; ++t) {
      memory.clear();
      std::vector<VariableStep> list;
      for (size_t i = 0; i < variables.size(); ++i) {
        Driven& x = variables[i];
        DrawGradient(&x.gradient, 3u, t);
        VariableStep step = x.Step(t, t, t == 1 || (t == 3 && i % 4 == 1));
        step.weights = Place(x.weights);
        step.gradient = Place(x.gradient);
        step.state = Place(x.state);
        step.output = Place(x.output);
        list.push_back(step);
      }
      const StepResult result =
          EmulateStep(options, list.data(), static_cast<int64_t>(list.size()), emulation);
      CHECK(result.status == StepStatus::kOk, "step %d", t);
      for (size_t i = 0; i < variables.size(); ++i) {
        Driven& x = variables[i];
        std::copy(list[i].output, list[i].output + x.weights.size(), x.weights.begin());
        std::copy(list[i].state, list[i].state + x.state.size(), x.state.begin());
      }
    }
    std::vector<std::vector<float>> results;
    for (const Driven& x : variables) {
      results.push_back(x.state);
      results.push_back(x.weights);
    }
    return results;
  }
};

// The same bits from both versions, for any order of threads, number of blocks, distance between
// the passes and alignment.
void TestSameBits() {
  for (const int variant : {0, 4, 6}) {
    if (kShare > 1 && variant != 4) continue;
    Emulation plain;
    plain.tuning.chunk_elements = 2048;
    const auto expected = Model(Variant(variant), 0).Run(plain, 3);
    Emulation other = plain;
    other.order = ThreadOrder::kShuffled;
    CHECK(SameBits(Model(Variant(variant), 0).Run(other, 3), expected), "shuffled threads");
    other.order = ThreadOrder::kBackward;
    CHECK(SameBits(Model(Variant(variant), 1).Run(other, 3), expected), "unaligned buffers");
    other.tuning.variant = CudaVariant::kOneLaunch;
    for (const auto& [blocks, lag] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {1, 50}, {2, 3}, {7, 7}, {13, 1000}}) {
      other.resident = blocks;
      other.tuning.lag_items = lag;
      other.order = blocks == 7 ? ThreadOrder::kShuffled : ThreadOrder::kForward;
      CHECK(SameBits(Model(Variant(variant), blocks == 2 ? 3 : 0).Run(other, 3), expected),
            "one launch, %lld blocks, lag %lld", static_cast<long long>(blocks),
            static_cast<long long>(lag));
    }
  }
}

// Nothing is written where a gradient is not finite, and the first such variable is named.
void TestNonFinite() {
  StepOptions options = Variant(kAdamWVariant);
  options.check_finite = true;
  const float bads[] = {std::numeric_limits<float>::quiet_NaN(),
                        std::numeric_limits<float>::infinity(),
                        -std::numeric_limits<float>::infinity()};
  for (size_t kind = 0; kind < 3; ++kind) {
    const float bad = bads[kind];
    const std::vector<Shape> shapes = SmallShapes();
    for (size_t number = kind; number < shapes.size(); number += 3 * kShare) {
      const Shape& shape = shapes[number];
      for (const CudaVariant variant : {CudaVariant::kThreeLaunches, CudaVariant::kOneLaunch}) {
        std::vector<Driven> variables;
        variables.emplace_back(options, Shape{1, 3, 20}, false, 1u);
        variables.emplace_back(options, shape, shape.rows % 2 == 0, 2u);
        variables.emplace_back(options, shape, false, 3u);
        std::vector<VariableStep> list;
        for (Driven& x : variables) {
          DrawGradient(&x.gradient, 5u, 1);
          list.push_back(x.Step(1, 1, true));
        }
        Emulation emulation;
        emulation.tuning.variant = variant;
        emulation.tuning.chunk_elements = 1024;
        CHECK(EmulateStep(options, list.data(), 3, emulation).status == StepStatus::kOk, "finite");
        const std::vector<Driven> before = variables;
        variables[1].gradient.back() = bad;
        variables[2].gradient.front() = bad;
        const StepResult result = EmulateStep(options, list.data(), 3, emulation);
        CHECK(result.status == StepStatus::kNonFiniteGradient && result.variable == 1, "%s: %d",
              Name(shape).c_str(), static_cast<int>(result.variable));
        for (size_t i = 0; i < 3; ++i) {
          CHECK(variables[i].state == before[i].state, "%s: state was written",
                Name(shape).c_str());
          CHECK(variables[i].output == before[i].output, "%s: output was written",
                Name(shape).c_str());
        }
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
        const bool whole = r.excluded || r.partition.chunks == 1;
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
  Emulation emulation;
  CHECK(EmulateStep(Variant(kAdamWVariant), nullptr, 0, emulation).status == StepStatus::kOk,
        "no variables");
  StepOptions proposal = Variant(kProposalVariant);
  Driven x(Variant(kAdamWVariant), Shape{1, 2, 3}, true, 1u);
  const VariableStep step = x.Step(1, 1, true);
  const StepResult result = EmulateStep(proposal, &step, 1, emulation);
  CHECK(result.status == StepStatus::kUnsupported && result.variable == 0, "excluded proposal");
}

}  // namespace
}  // namespace tfjs_ftp

int main() {
  using namespace tfjs_ftp;
  TestPartition();
  TestHugePartitions();
  TestFusedOrder();
  TestEdges();
  TestOracle();
  TestSameBits();
  TestNonFinite();
  std::printf("CUDA bodies on the host: %d checks, %d failures\n", g_checks, g_failures);
  return g_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
