// Tests of the CUDA step on a GPU; ends with code 77 where there is none. Every base, mode and
// layout against the float64 oracle and, where sums play no part, bit by bit against the CPU step;
// refusal of non-finite gradients; steps in flight. How steps are ordered with TensorFlow's
// work is gpu_op_test's.
// Ends with a digest of all results: a GPU must give the one that the double gives, which runs the
// PTX of the same kernels.
//   TFJS_FTP_TEST_QUICK=1    few shapes, for tools that slow kernels down
//   TFJS_FTP_TEST_HUGE=only  only a variable of more than 2^31 elements (52 GB of device memory)
#include <algorithm>
#include <cstdlib>
#include <string>

#include "../kernels/cuda/cuda_device.h"
#include "../kernels/cuda/launch_step.h"
#include "../kernels/cuda/pinned_ring.h"
#include "../kernels/cuda/run_gather.h"
#include "../kernels/cuda/work_table.h"
#include "device_memory.h"
#include "driven.h"
#include "gather_oracle.h"
#include "oracle_loop.h"
#include "step_alone.h"

namespace tfjs_ftp {
namespace {

constexpr int kSkipped = 77;

std::vector<Shape> Shapes() {
  // One of each walk, with ends that do not fill a pack.
  if (std::getenv("TFJS_FTP_TEST_QUICK") != nullptr) {
    return {{1, 1, 17}, {1, 7, 33}, {1, 3, 20001}, {33, 260, 1}, {70, 65, 1}, {9, 12, 64}};
  }
  return {{1, 1, 1},     {1, 1, 3},      {1, 1, 17},     {1, 5, 16},     {1, 7, 33},
          {1, 3, 70001}, {1, 300, 7},    {1, 100, 3},    {1, 1, 65537},  {1, 2000, 20},
          {5, 7, 1},     {9, 16, 1},     {33, 1025, 1},  {3, 8200, 1},   {2, 260, 4},
          {4, 5, 6},     {9, 12, 64},    {2, 1, 9},      {300, 70, 1},   {16, 1, 40},
          {3, 7, 33},    {1, 129, 4100}, {768, 768, 1},  {1, 768, 3072}, {129, 2, 1},
          {5, 6, 31},    {70, 3000, 1},  {1, 30000, 96}, {9, 512, 512},  {2048, 1000, 1}};
}

// A list of variables with its device memory.
struct OnDevice {
  std::vector<DeviceFloats> weights, gradients, proposals, states, outputs;
  std::vector<VariableStep> list;

