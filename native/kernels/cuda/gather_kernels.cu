// Sums of the gradients before a step (hyper.h): one launch over chunks, one over the rows that
// turn and lie in several chunks, one over variables. Reads of a float32 parameter 4 bytes of the
// gradient, and what the wanted numbers need of weights and state: 8 more for the learning rate
// under AdamW, 12 with a rule that projects. Sums in double, over a fixed partition, in a fixed
// order. Nothing but scratch memory is written.
#include <cuda_runtime.h>

#include "gather.cuh"
#include "launchers.h"
#include "profile_range.h"

namespace tfjs_ftp {
namespace {

__global__ void __launch_bounds__(kBlockThreads) squares_kernel(const StepArgs args) {
  __shared__ BlockShared shared;
  SquaresBlock(shared, args);
}

// Two blocks a multiprocessor: up to 20 sums of a thread are in its registers.
template <class Base, class LastRule>
__global__ void __launch_bounds__(kBlockThreads, 2) sums_kernel(const StepArgs args) {
  __shared__ BlockShared shared;
  SumsBlock<Base, LastRule>(shared, args);
}

__global__ void __launch_bounds__(kBlockThreads, 2) turn_kernel(const StepArgs args) {
  __shared__ BlockShared shared;
  TurnBlock(shared, args);
}

__global__ void __launch_bounds__(kBlockThreads) totals_kernel(const StepArgs args) {
  __shared__ BlockShared shared;
  TotalsBlock(shared, args);
}

using Kernel = void (*)(StepArgs);

Kernel SumsKernel(BaseUpdate base, Rule rule) {
  Kernel kernel = squares_kernel;
  VisitMethod(base, rule, [&](auto base_type, auto rule_type) {
    using Base = PieceOf<decltype(base_type)>;
    using LastRule = typename PieceOf<decltype(rule_type)>::LastRule;
    if constexpr (Base::kLearns != 0) kernel = sums_kernel<Base, LastRule>;
  });
  return kernel;
}

}  // namespace

int LaunchSums(BaseUpdate base, Rule rule, bool squares_alone, const StepArgs& args, void* stream) {
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  const auto launch = [&](const char* name, Kernel kernel, int32_t blocks) -> cudaError_t {
    if (blocks == 0) return cudaSuccess;
    const ProfileRange range(name);
    kernel<<<static_cast<unsigned>(blocks), kBlockThreads, 0, on>>>(args);
    return cudaPeekAtLastError();
  };
  cudaError_t error =
      launch("sums", squares_alone ? squares_kernel : SumsKernel(base, rule), args.item_count);
  if (error != cudaSuccess) return error;
  error = launch("rows that turn", turn_kernel, args.finish_count);
  if (error != cudaSuccess) return error;
  return launch("totals", totals_kernel, args.record_count);
}

}  // namespace tfjs_ftp
