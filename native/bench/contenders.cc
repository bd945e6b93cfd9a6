#include "contenders.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include "../kernels/cpu/huge_pages.h"
#include "../kernels/cpu/thread_pool.h"
#include "../kernels/state.h"

namespace tfjs_ftp {
namespace {

constexpr size_t kAlignment = 64;

// Copies are cut at multiples of this.
constexpr int64_t kPage = 4096;
constexpr int64_t kStreamBlock = 1 << 20;

class CopyContender : public Contender {
 public:
  CopyContender(std::string name, CopyBuffers* buffers)
      : Contender(std::move(name)), buffers_(buffers) {}

  void Run(int threads) override {
    ThreadPool& pool = ThreadPool::Get();
    std::unique_lock<std::mutex> lock(pool.Lock());
    const int64_t bytes = buffers_->bytes;
    const int64_t slice = Slice(bytes, threads);
    char* target = reinterpret_cast<char*>(buffers_->target.get());
    const char* source = reinterpret_cast<const char*>(buffers_->source.get());
    pool.For(threads, (bytes + slice - 1) / slice, [&](int64_t i) {
      const int64_t begin = i * slice;
      CopySlice(target + begin, source + begin, std::min(slice, bytes - begin));
    });
  }

  std::string Check() const override {
    return std::memcmp(buffers_->source.get(), buffers_->target.get(),
                       static_cast<size_t>(buffers_->bytes)) == 0
               ? ""
               : "the copy differs from its source";
  }

 protected:
  virtual int64_t Slice(int64_t bytes, int threads) const {
    return (bytes / threads + kPage - 1) / kPage * kPage;
  }
  virtual void CopySlice(char* target, const char* source, int64_t bytes) const {
    std::memcpy(target, source, static_cast<size_t>(bytes));
  }

 private:
  CopyBuffers* buffers_;
};

#ifdef __SSE2__
class StreamCopyContender : public CopyContender {
 public:
  using CopyContender::CopyContender;

 protected:
  int64_t Slice(int64_t, int) const override { return kStreamBlock; }
  void CopySlice(char* target, const char* source, int64_t bytes) const override {
    for (int64_t i = 0; i < bytes; i += 64) {  // lines are written whole
      for (int64_t j = i; j < i + 64; j += 16) {
        _mm_stream_ps(reinterpret_cast<float*>(target + j),
                      _mm_load_ps(reinterpret_cast<const float*>(source + j)));
      }
    }
    _mm_sfence();
  }
};
#endif

class StepContender : public Contender {
 public:
  StepContender(std::string name, const SharedBuffers* shared, const StepOptions& options,
                RowOrder order, bool excluded, StateFormat format)
      : Contender(std::move(name)), options_(options) {
    for (size_t i = 0; i < shared->list.size(); ++i) {
      const ListedVariable& listed = shared->list[i];
      VariableStep variable;
      variable.weights = shared->weights[i].get();
      variable.gradient = shared->gradients[i].get();
      variable.output = shared->outputs[i].get();
      variable.outer = order == RowOrder::kColumns ? listed.length : 1;
      variable.rows = listed.rows;
      variable.inner = order == RowOrder::kColumns ? 1 : listed.length;
      variable.excluded = excluded;
      variable.format = format;
      const StateLayout layout = LayoutState(options, excluded, listed.size(), listed.rows, format);
      states_.push_back(AllocateFloats(layout.length));
      float* state = states_.back().get();
      std::memset(state, 0, static_cast<size_t>(layout.length) * sizeof(float));
      if (!excluded) {
        std::memcpy(state + layout[Slot::kAnchor], variable.weights,
                    static_cast<size_t>(listed.size()) * sizeof(float));
      }
      variable.state = state;
      steps_.push_back(variable);
    }
  }

  void Run(int threads) override {
    options_.threads = threads;
    ++t_;
    for (VariableStep& variable : steps_) {
      variable.t = t_;
      variable.n = t_;
      variable.from_weights = t_ == 1;
    }
    result_ = CpuStep(options_, steps_.data(), static_cast<int64_t>(steps_.size()));
  }

  std::string Check() const override {
    if (result_.status != StepStatus::kOk) return "the step failed";
    for (size_t i = 0; i < steps_.size(); ++i) {
      const int64_t size = steps_[i].size();
      int64_t moved = 0;
      for (int64_t j = 0; j < size; ++j) {
        if (!std::isfinite(steps_[i].output[j])) return "a weight is not finite";
        moved += steps_[i].output[j] != steps_[i].weights[j] ? 1 : 0;
      }
      if (2 * moved < size) return "variable " + std::to_string(i) + " did not move";
    }
    return "";
  }

 private:
  StepOptions options_;
  std::vector<Floats> states_;
  std::vector<VariableStep> steps_;
  StepResult result_;
  int32_t t_ = 0;
};

}  // namespace

Floats AllocateFloats(int64_t length) {
  const size_t bytes =
      (static_cast<size_t>(length) * sizeof(float) + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = std::aligned_alloc(kAlignment, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  // As the library does for state and outputs; copies get the same, or they would lose by it.
  AdviseHugePages(memory, bytes);
  return Floats(static_cast<float*>(memory));
}

SharedBuffers::SharedBuffers(std::vector<ListedVariable> variables) : list(std::move(variables)) {
  for (size_t i = 0; i < list.size(); ++i) {
    const int64_t size = list[i].size();
    elements += size;
    for (std::vector<Floats>* buffers : {&weights, &gradients, &outputs}) {
      buffers->push_back(AllocateFloats(size));
    }
    FillRandom(weights.back().get(), size, 0.1f, 2 * i + 1);
    FillRandom(gradients.back().get(), size, 0.01f, 2 * i + 2);
    std::memset(outputs.back().get(), 0, static_cast<size_t>(size) * sizeof(float));
  }
}

CopyBuffers::CopyBuffers(int64_t length)
    : bytes(length / kPage * kPage),
      source(AllocateFloats(bytes / 4)),
      target(AllocateFloats(bytes / 4)) {
  FillRandom(source.get(), bytes / 4, 1.0f, 11);
  std::memset(target.get(), 0, static_cast<size_t>(bytes));
}

std::unique_ptr<Contender> MakeCopy(CopyBuffers* buffers) {
  return std::make_unique<CopyContender>("copy", buffers);
}

std::unique_ptr<Contender> MakeStreamCopy(CopyBuffers* buffers) {
#ifdef __SSE2__
  return std::make_unique<StreamCopyContender>("stream-copy", buffers);
#else
  (void)buffers;
  return nullptr;
#endif
}

std::unique_ptr<Contender> MakeStep(std::string name, SharedBuffers* shared,
                                    const StepOptions& options, RowOrder order, bool excluded,
                                    StateFormat format) {
  return std::make_unique<StepContender>(std::move(name), shared, options, order, excluded, format);
}

}  // namespace tfjs_ftp
