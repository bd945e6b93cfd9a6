// How the ops' work on the device is ordered with TensorFlow's: a stream of the test plays
// TensorFlow's. It produces gradients through a long chain of operations just before a step,
// consumes weights right behind it, and gets the memory that the step has used as soon as the op
// has returned, as TensorFlow's allocator hands it out. Each way of ordering must give the right
// results with the streams that it is for; without order, and with the legacy stream beside a
// stream that does not wait for it, results must be wrong, or the test would show nothing.
//   --no-context-events  the driver lacks what scheme C needs: it falls back on B (double only)
// Ends with code 77 where there is no GPU.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "../kernels/cuda/cuda_device.h"
#include "device_memory.h"
#include "gpu_op_harness.h"
#include "oracle_loop.h"
#if defined(TFJS_FTP_CUDA_DOUBLE)
#include <dlfcn.h>

#include "cuda_double/cuda_double.h"
#endif

namespace tfjs_ftp {
namespace {

using tf_double::NewTensor;
using tf_double::Result;
using tf_double::TensorRef;

// Finite floats, so that a step that reads them goes on.
constexpr int kZero = 0;
constexpr int kOverwritten = 0x7e;

// What came out right.
struct Outcome {
  bool ran = true;        // the ops reported no error
  bool state = true;      // the step read the gradient that was produced
  bool consumed = true;   // what was enqueued behind the op read its output
  bool handed_on = true;  // memory that the op gave back holds what its next owner wrote
  bool earlier = true;    // memory that the op was given was read by its last owner before
  bool waited = true;     // the host waited for the op's work
  bool right() const { return ran && state && consumed && handed_on && earlier; }
};

TensorRef LikeOf(const TensorRef& tensor) { return NewTensor(tensor->dtype, tensor->dims, false); }

// Whether all floats of a tensor hold this byte, now and when everything has run.
bool Holds(const TheirStream& theirs, const TensorRef& tensor, int byte) {
  std::vector<float> expected(static_cast<size_t>(tensor->count()));
  std::memset(expected.data(), byte, tensor->bytes);
  return SameBits({theirs.Get(tensor), Downloaded({tensor})[0]}, {expected, expected});
}

bool Waited() {
#if defined(TFJS_FTP_CUDA_DOUBLE)
  return cuda_double::QueuedOperations() == 0;
#else
  return true;
#endif
}

// Memory whose last owner on TensorFlow's stream has still to read it (behind what is queued there)
// when the op that comes next gets it for its output.
class EarlierOwner {
 public:
  EarlierOwner(const TheirStream& theirs, const std::vector<int64_t>& dims)
      : theirs_(theirs), kept_(NewTensor(1, dims, false)), memory_(NewTensor(1, dims, false)) {
    theirs.Fill(memory_, 0x3c);
    CUDA_OK(cudaDeviceSynchronize());
  }
  void Read() { theirs_.Copy(kept_, memory_); }
  // The last tensor to be given back is the first to be handed out.
  void GiveBack() {
    address_ = memory_->data;
    memory_.reset();
  }
  void CheckHandedOut(const TensorRef& tensor) const {
    CHECK(tensor->data == address_, "the output got other memory");
  }
  bool right() const { return Holds(theirs_, kept_, 0x3c); }

