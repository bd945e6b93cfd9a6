#include "cuda_contenders.h"

#include <algorithm>
#include <cmath>

#include "../kernels/cuda/pinned_ring.h"
#include "../kernels/state.h"

namespace tfjs_ftp {
namespace {

constexpr int64_t kSliceAlignment = 64;  // floats
// Of each end of a checked variable or copy, as many floats are looked at.
constexpr int64_t kCheckedEnd = 1 << 16;
constexpr size_t kCheckedVariables = 64;
constexpr int kCheckedSteps = 4;

// Fills device memory with a random tile, again and again; the tile's length is odd, so rows
// differ.
void Fill(DeviceFloats* memory, float scale, uint64_t seed) {
  std::vector<float> values((1 << 22) + 1);
  FillRandom(values.data(), static_cast<int64_t>(values.size()), scale, seed);
  const DeviceFloats tile(values);
  for (int64_t at = 0; at < memory->size(); at += tile.size()) {
    const int64_t count = std::min(tile.size(), memory->size() - at);
    CUDA_OK(cudaMemcpy(memory->get() + at, tile.get(), static_cast<size_t>(count) * sizeof(float),
                       cudaMemcpyDeviceToDevice));
  }
}

std::vector<float> Download(const float* from, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  CUDA_OK(cudaMemcpy(values.data(), from, values.size() * sizeof(float), cudaMemcpyDeviceToHost));
  return values;
}

// The first and the last floats of `count` at `from`.
std::vector<float> DownloadEnds(const float* from, int64_t count) {
  if (count <= 2 * kCheckedEnd) return Download(from, count);
  std::vector<float> values = Download(from, kCheckedEnd);
  const std::vector<float> tail = Download(from + count - kCheckedEnd, kCheckedEnd);
  values.insert(values.end(), tail.begin(), tail.end());
  return values;
}

StateLayout LayoutOf(const Case& made, const ListedVariable& variable) {
  const StepOptions& options = made.optimizer.options;
  return LayoutState(options, made.optimizer.excluded, variable.size(), variable.rows);
}

std::vector<int64_t> SizesOf(const std::vector<ListedVariable>& variables) {
  std::vector<int64_t> sizes;
  for (const ListedVariable& variable : variables) sizes.push_back(variable.size());
  return sizes;
}

// Of each variable, the longest state that one of the cases needs.
std::vector<int64_t> StateLengths(const std::vector<ListedVariable>& variables,
                                  const std::vector<Case>& cases) {
  std::vector<int64_t> lengths(variables.size(), 1);
  for (const Case& made : cases) {
    for (size_t i = 0; i < variables.size(); ++i) {
      lengths[i] = std::max(lengths[i], LayoutOf(made, variables[i]).length);
    }
  }
  return lengths;
}

// The variables as CudaStep takes them; without buffers, sizes alone.
std::vector<VariableStep> StepsOf(const Case& made, const std::vector<ListedVariable>& variables,
                                  const DeviceBuffers* buffers) {
  const bool columns = made.order == RowOrder::kColumns;
  std::vector<VariableStep> steps;
  for (size_t i = 0; i < variables.size(); ++i) {
    const ListedVariable& variable = variables[i];
    VariableStep step = {};
    if (buffers != nullptr) {
      step.weights = buffers->weights[i];
      step.gradient = buffers->gradients[i];
      step.proposal = buffers->weights[i];
      step.state = buffers->states[i];
      step.output = buffers->outputs[i];
    }
    step.outer = columns ? variable.length : 1;
    step.rows = variable.rows;
    step.inner = columns ? 1 : variable.length;
    step.excluded = made.optimizer.excluded;
    step.t = step.n = 1;
    steps.push_back(step);
  }
  return steps;
}

CudaSizes SizesOf(const Case& made, const std::vector<VariableStep>& steps) {
  return MeasureCudaStep(made.optimizer.options, steps.data(), static_cast<int64_t>(steps.size()),
                         made.tuning);
}

class DeviceCopy : public CudaContender {
 public:
  explicit DeviceCopy(int64_t bytes) : from_(bytes / 4), to_(bytes / 4) { Fill(&from_, 1.0f, 9); }
  const std::string& name() const override { return name_; }
  int launches() const override { return 1; }
  double bytes() const override { return 2.0 * static_cast<double>(from_.bytes()); }
  void Run(cudaStream_t stream) override {
    CUDA_OK(
        cudaMemcpyAsync(to_.get(), from_.get(), from_.bytes(), cudaMemcpyDeviceToDevice, stream));
  }
  std::string Check() override {
    to_.Poison();
    Run(nullptr);
    CUDA_OK(cudaDeviceSynchronize());
    return DownloadEnds(to_.get(), to_.size()) == DownloadEnds(from_.get(), from_.size())
               ? ""
               : "the copy differs from its source";
  }

 private:
  const std::string name_ = "copy";
  DeviceFloats from_, to_;
};

class CudaStepContender : public CudaContender {
 public:
  CudaStepContender(const Case& made, DeviceBuffers* buffers)
      : case_(made),
        buffers_(buffers),
        steps_(StepsOf(made, buffers->list, buffers)),
        sizes_(SizesOf(made, steps_)),
        scratch_((sizes_.scratch_bytes + 3) / 4) {}

