// A CUDA step by itself: on memory and a stream of its own, waited for. What other steps of the
// same variables must give whatever else is under way.
#ifndef TFJS_FTP_TEST_STEP_ALONE_H_
#define TFJS_FTP_TEST_STEP_ALONE_H_

#include <cuda_runtime_api.h>

#include <algorithm>
#include <vector>

#include "../kernels/cuda/launch_step.h"
#include "device_memory.h"
#include "driven.h"

namespace tfjs_ftp {

// The step `list`, whose pointers are those of `variables`, host memory: leaves their states and
// outputs as after it. Tensors start `offset` floats behind a multiple of 16 bytes. Scratch memory
// has the size that is asked for and holds NaN.
inline CudaResult StepAlone(const StepOptions& options, const std::vector<VariableStep>& list,
                            const CudaTuning& tuning = CudaTuning(), int64_t offset = 0) {
  const int64_t count = static_cast<int64_t>(list.size());
  CudaResult result;
  const CudaSizes sizes = MeasureCudaStep(options, list.data(), count, tuning);
  result.step = sizes.result;
  if (!result.ok()) return result;
  cudaStream_t stream = nullptr;
  CUDA_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  std::vector<DeviceFloats> memory;
  const auto put = [&](const float* values, int64_t size) {
    memory.emplace_back(size, offset);
    if (size > 0) {
      CUDA_OK(cudaMemcpyAsync(memory.back().get(), values, memory.back().bytes(),
                              cudaMemcpyHostToDevice, stream));
    }
    return memory.back().get();
  };
  const auto get = [&](float* values, const float* from, int64_t size) {
    if (size == 0) return;
    CUDA_OK(cudaMemcpyAsync(values, from, static_cast<size_t>(size) * sizeof(float),
                            cudaMemcpyDeviceToHost, stream));
  };
  const auto size_of = [](const VariableStep& step) { return step.outer * step.rows * step.inner; };
  const auto state_of = [&](const VariableStep& step) {
    return LayoutState(options, step.excluded, size_of(step), step.rows).length;
  };
  std::vector<VariableStep> on_device = list;
  for (VariableStep& step : on_device) {
    step.state = put(step.state, state_of(step));
    step.weights = put(step.weights, size_of(step));
    step.gradient = put(step.gradient, size_of(step));
    if (step.proposal != nullptr) step.proposal = put(step.proposal, size_of(step));
    step.output = put(step.output, size_of(step));
  }
  DeviceFloats scratch(sizes.scratch_bytes / static_cast<int64_t>(sizeof(float)));
  CUDA_OK(cudaMemsetAsync(scratch.get(), 0xff, scratch.bytes(), stream));
  void* table = nullptr;
  CUDA_OK(cudaMallocHost(&table, static_cast<size_t>(sizes.table_bytes)));
  result = CudaStep(options, on_device.data(), count, scratch.get(), table, stream, tuning);
  CUDA_OK(result.cuda);
  int32_t flag = kNoVariable;
  CUDA_OK(cudaMemcpyAsync(&flag, reinterpret_cast<char*>(scratch.get()) + kFlagOffset, sizeof(flag),
                          cudaMemcpyDeviceToHost, stream));
  for (size_t i = 0; i < list.size(); ++i) {
    get(list[i].state, on_device[i].state, state_of(list[i]));
    get(list[i].output, on_device[i].output, size_of(list[i]));
  }
  CUDA_OK(cudaStreamSynchronize(stream));
  CUDA_OK(cudaStreamDestroy(stream));
  CUDA_OK(cudaFreeHost(table));
  if (flag != kNoVariable) result.step = {StepStatus::kNonFiniteGradient, flag};
  return result;
}

// Whether the element-wise state in `x` has the bits that the CPU's step gives. `before`: the
// variable before the step. Not for DiGraP, whose moments follow from sums of this step, and not
// for the average, which follows from such sums through the weights.
inline bool StateOfCpuStep(StepOptions options, const VariableStep& step, Driven before,
                           const Driven& x) {
  if (options.rule == Rule::kDigrap) return true;
  options.threads = 1;
  const VariableStep on_cpu = before.Take(step);
  CpuStep(options, &on_cpu, 1);
  const StateLayout layout = x.Layout(options);
  bool same = true;
  for (int i = static_cast<int>(Slot::kAnchor); i < kSlots; ++i) {
    if (layout.offsets[i] == kNoSection || i == static_cast<int>(Slot::kEma)) continue;
    const auto first = before.state.begin() + layout.offsets[i];
    same =
        same && std::equal(first, first + layout.lengths[i], x.state.begin() + layout.offsets[i]);
  }
  return same;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_STEP_ALONE_H_
