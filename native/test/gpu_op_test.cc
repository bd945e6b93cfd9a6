// Tests of the ops on device memory under a double of TensorFlow's C API: every kind of step
// against the float64 oracle and, bit by bit, against the same kernels by themselves and the
// CPU step; what is refused and what fails, after which states and weights are as before. How the
// ops are ordered with TensorFlow's work is gpu_order_test's. Ends with code 77 where there is no
// GPU.
#include <algorithm>
#include <cstdlib>

#include "../kernels/cuda/cuda_device.h"
#include "../kernels/plan.h"
#include "../op/tf_api.h"
#include "device_memory.h"
#include "gather_oracle.h"
#include "gpu_op_harness.h"
#include "oracle_loop.h"
#include "step_alone.h"
#if defined(TFJS_FTP_CUDA_DOUBLE)
#include "cuda_double/cuda_double.h"
#endif

namespace tfjs_ftp {
namespace {

using tf_double::NewTensor;
using tf_double::Result;
using tf_double::TensorRef;

void TestRegistered() {
  for (const char* op :
       {"TfjsFtpAllocate", "TfjsFtpRead", "TfjsFtpWrite", "TfjsFtpStep", "TfjsFtpGather"}) {
    CHECK(tf_double::HasKernel(op, "CPU") && tf_double::HasKernel(op, "GPU"), "%s", op);
  }
}

// One step of one variable through all four ops; the state goes in and out with them.
void StepByOps(const TheirStream& theirs, const OracleRun& run, const VariableStep& step,
               Driven* x) {
  const int64_t length = static_cast<int64_t>(x->state.size());
  const Result made = CallAllocate("GPU", length);
  CHECK(made.ok(), "%s", made.message.c_str());
  const TensorRef state = made.outputs[0];
  CHECK(CallWrite("GPU", state, theirs.Put(x->state), 0).ok(), "write");
  const Result result =
      CallStep("GPU", EncodePlan(run.options, {step}), {state}, {theirs.Put(x->weights)},
               {theirs.Put(x->gradient)},
               x->proposal.empty() ? Tensors() : Tensors{theirs.Put(x->proposal)});
  CHECK(result.ok(), "%s: %s", run.name.c_str(), result.message.c_str());
  if (!result.ok()) return;
  x->output = theirs.Get(result.outputs[0]);
  x->state = theirs.Get(CallRead("GPU", state, 0, length).outputs[0]);
}

void TestResults() {
  const TheirStream theirs(cudaStreamNonBlocking);
  int number = 0;
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{1, 7, 33}, Shape{1, 3, 4099}, Shape{1, 300, 7},
                             Shape{33, 65, 1}, Shape{2, 260, 4}, Shape{9, 12, 64}}) {
    for (int variant = 0; variant < kVariants; ++variant) {
      ForEachKind(shape, variant, 3, [&](OracleRun run) {
        run.options.check_finite = ++number % 2 == 0;
        run.options.threads = 1;
        CheckAgainstOracle(run, [&](const VariableStep& step, Driven* x) {
          const Driven before = *x;
          Driven alone = *x;
          const StepResult result = StepAlone(run.options, {alone.Take(step)}).step;
          CHECK(result.status == StepStatus::kOk, "%s", run.name.c_str());
          StepByOps(theirs, run, step, x);
          CHECK(SameBits({x->output, x->state}, {alone.output, alone.state}),
                "%s t=%d: other bits than the kernels by themselves", run.name.c_str(), step.t);
          CHECK(StateOfCpuStep(run.options, step, before, *x),
                "%s t=%d: element-wise state is not that of the CPU step", run.name.c_str(),
                step.t);
        });
      });
    }
  }
  CHECK(tf_double::LiveTensors() == 0, "%d tensors left",
        static_cast<int>(tf_double::LiveTensors()));
}

