// Tests of the CUDA step on a GPU; ends with code 77 where there is none. Every base, mode and
// layout against the float64 oracle and, bit by bit, against the same kernel bodies run on the
// host; refusal of non-finite gradients; steps in flight; order with the work of another stream.
//   TFJS_FTP_TEST_QUICK=1    few shapes, for tools that slow kernels down
//   TFJS_FTP_TEST_HUGE=only  only a variable of more than 2^31 elements (52 GB of device memory)
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "../kernels/cuda/cuda_device.h"
#include "../kernels/cuda/launch_step.h"
#include "../kernels/cuda/pinned_ring.h"
#include "../op/stream_order.h"
#include "device_memory.h"
#include "driven.h"
#include "emulate.h"
#include "oracle.h"

namespace tfjs_ftp {
namespace {

constexpr int kSkipped = 77;
constexpr double kTolerance = 2e-5;
constexpr double kConstraintTolerance = 2e-3;

StepOptions AdamW() {
  StepOptions options;
  options.learning_rate = 1e-2;
  options.beta1 = 0.9;
  options.beta2 = 0.999;
  options.epsilon = 1e-8;
  return options;
}

// AdamW, decay, AMSGrad; SGD plain, with momentum, dampening and decay, with Nesterov; projection.
constexpr int kVariants = 7;
StepOptions Variant(int variant) {
  StepOptions options = AdamW();
  if (variant == 1) options.weight_decay = 0.1;
  if (variant == 2) options.amsgrad = true;
  if (variant >= 3) options.base = BaseUpdate::kSgd;
  if (variant == 4 || variant == 5) {
    options.momentum_slot = true;
    options.momentum = 0.9;
    options.weight_decay = 0.05;
    if (variant == 4) options.dampening = 0.5;
    options.nesterov = variant == 5;
  }
  if (variant == 6) options.base = BaseUpdate::kProposal;
  return options;
}

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

std::string Name(const Shape& s) {
  return std::to_string(s.outer) + "x" + std::to_string(s.rows) + "x" + std::to_string(s.inner);
}

// A list of variables with its device memory.
struct OnDevice {
  std::vector<DeviceFloats> weights, gradients, states, outputs;
  std::vector<VariableStep> list;

