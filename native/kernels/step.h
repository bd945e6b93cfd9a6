// Plain C++ interface of the fused step: pointers, sizes, numbers in; a status out. Knows neither
// TensorFlow nor N-API, so that it is tested and timed alone.
#ifndef TFJS_FTP_KERNELS_STEP_H_
#define TFJS_FTP_KERNELS_STEP_H_

#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "slots.h"

namespace tfjs_ftp {

// A method is a base update, which proposes a step, and a rule, which holds it (methods/). The
// codes are those of the plan.
enum class BaseUpdate : int32_t {
  kAdamW = 0,
  kSgd = 1,
  kProposal = 2,  // another optimizer proposes the weights; only the rule is computed
};
enum class Rule : int32_t {
  kNone = 0,
  kFtp = 1,
  kFixedRadius = 2,
  kSpd = 3,
  kL2Sp = 4,
  kDigrap = 5,
};

// Most numbers of a piece.
constexpr int kMaxNumbers = 6;

// The numbers of a method, in the plan's order. Doubles as the user gave them; kernels round once.
// A piece's numbers are named in its header; ReadNumbers, SetBase and SetRule give them their
// types.
struct MethodNumbers {
  double base[kMaxNumbers] = {};
  double rule[kMaxNumbers] = {};
};

// What all variables of a step share. A piece's flags are named in its header.
struct StepOptions {
  BaseUpdate base = BaseUpdate::kAdamW;
  Rule rule = Rule::kFtp;
  int32_t base_flags = 0;
  int32_t rule_flags = 0;
  MethodNumbers numbers;        // of variables that have none of their own
  bool has_average = false;     // the state has the slot `ema`
  bool keeps_gradient = false;  // the state has the slot `gradient`
  bool check_finite = false;
  int threads = 0;  // 0: the default (all cores, or TFJS_FTP_THREADS)
};

// The numbers of a piece from their array, and back. `Numbers` is a struct of doubles.
template <class Numbers>
Numbers ReadNumbers(const double* numbers) {
  static_assert(sizeof(Numbers) <= kMaxNumbers * sizeof(double), "kMaxNumbers");
  Numbers result;
  std::memcpy(&result, numbers, sizeof(result));
  return result;
}
template <class Base>
void SetBase(StepOptions* options, const typename Base::Numbers& numbers, int32_t flags = 0) {
  options->base = Base::kCode;
  options->base_flags = flags;
  std::memcpy(options->numbers.base, &numbers, sizeof(numbers));
}
template <class RulePiece>
void SetRule(StepOptions* options, const typename RulePiece::Numbers& numbers, int32_t flags = 0) {
  options->rule = RulePiece::kCode;
  options->rule_flags = flags;
  std::memcpy(options->numbers.rule, &numbers, sizeof(numbers));
}

// One variable of a step, seen as [outer, rows, inner] in C order; a row is one output unit and is
// reduced over outer and inner.
struct VariableStep {
  const float* weights = nullptr;   // W_{t-1}; read where needed
  const float* gradient = nullptr;  // G_t
  const float* proposal = nullptr;  // what another optimizer proposes (kProposal alone)
  float* state = nullptr;           // slab laid out by StateLayout, updated in place
  float* output = nullptr;          // W_t; may be `weights` itself
  int64_t outer = 0;
  int64_t rows = 0;
  int64_t inner = 0;
  StateFormat format = StateFormat::kFloat32;
  bool excluded = false;      // plain base update, no rule
  bool from_weights = false;  // form C from W - A: first step, or W was assigned from outside
  int32_t t = 0;              // steps of the rule, 1 on the first
  int32_t n = 0;              // updates of the variable, 1 on the first
  const MethodNumbers* numbers = nullptr;  // its own; null: those of the options
  double gradient_scale = 1;               // factor on the gradient
  double clip_value = std::numeric_limits<double>::infinity();  // its limit, behind the factor
  double ema_momentum = 0;  // share of the average that stays, with the slot `ema`

  int64_t size() const { return outer * rows * inner; }
};

// The method's numbers for a variable.
inline const MethodNumbers& NumbersOf(const StepOptions& options, const VariableStep& variable) {
  return variable.numbers != nullptr ? *variable.numbers : options.numbers;
}

enum class StepStatus : int32_t {
  kOk = 0,
  kNonFiniteGradient = 1,
  kOutOfMemory = 2,
  kUnsupported = 3,  // a pair, or a format of the state, that is not compiled
};

// What a status says of a step.
inline const char* StatusText(StepStatus status) {
  switch (status) {
    case StepStatus::kOk:
      return "the step is done";
    case StepStatus::kNonFiniteGradient:
      return "a gradient holds NaN or an infinity";
    case StepStatus::kOutOfMemory:
      return "out of memory for the sums of the step";
    case StepStatus::kUnsupported:
      break;
  }
  return "this base update and rule are not compiled as a pair, or the step has more than 2^31 "
         "chunks, or its state has a format that this device's kernels lack";
}

struct StepResult {
  StepStatus status = StepStatus::kOk;
  int64_t variable = -1;  // index of the variable the status speaks of
};

// One fused step over `count` variables on the CPU. Writes state and outputs, or, when the status
// is not kOk, nothing at all. Bytes moved per float32 parameter of a projected variable under
// AdamW: 40 (pass 1 reads G, C, m, v and writes C, m, v; pass 2 reads A, C, writes W), 4 less where
// pass 2 finds C in cache, 4 more with decay; 28 under a rule that needs no anchor. Sums are
// partitioned by shape alone: the same inputs give the same bits for any thread count and
// instruction set. Subnormal numbers count as 0.
StepResult CpuStep(const StepOptions& options, const VariableStep* variables, int64_t count);

// Instruction set the CPU kernels run with: "avx512", "avx2", "sse2", "neon" or "scalar".
// Picked once from what the processor has; TFJS_FTP_SIMD lowers it.
const char* CpuSimdName();

// The names that CpuSimdName can give here, the widest first: those that this build has and that
// this processor runs.
std::vector<const char*> CpuSimdNames();

// Default number of threads: TFJS_FTP_THREADS, else the cores this process may run on, or fewer
// where a quota of its control group allows less. At most CpuMaxThreads().
int CpuDefaultThreads();

// Threads that a step uses at most, whatever it is asked for.
int CpuMaxThreads();

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_STEP_H_
