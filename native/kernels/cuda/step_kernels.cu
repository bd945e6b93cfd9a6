// The plain CUDA step: check, pass 1, finish, pass 2 as four kernels. Kept as the checked baseline
// that every faster version is compared with.
//
//   pass 1   U_t, C_t; per chunk sum |C_t| and sum G C_{t-1} / n_{t-1}   reads G, C, m, v, writes
//   C, m, v finish   n_t, h_t, gamma_t per variable                              reads the chunks'
//   sums pass 2   W_t = A + clip(gamma_t / n_t, 0, 1) C_t                     reads A, C, writes W
//
// 40 bytes a float32 parameter under AdamW, less what pass 2 still finds in L2: it takes the chunks
// in reverse, those written last first. Sums in double, over a fixed partition, in a fixed order:
// the same inputs give the same bits. Source of the formulas: ftp_math.h.
#include <cuda_runtime.h>

#include "items.cuh"
#include "launchers.h"
#include "profile_range.h"

namespace tfjs_ftp {
namespace {

__global__ void __launch_bounds__(kBlockThreads) check_kernel(const StepArgs args) {
  CheckBlock(args);
}

// At least three blocks a multiprocessor: with 64 bytes in flight a thread that is enough to keep
// memory busy, and leaves 80 registers a thread, so that nothing is spilled.
template <BaseUpdate kBase>
__global__ void __launch_bounds__(kBlockThreads, 3) deviate_kernel(const StepArgs args) {
  __shared__ BlockShared shared;
  DeviateBlock<kBase>(shared, args);
}

// Said how many blocks shall fit, CUDA 12's ptxas stops spilling a few registers here (sm_60).
__global__ void __launch_bounds__(kBlockThreads, 2) finish_kernel(const StepArgs args) {
  __shared__ BlockShared shared;
  FinishBlock(shared, args);
}

__global__ void __launch_bounds__(kBlockThreads) project_kernel(const StepArgs args) {
  __shared__ BlockShared shared;
  ProjectBlock(shared, args);
}

template <BaseUpdate kBase>
cudaError_t LaunchDeviate(const StepArgs& args, cudaStream_t stream) {
  const ProfileRange range("pass 1");
  deviate_kernel<kBase><<<static_cast<unsigned>(args.item_count), kBlockThreads, 0, stream>>>(args);
  return cudaPeekAtLastError();
}

cudaError_t LaunchFinish(const StepArgs& args, cudaStream_t stream) {
  const ProfileRange range("finish");
  finish_kernel<<<static_cast<unsigned>(args.finish_count), kBlockThreads, 0, stream>>>(args);
  return cudaPeekAtLastError();
}

cudaError_t LaunchProject(const StepArgs& args, cudaStream_t stream) {
  const ProfileRange range("pass 2");
  project_kernel<<<static_cast<unsigned>(args.projected_count), kBlockThreads, 0, stream>>>(args);
  return cudaPeekAtLastError();
}

cudaError_t LaunchPasses(BaseUpdate base, const StepArgs& args, cudaStream_t stream) {
  if (args.item_count == 0) return cudaSuccess;
  cudaError_t error = base == BaseUpdate::kAdamW ? LaunchDeviate<BaseUpdate::kAdamW>(args, stream)
                      : base == BaseUpdate::kSgd
                          ? LaunchDeviate<BaseUpdate::kSgd>(args, stream)
                          : LaunchDeviate<BaseUpdate::kProposal>(args, stream);
  if (error != cudaSuccess || args.projected_count == 0) return error;
  error = LaunchFinish(args, stream);
  return error != cudaSuccess ? error : LaunchProject(args, stream);
}

}  // namespace

int LaunchCheck(const StepArgs& args, void* stream) {
  if (args.item_count == 0) return cudaSuccess;
  const ProfileRange range("check");
  check_kernel<<<static_cast<unsigned>(args.item_count), kBlockThreads, 0,
                 static_cast<cudaStream_t>(stream)>>>(args);
  return cudaPeekAtLastError();
}

int LaunchThree(BaseUpdate base, const StepArgs& args, void* stream) {
  return LaunchPasses(base, args, static_cast<cudaStream_t>(stream));
}

int LoadKernels() {
  for (void (*const kernel)(StepArgs) :
       {check_kernel, deviate_kernel<BaseUpdate::kAdamW>, deviate_kernel<BaseUpdate::kSgd>,
        deviate_kernel<BaseUpdate::kProposal>, finish_kernel, project_kernel}) {
    cudaFuncAttributes attributes;
    const cudaError_t error = cudaFuncGetAttributes(&attributes, kernel);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

}  // namespace tfjs_ftp
