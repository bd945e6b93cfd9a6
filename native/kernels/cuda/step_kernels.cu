// The plain CUDA step: check, pass 1, finish, pass 2 as four kernels. Kept as the checked baseline
// that every faster version is compared with.
//
//   pass 1   U_t, C_t; per chunk the rule's sums          reads G, C, m, v, writes C, m, v
//   finish   the rows' and the tensor's numbers           reads the chunks' sums
//   pass 2   W_t = A + s C_t                              reads A, C, writes W
//
// 40 bytes a float32 parameter under AdamW, less what pass 2 still finds in L2: it takes the chunks
// in reverse, those written last first. A rule that does not project takes pass 1 alone; one that
// gathers has two launches in front of it. Sums in double, over a fixed partition, in a fixed
// order: the same inputs give the same bits. Source of the formulas: methods/.
#include <cuda_runtime.h>

#include "items.cuh"
#include "launchers.h"
#include "profile_range.h"

namespace tfjs_ftp {
namespace {

__global__ void __launch_bounds__(kBlockThreads) check_kernel(const StepArgs args) {
  CheckBlock(args);
}

template <class RulePiece>
__global__ void __launch_bounds__(kBlockThreads, 3) gather_kernel(const StepArgs args) {
  __shared__ BlockShared shared;
  GatherBlock<RulePiece>(shared, args);
}

template <class RulePiece>
__global__ void __launch_bounds__(kBlockThreads) finish_gathering_kernel(const StepArgs args) {
  __shared__ BlockShared shared;
  FinishGatheringBlock<RulePiece>(shared, args);
}

// At least three blocks a multiprocessor: with 64 bytes in flight a thread that is enough to keep
// memory busy, and leaves 80 registers a thread, so that nothing is spilled.
template <class Base, class RulePiece>
__global__ void __launch_bounds__(kBlockThreads, 3) deviate_kernel(const StepArgs args) {
  __shared__ BlockShared shared;
  DeviateBlock<Base, RulePiece>(shared, args);
}

// Said how many blocks shall fit, CUDA 12's ptxas stops spilling a few registers here (sm_60).
template <class RulePiece>
__global__ void __launch_bounds__(kBlockThreads, 2) finish_kernel(const StepArgs args) {
  __shared__ BlockShared shared;
  FinishBlock<RulePiece>(shared, args);
}

// Left to itself, ptxas takes 32 registers for compute capability 10.0 and spills.
template <class RulePiece>
__global__ void __launch_bounds__(kBlockThreads, 4) project_kernel(const StepArgs args) {
  __shared__ BlockShared shared;
  ProjectBlock<RulePiece>(shared, args);
}

using Kernel = void (*)(StepArgs);

// Launches a kernel of one block an item, under its name for profilers.
cudaError_t Launch(const char* name, Kernel kernel, int32_t blocks, const StepArgs& args,
                   cudaStream_t stream) {
  if (blocks == 0) return cudaSuccess;
  const ProfileRange range(name);
  kernel<<<static_cast<unsigned>(blocks), kBlockThreads, 0, stream>>>(args);
  return cudaPeekAtLastError();
}

template <class RulePiece>
cudaError_t LaunchGather(const StepArgs& args, cudaStream_t stream) {
  const cudaError_t error =
      Launch("gather", gather_kernel<RulePiece>, args.item_count, args, stream);
  if (error != cudaSuccess) return error;
  return Launch("finish of gathering", finish_gathering_kernel<RulePiece>, args.record_count, args,
                stream);
}

template <class Base, class RulePiece>
cudaError_t LaunchPasses(const StepArgs& args, cudaStream_t stream) {
  cudaError_t error =
      Launch("pass 1", deviate_kernel<Base, RulePiece>, args.item_count, args, stream);
  if constexpr (RulePiece::kProjects) {
    if (error != cudaSuccess) return error;
    error = Launch("finish", finish_kernel<RulePiece>, args.finish_count, args, stream);
    if (error != cudaSuccess) return error;
    error = Launch("pass 2", project_kernel<RulePiece>, args.projected_count, args, stream);
  }
  return error;
}

// Loads a kernel; keeps the first error.
void Load(Kernel kernel, cudaError_t* error) {
  cudaFuncAttributes attributes;
  if (*error == cudaSuccess) *error = cudaFuncGetAttributes(&attributes, kernel);
}

}  // namespace

int LaunchGathering(Rule rule, const StepArgs& args, void* stream) {
  cudaError_t error = cudaSuccess;
  bool gathers = false;
  VisitRule(rule, [&](auto rule_type) {
    using RulePiece = PieceOf<decltype(rule_type)>;
    if constexpr (RulePiece::kGatherSums > 0) {
      gathers = true;
      error = LaunchGather<RulePiece>(args, static_cast<cudaStream_t>(stream));
    }
  });
  if (gathers || !args.check) return error;
  return Launch("check", check_kernel, args.item_count, args, static_cast<cudaStream_t>(stream));
}

int LaunchThree(BaseUpdate base, Rule rule, const StepArgs& args, void* stream) {
  cudaError_t error = cudaErrorInvalidDeviceFunction;
  VisitMethod(base, rule, [&](auto base_type, auto rule_type) {
    error = LaunchPasses<PieceOf<decltype(base_type)>, PieceOf<decltype(rule_type)>>(
        args, static_cast<cudaStream_t>(stream));
  });
  return error;
}

int LoadKernels() {
  cudaError_t error = cudaSuccess;
  Load(check_kernel, &error);
  for (int rule = 0; VisitRule(static_cast<Rule>(rule), [](auto) {}); ++rule) {
    VisitRule(static_cast<Rule>(rule), [&](auto rule_type) {
      using RulePiece = PieceOf<decltype(rule_type)>;
      if constexpr (RulePiece::kProjects) {
        Load(finish_kernel<RulePiece>, &error);
        Load(project_kernel<RulePiece>, &error);
      }
      if constexpr (RulePiece::kGatherSums > 0) {
        Load(gather_kernel<RulePiece>, &error);
        Load(finish_gathering_kernel<RulePiece>, &error);
      }
    });
    for (int base = 0; VisitBase(static_cast<BaseUpdate>(base), [](auto) {}); ++base) {
      VisitMethod(static_cast<BaseUpdate>(base), static_cast<Rule>(rule),
                  [&](auto base_type, auto rule_type) {
                    Load(deviate_kernel<PieceOf<decltype(base_type)>, PieceOf<decltype(rule_type)>>,
                         &error);
                  });
    }
  }
  return error;
}

}  // namespace tfjs_ftp
