// Plain C++ interface of the fused FTP step: pointers, sizes, numbers in; a status out. Knows
// neither TensorFlow nor N-API, so that it is tested and timed alone.
#ifndef TFJS_FTP_KERNELS_FTP_KERNELS_H_
#define TFJS_FTP_KERNELS_FTP_KERNELS_H_

#include <cstdint>
#include <vector>

namespace tfjs_ftp {

enum class BaseUpdate : int32_t {
  kAdamW = 0,
  kSgd = 1,
  kProposal = 2,  // weights are what another optimizer proposes; only the projection is done
};

// What all variables of a step share. Doubles as the user gave them; kernels round once.
struct StepOptions {
  BaseUpdate base = BaseUpdate::kAdamW;
  bool amsgrad = false;        // AdamW keeps the running maximum of v
  bool momentum_slot = false;  // SGD keeps a momentum buffer
  bool nesterov = false;
  bool check_finite = false;
  int threads = 0;  // 0: the default (all cores, or TFJS_FTP_THREADS)
  double learning_rate = 0;
  double beta1 = 0;
  double beta2 = 0;
  double epsilon = 0;
  double weight_decay = 0;
  double momentum = 0;
  double dampening = 0;
  double k = 1;
  double constraint_learning_rate = 1e-2;
  double constraint_beta1 = 0.9;
  double constraint_beta2 = 0.999;
};

// One variable of a step, seen as [outer, rows, inner] in C order; a row is one output unit and is
// reduced over outer and inner.
struct VariableStep {
  const float* weights;   // W_{t-1} (or the proposal); read where needed
  const float* gradient;  // G_t
  float* state;           // slab laid out by StateLayout, updated in place
  float* output;          // W_t; may be `weights` itself
  int64_t outer;
  int64_t rows;
  int64_t inner;
  bool excluded;      // plain base update, no projection
  bool from_weights;  // form C from W - A: first step, or W was assigned from outside
  int32_t t;          // steps of the constraint, 1 on the first
  int32_t n;          // updates of the variable, 1 on the first

  int64_t size() const { return outer * rows * inner; }
};

enum class StepStatus : int32_t {
  kOk = 0,
  kNonFiniteGradient = 1,
  kOutOfMemory = 2,
  kUnsupported = 3,
};

struct StepResult {
  StepStatus status = StepStatus::kOk;
  int64_t variable = -1;  // index of the variable the status speaks of
};

// One fused FTP step over `count` variables on the CPU. Writes state and outputs, or, when the
// status is not kOk, nothing at all. Bytes moved per float32 parameter of a projected variable
// under AdamW: 40 (pass 1 reads G, C, m, v and writes C, m, v; pass 2 reads A, C, writes W), 4 less
// where pass 2 finds C in cache, 4 more with decay. Sums are partitioned by shape alone: the same
// inputs give the same bits for any thread count and instruction set. Subnormal numbers count as 0.
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

#endif  // TFJS_FTP_KERNELS_FTP_KERNELS_H_