 private:
  const TheirStream& theirs_;
  TensorRef kept_;
  TensorRef memory_;
  void* address_ = nullptr;
};

// One step with unfinished work before and behind it. Leaves the model as after it if all went
// right.
Outcome Step(const TheirStream& theirs, Model* model, int t, Scheme scheme) {
  Outcome outcome;
  model->DrawGradients(t);
  const std::vector<int32_t> plan = model->Plan(t);
  const Tensors sources = model->PutGradients(theirs);
  model->StepAlone(t);
  Tensors gradients;
  for (const TensorRef& source : sources) {
    gradients.push_back(LikeOf(source));
    theirs.Fill(gradients.back(), kZero);
  }
  EarlierOwner owner(theirs, model->weights[0]->dims);

  for (size_t i = 0; i < sources.size(); ++i) theirs.ProduceSlowly(gradients[i], sources[i]);
  owner.Read();
  owner.GiveBack();
  UseScheme(scheme);
  Result result = CallStep("GPU", plan, model->states, model->weights, gradients);
  outcome.waited = Waited();
  outcome.ran = result.ok();
  if (!result.ok()) return outcome;
  owner.CheckHandedOut(result.outputs[0]);
  Tensors consumed;
  for (const TensorRef& output : result.outputs) {
    consumed.push_back(LikeOf(output));
    theirs.Copy(consumed.back(), output);
  }
  const void* const scratch = tf_double::LastTemporary();
  const int64_t scratch_floats = static_cast<int64_t>(tf_double::LastTemporaryBytes() / 4);
  Tensors next_owners = {NewTensor(1, {scratch_floats}, false)};
  CHECK(next_owners[0]->data == scratch, "scratch memory was not handed on");
  for (TensorRef& gradient : gradients) {
    const void* const address = gradient->data;
    const std::vector<int64_t> dims = gradient->dims;
    gradient.reset();
    next_owners.push_back(NewTensor(1, dims, false));
    CHECK(next_owners.back()->data == address, "a gradient's memory was not handed on");
  }
  for (const TensorRef& next : next_owners) theirs.Fill(next, kOverwritten);

  std::vector<std::vector<float>> got;
  for (const TensorRef& tensor : consumed) got.push_back(theirs.Get(tensor));
  outcome.consumed = SameBits(got, OutputsOf(model->variables));
  for (const TensorRef& next : next_owners) {
    outcome.handed_on = Holds(theirs, next, kOverwritten) && outcome.handed_on;
  }
  outcome.earlier = owner.right();
  outcome.state = SameBits(Downloaded(model->states), StatesOf(model->variables));
  for (Driven& x : model->variables) x.weights = x.output;
  model->weights = result.outputs;
  return outcome;
}

// A rows-contiguous, a columns-strided and an excluded variable; the excluded one moves in step 1
// already.
Outcome RunSteps(Scheme scheme, unsigned flags) {
  const TheirStream theirs(flags);
  const StepOptions options = Variant(kAdamWVariant);
  Model model(
      options,
      {Driven(options, Shape{1, 6, 5000}, false, 1u), Driven(options, Shape{70, 260, 1}, false, 2u),
       Driven(options, Shape{1, 3, 700}, true, 3u)},
      theirs);
  Outcome outcome;
  for (int t = 1; t <= 3 && outcome.right(); ++t) outcome = Step(theirs, &model, t, scheme);
  CUDA_OK(cudaDeviceSynchronize());
  return outcome;
}

// The other three ops: a state is made, written with what a long chain produces, and read.
Outcome RunStateOps(Scheme scheme, unsigned flags) {
  const TheirStream theirs(flags);
  Outcome outcome;
  constexpr int64_t kFloats = 5000;
  std::vector<float> numbers(kFloats);
  DrawGradient(&numbers, 4u, 1);
  const TensorRef source = theirs.Put(numbers);
  TensorRef values = LikeOf(source);
  theirs.Fill(values, kZero);
  EarlierOwner owner(theirs, {3 * kFloats});
  theirs.ProduceSlowly(values, source);
  owner.Read();
  owner.GiveBack();
  UseScheme(scheme);
  const Result made = CallAllocate("GPU", 3 * kFloats);
  CHECK(made.ok(), "%s", made.message.c_str());
  const TensorRef state = made.outputs[0];
  owner.CheckHandedOut(state);
  const Result written = CallWrite("GPU", state, values, kFloats);
  CHECK(written.ok() && written.outputs[0]->on_host && written.outputs[0]->ints()[0] == 0, "%s",
        written.message.c_str());
  values.reset();
  const TensorRef next = LikeOf(source);
  theirs.Fill(next, kOverwritten);
  const Result read = CallRead("GPU", state, kFloats / 2, 2 * kFloats);
  CHECK(read.ok(), "%s", read.message.c_str());
  outcome.waited = Waited();
  const TensorRef consumed = LikeOf(read.outputs[0]);
  theirs.Copy(consumed, read.outputs[0]);

  std::vector<float> expected(3 * kFloats, 0.0f);
  std::copy(numbers.begin(), numbers.end(), expected.begin() + kFloats);
  const auto part = expected.begin() + kFloats / 2;
  outcome.consumed = SameBits({theirs.Get(consumed)}, {{part, part + 2 * kFloats}});
  outcome.handed_on = Holds(theirs, next, kOverwritten);
  outcome.earlier = owner.right();
  outcome.state = SameBits(Downloaded({state}), {expected});
  return outcome;
}

std::string Describe(const Outcome& outcome) {
  std::string wrong;
  if (!outcome.ran) wrong += " error";
  if (!outcome.state) wrong += " state";
  if (!outcome.consumed) wrong += " consumed";
  if (!outcome.handed_on) wrong += " handed-on";
  if (!outcome.earlier) wrong += " earlier";
  return wrong.empty() ? "all right" : "wrong:" + wrong;
}

struct Case {
  Scheme scheme;
  unsigned flags;
  bool right;
};

constexpr Case kCases[] = {
    {Scheme::kUnorderedEarly, cudaStreamNonBlocking, false},
    {Scheme::kUnorderedLate, cudaStreamNonBlocking, false},
    {Scheme::kUnorderedEarly, cudaStreamDefault, false},
    {Scheme::kUnorderedLate, cudaStreamDefault, false},
    {Scheme::kLegacyStream, cudaStreamDefault, true},
    {Scheme::kLegacyStream, cudaStreamNonBlocking, false},
    {Scheme::kSynchronize, cudaStreamDefault, true},
    {Scheme::kSynchronize, cudaStreamNonBlocking, true},
    {Scheme::kEvents, cudaStreamDefault, true},
    {Scheme::kEvents, cudaStreamNonBlocking, true},
};

void TestOrder() {
  for (const Case& one : kCases) {
    for (const auto run : {RunSteps, RunStateOps}) {
      const Outcome outcome = run(one.scheme, one.flags);
      CHECK(outcome.right() == one.right, "%s, %s stream, %s: %s", SchemeName(one.scheme),
            one.flags == cudaStreamDefault ? "blocking" : "non-blocking",
            run == RunSteps ? "steps" : "state ops", Describe(outcome).c_str());
    }
  }
}

#if defined(TFJS_FTP_CUDA_DOUBLE)

// What goes wrong without order is known to the letter there.
void TestWhatGoesWrong() {
  const Outcome early = RunSteps(Scheme::kUnorderedEarly, cudaStreamNonBlocking);
  CHECK(Describe(early) == "wrong: state consumed earlier", "%s", Describe(early).c_str());
  const Outcome late = RunSteps(Scheme::kUnorderedLate, cudaStreamNonBlocking);
  CHECK(Describe(late) == "wrong: state consumed handed-on", "%s", Describe(late).c_str());
}

// Whatever order unordered operations run in, the results of ordered ones are the same.
void TestSchedules() {
  for (const Case& one : kCases) {
    if (!one.right) continue;
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      cuda_double::SetSchedule(seed);
      for (const auto run : {RunSteps, RunStateOps}) {
        const Outcome outcome = run(one.scheme, one.flags);
        CHECK(outcome.right(), "%s, schedule %d: %s", SchemeName(one.scheme),
              static_cast<int>(seed), Describe(outcome).c_str());
      }
    }
  }
  cuda_double::SetSchedule(0);
}

// Only B makes the host wait, and C where the driver lacks what it needs.
void TestWaits(bool context_events) {
  CHECK(!RunSteps(Scheme::kLegacyStream, cudaStreamDefault).waited, "A waits");
  CHECK(RunSteps(Scheme::kSynchronize, cudaStreamNonBlocking).waited, "B does not wait");
  CHECK(RunSteps(Scheme::kEvents, cudaStreamNonBlocking).waited != context_events, "C");
}

#endif

}  // namespace
}  // namespace tfjs_ftp

int main(int argc, char** argv) {
  using namespace tfjs_ftp;
  const bool context_events = argc < 2 || std::strcmp(argv[1], "--no-context-events") != 0;
#if defined(TFJS_FTP_CUDA_DOUBLE)
  if (context_events) CHECK(dlopen(TFJS_FTP_DOUBLE_DRIVER, RTLD_NOW) != nullptr, "%s", dlerror());
#endif
  const CudaInfo& info = QueryCuda();
  if (!info.available) {
    std::printf("gpu_order_test: skipped, %s\n", info.reason.c_str());
    return 77;
  }
  CHECK(SetUpOps(), "no GPU kernels registered");
  TestOrder();
#if defined(TFJS_FTP_CUDA_DOUBLE)
  TestWaits(context_events);
  TestWhatGoesWrong();
  TestSchedules();
  CHECK(cuda_double::Misuses() == 0, "%s", cuda_double::LastMisuse().c_str());
#endif
  std::printf("%s: order with TensorFlow's stream%s: %d checks, %d failures\n",
              info.devices[0].name.c_str(), context_events ? "" : " without context events",
              g_checks, g_failures);
  return g_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