  // `t` as in VariableStep; variable i rejoins where `rejoins(i)`.
  template <class Rejoins>
  OnDevice(std::vector<Driven>* variables, int t, int64_t offset, const Rejoins& rejoins) {
    for (size_t i = 0; i < variables->size(); ++i) {
      Driven& x = (*variables)[i];
      weights.emplace_back(x.weights, offset);
      gradients.emplace_back(x.gradient, offset);
      proposals.emplace_back(x.proposal, offset);
      states.emplace_back(x.state, offset);
      outputs.emplace_back(static_cast<int64_t>(x.weights.size()), offset);
      outputs.back().Poison();
      VariableStep step = x.Step(t, t, t == 1 || rejoins(i));
      step.weights = weights.back().get();
      step.gradient = gradients.back().get();
      if (!x.proposal.empty()) step.proposal = proposals.back().get();
      step.state = states.back().get();
      step.output = outputs.back().get();
      list.push_back(step);
    }
  }
};

// One step on `stream`, not waited for. The returned scratch memory must live until it has run.
DeviceFloats Enqueue(const StepOptions& options, const std::vector<VariableStep>& list,
                     const CudaTuning& tuning, void* stream) {
  const int64_t count = static_cast<int64_t>(list.size());
  const CudaSizes sizes = MeasureCudaStep(options, list.data(), count, tuning);
  CHECK(sizes.result.status == StepStatus::kOk, "sizes");
  DeviceFloats scratch(sizes.scratch_bytes / static_cast<int64_t>(sizeof(float)) + 1);
  scratch.Poison();
  // The runtime orders a memset of device memory with blocking streams only.
  CUDA_OK(cudaDeviceSynchronize());
  int error = cudaSuccess;
  PinnedRing::Slot* const slot = PinnedRing::Get().Acquire(sizes.table_bytes, &error);
  CUDA_OK(error);
  const CudaResult result = CudaStep(options, list.data(), count, scratch.get(),
                                     PinnedRing::Memory(slot), stream, tuning);
  CUDA_OK(result.cuda);
  CUDA_OK(PinnedRing::Get().Release(slot, stream));
  return scratch;
}

// One step, waited for; the flag of the check.
int32_t RunStep(const StepOptions& options, const std::vector<VariableStep>& list,
                const CudaTuning& tuning) {
  const DeviceFloats scratch = Enqueue(options, list, tuning, nullptr);
  CUDA_OK(cudaDeviceSynchronize());
  int32_t flag = 0;
  CUDA_OK(cudaMemcpy(&flag, reinterpret_cast<char*>(scratch.get()) + kFlagOffset, sizeof(flag),
                     cudaMemcpyDeviceToHost));
  return flag;
}

// FNV-1a of the bytes of all that TestOne got.
uint64_t g_digest = 0xcbf29ce484222325u;
void Digest(const std::vector<float>& values) {
  const unsigned char* const bytes = reinterpret_cast<const unsigned char*>(values.data());
  for (size_t i = 0; i < values.size() * sizeof(float); ++i) {
    g_digest = (g_digest ^ bytes[i]) * 0x100000001b3u;
  }
}

// Every step against the oracle and, what of its state is element-wise, against the CPU step.
void TestOne(OracleRun run, const CudaTuning& tuning) {
  run.steps = 5;
  CheckAgainstOracle(run, [&](const VariableStep& step, Driven* x) {
    std::vector<Driven> variables = {*x};
    OnDevice device(&variables, step.t, 0, [&](size_t) { return step.from_weights; });
    device.list[0].gradient_scale = step.gradient_scale;
    device.list[0].clip_value = step.clip_value;
    device.list[0].ema_momentum = step.ema_momentum;
    CHECK(RunStep(run.options, device.list, tuning) == kNoVariable, "%s", run.name.c_str());
    x->state = device.states[0].Download();
    x->output = device.outputs[0].Download();
    CHECK(StateOfCpuStep(run.options, step, variables[0], *x),
          "%s t=%d: element-wise state is not that of the CPU step", run.name.c_str(), step.t);
    Digest(x->state);
    Digest(x->output);
  });
}

constexpr CudaVariant kBoth[] = {CudaVariant::kThreeLaunches, CudaVariant::kOneLaunch};

void TestOracle() {
  for (const Shape& shape : Shapes()) {
    for (int variant = 0; variant < kVariants; ++variant) {
      for (const CudaVariant launches : kBoth) {
        CudaTuning tuning;
        tuning.variant = launches;
        if (launches == CudaVariant::kOneLaunch && !TakesOneLaunch(Variant(variant), tuning))
          continue;
        ForEachKind(shape, variant, 3, [&](OracleRun run) {
          run.name += launches == CudaVariant::kThreeLaunches ? ", three launches" : ", one launch";
          TestOne(run, tuning);
        });
      }
    }
  }
}

// States and weights of a whole model after three steps.
std::vector<std::vector<float>> RunModel(const StepOptions& options, const CudaTuning& tuning,
                                         int64_t offset) {
  std::vector<Driven> variables;
  uint32_t seed = 1;
  for (const Shape& shape : Shapes()) {
    const bool excluded = options.base != BaseUpdate::kProposal && seed % 5 == 0;
    variables.emplace_back(options, shape, excluded, seed++);
  }
  for (int t = 1; t <= 3; ++t) {
    for (Driven& x : variables) DrawGradient(&x.gradient, 3u, t);
    const OnDevice device(&variables, t, offset, [&](size_t i) { return t == 3 && i % 4 == 1; });
    CHECK(RunStep(options, device.list, tuning) == kNoVariable, "model");
    for (size_t i = 0; i < variables.size(); ++i) {
      variables[i].state = device.states[i].Download();
      variables[i].weights = device.outputs[i].Download();
    }
  }
  std::vector<std::vector<float>> results;
  for (const Driven& x : variables) {
    results.push_back(x.state);
    results.push_back(x.weights);
  }
  return results;
}

void TestSameBits() {
  for (const int variant : {0, 4, 6}) {
    const auto expected = RunModel(Variant(variant), CudaTuning(), 0);
    CHECK(SameBits(RunModel(Variant(variant), CudaTuning(), 0), expected), "again");
    CHECK(SameBits(RunModel(Variant(variant), CudaTuning(), 1), expected), "unaligned");
    for (const int64_t lag : {int64_t{0}, int64_t{1}, int64_t{100}, int64_t{100000}}) {
      CudaTuning one;
      one.variant = CudaVariant::kOneLaunch;
      one.lag_items = lag;
      for (int repeat = 0; repeat < 3; ++repeat) {
        CHECK(SameBits(RunModel(Variant(variant), one, 0), expected), "one launch, lag %lld",
              static_cast<long long>(lag));
      }
    }
  }
}

void TestNonFinite() {
  StepOptions options = Variant(kAdamWVariant);
  options.check_finite = true;
  for (const CudaVariant launches : kBoth) {
    CudaTuning tuning;
    tuning.variant = launches;
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
      for (const Shape& shape : Shapes()) {
        std::vector<Driven> variables;
        variables.emplace_back(options, Shape{1, 3, 20}, false, 1u);
        variables.emplace_back(options, shape, shape.rows % 2 == 0, 2u);
        variables.emplace_back(options, shape, false, 3u);
        for (Driven& x : variables) DrawGradient(&x.gradient, 5u, 1);
        variables[1].gradient.back() = bad;
        variables[2].gradient.front() = bad;
        const OnDevice device(&variables, 1, 0, [](size_t) { return false; });
        const int32_t flag = RunStep(options, device.list, tuning);
        CHECK(flag == 1, "%s: %d", Name(shape).c_str(), flag);
        for (size_t i = 0; i < 3; ++i) {
          CHECK(device.states[i].Download() == variables[i].state, "%s: state",
                Name(shape).c_str());
          const std::vector<float> output = device.outputs[i].Download();
          CHECK(std::all_of(output.begin(), output.end(), [](float w) { return w != w; }),
                "%s: output was written", Name(shape).c_str());
        }
      }
    }
  }
}

// Many steps in flight, each on the outputs of the one before, against the same steps one at a
// time.
void TestInFlight() {
  const StepOptions options = Variant(kAdamWVariant);
  constexpr int kSteps = 40;
  for (const CudaVariant launches : kBoth) {
    CudaTuning tuning;
    tuning.variant = launches;
    std::vector<std::vector<float>> results[2];
    for (const bool waits : {true, false}) {
      std::vector<Driven> variables;
      for (const Shape& shape : {Shape{768, 768, 1}, Shape{1, 3, 70001}, Shape{1, 1, 17}}) {
        variables.emplace_back(options, shape, false, 7u);
        DrawGradient(&variables.back().gradient, 8u, 1);
      }
      OnDevice device(&variables, 1, 0, [](size_t) { return false; });
      const int64_t count = static_cast<int64_t>(device.list.size());
      // One scratch memory for all, each step's copy of its table waits for the step before; as
      // large as the steps behind the first need it, which have more sums.
      for (VariableStep& step : device.list) {
        step.t = step.n = 2;
        step.from_weights = false;
      }
      const CudaSizes sizes = MeasureCudaStep(options, device.list.data(), count, tuning);
      const DeviceFloats scratch(sizes.scratch_bytes / static_cast<int64_t>(sizeof(float)) + 1);
      cudaStream_t stream = nullptr;
      CUDA_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
      CUDA_OK(cudaDeviceSynchronize());
      for (int t = 1; t <= kSteps; ++t) {
        for (VariableStep& step : device.list) {
          step.t = step.n = t;
          step.from_weights = t == 1;
        }
        int error = cudaSuccess;
        PinnedRing::Slot* const slot = PinnedRing::Get().Acquire(sizes.table_bytes, &error);
        CUDA_OK(error);
        const CudaResult result = CudaStep(options, device.list.data(), count, scratch.get(),
                                           PinnedRing::Memory(slot), stream, tuning);
        CUDA_OK(result.cuda);
        CUDA_OK(PinnedRing::Get().Release(slot, stream));
        if (waits) CUDA_OK(cudaStreamSynchronize(stream));
        for (VariableStep& step : device.list) {
          float* const weights = const_cast<float*>(step.weights);
          step.weights = step.output;
          step.output = weights;
        }
      }
      CUDA_OK(cudaDeviceSynchronize());
      CUDA_OK(cudaStreamDestroy(stream));
      for (size_t i = 0; i < variables.size(); ++i) {
        results[waits ? 0 : 1].push_back(device.states[i].Download());
        results[waits ? 0 : 1].push_back(device.weights[i].Download());
      }
    }
    CHECK(SameBits(results[0], results[1]), "steps in flight differ");
  }
}

// The sums on a device, of some variables at a time.
std::vector<double> GatherOn(const StepOptions& options, const std::vector<VariableStep>& list,
                             int32_t want, CudaResult* result) {
  const GatherTable table(options, list.data(), static_cast<int64_t>(list.size()), want);
  DeviceFloats scratch(table.scratch_bytes() / static_cast<int64_t>(sizeof(float)) + 1);
  scratch.Poison();
  CUDA_OK(cudaDeviceSynchronize());
  std::vector<double> numbers(list.size() * kGatherNumbers, 5.0);
  *result = RunCudaGather(table, scratch.get(), nullptr, numbers.data());
  return numbers;
}

// Every method on a walk or two, so that every base and rule meets every walk: against the oracle
// and, but for the order of sums, against the CPU; the same bits whatever the alignment.
void TestGather() {
  const std::vector<Shape> shapes = {{1, 1, 17},   {1, 7, 33},  {1, 2, 20001}, {33, 260, 1},
                                     {70, 65, 1},  {9, 12, 64}, {4, 5, 6},     {1, 130, 9},
                                     {1100, 3, 1}, {0, 3, 3}};
  int number = 0;
  for (StepOptions options : GatheredMethods()) {
    options.check_finite = true;
    const std::string method = "sums, method " + std::to_string(number);
    std::vector<Driven> variables;
    std::vector<VariableStep> steps;
    for (size_t i = 0; i < shapes.size(); ++i) {
      if ((i + static_cast<size_t>(number)) % 4 != 0 && i + 1 != shapes.size()) continue;
      variables.emplace_back(options, shapes[i], i == 1, 7u);
    }
    for (Driven& x : variables) steps.push_back(StepThenDraw(options, 3, &x));
    std::vector<double> on_cpu(steps.size() * kGatherNumbers);
    CpuGather(options, steps.data(), static_cast<int64_t>(steps.size()), kWantAll, on_cpu.data());
    std::vector<double> first;
    for (const int64_t offset : {0, 0, 1}) {
      OnDevice device(&variables, 3, offset, [](size_t) { return false; });
      CudaResult result;
      const std::vector<double> numbers = GatherOn(options, device.list, kWantAll, &result);
      CHECK(result.ok(), "%s", method.c_str());
      if (first.empty()) first = numbers;
      CHECK(numbers == first, "%s, offset %d", method.c_str(), static_cast<int>(offset));
      for (size_t i = 0; i < variables.size(); ++i) {
        CHECK(device.states[i].Download() == variables[i].state, "%s: written", method.c_str());
      }
    }
    for (size_t i = 0; i < variables.size(); ++i) {
      const std::string name = method + ", " + Name(variables[i].shape);
      const OracleSums oracle = OracleGather(options, steps[i]);
      const double* const own = &first[i * kGatherNumbers];
      const double* const cpu = &on_cpu[i * kGatherNumbers];
      CheckGathered(name.c_str(), own, oracle);
      for (size_t h = 0; h < kHypers; ++h) {
        const double size = oracle.sizes[h];
        CHECK(std::abs(own[1 + 2 * h] - cpu[1 + 2 * h]) <= 1e-12 * std::sqrt(cpu[0] * size) &&
                  std::abs(own[2 + 2 * h] - cpu[2 + 2 * h]) <= 1e-12 * size,
              "%s: %d is not that of the CPU", name.c_str(), static_cast<int>(h));
      }
    }
    ++number;
  }
}

// Squares alone; a variable without a last step; what is not finite.
void TestGatherKinds() {
  StepOptions options = GatheredMethods()[1];
  for (const bool check_finite : {true, false}) {
    options.check_finite = check_finite;
    std::vector<Driven> variables(3, Driven(options, Shape{40, 30, 1}, false, 7u));
    for (Driven& x : variables) StepThenDraw(options, 2, &x);
    OnDevice device(&variables, 2, 0, [](size_t i) { return i == 1; });
    CudaResult result;
    const std::vector<double> all = GatherOn(options, device.list, kWantAll, &result);
    const std::vector<double> squares = GatherOn(options, device.list, kWantSquares, &result);
    const std::vector<double> rate = GatherOn(options, device.list, 2, &result);
    for (size_t i = 0; i < all.size(); ++i) {
      const size_t of = i % kGatherNumbers;
      // In another order: no column matters.
      CHECK(of == 0 ? std::abs(squares[i] - all[i]) <= 1e-12 * all[i] : squares[i] == 0.0,
            "squares alone, %d", static_cast<int>(i));
      CHECK(rate[i] == (of < 3 ? all[i] : 0.0), "one number alone, %d", static_cast<int>(i));
      const bool assigned = i / kGatherNumbers == 1;
      CHECK((all[i] == 0.0) == (assigned ? of > 0 : of > 8), "number %d", static_cast<int>(i));
    }
    variables[2].gradient[1100] = std::numeric_limits<float>::infinity();
    OnDevice bad(&variables, 2, 0, [](size_t) { return false; });
    const std::vector<double> none = GatherOn(options, bad.list, kWantAll, &result);
    CHECK(result.cuda == cudaSuccess, "CUDA");
    if (check_finite) {
      CHECK(result.step.status == StepStatus::kNonFiniteGradient && result.step.variable == 2,
            "variable %d", static_cast<int>(result.step.variable));
      CHECK(none[0] == 5.0, "written");
    } else {
      CHECK(result.ok() && std::isinf(none[2 * kGatherNumbers]), "unchecked");
    }
  }
  Driven proposed(FtpOptions<Proposal>({}), Shape{1, 7, 33}, false, 1u);
  DrawGradient(&proposed.gradient, 1u, 1);
  std::vector<Driven> list = {proposed};
  const OnDevice device(&list, 2, 0, [](size_t) { return false; });
  CudaResult result;
  const std::vector<double> numbers =
      GatherOn(FtpOptions<Proposal>({}), device.list, kWantAll, &result);
  CHECK(result.ok() && numbers[0] > 0 && numbers[1] == 0, "a proposal");
}

// More than 2^31 elements: after step 1 the output is the anchor, everywhere, and C is W - U - A.
void TestHuge() {
  const StepOptions options = FtpOptions<Proposal>({});
  const Shape shape = {1, 3, (int64_t{1} << 30) + 5};
  const int64_t size = shape.rows * shape.inner;
  const StateLayout layout = LayoutState(options, false, size, shape.rows);
  constexpr int64_t kTile = (1 << 22) + 3;
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0.0f, 1.0f);
  std::vector<float> tile_w(kTile);
  std::vector<float> tile_a(kTile);
  for (float& w : tile_w) w = normal(random);
  for (float& a : tile_a) a = normal(random);
  DeviceFloats weights(size);
  DeviceFloats output(size);
  DeviceFloats state(layout.length);
  output.Poison();
  state.Poison();
  const auto tiles = [&](const auto& visit) {
    for (int64_t at = 0; at < size; at += kTile) visit(at, std::min(kTile, size - at));
  };
  tiles([&](int64_t at, int64_t count) {
    const size_t bytes = static_cast<size_t>(count) * sizeof(float);
    CUDA_OK(cudaMemcpy(weights.get() + at, tile_w.data(), bytes, cudaMemcpyHostToDevice));
    CUDA_OK(cudaMemcpy(state.get() + layout[Slot::kAnchor] + at, tile_a.data(), bytes,
                       cudaMemcpyHostToDevice));
  });
  for (const CudaVariant launches : kBoth) {
    CudaTuning tuning;
    tuning.variant = launches;
    output.Poison();
    VariableStep step;
    step.weights = step.gradient = step.proposal = weights.get();
    step.state = state.get();
    step.output = output.get();
    step.outer = shape.outer;
    step.rows = shape.rows;
    step.inner = shape.inner;
    step.from_weights = true;
    step.t = step.n = 1;
    CHECK(RunStep(options, {step}, tuning) == kNoVariable, "huge");
    std::vector<float> part(kTile);
    bool projected = true;
    bool deviated = true;
    tiles([&](int64_t at, int64_t count) {
      const size_t bytes = static_cast<size_t>(count) * sizeof(float);
      CUDA_OK(cudaMemcpy(part.data(), output.get() + at, bytes, cudaMemcpyDeviceToHost));
      // gamma_1 / n is some 1e-17: a + that is a.
      projected = projected && std::memcmp(part.data(), tile_a.data(), bytes) == 0;
      CUDA_OK(cudaMemcpy(part.data(), state.get() + layout[Slot::kDeviation] + at, bytes,
                         cudaMemcpyDeviceToHost));
      for (int64_t i = 0; i < count; ++i) {
        const size_t k = static_cast<size_t>(i);
        deviated = deviated && part[k] == tile_w[k] - tile_a[k];
      }
    });
    CHECK(projected, "output of more than 2^31 elements");
    CHECK(deviated, "deviation of more than 2^31 elements");
  }
}

}  // namespace
}  // namespace tfjs_ftp

int main() {
  using namespace tfjs_ftp;
  const CudaInfo& info = QueryCuda();
  if (!info.available) {
    std::printf("cuda_test: skipped, %s\n", info.reason.c_str());
    return kSkipped;
  }
  const char* const huge = std::getenv("TFJS_FTP_TEST_HUGE");
  if (huge != nullptr) {
    TestHuge();
  } else {
    TestNonFinite();
    TestGatherKinds();
    TestGather();
    TestInFlight();
    TestSameBits();
    TestOracle();
  }
  std::printf("digest %016llx\n", static_cast<unsigned long long>(g_digest));
  std::printf("%s: %d checks, %d failures\n", info.devices[0].name.c_str(), g_checks, g_failures);
  return g_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