// The sums by the op are those of the kernels by themselves.
void TestGather() {
  const TheirStream theirs(cudaStreamNonBlocking);
  for (StepOptions options : GatheredMethods()) {
    options.check_finite = true;
    Driven x(options, Shape{9, 12, 5}, false, 4u);
    const VariableStep step = StepThenDraw(options, 3, &x);
    const TensorRef state = theirs.Put(x.state);
    const auto call = [&](const std::vector<float>& gradient, int32_t want) {
      return CallGather("GPU", EncodePlan(options, {step}), {state}, {theirs.Put(x.weights)},
                        {theirs.Put(gradient)}, want);
    };
    const Result result = call(x.gradient, kWantAll);
    CHECK(result.ok(), "%s", result.message.c_str());
    if (!result.ok()) return;
    const std::vector<double> numbers = GatheredBy(result);
    CHECK(numbers.size() == kGatherNumbers, "numbers");
    CheckGathered("by the op", numbers.data(), OracleGather(options, step));
    CHECK(SameBits({theirs.Get(state)}, {x.state}), "the state was written");
    std::vector<float> bad = x.gradient;
    bad.back() = std::numeric_limits<float>::quiet_NaN();
    const Result refused = call(bad, kWantSquares);
    CHECK(refused.code == kTfInvalidArgument && refused.message == "TFJS_FTP_NON_FINITE 0", "%s",
          refused.message.c_str());
    tf_double::RefuseAllocation(1);
    CHECK(call(x.gradient, kWantSquares).code == kTfResourceExhausted, "no scratch memory");
  }
  CHECK(tf_double::LiveTensors() == 0, "tensors left");
}

// A model two steps on its way, and what a failed third step must leave as it is.
class Underway {
 public:
  explicit Underway(bool check_finite,
                    std::vector<Shape> shapes = {{1, 6, 500}, {70, 26, 1}, {1, 3, 70}})
      : theirs_(cudaStreamNonBlocking), model_(Options(check_finite), Variables(shapes), theirs_) {
    for (int t = 1; t <= 2; ++t) {
      model_.DrawGradients(t);
      const Result result = Call(t, model_.PutGradients(theirs_));
      CHECK(result.ok(), "%s", result.message.c_str());
      model_.StepAlone(t);
      for (Driven& x : model_.variables) x.weights = x.output;
      model_.weights = result.outputs;
    }
    model_.DrawGradients(3);
    gradients = model_.PutGradients(theirs_);
  }

  Result Call(int t, const Tensors& with) {
    return CallStep("GPU", model_.Plan(t), model_.states, model_.weights, with);
  }
  Model& model() { return model_; }
  const TheirStream& theirs() const { return theirs_; }

  // A failed step: its error, and nothing written.
  void Fails(const char* what, const Result& result, int code, const char* message) {
    CHECK(result.code == code && result.message.find(message) != std::string::npos, "%s: %d %s",
          what, result.code, result.message.c_str());
    CHECK(AsBefore(), "%s: states or weights are not as before", what);
  }
  bool AsBefore() {
    std::vector<std::vector<float>> weights;
    for (const Driven& x : model_.variables) weights.push_back(x.weights);
    return SameBits(Downloaded(model_.states), StatesOf(model_.variables)) &&
           SameBits(Downloaded(model_.weights), weights);
  }
  // The third step can be taken all the same, with the right result.
  void GoesOn(const char* what) {
    const Result result = Call(3, gradients);
    CHECK(result.ok(), "%s: then %s", what, result.message.c_str());
    if (!result.ok()) return;
    model_.StepAlone(3);
    CHECK(SameBits(Downloaded(result.outputs), OutputsOf(model_.variables)), "%s: then", what);
    CHECK(SameBits(Downloaded(model_.states), StatesOf(model_.variables)), "%s: then", what);
  }

  Tensors gradients;

 private:
  static StepOptions Options(bool check_finite) {
    StepOptions options = Variant(kAdamWVariant);
    options.check_finite = check_finite;
    return options;
  }
  // The last one is excluded.
  static std::vector<Driven> Variables(const std::vector<Shape>& shapes) {
    std::vector<Driven> variables;
    for (size_t i = 0; i < shapes.size(); ++i) {
      variables.emplace_back(Options(false), shapes[i], i + 1 == shapes.size(),
                             static_cast<uint32_t>(i));
    }
    return variables;
  }

