// Tests of device memory and of the steps that own their scratch memory. On a GPU, where there is
// one (device_step_test), and on its double, which also fails on request and shows what a missing
// wait or order would do (device_step_test_double).
#include <cuda_runtime_api.h>

#include <algorithm>
#include <memory>
#include <string>

#include "../kernels/cuda/cuda_device.h"
#include "../kernels/cuda/device_memory.h"
#include "../kernels/cuda/run_step.h"
#include "device_memory.h"
#include "driven.h"
#if defined(TFJS_FTP_CUDA_DOUBLE)
#include "cuda_double/cuda_double.h"
#endif

namespace tfjs_ftp {
namespace {

constexpr int kSkipped = 77;
// As in oracle_loop.h: norms are sums of float32 products.
constexpr double kTolerance = 2e-5;

int64_t Bytes(const std::vector<float>& values) {
  return static_cast<int64_t>(values.size() * sizeof(float));
}

// Values in memory of the kind under test.
class Buffer {
 public:
  explicit Buffer(const std::vector<float>& values) : size_(values.size()) {
    CUDA_OK(memory_->Allocate(0, Bytes(values)));
    CUDA_OK(memory_->Upload(0, values.data(), Bytes(values)));
  }
  DeviceMemory& memory() { return *memory_; }
  float* get() const { return static_cast<float*>(memory_->get()); }
  std::vector<float> Download() const {
    std::vector<float> values(size_);
    CUDA_OK(memory_->Download(0, values.data(), Bytes(values)));
    return values;
  }

 private:
  size_t size_;
  std::unique_ptr<DeviceMemory> memory_ = std::make_unique<DeviceMemory>();
};

void TestMemory() {
  DeviceMemory a;
  DeviceMemory b;
  CHECK(a.get() == nullptr && a.bytes() == 0, "empty at first");
  a.Free();
  CUDA_OK(a.Allocate(0, 20));
  CUDA_OK(b.Allocate(0, 8));
  CHECK(a.get() != nullptr && a.bytes() == 20 && a.device() == 0, "allocated");
  CUDA_OK(a.Clear(0, 20));
  const std::vector<float> two = {5, 6};
  CUDA_OK(a.Upload(8, two.data(), 8));
  CUDA_OK(b.CopyFrom(0, a, 4, 8));
  std::vector<float> whole(5, -1);
  CUDA_OK(a.Download(0, whole.data(), 20));
  CHECK((whole == std::vector<float>{0, 0, 5, 6, 0}), "upload in the middle");
  std::vector<float> part(2, -1);
  CUDA_OK(b.Download(0, part.data(), 8));
  CHECK((part == std::vector<float>{0, 5}), "copy from the middle");
  CUDA_OK(a.Clear(8, 4));
  CUDA_OK(a.Download(8, part.data(), 8));
  CHECK((part == std::vector<float>{0, 6}), "cleared in the middle");
  a.Free();
  a.Free();
  CHECK(a.get() == nullptr && a.bytes() == 0, "freed twice");
  CUDA_OK(a.Allocate(0, 4));
  const int error = a.Allocate(0, int64_t{1} << 50);
  CHECK(IsOutOfMemory(error) && a.get() == nullptr && a.bytes() == 0, "a petabyte: %d", error);
  CHECK(cudaGetLastError() == cudaSuccess, "an error that was reported is not left behind");
  CHECK(a.Allocate(99, 4) == cudaErrorInvalidDevice && a.get() == nullptr, "no such device");
}

// What is free shrinks with an allocation and comes back with the object.
void TestFreed() {
  constexpr int64_t kLarge = int64_t{64} << 20;
  const auto free_bytes = [] {
    int64_t free_now = 0;
    int64_t total = 0;
    CUDA_OK(MeasureDeviceMemory(0, &free_now, &total));
    CHECK(free_now > 0 && free_now <= total, "free");
    return free_now;
  };
  const int64_t before = free_bytes();
  {
    DeviceMemory memory;
    CUDA_OK(memory.Allocate(0, kLarge));
    CHECK(free_bytes() <= before - kLarge, "allocated");
  }
  // Another process may take some of it meanwhile.
  CHECK(free_bytes() > before - kLarge / 2, "freed with the object");
}

StepOptions AdamW(bool check_finite) {
  StepOptions options = FtpOptions<tfjs_ftp::AdamW>(kAdamWNumbers);
  options.check_finite = check_finite;
  return options;
}

// A variable on the device beside the same one for the CPU step, in place of its weights. The first
// steps of a projected one leave it on its anchor; an excluded one moves at once, to the bits of
// the CPU step.
struct Pair {
  Driven host;
  Buffer weights, gradient, state;

