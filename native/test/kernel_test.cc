// Native tests of the CPU step: every base, mode and layout against the float64 oracle, the same
// bits for any thread count, refusal of non-finite gradients before anything is written. Needs
// neither Node nor TensorFlow; run under the sanitizers by `npm run sanitize`.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "../kernels/cpu/dispatch.h"
#include "../kernels/cpu/float_mode.h"
#include "../kernels/gather.h"
#include "../kernels/partition.h"
#include "../kernels/plan.h"
#include "../kernels/prepared.h"
#include "../kernels/state.h"
#include "../kernels/step.h"
#include "driven.h"
#include "gather_oracle.h"
#include "oracle_loop.h"

namespace tfjs_ftp {
namespace {

std::vector<Shape> Shapes() {
  return {{1, 1, 1},     {1, 1, 17},    {1, 5, 16},    {1, 7, 33},    {1, 3, 70001},
          {1, 1, 65537}, {1, 2000, 20}, {1, 100, 3},   {5, 7, 1},     {9, 16, 1},
          {33, 1025, 1}, {3, 8200, 1},  {4, 5, 6},     {9, 12, 64},   {2, 1, 9},
          {1, 9000, 2},  {300, 70, 1},  {16, 1, 4096}, {1, 32769, 1}, {70, 3000, 1}};
}

StepOptions AdamWOptions() {
  StepOptions options = Variant(kAdamWVariant);
  options.threads = 2;
  return options;
}

void TestOracle() {
  for (const Shape& shape : Shapes()) {
    for (int variant = 0; variant < kVariants; ++variant) {
      ForEachKind(shape, variant, 5, [](OracleRun run) {
        run.steps = 8;
        run.options.threads = 2;
        CheckAgainstOracle(run, [&](const VariableStep& step, Driven*) {
          const StepResult result = CpuStep(run.options, &step, 1);
          CHECK(result.status == StepStatus::kOk, "%s", run.name.c_str());
        });
      });
    }
  }
}

// The same with state in bfloat16, of every pair of pieces.
void TestBfloat16() {
  for (const Shape& shape : {Shape{1, 1, 17}, Shape{1, 7, 33}, Shape{1, 3, 70001}, Shape{9, 12, 64},
                             Shape{33, 1025, 1}, Shape{1, 1, 65537}, Shape{4, 5, 6}}) {
    for (int variant = 0; variant < kVariants; ++variant) {
      ForEachKind(shape, variant, 3, [](OracleRun run) {
        run.name += " bfloat16";
        run.format = StateFormat::kBfloat16;
        run.options.threads = 2;
        CheckAgainstOracle(run, [&](const VariableStep& step, Driven*) {
          const StepResult result = CpuStep(run.options, &step, 1);
          CHECK(result.status == StepStatus::kOk, "%s", run.name.c_str());
        });
      });
    }
  }
}

// Every upper half with lower halves around the middle.
std::vector<float> Patterns() {
  std::vector<float> patterns;
  for (uint32_t upper = 0; upper <= 0xffff; ++upper) {
    for (const uint32_t lower : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      patterns.push_back(FromBits(upper << 16 | lower));
    }
  }
  return patterns;
}

// SGD's first buffer is the gradient.
void TestRounding() {
  const StepOptions options = FtpOptions<Sgd>({1e-2, 0.9, 0.0, 0.0}, Sgd::kMomentum);
  const std::vector<float> given = Patterns();
  Driven x(options, Shape{1, 1, static_cast<int64_t>(given.size())}, true, 1u,
           StateFormat::kBfloat16);
  x.gradient = given;
  const VariableStep step = x.Step(1, 1, true);
  CHECK(CpuStep(options, &step, 1).status == StepStatus::kOk, "step");
  const std::vector<float> stored = x.Numbers(x.Layout(options), Slot::kMomentum);
  CHECK(stored.size() == given.size(), "count");
  for (size_t i = 0; i < given.size(); ++i) {
    const double exact = given[i];
    // Beyond the largest number of bfloat16 and half of its last place there is infinity.
    const double near = std::isfinite(exact) ? Bfloat16(exact) : exact;
    // Subnormal numbers are zero, of their sign.
    const bool tiny = (BitsOf(given[i]) & kExponentMask) == 0;
    const float expected = tiny ? std::copysign(0.0f, given[i]) : static_cast<float>(near);
    const bool same =
        std::isnan(exact) ? std::isnan(stored[i]) : BitsOf(stored[i]) == BitsOf(expected);
    CHECK(same, "%08x became %08x, not %08x", BitsOf(given[i]), BitsOf(stored[i]),
          BitsOf(expected));
  }
}

// Processors that round in one instruction run passes of their own: those that they leave aside
// give the same bits.
void TestInstruction() {
#if defined(__x86_64__) && defined(__GNUC__)
  if (&CpuPasses(StateFormat::kBfloat16) != &PassesAvx512Bfloat16Instruction()) return;
  const StepOptions options = FtpOptions<Sgd>({1e-2, 0.9, 0.0, 0.0}, Sgd::kMomentum);
  const std::vector<float> given = Patterns();
  std::vector<Driven> results;
  for (const PassTable* passes : {&PassesAvx512Bfloat16(), &PassesAvx512Bfloat16Instruction()}) {
    Driven x(options, Shape{1, 1, static_cast<int64_t>(given.size())}, true, 1u,
             StateFormat::kBfloat16);
    x.gradient = given;
    const VariableStep step = x.Step(1, 1, true);
    PassArgs args = PassArgs{};
    args.base = options.base;
    args.rule = Rule::kNone;
    args.base_scalars = Prepare(options, step).base_scalars;
    args.around = MakeAround(step);
    args.weights = step.weights;
    args.gradient = step.gradient;
    args.output = step.output;
    args.state = PointersOf(LayoutState(options, step), step.state);
    const KernelFloatMode mode;
    passes->plain(args, 0, step.size());
    results.push_back(x);
  }
  CHECK(SameBits({results[0].state}, {results[1].state}), "state");
  CHECK(SameBits({results[0].output}, {results[1].output}), "output");
#endif
}

// Half the memory, the anchor's aside; variables of both formats in one step.
void TestFormats() {
  const StepOptions options = AdamWOptions();
  const auto length = [&](StateFormat format) {
    return LayoutState(options, false, 1024, 16, format).length;
  };
  CHECK(length(StateFormat::kFloat32) == 4 * 1024 + 32, "float32");
  CHECK(length(StateFormat::kBfloat16) == 1024 + 3 * 512 + 32, "bfloat16");
  const Shape shape = {9, 15, 1};
  std::vector<Driven> together;
  for (const StateFormat format : {StateFormat::kFloat32, StateFormat::kBfloat16}) {
    together.emplace_back(options, shape, false, 8u, format);
  }
  std::vector<Driven> alone = together;
  for (int t = 1; t <= 3; ++t) {
    std::vector<VariableStep> steps;
    for (size_t i = 0; i < 2; ++i) {
      DrawGradient(&together[i].gradient, 8u, t);
      alone[i].gradient = together[i].gradient;
      steps.push_back(together[i].Step(t, t, t == 1));
      const VariableStep step = alone[i].Step(t, t, t == 1);
      CpuStep(options, &step, 1);
      alone[i].weights = alone[i].output;
    }
    CpuStep(options, steps.data(), 2);
    for (Driven& x : together) x.weights = x.output;
  }
  for (size_t i = 0; i < 2; ++i) {
    CHECK(together[i].weights == alone[i].weights, "weights in format %zu", i);
    CHECK(SameBits({together[i].state}, {alone[i].state}), "state in format %zu", i);
  }
  CHECK(together[0].weights != together[1].weights, "the format does nothing");
}

// Variables of one list with numbers of their own take the steps that they would take alone.
void TestOwnNumbers() {
  const Shape shape = {9, 12, 1};
  const StepOptions options = AdamWOptions();
  MethodNumbers own[3] = {options.numbers, options.numbers, options.numbers};
  own[1].base[0] *= 3;
  own[2].rule[1] *= 5;
  std::vector<Driven> together(3, Driven(options, shape, false, 8u));
  std::vector<Driven> alone = together;
  for (int t = 1; t <= 3; ++t) {
    std::vector<VariableStep> steps;
    for (size_t i = 0; i < 3; ++i) {
      DrawGradient(&together[i].gradient, 8u, t);
      steps.push_back(together[i].Step(t, t, t == 1));
      steps.back().numbers = &own[i];
      alone[i].gradient = together[i].gradient;
      StepOptions one = options;
      one.numbers = own[i];
      const VariableStep step = alone[i].Step(t, t, t == 1);
      CpuStep(one, &step, 1);
      alone[i].weights = alone[i].output;
    }
    CpuStep(options, steps.data(), 3);
    for (Driven& x : together) x.weights = x.output;
  }
  for (size_t i = 0; i < 3; ++i) {
    CHECK(together[i].weights == alone[i].weights, "weights of variable %zu", i);
    CHECK(together[i].state == alone[i].state, "state of variable %zu", i);
  }
  CHECK(together[0].weights != together[1].weights && together[0].weights != together[2].weights,
        "the numbers do nothing");
}

// FNV-1a over the bits of `values`.
void Digest(const std::vector<float>& values, uint64_t* digest) {
  for (float value : values) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    *digest = (*digest ^ bits) * 1099511628211u;
  }
}

// All variables in one call, on several numbers of threads: the same bits. Returns their digest,
// which is the same on every machine and instruction set.
uint64_t TestThreads(StateFormat format = StateFormat::kFloat32) {
  uint64_t digest = 14695981039346656037u;
  std::vector<std::vector<float>> first;
  for (int threads : {1, 2, 3, 8}) {
    StepOptions options = AdamWOptions();
    options.threads = threads;
    std::vector<Driven> variables;
    for (const Shape& shape : Shapes()) variables.emplace_back(options, shape, false, 5u, format);
    variables.emplace_back(options, Shape{1, 700, 300}, true, 6u, format);
    for (int t = 1; t <= 4; ++t) {
      std::vector<VariableStep> steps;
      for (Driven& x : variables) {
        DrawGradient(&x.gradient, 3u, t);
        steps.push_back(x.Step(t, t, t == 1));
      }
      const StepResult result = CpuStep(options, steps.data(), static_cast<int64_t>(steps.size()));
      CHECK(result.status == StepStatus::kOk, "threads %d", threads);
      for (Driven& x : variables) x.weights = x.output;
    }
    for (size_t i = 0; i < variables.size(); ++i) {
      if (threads == 1) {
        first.push_back(variables[i].state);
        first.push_back(variables[i].weights);
        Digest(variables[i].state, &digest);
        Digest(variables[i].weights, &digest);
        continue;
      }
      CHECK(SameBits({first[2 * i]}, {variables[i].state}), "state of variable %zu, %d threads", i,
            threads);
      CHECK(first[2 * i + 1] == variables[i].weights, "variable %zu, %d threads", i, threads);
    }
  }
  return digest;
}

// Two threads of the process step at the same time.
void TestConcurrentSteps() {
  std::vector<std::thread> callers;
  std::vector<Driven> results;
  const StepOptions options = AdamWOptions();
  for (int i = 0; i < 2; ++i) results.emplace_back(options, Shape{300, 700, 1}, false, 9u);
  for (Driven& x : results) {
    callers.emplace_back([&x, &options] {
      for (int t = 1; t <= 5; ++t) {
        DrawGradient(&x.gradient, 4u, t);
        const VariableStep step = x.Step(t, t, t == 1);
        CpuStep(options, &step, 1);
        x.weights = x.output;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(results[0].weights == results[1].weights, "concurrent steps differ");
  CHECK(results[0].state == results[1].state, "concurrent states differ");
}

void TestNonFinite() {
  StepOptions options = AdamWOptions();
  options.check_finite = true;
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                    -std::numeric_limits<float>::infinity()}) {
    for (const Shape& shape : Shapes()) {
      for (int where = 0; where < 3; ++where) {
        std::vector<Driven> variables;
        variables.emplace_back(options, Shape{1, 3, 20}, false, 1u);
        variables.emplace_back(options, shape, where == 2, 2u);
        for (Driven& x : variables) {
          DrawGradient(&x.gradient, 1u, 1);
          x.output.assign(x.output.size(), 5.0f);
        }
        std::vector<float>& gradient = variables[1].gradient;
        gradient[where == 0 ? 0 : gradient.size() - 1] = bad;
        const std::vector<Driven> before = variables;
        std::vector<VariableStep> steps;
        for (Driven& x : variables) steps.push_back(x.Step(1, 1, true));
        const StepResult result = CpuStep(options, steps.data(), 2);
        CHECK(result.status == StepStatus::kNonFiniteGradient && result.variable == 1, "index %d",
              static_cast<int>(result.variable));
        for (size_t i = 0; i < 2; ++i) {
          CHECK(variables[i].state == before[i].state, "state was written");
          CHECK(variables[i].output == before[i].output, "output was written");
        }
      }
    }
  }
}

// Sums of squares in float64, the same bits for any number of threads; nothing without the check.
void TestGather() {
  StepOptions options = AdamWOptions();
  options.check_finite = true;
  std::vector<Driven> variables;
  for (const Shape& shape : Shapes()) variables.emplace_back(options, shape, false, 2u);
  variables.emplace_back(options, Shape{0, 3, 3}, false, 2u);
  std::vector<VariableStep> steps;
  for (Driven& x : variables) {
    DrawGradient(&x.gradient, 2u, 1);
    // A square that float32 does not hold.
    if (!x.gradient.empty()) x.gradient[0] = 3e25f;
    steps.push_back(x.Step(1, 1, true));
  }
  const int64_t count = static_cast<int64_t>(steps.size());
  std::vector<double> first;
  for (const int threads : {1, 2, 7}) {
    options.threads = threads;
    std::vector<double> numbers(steps.size() * kGatherNumbers, 5.0);
    const StepResult result = CpuGather(options, steps.data(), count, kWantSquares, numbers.data());
    CHECK(result.status == StepStatus::kOk, "gather");
    if (threads == 1) first = numbers;
    CHECK(numbers == first, "%d threads", threads);
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    long double sum = 0;
    for (const float g : variables[i].gradient) sum += static_cast<long double>(g) * g;
    const double expected = static_cast<double>(sum);
    const double* const numbers = &first[i * kGatherNumbers];
    CHECK(std::abs(numbers[0] - expected) <= 1e-13 * expected, "variable %zu: %g, not %g", i,
          numbers[0], expected);
    for (int j = 1; j < kGatherNumbers; ++j) CHECK(numbers[j] == 0.0, "number %d", j);
  }
  variables[3].gradient.back() = std::numeric_limits<float>::infinity();
  variables[5].gradient.back() = std::numeric_limits<float>::quiet_NaN();
  std::vector<double> numbers(first.size(), 5.0);
  StepResult result = CpuGather(options, steps.data(), count, kWantSquares, numbers.data());
  CHECK(result.status == StepStatus::kNonFiniteGradient && result.variable == 3, "index");
  CHECK(numbers[0] == 5.0, "written");
  options.check_finite = false;
  result = CpuGather(options, steps.data(), count, kWantSquares, numbers.data());
  CHECK(result.status == StepStatus::kOk && std::isnan(numbers[5 * kGatherNumbers]), "unchecked");
  CHECK(GatherProblem(options, 63) != nullptr, "no slot for the gradient");
  CHECK(GatherProblem(options, 7) == nullptr && GatherProblem(options, 64) != nullptr, "want");
}

// Steps of every kind of variable, then its sums against the oracle; the same bits for any number
// of threads. Returns the digest of all of them.
uint64_t TestHyperGradients() {
  uint64_t digest = 14695981039346656037u;
  const std::vector<Shape> shapes = {{1, 1, 1},   {1, 1, 70001}, {1, 2, 131100}, {1, 50, 33},
                                     {1, 9, 3},   {33, 65, 1},   {20, 1030, 1},  {1100, 9, 1},
                                     {7, 11, 13}, {2, 1, 9},     {1100, 1, 5}};
  int number = 0;
  for (StepOptions options : GatheredMethods()) {
    const std::string method = "method " + std::to_string(number++);
    std::vector<Driven> variables;
    std::vector<int> taken;
    for (size_t i = 0; i < shapes.size(); ++i) {
      // Each long one with one base of each rule.
      const bool is_long = shapes[i].outer * shapes[i].rows * shapes[i].inner > 2000;
      if (is_long && (i + static_cast<size_t>(number)) % 7 != 0) continue;
      variables.emplace_back(options, shapes[i], i == 3 && number % 2 == 0, 7u);
      taken.push_back(1 + static_cast<int>(i % 3));
    }
    std::vector<VariableStep> lasts;
    for (size_t i = 0; i < variables.size(); ++i) {
      lasts.push_back(StepThenDraw(options, taken[i], &variables[i]));
      lasts[i].from_weights = i == 1;
    }
    std::vector<double> first;
    for (const int threads : {1, 2, 7}) {
      options.threads = threads;
      std::vector<double> numbers(lasts.size() * kGatherNumbers, 5.0);
      const int64_t count = static_cast<int64_t>(lasts.size());
      const StepResult result = CpuGather(options, lasts.data(), count, kWantAll, numbers.data());
      CHECK(result.status == StepStatus::kOk, "%s", method.c_str());
      if (threads == 1) first = numbers;
      CHECK(numbers == first, "%s, %d threads", method.c_str(), threads);
      // One number by itself.
      std::vector<double> alone(numbers.size(), 5.0);
      CpuGather(options, lasts.data(), count, 4, alone.data());
      for (size_t j = 0; j < alone.size(); ++j) {
        const size_t of = j % kGatherNumbers;
        CHECK(alone[j] == (of == 0 || of == 3 || of == 4 ? first[j] : 0.0), "%s, alone",
              method.c_str());
      }
    }
    for (size_t i = 0; i < lasts.size(); ++i) {
      const std::string name = method + ", " + Name(variables[i].shape);
      CheckGathered(name.c_str(), &first[i * kGatherNumbers], OracleGather(options, lasts[i]));
    }
    Digest(std::vector<float>(first.begin(), first.end()), &digest);
  }
  return digest;
}

// Chunks cover every element once, whatever the shape.
void TestPartition() {
  for (const Shape& shape : Shapes()) {
    const Partition p = MakePartition(shape.outer, shape.rows, shape.inner);
    CHECK(p.size == shape.outer * shape.rows * shape.inner, "size");
    if (p.walk == Walk::kColumns) {
      CHECK(p.stripe * p.stripes >= p.outer && p.stripe * (p.stripes - 1) < p.outer, "stripes");
      CHECK(p.column_block * p.column_blocks >= p.columns, "columns");
      CHECK(p.column_block * (p.column_blocks - 1) < p.columns, "columns");
      CHECK(p.chunks == p.stripes * p.column_blocks, "chunks");
    } else if (p.long_rows()) {
      CHECK(p.pieces * kRowChunkElements >= p.row_length, "pieces");
      CHECK((p.pieces - 1) * kRowChunkElements < p.row_length, "pieces");
    } else {
      CHECK(p.chunks * p.rows_per_chunk >= p.rows, "chunks");
      CHECK((p.chunks - 1) * p.rows_per_chunk < p.rows, "chunks");
    }
  }
}

// A NaN norm is the largest whatever comes after it: an order of comparison that let a finite norm
// replace it went unseen, since a NaN gradient reaches gamma through h as well.
void TestMaxNorm() {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(std::isnan(MaxNorm(nan, 1.0)) && std::isnan(MaxNorm(1.0, nan)), "NaN was lost");
  CHECK(MaxNorm(1.0, 2.0) == 2.0 && MaxNorm(2.0, 1.0) == 2.0, "not the larger one");
}

void TestPlan() {
  constexpr size_t kNumbers = AdamW::kNumbers + Ftp::kNumbers;
  constexpr size_t kWords = kPlanNumbersAt + 2 * kNumbers;
  std::vector<int32_t> plan(kPlanHeaderWords + 3 * kWords, 0);
  StepOptions options;
  VariableStep variables[3];
  MethodNumbers numbers[3];
  int64_t count = 0;
  const int64_t words = static_cast<int64_t>(plan.size());
  const auto header = [&](int64_t length) {
    return DecodePlanHeader(plan.data(), length, &options, &count);
  };
  const auto decode = [&](int64_t i) {
    return DecodePlanVariable(plan.data(), i, variables, numbers);
  };
  const auto put = [&](size_t variable, size_t word, double value) {
    std::memcpy(&plan[kPlanHeaderWords + variable * kWords + word], &value, sizeof(value));
  };
  CHECK(header(words) != nullptr, "no magic");
  plan[0] = kPlanMagic;
  plan[2] = static_cast<int32_t>(Rule::kFtp);
  plan[5] = kPlanEma;
  plan[6] = 3;
  CHECK(header(words) != nullptr, "no numbers");
  plan[8] = AdamW::kNumbers;
  plan[9] = Ftp::kNumbers;
  CHECK(PlanVariableWords(plan.data()) == kWords, "words of a variable");
  CHECK(header(words) == nullptr && count == 3, "three variables");
  CHECK(options.has_average && !options.keeps_gradient && !options.check_finite, "step flags");
  CHECK(header(words - 1) != nullptr, "too short");
  CHECK(decode(0) != nullptr, "t and n are 0");
  for (size_t i = 0; i < 3; ++i) {
    plan[kPlanHeaderWords + i * kWords + 8] = plan[kPlanHeaderWords + i * kWords + 9] = 1;
    // k
    put(i, kPlanNumbersAt + 2 * AdamW::kNumbers, i == 2 ? 0.25 : 0.5);
    put(i, kPlanNumbersAt, 3.0);
  }
  put(1, 10, 2.0);
  put(1, 12, 0.75);
  put(1, 14, 0.99);
  for (int64_t i = 0; i < 3; ++i) CHECK(decode(i) == nullptr, "sizes may be 0");
  CHECK(variables[0].format == StateFormat::kFloat32, "format by default");
  plan[kPlanHeaderWords + 1] = 1;
  CHECK(decode(0) == nullptr && variables[0].format == StateFormat::kBfloat16, "format");
  for (const int32_t code : {-1, kStateFormats}) {
    plan[kPlanHeaderWords + 1] = code;
    CHECK(decode(0) != nullptr, "format %d", code);
  }
  plan[kPlanHeaderWords + 1] = 0;
  CHECK(variables[1].gradient_scale == 2.0 && variables[1].clip_value == 0.75, "seen gradient");
  CHECK(variables[1].ema_momentum == 0.99 && variables[0].ema_momentum == 0.0, "average");
  CHECK(variables[0].numbers == variables[1].numbers, "the same numbers once");
  CHECK(variables[1].numbers->rule[0] == 0.5 && variables[2].numbers->rule[0] == 0.25, "numbers");
  CHECK(variables[2].numbers->base[0] == 3.0 && variables[2].numbers->base[4] == 0.0, "numbers");
  constexpr size_t kVariable = kPlanHeaderWords;
  plan[kVariable + 3] = plan[kVariable + 5] = 1 << 14;  // outer = rows = 2^46
  plan[kVariable + 7] = 1;
  CHECK(decode(0) != nullptr, "product overflows");
  plan[6] = -1;
  CHECK(header(words) != nullptr, "negative count");
  plan[6] = 3;
  for (const int32_t code : {-1, 3, 99}) {
    plan[1] = code;
    CHECK(header(words) != nullptr, "base %d", code);
  }
  plan[1] = 0;
  for (const int32_t code : {-1, 99}) {
    plan[2] = code;
    CHECK(header(words) != nullptr, "rule %d", code);
  }
}

}  // namespace
}  // namespace tfjs_ftp

// `kernel_test --digest` prints only the digest of the bits of a few steps: compare instruction
// sets (TFJS_FTP_SIMD) and machines with it.
int main(int argc, char** argv) {
  using namespace tfjs_ftp;
  if (argc > 1 && std::strcmp(argv[1], "--digest") == 0) {
    const unsigned long long digest = TestThreads();
    const unsigned long long gathered = TestHyperGradients();
    const unsigned long long narrow = TestThreads(StateFormat::kBfloat16);
    std::printf("%s %016llx-%016llx-%016llx\n", CpuSimdName(), digest, gathered, narrow);
    return g_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
  }
  TestPlan();
  TestMaxNorm();
  TestPartition();
  TestOracle();
  TestBfloat16();
  TestRounding();
  TestInstruction();
  TestFormats();
  TestOwnNumbers();
  const uint64_t digest = TestThreads();
  TestThreads(StateFormat::kBfloat16);
  TestConcurrentSteps();
  TestNonFinite();
  TestGather();
  TestHyperGradients();
  std::printf("%s, %d threads, bits %016llx: %d checks, %d failures\n", CpuSimdName(),
              CpuDefaultThreads(), static_cast<unsigned long long>(digest), g_checks, g_failures);
  return g_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