  TheirStream theirs_;
  Model model_;
};

void TestNonFinite() {
  Underway underway(true);
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(),
                       -std::numeric_limits<float>::infinity()};
  for (size_t first = 0; first < underway.gradients.size(); ++first) {
    Tensors gradients = underway.gradients;
    for (size_t i = first; i < gradients.size(); ++i) {
      std::vector<float> values = underway.model().variables[i].gradient;
      values[values.size() / 2] = bad[i % 2];
      gradients[i] = underway.theirs().Put(values);
    }
    // Memory that the op gets for its first output and gives back.
    TensorRef output = NewTensor(kTfFloat, underway.model().weights[0]->dims, false);
    const void* const address = output->data;
    underway.theirs().Fill(output, 0x11);
    const std::vector<float> before = underway.theirs().Get(output);
    output.reset();
    underway.Fails("not finite", underway.Call(3, gradients), kTfInvalidArgument,
                   ("TFJS_FTP_NON_FINITE " + std::to_string(first)).c_str());
    output = NewTensor(kTfFloat, underway.model().weights[0]->dims, false);
    CHECK(output->data == address && SameBits(Downloaded({output}), {before}),
          "an output was written");
  }
  underway.GoesOn("not finite");
}

// What does not fit: nothing is enqueued.
void TestRefused() {
  Underway underway(false);
  Model& model = underway.model();
  const std::vector<int32_t> plan = model.Plan(3);
  const auto call = [&](const std::vector<int32_t>& words, const Tensors& gradients) {
    return CallStep("GPU", words, model.states, model.weights, gradients);
  };
  underway.Fails("no plan", call({1, 2, 3}, underway.gradients), kTfInvalidArgument,
                 "not a step plan");
  std::vector<int32_t> fewer = plan;
  fewer[6] = 2;
  underway.Fails("fewer variables", call(fewer, underway.gradients), kTfInvalidArgument,
                 "the plan has 2 variables, the op call another number");
  std::vector<int32_t> larger = plan;
  larger[static_cast<size_t>(kPlanHeaderWords + PlanVariableWords(plan.data())) + 2 + 2] +=
      1;  // rows of variable 1
  underway.Fails("another shape", call(larger, underway.gradients), kTfInvalidArgument,
                 "variable 1: sizes of state, weights and gradient do not fit the plan");
  Tensors swapped = underway.gradients;
  std::swap(swapped[0], swapped[2]);
  underway.Fails("swapped gradients", call(plan, swapped), kTfInvalidArgument, "variable 0: sizes");
  std::vector<int32_t> unknown = plan;
  unknown[2] = 99;
  underway.Fails("an unknown rule", call(unknown, underway.gradients), kTfInvalidArgument,
                 "unknown rule");
  const TensorRef state = model.states[0];
  underway.Fails("reads outside", CallRead("GPU", state, 1, state->count()), kTfInvalidArgument,
                 "range is outside of the state");
  underway.Fails("writes outside", CallWrite("GPU", state, model.weights[0], state->count() - 1),
                 kTfInvalidArgument, "values reach outside of the state");
  underway.Fails("no length", CallAllocate("GPU", 0), kTfInvalidArgument, "state length");
  CHECK(CallRead("GPU", state, 0, 0).ok(), "nothing to read");
  underway.GoesOn("refused");
}

// TensorFlow has no memory: for one of the outputs, or for the scratch memory, which comes last.
void TestTensorFlowOutOfMemory() {
  Underway underway(true);
  const int64_t tensors = tf_double::LiveTensors();
  for (int64_t n = 1; n <= 4; ++n) {
    tf_double::RefuseAllocation(n);
    underway.Fails("out of memory", underway.Call(3, underway.gradients), kTfResourceExhausted,
                   "OOM");
    CHECK(tf_double::LiveTensors() == tensors, "tensors left over");
  }
  tf_double::RefuseAllocation(1);
  CHECK(CallAllocate("GPU", 100).code == kTfResourceExhausted, "no memory for a state");
  underway.GoesOn("out of memory");
}

