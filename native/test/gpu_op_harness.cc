#include "gpu_op_harness.h"

#include <chrono>
#include <cstdlib>
#include <functional>
#include <thread>

#include "../op/ftp_ops.h"
#include "../op/stream_order.h"
#include "device_memory.h"
#include "step_alone.h"

namespace tfjs_ftp {

// op/stream_order.cc under another name (native_tests.cmake), so that this file stands between the
// ops and it.
int ProductionOrderWithTensorFlow(StreamOrder order,
                                  const std::function<int(void* stream)>& launch);

namespace {

using tf_double::NewTensor;
using tf_double::TensorRef;

#if defined(TFJS_FTP_CUDA_DOUBLE)
// Nothing runs there before it must.
constexpr int kPauseMilliseconds = 0;
#else
// Long against what the host needs to enqueue a step, and the step to run.
constexpr int kPauseMilliseconds = 100;
#endif
constexpr int kChain = 64;

Scheme g_scheme = Scheme::kSynchronize;

void Pause(cudaStream_t stream, int milliseconds) {
  if (milliseconds == 0) return;
  static const auto sleep = [](void* time) {
    std::this_thread::sleep_for(std::chrono::milliseconds(reinterpret_cast<intptr_t>(time)));
  };
  CUDA_OK(cudaLaunchHostFunc(stream, sleep, reinterpret_cast<void*>(intptr_t{milliseconds})));
}

// A stream that is ordered with nothing.
cudaStream_t UnorderedStream() {
  static const cudaStream_t stream = [] {
    cudaStream_t made = nullptr;
    CUDA_OK(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking));
    return made;
  }();
  return stream;
}

void* AllocateDevice(size_t bytes) {
  void* memory = nullptr;
  return cudaMalloc(&memory, bytes) == cudaSuccess ? memory : nullptr;
}

}  // namespace

int OrderWithTensorFlow(StreamOrder, const std::function<int(void* stream)>& launch) {
  switch (g_scheme) {
    case Scheme::kLegacyStream:
      return ProductionOrderWithTensorFlow(StreamOrder::kLegacyStream, launch);
    case Scheme::kSynchronize:
      return ProductionOrderWithTensorFlow(StreamOrder::kSynchronize, launch);
    case Scheme::kEvents:
      return ProductionOrderWithTensorFlow(StreamOrder::kEvents, launch);
    case Scheme::kUnorderedEarly: {
      const int error = launch(UnorderedStream());
      return error != cudaSuccess ? error : cudaStreamSynchronize(UnorderedStream());
    }
    case Scheme::kUnorderedLate:
      break;
  }
  Pause(UnorderedStream(), 4 * kPauseMilliseconds);
  return launch(UnorderedStream());
}

const char* SchemeName(Scheme scheme) {
  switch (scheme) {
    case Scheme::kLegacyStream:
      return "A, legacy stream";
    case Scheme::kSynchronize:
      return "B, synchronize";
    case Scheme::kEvents:
      return "C, events";
    case Scheme::kUnorderedEarly:
      return "unordered, early";
    case Scheme::kUnorderedLate:
      break;
  }
  return "unordered, late";
}

void UseScheme(Scheme scheme) { g_scheme = scheme; }

bool SetUpOps() {
  setenv("TFJS_FTP_GPU", "1", 1);
  const TensorFlowState state = RegisterTensorFlowOps({TFJS_FTP_TF_DOUBLE_FILE});
  tf_double::SetDeviceMemory(AllocateDevice);
  if (!state.lookup.reason.empty()) std::printf("%s\n", state.lookup.reason.c_str());
  return state.registered && state.gpu;
}

TheirStream::TheirStream(unsigned flags) { CUDA_OK(cudaStreamCreateWithFlags(&stream_, flags)); }

TheirStream::~TheirStream() {
  CUDA_OK(cudaStreamSynchronize(stream_));
  CUDA_OK(cudaStreamDestroy(stream_));
}

TensorRef TheirStream::Put(const std::vector<float>& values) const {
  const TensorRef tensor = NewTensor(1, {static_cast<int64_t>(values.size())}, false);
  CUDA_OK(
      cudaMemcpyAsync(tensor->data, values.data(), tensor->bytes, cudaMemcpyHostToDevice, stream_));
  CUDA_OK(cudaStreamSynchronize(stream_));
  return tensor;
}

void TheirStream::Copy(const TensorRef& to, const TensorRef& from) const {
  CUDA_OK(cudaMemcpyAsync(to->data, from->data, from->bytes, cudaMemcpyDeviceToDevice, stream_));
}

void TheirStream::Fill(const TensorRef& to, int byte) const {
  CUDA_OK(cudaMemsetAsync(to->data, byte, to->bytes, stream_));
}

void TheirStream::ProduceSlowly(const TensorRef& to, const TensorRef& from) const {
  Pause(stream_, kPauseMilliseconds);
  const TensorRef links[] = {NewTensor(1, from->dims, false), NewTensor(1, from->dims, false)};
  Copy(links[0], from);
  for (int i = 0; i < kChain; ++i) Copy(links[(i + 1) % 2], links[i % 2]);
  Copy(to, links[kChain % 2]);
}

std::vector<float> TheirStream::Get(const TensorRef& tensor) const {
  std::vector<float> values(static_cast<size_t>(tensor->count()));
  CUDA_OK(
      cudaMemcpyAsync(values.data(), tensor->data, tensor->bytes, cudaMemcpyDeviceToHost, stream_));
  CUDA_OK(cudaStreamSynchronize(stream_));
  return values;
}

Model::Model(const StepOptions& o, const std::vector<Driven>& list, const TheirStream& stream)
    : options(o), variables(list) {
  for (const Driven& x : variables) {
    states.push_back(stream.Put(x.state));
    weights.push_back(stream.Put(x.weights));
  }
}

std::vector<VariableStep> Model::List(int t, bool rejoins) {
  std::vector<VariableStep> list;
  for (Driven& x : variables) list.push_back(x.Step(t, t, t == 1 || rejoins));
  return list;
}

std::vector<int32_t> Model::Plan(int t, bool rejoins) {
  return EncodePlan(options, List(t, rejoins));
}

StepResult Model::StepAlone(int t, bool rejoins) {
  return tfjs_ftp::StepAlone(options, List(t, rejoins)).step;
}

void Model::DrawGradients(int t) {
  for (size_t i = 0; i < variables.size(); ++i) {
    DrawGradient(&variables[i].gradient, static_cast<uint32_t>(31 + i), t);
  }
}

Tensors Model::PutGradients(const TheirStream& stream) const {
  Tensors gradients;
  for (const Driven& x : variables) gradients.push_back(stream.Put(x.gradient));
  return gradients;
}

std::vector<std::vector<float>> Downloaded(const Tensors& tensors) {
  CUDA_OK(cudaDeviceSynchronize());
  std::vector<std::vector<float>> all;
  for (const TensorRef& tensor : tensors) {
    all.emplace_back(static_cast<size_t>(tensor->count()));
    CUDA_OK(cudaMemcpy(all.back().data(), tensor->data, tensor->bytes, cudaMemcpyDeviceToHost));
  }
  return all;
}

std::vector<std::vector<float>> StatesOf(const std::vector<Driven>& variables) {
  std::vector<std::vector<float>> all;
  for (const Driven& x : variables) all.push_back(x.state);
  return all;
}

std::vector<std::vector<float>> OutputsOf(const std::vector<Driven>& variables) {
  std::vector<std::vector<float>> all;
  for (const Driven& x : variables) all.push_back(x.output);
  return all;
}

}  // namespace tfjs_ftp
