// Tests of the ops' registration and of their CPU kernels without TensorFlow: its C API is a double
// (tf_double.h). What the ops do under the real one is tested from JavaScript.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "../op/ftp_ops.h"
#include "../op/output_pool.h"
#include "driven.h"
#include "gather_oracle.h"
#include "op_calls.h"
#include "oracle_loop.h"
#if defined(TFJS_FTP_HAVE_CUDA)
#include "../op/stream_order.h"
#endif

namespace tfjs_ftp {
namespace {

using tf_double::NewTensor;
using tf_double::Result;
using tf_double::TensorRef;

const char* const kOps[] = {"TfjsFtpAllocate", "TfjsFtpRead", "TfjsFtpWrite", "TfjsFtpStep",
                            "TfjsFtpGather"};

TensorFlowState Register() { return RegisterTensorFlowOps({TFJS_FTP_TF_DOUBLE_FILE}); }

// A kernel that TensorFlow refuses once is registered by the next try. It used to count as
// registered, because its op was.
void TestRegistration() {
  CHECK(!RegisterTensorFlowOps({}).lookup.found, "found without its path");
#if defined(TFJS_FTP_HAVE_CUDA)
  setenv("TFJS_FTP_STREAM_ORDER", "legcay", 1);
  const TensorFlowState misspelt = Register();
  CHECK(!misspelt.registered && misspelt.lookup.reason ==
                                    "TFJS_FTP_STREAM_ORDER must be legacy, synchronize or events, "
                                    "got 'legcay'",
        "%s", misspelt.lookup.reason.c_str());
  CHECK(tf_double::Registrations() == 0, "registered all the same");
  unsetenv("TFJS_FTP_STREAM_ORDER");
#endif
  tf_double::RefuseKernel(2);
  for (int attempt = 0; attempt < 2; ++attempt) {
    const TensorFlowState state = Register();
    CHECK(state.lookup.found && state.lookup.version == "2.21.0", "look-up");
    CHECK(state.registered == (attempt == 1), "attempt %d", attempt);
    CHECK(state.lookup.reason ==
              (attempt == 0 ? "TensorFlow refused TfjsFtpRead: refused by the test" : ""),
          "%s", state.lookup.reason.c_str());
    CHECK(tf_double::Registrations() == (attempt == 0 ? 1 : 5), "kernels");
  }
  for (const char* op : kOps) {
    CHECK(tf_double::HasKernel(op, "CPU"), "%s", op);
    CHECK(!tf_double::HasKernel(op, "GPU"), "%s for GPUs, unasked", op);
  }
  CHECK(Register().registered && tf_double::Registrations() == 5, "a third call");
}

#if defined(TFJS_FTP_HAVE_CUDA)
void TestChooseStreamOrder() {
  const auto choice = [](const char* version) {
    StreamOrder order = StreamOrder::kEvents;
    CHECK(ChooseStreamOrder(version, &order).empty(), "%s", version);
    return order;
  };
  CHECK(choice("2.9.1") == StreamOrder::kLegacyStream, "2.9.1");
  CHECK(choice("2.12.0") == StreamOrder::kLegacyStream, "2.12");
  CHECK(choice("2.13.0-rc0") == StreamOrder::kSynchronize, "2.13");
  CHECK(choice("2.21.0") == StreamOrder::kSynchronize, "2.21");
  CHECK(choice("") == StreamOrder::kSynchronize, "unknown");
  CHECK(choice("1.15.0") == StreamOrder::kSynchronize, "1.15");
  setenv("TFJS_FTP_STREAM_ORDER", "events", 1);
  CHECK(choice("2.9.1") == StreamOrder::kEvents, "asked for");
  setenv("TFJS_FTP_STREAM_ORDER", "", 1);
  StreamOrder order = StreamOrder::kEvents;
  CHECK(!ChooseStreamOrder("2.9.1", &order).empty() && order == StreamOrder::kEvents, "empty");
  unsetenv("TFJS_FTP_STREAM_ORDER");
}
#endif

TensorRef Floats(const std::vector<float>& values) {
  const TensorRef tensor = NewTensor(kTfFloat, {static_cast<int64_t>(values.size())}, true);
  std::memcpy(tensor->data, values.data(), tensor->bytes);
  return tensor;
}

std::vector<float> Values(const TensorRef& tensor) {
  return std::vector<float>(tensor->floats(), tensor->floats() + tensor->count());
}

Tensors ProposalsOf(const Driven& x) {
  return x.proposal.empty() ? Tensors() : Tensors{Floats(x.proposal)};
}

// A step by the op has the bits of CpuStep on the same buffers.
void TestCpuOps() {
  for (int variant = 0; variant < kVariants; ++variant) {
    ForEachKind(Shape{3, 40, 5}, variant, 3, [](const OracleRun& run) {
      CheckAgainstOracle(run, [&](const VariableStep& step, Driven* x) {
        Driven direct = *x;
        const VariableStep direct_step = direct.Take(step);
        CpuStep(run.options, &direct_step, 1);
        const int64_t length = static_cast<int64_t>(x->state.size());
        const Result allocated = CallAllocate("CPU", length);
        CHECK(allocated.ok(), "%s", allocated.message.c_str());
        const TensorRef state = allocated.outputs[0];
        CHECK(CallWrite("CPU", state, Floats(x->state), 0).ok(), "write");
        const Result result =
            CallStep("CPU", EncodePlan(run.options, {step}), {state}, {Floats(x->weights)},
                     {Floats(x->gradient)}, ProposalsOf(*x));
        CHECK(result.ok(), "%s: %s", run.name.c_str(), result.message.c_str());
        if (!result.ok()) return;
        x->output = Values(result.outputs[0]);
        x->state = Values(CallRead("CPU", state, 0, length).outputs[0]);
        CHECK(SameBits({x->output, x->state}, {direct.output, direct.state}), "%s: bits",
              run.name.c_str());
      });
    });
  }
  CHECK(tf_double::LiveTensors() == 0, "%d tensors left",
        static_cast<int>(tf_double::LiveTensors()));
}

// The sums by the op are those of CpuGather.
void TestGather() {
  int number = 0;
  for (const StepOptions& options : GatheredMethods()) {
    Driven x(options, Shape{3, 40, 5}, number++ % 5 == 4, 4u);
    const VariableStep step = StepThenDraw(options, 3, &x);
    std::vector<double> direct(kGatherNumbers);
    CpuGather(options, &step, 1, kWantAll, direct.data());
    const TensorRef state = Floats(x.state);
    const Result result = CallGather("CPU", EncodePlan(options, {step}), {state},
                                     {Floats(x.weights)}, {Floats(x.gradient)}, kWantAll);
    CHECK(result.ok() && GatheredBy(result) == direct, "method %d: %s", number,
          result.message.c_str());
    CHECK(Values(state) == x.state, "method %d: the state was written", number);
  }
}

void TestErrors() {
  StepOptions options = Variant(kAdamWVariant);
  options.check_finite = true;
  Driven x(options, Shape{1, 3, 20}, false, 1u);
  DrawGradient(&x.gradient, 2u, 1);
  const std::vector<int32_t> plan = EncodePlan(options, {x.Step(1, 1, true)});
  const TensorRef state = Floats(x.state);
  const TensorRef weights = Floats(x.weights);
  const TensorRef gradient = Floats(x.gradient);
  const auto fails = [&](const char* what, int code, const Result& result, const char* message) {
    CHECK(result.code == code && result.message.find(message) != std::string::npos, "%s: %d %s",
          what, result.code, result.message.c_str());
    CHECK(Values(state) == x.state, "%s: the state was written", what);
    CHECK(Values(weights) == x.weights, "%s: the weights were written", what);
  };
  const auto step = [&](const std::vector<int32_t>& words, const TensorRef& with) {
    return CallStep("CPU", words, {state}, {weights}, {with});
  };
  std::vector<float> bad = x.gradient;
  bad.back() = std::numeric_limits<float>::infinity();
  fails("infinity", kTfInvalidArgument, step(plan, Floats(bad)), "TFJS_FTP_NON_FINITE 0");
  bad.pop_back();
  fails("short gradient", kTfInvalidArgument, step(plan, Floats(bad)),
        "variable 0: sizes of state, weights and gradient do not fit the plan");
  fails("no plan", kTfInvalidArgument, step({1, 2, 3}, gradient), "not a step plan");
  std::vector<int32_t> two = EncodePlan(options, {x.Step(1, 1, true), x.Step(1, 1, true)});
  fails("two variables", kTfInvalidArgument, step(two, gradient),
        "the plan has 2 variables, the op call another number");
  const auto gather = [&](const TensorRef& with, int32_t want) {
    return CallGather("CPU", plan, {state}, {weights}, {with}, want);
  };
  bad.push_back(std::numeric_limits<float>::quiet_NaN());
  fails("NaN in a sum", kTfInvalidArgument, gather(Floats(bad), 1), "TFJS_FTP_NON_FINITE 0");
  fails("no gradient kept", kTfInvalidArgument, gather(gradient, 8), "needs the slot 'gradient'");
  fails("wanted", kTfInvalidArgument, gather(gradient, 64), "must be bits of 63");
  tf_double::RefuseAllocation(1);
  fails("no sums", kTfResourceExhausted, gather(gradient, 1), "OOM");
  tf_double::RefuseAllocation(1);
  fails("no output", kTfResourceExhausted, step(plan, gradient), "OOM");
  fails("reads outside", kTfInvalidArgument, CallRead("CPU", state, 1, state->count()), "range");
  fails("writes outside", kTfInvalidArgument, CallWrite("CPU", state, weights, state->count()),
        "values reach outside of the state");
  fails("negative offset", kTfInvalidArgument, CallWrite("CPU", state, weights, -1), "outside");
  fails("no length", kTfInvalidArgument, CallAllocate("CPU", 0), "state length");
  CHECK(step(plan, gradient).ok(), "after all these a step runs");
}

void CheckPool(const char* when, size_t lent, size_t idle) {
  const OutputPool& pool = OutputPool::Get();
  CHECK(pool.lent_bytes() == lent && pool.idle_bytes() == idle, "%s: %zu lent, %zu idle", when,
        pool.lent_bytes(), pool.idle_bytes());
}

// Never more idle than lent; nothing is left when nothing is lent.
void TestOutputPool() {
  OutputPool& pool = OutputPool::Get();
  CheckPool("before", 0, 0);
  constexpr size_t kBytes = size_t{3} << 20;
  void* const first = pool.Take(kBytes);
  void* const second = pool.Take(kBytes);
  CHECK(reinterpret_cast<uintptr_t>(first) % 64 == 0, "alignment");
  std::memset(first, 1, kBytes);
  std::memset(second, 2, kBytes);
  pool.Return(first, kBytes);
  CheckPool("one came back", kBytes, kBytes);
  void* const other = pool.Take(2 * kBytes);
  CHECK(other != first, "a block of another size");
  CheckPool("another size", 3 * kBytes, kBytes);
  CHECK(pool.Take(kBytes) == first, "the same block again");
  CheckPool("taken again", 4 * kBytes, 0);
  pool.Return(first, kBytes);
  pool.Return(other, 2 * kBytes);
  CheckPool("more came back than is lent", kBytes, kBytes);
  pool.Return(second, kBytes);
  CheckPool("all came back", 0, 0);

  void* const kept = pool.Take(kBytes);
  pool.Return(pool.Take(kBytes), kBytes);
  CheckPool("idle", kBytes, kBytes);
  pool.Trim();
  CheckPool("trimmed", kBytes, 0);
  void* const last = pool.Take(kBytes);
  pool.Trim();
  pool.Return(last, kBytes);
  CheckPool("came back after the pool was trimmed", kBytes, 0);
  pool.Return(kept, kBytes);
  CheckPool("the last", 0, 0);

  std::atomic<int> spoilt{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&pool, &spoilt, t] {
      for (int i = 0; i < 200; ++i) {
        const size_t bytes = (size_t{64} << 10) * static_cast<size_t>(1 + (i + t) % 3);
        void* const one = pool.Take(bytes);
        void* const two = pool.Take(bytes);
        std::memset(one, t, bytes);
        std::memset(two, t, bytes);
        pool.Return(one, bytes);
        if (static_cast<char*>(two)[bytes - 1] != t) ++spoilt;
        pool.Return(two, bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(spoilt == 0, "%d blocks were another thread's, too", spoilt.load());
  CheckPool("after the threads", 0, 0);
}

// A large variable's new weights are in memory of the step before the last; what somebody else
// still holds is not.
void TestPooledOutputs() {
  StepOptions options = Variant(kAdamWVariant);
  Driven x(options, Shape{1, 40, 500}, false, 1u);
  const size_t bytes = x.weights.size() * sizeof(float);
  CHECK(OutputPool::Serves(bytes), "%zu bytes", bytes);
  DrawGradient(&x.gradient, 2u, 1);
  const TensorRef state = Floats(x.state);
  const TensorRef gradient = Floats(x.gradient);
  TensorRef weights = Floats(x.weights);
  TensorRef held;
  std::vector<float> held_values;
  std::vector<const void*> places;
  for (int t = 1; t <= 6; ++t) {
    Result result = CallStep("CPU", EncodePlan(options, {x.Step(t, t, t == 1)}), {state}, {weights},
                             {gradient});
    CHECK(result.ok(), "step %d: %s", t, result.message.c_str());
    weights = std::move(result.outputs[0]);
    places.push_back(weights->data);
    if (t == 4) {
      held = weights;
      held_values = Values(held);
    }
  }
  CHECK(places[2] == places[0] && places[3] == places[1], "the memory is not used again");
  CHECK(places[4] == places[2], "the memory is not used again beside a tensor that is held");
  CHECK(places[5] != places[3], "memory that somebody holds was used");
  CHECK(Values(held) == held_values, "what somebody holds was written");
  CheckPool("weights and what is held", 2 * bytes, bytes);
  held.reset();
  weights.reset();
  CheckPool("after all", 0, 0);
}

}  // namespace
}  // namespace tfjs_ftp

int main() {
  using namespace tfjs_ftp;
  TestRegistration();
#if defined(TFJS_FTP_HAVE_CUDA)
  TestChooseStreamOrder();
#endif
  TestCpuOps();
  TestGather();
  TestErrors();
  TestOutputPool();
  TestPooledOutputs();
  std::printf("ops on the CPU: %d checks, %d failures\n", g_checks, g_failures);
  return g_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
