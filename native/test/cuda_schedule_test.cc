// Tests of the CUDA kernels on the double, in orders of blocks and warps that a GPU would not show
// at will: the same bits from both versions for any order, number of blocks, distance between the
// passes and alignment; and every kind of step on many shapes against the float64 oracle.
//   cuda_schedule_test oracle
//   cuda_schedule_test BLOCKS   the same bits, with BLOCKS of the one-launch version at a time
#include <cstdlib>
#include <string>

#include "cuda_double/cuda_double.h"
#include "device_memory.h"
#include "oracle_loop.h"
#include "small_shapes.h"
#include "step_alone.h"

namespace tfjs_ftp {
namespace {

using ptx::Order;

// Sanitizers take their time: a part of the combinations, every shape among them.
#if defined(__SANITIZE_ADDRESS__)
constexpr int kShare = 5;  // of threes and twos, so that both versions and all orders come up
#else
constexpr int kShare = 1;
#endif

void SetOrder(int64_t resident, Order order) {
  cuda_double::KernelSchedule schedule;
  schedule.resident = resident;
  schedule.order = order;
  cuda_double::SetKernelSchedule(schedule);
}

void TestOracle() {
  constexpr int64_t kBlocks = 3;
  int number = 0;
  for (const Shape& shape : SmallShapes()) {
    for (int variant = 0; variant < kVariants; ++variant, ++number) {
      if (number % kShare != 0) continue;
      CudaTuning tuning;
      tuning.chunk_elements = number % 3 == 0 ? 16384 : 1024;
      tuning.variant = number % 2 == 0 ? CudaVariant::kThreeLaunches : CudaVariant::kOneLaunch;
      int kind = number;
      ForEachKind(shape, variant, 3, [&](const OracleRun& run) {
        SetOrder(kBlocks, static_cast<Order>(kind++ % 3));
        CheckAgainstOracle(run, [&](const VariableStep& step, Driven* x) {
          const Driven before = *x;
          CHECK(StepAlone(run.options, {step}, tuning).ok(), "%s", run.name.c_str());
          CHECK(StateOfCpuStep(run.options, step, before, *x),
                "%s t=%d: element-wise state is not that of the CPU step", run.name.c_str(),
                step.t);
        });
      });
    }
  }
}

// A model: projected and excluded variables of all shapes, an empty one among them. Its states and
// weights after three steps.
std::vector<std::vector<float>> RunModel(const StepOptions& options, const CudaTuning& tuning,
                                         int64_t offset) {
  std::vector<Driven> variables;
  uint32_t seed = 1;
  for (const Shape& shape : SmallShapes()) {
    const bool excluded = options.base != BaseUpdate::kProposal && seed % 5 == 0;
    variables.emplace_back(options, shape, excluded, seed++);
  }
  variables.emplace_back(options, Shape{0, 4, 4}, false, seed);
  for (int t = 1; t <= 3; ++t) {
    std::vector<VariableStep> list;
    for (size_t i = 0; i < variables.size(); ++i) {
      Driven& x = variables[i];
      DrawGradient(&x.gradient, 3u, t);
      list.push_back(x.Step(t, t, t == 1 || (t == 3 && i % 4 == 1)));
    }
    CHECK(StepAlone(options, list, tuning, offset).ok(), "step %d", t);
    for (Driven& x : variables) x.weights = x.output;
  }
  std::vector<std::vector<float>> results;
  for (const Driven& x : variables) {
    results.push_back(x.state);
    results.push_back(x.weights);
  }
  return results;
}

void TestSameBits(int64_t blocks) {
  for (const int variant : {kAdamWVariant, kMomentumVariant, kProposalVariant}) {
    if (kShare > 1 && variant != kMomentumVariant) continue;
    const StepOptions options = Variant(variant);
    CudaTuning tuning;
    tuning.chunk_elements = 2048;
    SetOrder(blocks, Order::kForward);
    const auto expected = RunModel(options, tuning, 0);
    SetOrder(blocks, blocks % 2 == 0 ? Order::kBackward : Order::kShuffled);
    CHECK(SameBits(RunModel(options, tuning, 1), expected), "three launches, unaligned");
    tuning.variant = CudaVariant::kOneLaunch;
    for (const int64_t lag : {1 + blocks / 2, int64_t{1000}}) {
      SetOrder(blocks, static_cast<Order>((lag + blocks) % 3));
      tuning.lag_items = lag;
      CHECK(SameBits(RunModel(options, tuning, lag == 1000 ? 0 : 3), expected),
            "one launch, %lld blocks, lag %lld", static_cast<long long>(blocks),
            static_cast<long long>(lag));
    }
  }
}

}  // namespace
}  // namespace tfjs_ftp

int main(int count, char** arguments) {
  using namespace tfjs_ftp;
  const std::string what = count == 2 ? arguments[1] : "";
  const int64_t blocks = std::atoll(what.c_str());
  if (what == "oracle") {
    TestOracle();
  } else if (blocks > 0) {
    TestSameBits(blocks);
  } else {
    std::fprintf(stderr, "cuda_schedule_test oracle | BLOCKS\n");
    return EXIT_FAILURE;
  }
  std::printf("kernels in any order (%s): %d checks, %d failures\n", what.c_str(), g_checks,
              g_failures);
  return g_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