  // `t` as in VariableStep; variable i rejoins where `rejoins(i)`.
  template <class Rejoins>
  OnDevice(std::vector<Driven>* variables, int t, int64_t offset, const Rejoins& rejoins) {
    for (size_t i = 0; i < variables->size(); ++i) {
      Driven& x = (*variables)[i];
      weights.emplace_back(x.weights, offset);
      gradients.emplace_back(x.gradient, offset);
      states.emplace_back(x.state, offset);
      outputs.emplace_back(static_cast<int64_t>(x.weights.size()), offset);
      outputs.back().Poison();
      VariableStep step = x.Step(t, t, t == 1 || rejoins(i));
      step.weights = weights.back().get();
      step.gradient = gradients.back().get();
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

void TestOne(const std::string& name, const StepOptions& options, const Shape& shape, bool excluded,
             int rejoin_at, const CudaTuning& tuning) {
  const uint32_t seed = static_cast<uint32_t>(shape.outer * 31 + shape.rows * 7 + shape.inner);
  std::vector<Driven> on_device;
  on_device.emplace_back(options, shape, excluded, seed);
  Driven& x = on_device[0];
  Driven host = x;
  OracleVariable y(shape.outer, shape.rows, shape.inner, excluded, x.weights, x.weights);
  const StateLayout layout = x.Layout(options);
  // Fibers are slow; the large shapes have the oracle alone.
  const bool emulate = shape.outer * shape.rows * shape.inner <= 300000;
  std::vector<float> proposal;
  for (int t = 1; t <= 5; ++t) {
    DrawGradient(&x.gradient, seed, t);
    const bool rejoins = t == rejoin_at;
    if (rejoins) {
      for (size_t i = 0; i < x.weights.size(); ++i) {
        x.weights[i] += 0.01f * static_cast<float>(static_cast<int>(i % 7) - 3);
        y.weights[i] = x.weights[i];
      }
    }
    if (options.base == BaseUpdate::kProposal) {
      for (size_t i = 0; i < x.weights.size(); ++i) x.weights[i] -= 0.01f * x.gradient[i];
      proposal = x.weights;
    }
    host.weights = x.weights;
    host.gradient = x.gradient;
    host.state = x.state;
    const OnDevice device(&on_device, t, 0, [&](size_t) { return rejoins; });
    CHECK(RunStep(options, device.list, tuning) == kNoVariable, "%s", name.c_str());
    x.state = device.states[0].Download();
    x.weights = device.outputs[0].Download();
    if (emulate) {
      const VariableStep step = host.Step(t, t, t == 1 || rejoins);
      Emulation emulation;
      emulation.tuning = tuning;
      EmulateStep(options, &step, 1, emulation);
      CHECK(std::memcmp(host.state.data(), x.state.data(), x.state.size() * sizeof(float)) == 0,
            "%s t=%d: state has other bits than on the host", name.c_str(), t);
      CHECK(
          std::memcmp(host.output.data(), x.weights.data(), x.weights.size() * sizeof(float)) == 0,
          "%s t=%d: weights have other bits than on the host", name.c_str(), t);
    }
    OracleStep(options, t, t, t == 1 || rejoins, x.gradient, proposal, &y);
    const double distance = RelativeDistance(x.weights.data(), y.weights);
    CHECK(distance < kTolerance, "%s t=%d: %g", name.c_str(), t, distance);
    if (excluded) continue;
    const float* c = x.state.data() + layout.constraint;
    CHECK(std::abs(c[0] - y.gamma) <= kConstraintTolerance * y.gamma, "%s t=%d: gamma %g %g",
          name.c_str(), t, static_cast<double>(c[0]), y.gamma);
    CHECK(std::abs(c[3] - y.hyper_gradient) <=
              kConstraintTolerance * (1 + std::abs(y.hyper_gradient)),
          "%s t=%d: h %g %g", name.c_str(), t, static_cast<double>(c[3]), y.hyper_gradient);
    CHECK(RelativeDistance(x.state.data() + layout.norms, y.norms) < kConstraintTolerance,
          "%s t=%d: norms", name.c_str(), t);
  }
}

constexpr CudaVariant kBoth[] = {CudaVariant::kThreeLaunches, CudaVariant::kOneLaunch};

void TestOracle() {
  for (const Shape& shape : Shapes()) {
    for (int variant = 0; variant < kVariants; ++variant) {
      for (const CudaVariant launches : kBoth) {
        const StepOptions options = Variant(variant);
        CudaTuning tuning;
        tuning.variant = launches;
        const std::string name = Name(shape) + " variant " + std::to_string(variant) +
                                 (launches == kBoth[0] ? " three launches" : " one launch");
        TestOne(name, options, shape, false, 0, tuning);
        if (variant == 6) continue;
        TestOne(name + " rejoin", options, shape, false, 3, tuning);
        TestOne(name + " excluded", options, shape, true, 0, tuning);
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
  StepOptions options = AdamW();
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
  const StepOptions options = AdamW();
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
      std::vector<DeviceFloats> scratch;
      const int64_t count = static_cast<int64_t>(device.list.size());
      const CudaSizes sizes = MeasureCudaStep(options, device.list.data(), count, tuning);
      // One scratch memory for all: each step's copy of its table waits for the step before.
      DeviceFloats shared(sizes.scratch_bytes / static_cast<int64_t>(sizeof(float)) * 2);
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
        const CudaResult result = CudaStep(options, device.list.data(), count, shared.get(),
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

// Another stream plays TensorFlow's: it produces the gradient after a pause and reads the weights
// right behind the step. `order` null: nothing orders the two, which must go wrong, or the test
// shows nothing.
bool OrderHolds(const StreamOrder* order, unsigned stream_flags) {
  const StepOptions options = AdamW();
  std::vector<Driven> variables;
  variables.emplace_back(options, Shape{700, 900, 1}, false, 11u);
  Driven& x = variables[0];
  DrawGradient(&x.gradient, 12u, 1);
  Driven host = x;
  const VariableStep on_host = host.Step(1, 1, true);
  CpuStep(options, &on_host, 1);
  OnDevice device(&variables, 1, 0, [](size_t) { return false; });
  const DeviceFloats produced(x.gradient);
  device.gradients[0].Poison();
  DeviceFloats consumed(static_cast<int64_t>(x.weights.size()));
  consumed.Poison();
  cudaStream_t theirs = nullptr;
  cudaStream_t unordered = nullptr;
  CUDA_OK(cudaStreamCreateWithFlags(&theirs, stream_flags));
  CUDA_OK(cudaStreamCreateWithFlags(&unordered, cudaStreamNonBlocking));
  const CudaSizes sizes = MeasureCudaStep(options, device.list.data(), 1);
  DeviceFloats scratch(sizes.scratch_bytes / static_cast<int64_t>(sizeof(float)) + 1);
  std::vector<char> table(static_cast<size_t>(sizes.table_bytes));
  CUDA_OK(cudaDeviceSynchronize());
  CUDA_OK(cudaLaunchHostFunc(
      theirs, [](void*) { std::this_thread::sleep_for(std::chrono::milliseconds(200)); }, nullptr));
  CUDA_OK(cudaMemcpyAsync(device.gradients[0].get(), produced.get(), produced.bytes(),
                          cudaMemcpyDeviceToDevice, theirs));
  const auto launch = [&](void* stream) {
    return CudaStep(options, device.list.data(), 1, scratch.get(), table.data(), stream).cuda;
  };
  CUDA_OK(order == nullptr ? launch(unordered) : OrderWithTensorFlow(*order, launch));
  CUDA_OK(cudaMemcpyAsync(consumed.get(), device.outputs[0].get(), consumed.bytes(),
                          cudaMemcpyDeviceToDevice, theirs));
  CUDA_OK(cudaStreamSynchronize(theirs));
  const std::vector<float> weights = consumed.Download();
  CUDA_OK(cudaDeviceSynchronize());
  const std::vector<float> state = device.states[0].Download();
  CUDA_OK(cudaStreamDestroy(theirs));
  CUDA_OK(cudaStreamDestroy(unordered));
  // Step 1 puts the weights on their anchor whatever the gradient was; that shows in the moments.
  const int64_t m = x.Layout(options).m;
  const bool right_m = std::equal(host.weights.begin(), host.weights.end(), state.begin() + m,
                                  [](float, float moment) { return moment == moment; }) &&
                       std::memcmp(state.data() + m, host.state.data() + m,
                                   host.weights.size() * sizeof(float)) == 0;
  return right_m && weights == host.output;
}

void TestOrder() {
  CHECK(!OrderHolds(nullptr, cudaStreamNonBlocking), "the test does not notice missing order");
  const StreamOrder legacy = StreamOrder::kLegacyStream;
  const StreamOrder synchronize = StreamOrder::kSynchronize;
  const StreamOrder events = StreamOrder::kEvents;
  CHECK(OrderHolds(&legacy, cudaStreamDefault), "legacy stream, blocking streams");
  CHECK(!OrderHolds(&legacy, cudaStreamNonBlocking), "legacy stream orders non-blocking streams?");
  for (const unsigned flags : {cudaStreamDefault, cudaStreamNonBlocking}) {
    CHECK(OrderHolds(&synchronize, flags), "synchronize");
    CHECK(OrderHolds(&events, flags), "events");
  }
}

// More than 2^31 elements: after step 1 the output is the anchor, everywhere, and C is W - U - A.
void TestHuge() {
  StepOptions options;
  options.base = BaseUpdate::kProposal;
  const Shape shape = {1, 3, (int64_t{1} << 30) + 5};
  const int64_t size = shape.rows * shape.inner;
  const StateLayout layout = LayoutState(options.base, false, false, false, size, shape.rows);
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
    CUDA_OK(
        cudaMemcpy(state.get() + layout.anchor + at, tile_a.data(), bytes, cudaMemcpyHostToDevice));
  });
  for (const CudaVariant launches : kBoth) {
    CudaTuning tuning;
    tuning.variant = launches;
    output.Poison();
    VariableStep step = {weights.get(),
                         weights.get(),
                         state.get(),
                         output.get(),
                         shape.outer,
                         shape.rows,
                         shape.inner,
                         false,
                         true,
                         1,
                         1};
    CHECK(RunStep(options, {step}, tuning) == kNoVariable, "huge");
    std::vector<float> part(kTile);
    bool projected = true;
    bool deviated = true;
    tiles([&](int64_t at, int64_t count) {
      const size_t bytes = static_cast<size_t>(count) * sizeof(float);
      CUDA_OK(cudaMemcpy(part.data(), output.get() + at, bytes, cudaMemcpyDeviceToHost));
      // gamma_1 / n is some 1e-17: a + that is a.
      projected = projected && std::memcmp(part.data(), tile_a.data(), bytes) == 0;
      CUDA_OK(cudaMemcpy(part.data(), state.get() + layout.deviation + at, bytes,
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
    TestOrder();
    TestNonFinite();
    TestInFlight();
    TestSameBits();
    TestOracle();
  }
  std::printf("%s: %d checks, %d failures\n", info.devices[0].name.c_str(), g_checks, g_failures);
  return g_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