  Pair(const StepOptions& options, const Shape& shape, bool excluded, uint32_t seed)
      : host(WithGradient(options, shape, excluded, seed)),
        weights(host.weights),
        gradient(host.gradient),
        state(host.state) {}

  static Driven WithGradient(const StepOptions& options, const Shape& shape, bool excluded,
                             uint32_t seed) {
    Driven made(options, shape, excluded, seed);
    DrawGradient(&made.gradient, seed, 1);
    return made;
  }
  VariableStep OnDevice(int t) {
    VariableStep step = host.Step(t, t, t == 1);
    step.weights = weights.get();
    step.output = weights.get();
    step.gradient = gradient.get();
    step.state = state.get();
    return step;
  }
  void StepOnHost(const StepOptions& options, int t) {
    const VariableStep step = host.Step(t, t, t == 1);
    CHECK(CpuStep(options, &step, 1).status == StepStatus::kOk, "CPU step");
    host.weights = host.output;
  }
  void Compare(const char* what) {
    const std::vector<float> found = weights.Download();
    if (host.excluded) {
      CHECK(found == host.weights, "%s", what);
      return;
    }
    const std::vector<double> expected(host.weights.begin(), host.weights.end());
    const double distance = RelativeDistance(found.data(), expected);
    CHECK(distance < kTolerance, "%s: %g", what, distance);
  }
};

// More variables than a first piece of scratch memory has room for, of one element each.
struct Many {
  static constexpr int64_t kCount = 6000;
  std::vector<float> weights, gradients, states;

  Many() : weights(kCount, 1.0f), gradients(kCount), states(kCount * kStateFloats) {
    for (size_t i = 0; i < kCount; ++i) gradients[i] = 1.0f + static_cast<float>(i);
  }
  static std::vector<VariableStep> List(float* weights, float* gradients, float* states) {
    std::vector<VariableStep> list;
    for (int64_t i = 0; i < kCount; ++i) {
      VariableStep step;
      step.output = weights + i;
      step.weights = step.output;
      step.gradient = gradients + i;
      step.state = states + i * kStateFloats;
      step.outer = step.rows = step.inner = 1;
      step.excluded = step.from_weights = true;
      step.t = step.n = 1;
      list.push_back(step);
    }
    return list;
  }