#if defined(TFJS_FTP_CUDA_DOUBLE)

// Page-locked memory for a work table that is larger than any before.
void TestRingOutOfMemory() {
  const StepOptions options = Variant(kAdamWVariant);
  const TheirStream theirs(cudaStreamNonBlocking);
  Model model(options, std::vector<Driven>(600, Driven(options, Shape{1, 1, 3}, false, 1u)),
              theirs);
  model.DrawGradients(1);
  const Tensors gradients = model.PutGradients(theirs);
  const std::vector<int32_t> plan = model.Plan(1);
  const auto call = [&] { return CallStep("GPU", plan, model.states, model.weights, gradients); };
  cuda_double::FailHostAllocation(1);
  const Result result = call();
  CHECK(result.code == kTfResourceExhausted && result.message == "CUDA: out of memory", "%d %s",
        result.code, result.message.c_str());
  CHECK(SameBits(Downloaded(model.states), StatesOf(model.variables)), "a state was written");
  CHECK(call().ok(), "the next step");
  model.StepAlone(1);
  CHECK(SameBits(Downloaded(model.states), StatesOf(model.variables)), "the next step");
}

// Of the check, pass 1, finish and pass 2. Once pass 1 is enqueued the state is written.
void TestLaunchErrors() {
  const char* const message = "CUDA: too many resources requested for launch";
  for (const bool check_finite : {true, false}) {
    const int64_t pass1 = check_finite ? 2 : 1;
    for (int64_t n = 1; n <= pass1 + 2; ++n) {
      Underway underway(check_finite);
      cuda_double::FailLaunch(n);
      const Result result = underway.Call(3, underway.gradients);
      CHECK(result.code == kTfInternal && result.message == message, "launch %d: %d %s",
            static_cast<int>(n), result.code, result.message.c_str());
      CHECK(underway.AsBefore() == (n <= pass1), "launch %d", static_cast<int>(n));
      if (n <= pass1) underway.GoesOn("launch error");
    }
  }
}

void TestLostDevice() {
  for (int64_t operations = 0; operations <= 5; ++operations) {
    Underway underway(true);
    cuda_double::LoseDevice(operations);
    const Result lost = underway.Call(3, underway.gradients);
    CHECK(lost.code == kTfInternal && lost.message == "CUDA: unspecified launch failure",
          "lost after %d: %d %s", static_cast<int>(operations), lost.code, lost.message.c_str());
    const Result again = underway.Call(3, underway.gradients);
    CHECK(again.code == kTfInternal && again.message == "CUDA: unspecified launch failure",
          "the next step: %d %s", again.code, again.message.c_str());
    CHECK(CallAllocate("GPU", 10).code == kTfInternal, "the next state");
    cuda_double::Reset();
  }
}

#endif

}  // namespace
}  // namespace tfjs_ftp

int main() {
  using namespace tfjs_ftp;
  const CudaInfo& info = QueryCuda();
  if (!info.available) {
    std::printf("gpu_op_test: skipped, %s\n", info.reason.c_str());
    return 77;
  }
  CHECK(SetUpOps(), "no GPU kernels registered");
  TestRegistered();
  TestResults();
  TestGather();
  TestNonFinite();
  TestRefused();
  TestTensorFlowOutOfMemory();
#if defined(TFJS_FTP_CUDA_DOUBLE)
  CHECK(cuda_double::Misuses() == 0, "%s", cuda_double::LastMisuse().c_str());
  TestRingOutOfMemory();
  TestLaunchErrors();
  TestLostDevice();
#endif
  std::printf("%s: ops: %d checks, %d failures\n", info.devices[0].name.c_str(), g_checks,
              g_failures);
  return g_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