  const std::string& name() const override { return case_.name; }
  int launches() const override { return case_.launches(); }
  double bytes() const override {
    return static_cast<double>(case_.bytes()) * static_cast<double>(buffers_->elements);
  }

  void Prepare() override {
    DeviceFloats& states = buffers_->states.all();
    CUDA_OK(cudaMemset(states.get(), 0, states.bytes()));
    // A proposal that lay on the anchor would leave nothing to project.
    const bool proposal = case_.optimizer.options.base == BaseUpdate::kProposal;
    const Slices& anchors = proposal ? buffers_->gradients : buffers_->weights;
    for (size_t i = 0; i < steps_.size() && !case_.optimizer.excluded; ++i) {
      const int64_t at = LayoutOf(case_, buffers_->list[i])[Slot::kAnchor];
      CUDA_OK(cudaMemcpyAsync(buffers_->states[i] + at, anchors[i],
                              static_cast<size_t>(steps_[i].size()) * sizeof(float),
                              cudaMemcpyDeviceToDevice, nullptr));
    }
    buffers_->outputs.all().Poison();
    CUDA_OK(cudaDeviceSynchronize());
    t_ = 0;
  }

  void Run(cudaStream_t stream) override {
    ++t_;
    for (VariableStep& step : steps_) {
      step.t = step.n = t_;
      step.from_weights = t_ == 1;
    }
    int error = cudaSuccess;
    PinnedRing::Slot* const slot = PinnedRing::Get().Acquire(sizes_.table_bytes, &error);
    CUDA_OK(error);
    CUDA_OK(CudaStep(case_.optimizer.options, steps_.data(), static_cast<int64_t>(steps_.size()),
                     scratch_.get(), PinnedRing::Memory(slot), stream, case_.tuning)
                .cuda);
    CUDA_OK(PinnedRing::Get().Release(slot, stream));
  }

  // Of some variables, both ends: every output was written and most weights have moved.
  std::string Check() override {
    Prepare();
    for (int i = 0; i < kCheckedSteps; ++i) Run(nullptr);
    CUDA_OK(cudaDeviceSynchronize());
    for (size_t i = 0; i < steps_.size(); i += 1 + steps_.size() / kCheckedVariables) {
      const std::string variable = "variable " + std::to_string(i);
      const std::vector<float> before = DownloadEnds(buffers_->weights[i], steps_[i].size());
      const std::vector<float> after = DownloadEnds(buffers_->outputs[i], steps_[i].size());
      size_t moved = 0;
      for (size_t k = 0; k < after.size(); ++k) {
        if (!std::isfinite(after[k])) return variable + " holds a weight that is not finite";
        moved += after[k] != before[k] ? 1 : 0;
      }
      if (2 * moved < after.size()) return variable + " did not move";
    }
    return "";
  }

 private:
  Case case_;
  DeviceBuffers* buffers_;
  std::vector<VariableStep> steps_;
  CudaSizes sizes_;
  DeviceFloats scratch_;
  int32_t t_ = 0;
};

}  // namespace

int64_t Slices::TotalLength(const std::vector<int64_t>& lengths) {
  int64_t total = 0;
  for (const int64_t length : lengths) {
    total += (length + kSliceAlignment - 1) / kSliceAlignment * kSliceAlignment;
  }
  return total;
}

Slices::Slices(const std::vector<int64_t>& lengths) : memory_(TotalLength(lengths)) {
  int64_t next = 0;
  for (const int64_t length : lengths) {
    offsets_.push_back(next);
    next += (length + kSliceAlignment - 1) / kSliceAlignment * kSliceAlignment;
  }
}

DeviceBuffers::DeviceBuffers(const std::vector<ListedVariable>& variables,
                             const std::vector<Case>& cases)
    : list(variables),
      weights(SizesOf(variables)),
      gradients(SizesOf(variables)),
      outputs(SizesOf(variables)),
      states(StateLengths(variables, cases)) {
  for (const ListedVariable& variable : variables) elements += variable.size();
  Fill(&weights.all(), 0.1f, 3);
  Fill(&gradients.all(), 0.01f, 4);
}

int64_t MeasureBytes(const std::vector<ListedVariable>& variables, const std::vector<Case>& cases) {
  int64_t bytes = 4 * (3 * Slices::TotalLength(SizesOf(variables)) +
                       Slices::TotalLength(StateLengths(variables, cases)));
  for (const Case& made : cases) {
    bytes += SizesOf(made, StepsOf(made, variables, nullptr)).scratch_bytes;
  }
  return bytes;
}

std::unique_ptr<CudaContender> MakeDeviceCopy(int64_t bytes) {
  return std::make_unique<DeviceCopy>(bytes);
}

std::unique_ptr<CudaContender> MakeCudaStep(const Case& made, DeviceBuffers* buffers) {
  return std::make_unique<CudaStepContender>(made, buffers);
}

}  // namespace tfjs_ftp