 private:
  static constexpr int64_t kStateFloats = 2 * kStateAlignment;  // m and v
};

int StepOne(CudaStepper* stepper, const StepOptions& options, Pair* pair, int t) {
  const VariableStep step = pair->OnDevice(t);
  const CudaResult result = stepper->Step(options, &step, 1);
  CHECK(result.step.status == StepStatus::kOk, "status");
  return result.cuda;
}

// Steps in flight one behind the other, the later with more scratch memory, and buffers that are
// freed meanwhile.
void TestSteps() {
  for (const bool check_finite : {false, true}) {
    const StepOptions options = AdamW(check_finite);
    CudaStepper stepper(0);
    Pair plain(options, Shape{1, 7, 33}, true, 1u);
    Pair projected(options, Shape{300, 300, 1}, false, 2u);
    for (int t = 1; t <= 3; ++t) {
      CUDA_OK(StepOne(&stepper, options, &plain, t));
      CUDA_OK(StepOne(&stepper, options, &projected, t));
      plain.StepOnHost(options, t);
      projected.StepOnHost(options, t);
      if (t == 2) stepper.FreeScratch();
    }
    Many many;
    const Buffer weights(many.weights);
    const Buffer gradients(many.gradients);
    const Buffer states(many.states);
    const std::vector<VariableStep> list = Many::List(weights.get(), gradients.get(), states.get());
    CHECK(stepper.Step(options, list.data(), Many::kCount).ok(), "many variables");
    const std::vector<VariableStep> on_host =
        Many::List(many.weights.data(), many.gradients.data(), many.states.data());
    CpuStep(options, on_host.data(), Many::kCount);
    plain.gradient.memory().Free();
    projected.gradient.memory().Free();
    plain.Compare("plain");
    projected.Compare("projected");
    CHECK(weights.Download() == many.weights && many.weights[0] != 1.0f, "many variables");
  }
  CudaStepper none(0);
  CHECK(none.Step(AdamW(true), nullptr, 0).ok(), "no variables");
}

// A gradient that a blocking stream of somebody else writes just before, and weights that one reads
// right behind, without a wait.
void TestOrder() {
  const StepOptions options = AdamW(false);
  cudaStream_t other = nullptr;
  CUDA_OK(cudaStreamCreateWithFlags(&other, cudaStreamDefault));
  CudaStepper stepper(0);
  Pair pair(options, Shape{1, 400, 700}, true, 3u);
  const Buffer source(pair.host.gradient);
  const Buffer copied(pair.host.weights);
  CUDA_OK(pair.gradient.memory().Clear(0, pair.gradient.memory().bytes()));
  const auto copy = [&](float* to, const float* from) {
    const size_t bytes = pair.host.weights.size() * sizeof(float);
    CUDA_OK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, other));
  };
  copy(pair.gradient.get(), source.get());
  CUDA_OK(StepOne(&stepper, options, &pair, 1));
  copy(copied.get(), pair.weights.get());
  pair.StepOnHost(options, 1);
  CHECK(copied.Download() == pair.weights.Download(), "weights read behind the step");
  pair.Compare("gradient written before the step");
  CUDA_OK(cudaStreamDestroy(other));
}

// Named at the call, nothing written, and the next step goes on.
void TestNonFinite() {
  const StepOptions options = AdamW(true);
  CudaStepper stepper(0);
  Pair good(options, Shape{1, 5, 16}, true, 4u);
  Pair bad(options, Shape{40, 130, 1}, false, 5u);
  const float infinity = std::numeric_limits<float>::infinity();
  CUDA_OK(bad.gradient.memory().Upload(4 * 777, &infinity, sizeof(infinity)));
  const std::vector<VariableStep> list = {good.OnDevice(1), bad.OnDevice(1)};
  const CudaResult result = stepper.Step(options, list.data(), 2);
  CHECK(result.cuda == cudaSuccess && result.step.status == StepStatus::kNonFiniteGradient &&
            result.step.variable == 1,
        "status %d of variable %d", static_cast<int>(result.step.status),
        static_cast<int>(result.step.variable));
  for (Pair* pair : {&good, &bad}) {
    CHECK(SameBits({pair->weights.Download(), pair->state.Download()},
                   {pair->host.weights, pair->host.state}),
          "written");
  }
  CUDA_OK(StepOne(&stepper, options, &good, 1));
  good.StepOnHost(options, 1);
  good.Compare("after a step that was left out");
}

// Sums by a stepper are those of the CPU, between steps that have more scratch memory, and fewer.
void TestGather() {
  StepOptions options = AdamW(true);
  options.keeps_gradient = true;
  CudaStepper stepper(0);
  Pair small(options, Shape{1, 5, 16}, true, 4u);
  Pair large(options, Shape{300, 130, 1}, false, 5u);
  for (int t = 1; t <= 3; ++t) {
    for (Pair* pair : {&small, &large}) {
      CUDA_OK(StepOne(&stepper, options, pair, t));
      pair->StepOnHost(options, t);
    }
  }
  const std::vector<VariableStep> list = {small.OnDevice(3), large.OnDevice(3)};
  std::vector<double> numbers(list.size() * kGatherNumbers, 5.0);
  CHECK(stepper.Gather(options, list.data(), 2, kWantAll, numbers.data()).ok(), "gather");
  const std::vector<VariableStep> on_host = {small.host.Step(3, 3, false),
                                             large.host.Step(3, 3, false)};
  std::vector<double> expected(numbers.size());
  CpuGather(options, on_host.data(), 2, kWantAll, expected.data());
  for (size_t i = 0; i < numbers.size(); ++i) {
    const double limit = i < kGatherNumbers ? 1e-12 : 1e-3;  // gamma differs in its last bits
    CHECK(std::abs(numbers[i] - expected[i]) <= limit * std::abs(expected[i]) + 1e-12,
          "number %d: %g, not %g", static_cast<int>(i), numbers[i], expected[i]);
  }
  small.Compare("after gathering");
  const float infinity = std::numeric_limits<float>::infinity();
  CUDA_OK(large.gradient.memory().Upload(4 * 777, &infinity, sizeof(infinity)));
  const CudaResult bad = stepper.Gather(options, list.data(), 2, kWantSquares, expected.data());
  CHECK(bad.step.status == StepStatus::kNonFiniteGradient && bad.step.variable == 1, "not finite");
  CHECK(CudaStepper(0).Gather(options, nullptr, 0, kWantAll, nullptr).ok(), "no variables");
}

#if defined(TFJS_FTP_CUDA_DOUBLE)
// Without the check nothing is waited for, with it everything.
void TestWaits() {
  CudaStepper stepper(0);
  Pair pair(AdamW(false), Shape{1, 5, 16}, false, 6u);
  CUDA_OK(cudaDeviceSynchronize());
  CUDA_OK(StepOne(&stepper, AdamW(false), &pair, 1));
  CHECK(cuda_double::QueuedOperations() > 0, "a step without the check waited");
  CUDA_OK(StepOne(&stepper, AdamW(true), &pair, 2));
  CHECK(cuda_double::QueuedOperations() == 0, "a step with the check did not wait");
}

// An allocation that fails in a step leaves nothing enqueued; the next step is as if there had been
// none.
void TestFaults() {
  const StepOptions options = AdamW(true);
  CudaStepper stepper(0);
  Pair pair(options, Shape{40, 130, 1}, true, 7u);
  CUDA_OK(cudaDeviceSynchronize());
  cuda_double::FailDeviceAllocation(1);
  CHECK(IsOutOfMemory(StepOne(&stepper, options, &pair, 1)), "scratch memory");
  CHECK(cuda_double::QueuedOperations() == 0, "enqueued");
  cuda_double::FailLaunch(1);
  CHECK(StepOne(&stepper, options, &pair, 1) == cudaErrorLaunchOutOfResources, "launch");
  CHECK(pair.weights.Download() == pair.host.weights, "written");
  CUDA_OK(StepOne(&stepper, options, &pair, 1));
  pair.StepOnHost(options, 1);
  pair.Compare("after failures");
  const VariableStep step = pair.OnDevice(1);
  double numbers[kGatherNumbers];
  const auto gather = [&] {
    return CudaStepper(0).Gather(options, &step, 1, kWantSquares, numbers).cuda;
  };
  cuda_double::FailDeviceAllocation(1);
  CHECK(IsOutOfMemory(gather()), "scratch memory of gathering");
  cuda_double::FailLaunch(2);
  CHECK(gather() == cudaErrorLaunchOutOfResources, "launch of gathering");
  CUDA_OK(gather());
  cuda_double::LoseDevice(0);
  CHECK(StepOne(&stepper, options, &pair, 2) == cudaErrorLaunchFailure, "lost device");
  cuda_double::Reset();
  CHECK(cuda_double::Misuses() == 0, "%s", cuda_double::LastMisuse().c_str());
}
#endif

}  // namespace
}  // namespace tfjs_ftp

int main() {
  using namespace tfjs_ftp;
  if (!QueryCuda().available) {
    std::printf("skipped: %s\n", QueryCuda().reason.c_str());
    return kSkipped;
  }
  TestMemory();
#if defined(TFJS_FTP_CUDA_DOUBLE)
  cuda_double::Reset();  // asking for device 99 counts as a misuse
#endif
  TestFreed();
  TestSteps();
  TestOrder();
  TestNonFinite();
  TestGather();
#if defined(TFJS_FTP_CUDA_DOUBLE)
  TestWaits();
  CHECK(cuda_double::Misuses() == 0, "%s", cuda_double::LastMisuse().c_str());
  TestFaults();
#endif
  std::printf("device memory and steps: %d checks, %d failures\n", g_checks, g_failures);
  return g_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
