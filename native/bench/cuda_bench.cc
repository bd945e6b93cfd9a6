// Times the CUDA step without Node and TensorFlow against a device copy and plain fused AdamW on
// the same machinery, all contenders interleaved:
//
//   cuda_bench LIST ROUNDS [CHUNK_ELEMENTS[,CHUNK_ELEMENTS...]]
//
// LIST: vit, resnet, billion or tiny. Prints one JSON object; times are seconds of one step by CUDA
// events, one number a round. NVTX ranges carry the contenders' names: nsys, ncu and
// compute-sanitizer attach to this program.
//
// Bytes a float32 parameter that the algorithm must move: FTP-AdamW 36 (C read back from cache) or
// 40, FTP-SGD with momentum 28 or 32, AdamW 28; the check adds 4.
#include <nvtx3/nvToolsExt.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "../kernels/cuda/cuda_device.h"
#include "../kernels/cuda/launch_step.h"
#include "../kernels/cuda/pinned_ring.h"
#include "../kernels/state_layout.h"
#include "../test/device_memory.h"
#include "cuda_lists.h"

namespace tfjs_ftp {
namespace {

constexpr double kMinSample = 0.02;  // s of one sample, in which a contender runs several times
constexpr int64_t kCopyBytes = int64_t{1} << 30;

// Reproducible numbers in (-scale, scale).
std::vector<float> Random(int64_t count, float scale, uint64_t seed) {
  std::vector<float> values(static_cast<size_t>(count));
  uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
  for (float& value : values) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    value = scale * static_cast<float>(static_cast<int32_t>(state >> 32)) / 2147483648.0f;
  }
  return values;
}

// Fills device memory with a random tile, again and again; the tile's length is odd, so rows
// differ.
void Fill(float* memory, int64_t count, const DeviceFloats& tile) {
  for (int64_t at = 0; at < count; at += tile.size()) {
    const size_t bytes = static_cast<size_t>(std::min(tile.size(), count - at)) * sizeof(float);
    CUDA_OK(cudaMemcpy(memory + at, tile.get(), bytes, cudaMemcpyDeviceToDevice));
  }
}

// What all contenders read, and the outputs and states that they share: one runs at a time, each
// sets the states up anew before it is timed.
struct Buffers {
  std::vector<Matrix> list;
  std::vector<DeviceFloats> weights, gradients, outputs, states;
  DeviceFloats tile_w, tile_g;
  int64_t elements = 0;

  explicit Buffers(std::vector<Matrix> matrices)
      : list(std::move(matrices)),
        tile_w(Random((1 << 22) + 1, 0.1f, 3)),
        tile_g(Random((1 << 22) + 1, 0.01f, 4)) {
    for (const Matrix& m : list) {
      elements += m.size();
      weights.emplace_back(m.size());
      gradients.emplace_back(m.size());
      outputs.emplace_back(m.size());
      states.emplace_back(
          LayoutState(BaseUpdate::kAdamW, false, false, false, m.size(), m.rows).length);
      Fill(weights.back().get(), m.size(), tile_w);
      Fill(gradients.back().get(), m.size(), tile_g);
    }
  }
};

class Contender {
 public:
  Contender(std::string name, double bytes) : name_(std::move(name)), bytes_(bytes) {}
  virtual ~Contender() = default;
  const std::string& name() const { return name_; }
  double bytes() const { return bytes_; }  // that one run must move
  virtual int launches() const = 0;
  virtual void Prepare() {}
  virtual void Run(cudaStream_t stream) = 0;
  virtual bool Check() = 0;
  double host_seconds = 0;  // of one Run, without waiting
  std::vector<double> seconds;
  int64_t repeats = 1;

 private:
  std::string name_;
  double bytes_;
};

class CopyContender : public Contender {
 public:
  CopyContender()
      : Contender("copy", 2.0 * kCopyBytes), from_(kCopyBytes / 4), to_(kCopyBytes / 4) {
    Fill(from_.get(), from_.size(), DeviceFloats(Random((1 << 22) + 1, 1.0f, 9)));
  }
  int launches() const override { return 1; }
  void Run(cudaStream_t stream) override {
    CUDA_OK(
        cudaMemcpyAsync(to_.get(), from_.get(), from_.bytes(), cudaMemcpyDeviceToDevice, stream));
  }
  bool Check() override { return to_.Download() == from_.Download(); }

 private:
  DeviceFloats from_, to_;
};

enum class RowOrder { kRows, kColumns };

struct Kind {
  std::string name;
  StepOptions options;
  RowOrder order;
  bool excluded;
  double bytes;  // a parameter
  CudaTuning tuning;
};

class StepContender : public Contender {
 public:
  StepContender(const Kind& kind, Buffers* buffers)
      : Contender(kind.name, kind.bytes * static_cast<double>(buffers->elements)),
        kind_(kind),
        buffers_(buffers) {
    for (size_t i = 0; i < buffers->list.size(); ++i) {
      const Matrix& m = buffers->list[i];
      const bool columns = kind.order == RowOrder::kColumns;
      list_.push_back({buffers->weights[i].get(), buffers->gradients[i].get(),
                       buffers->states[i].get(), buffers->outputs[i].get(), columns ? m.length : 1,
                       m.rows, columns ? 1 : m.length, kind.excluded, false, 1, 1});
    }
    sizes_ = MeasureCudaStep(kind_.options, list_.data(), Count(), kind_.tuning);
    scratch_ = DeviceFloats(sizes_.scratch_bytes / static_cast<int64_t>(sizeof(float)) + 1);
  }

  int launches() const override {
    const int passes = kind_.excluded || kind_.tuning.variant == CudaVariant::kOneLaunch ? 1 : 3;
    return passes + (kind_.options.check_finite ? 1 : 0);
  }

  void Prepare() override {
    for (size_t i = 0; i < list_.size(); ++i) {
      CUDA_OK(cudaMemset(buffers_->states[i].get(), 0, buffers_->states[i].bytes()));
      const Matrix& m = buffers_->list[i];
      const StateLayout layout = LayoutState(kind_.options.base, false, kind_.options.momentum_slot,
                                             kind_.excluded, m.size(), m.rows);
      if (!kind_.excluded) {
        Fill(buffers_->states[i].get() + layout.anchor, m.size(), buffers_->tile_w);
      }
      buffers_->outputs[i].Poison();
    }
    t_ = 0;
  }

  void Run(cudaStream_t stream) override {
    ++t_;
    for (VariableStep& step : list_) {
      step.t = step.n = t_;
      step.from_weights = t_ == 1;
    }
    int error = cudaSuccess;
    PinnedRing::Slot* const slot = PinnedRing::Get().Acquire(sizes_.table_bytes, &error);
    CUDA_OK(error);
    CUDA_OK(CudaStep(kind_.options, list_.data(), Count(), scratch_.get(), PinnedRing::Memory(slot),
                     stream, kind_.tuning)
                .cuda);
    CUDA_OK(PinnedRing::Get().Release(slot, stream));
  }

  // Every output was written and most weights have moved.
  bool Check() override {
    Prepare();
    for (int i = 0; i < 4; ++i) Run(nullptr);
    CUDA_OK(cudaDeviceSynchronize());
    for (size_t i = 0; i < list_.size(); i += 1 + list_.size() / 64) {
      const std::vector<float> before = buffers_->weights[i].Download();
      const std::vector<float> after = buffers_->outputs[i].Download();
      size_t moved = 0;
      for (size_t k = 0; k < after.size(); ++k) {
        if (!std::isfinite(after[k])) return false;
        moved += after[k] != before[k] ? 1 : 0;
      }
      if (2 * moved < after.size()) return false;
    }
    return true;
  }

 private:
  int64_t Count() const { return static_cast<int64_t>(list_.size()); }

  Kind kind_;
  Buffers* buffers_;
  std::vector<VariableStep> list_;
  CudaSizes sizes_;
  DeviceFloats scratch_;
  int32_t t_ = 0;
};

StepOptions AdamW() {
  StepOptions options;
  options.learning_rate = 1e-3;
  options.beta1 = 0.9;
  options.beta2 = 0.999;
  options.epsilon = 1e-8;
  return options;
}

StepOptions SgdWithMomentum() {
  StepOptions options;
  options.base = BaseUpdate::kSgd;
  options.momentum_slot = true;
  options.learning_rate = 1e-2;
  options.momentum = 0.9;
  return options;
}

std::vector<Kind> Kinds(const std::vector<int64_t>& chunks) {
  std::vector<Kind> kinds;
  for (const int64_t chunk : chunks) {
    CudaTuning three;
    three.variant = CudaVariant::kThreeLaunches;
    three.chunk_elements = chunk;
    CudaTuning one = three;
    one.variant = CudaVariant::kOneLaunch;
    const std::string suffix = chunks.size() > 1 ? "-" + std::to_string(chunk) : "";
    StepOptions checked = AdamW();
    checked.check_finite = true;
    kinds.push_back({"adamw" + suffix, AdamW(), RowOrder::kRows, true, 28, three});
    for (const RowOrder order : {RowOrder::kRows, RowOrder::kColumns}) {
      const std::string tail = (order == RowOrder::kRows ? "-rows" : "-columns") + suffix;
      kinds.push_back({"ftp-adamw-three" + tail, AdamW(), order, false, 36, three});
      kinds.push_back({"ftp-adamw-one" + tail, AdamW(), order, false, 36, one});
      kinds.push_back({"ftp-adamw-three-checked" + tail, checked, order, false, 40, three});
      kinds.push_back({"ftp-sgd-three" + tail, SgdWithMomentum(), order, false, 28, three});
      kinds.push_back({"ftp-sgd-one" + tail, SgdWithMomentum(), order, false, 28, one});
    }
  }
  return kinds;
}

// Seconds of one run by events, mean over `repeats`.
double Time(Contender* contender, cudaStream_t stream, int64_t repeats) {
  cudaEvent_t first = nullptr;
  cudaEvent_t last = nullptr;
  CUDA_OK(cudaEventCreate(&first));
  CUDA_OK(cudaEventCreate(&last));
  CUDA_OK(cudaDeviceSynchronize());
  nvtxRangePushA(contender->name().c_str());
  const auto start = std::chrono::steady_clock::now();
  CUDA_OK(cudaEventRecord(first, stream));
  for (int64_t i = 0; i < repeats; ++i) contender->Run(stream);
  CUDA_OK(cudaEventRecord(last, stream));
  const std::chrono::duration<double> host = std::chrono::steady_clock::now() - start;
  CUDA_OK(cudaEventSynchronize(last));
  nvtxRangePop();
  float milliseconds = 0;
  CUDA_OK(cudaEventElapsedTime(&milliseconds, first, last));
  CUDA_OK(cudaEventDestroy(first));
  CUDA_OK(cudaEventDestroy(last));
  contender->host_seconds = host.count() / static_cast<double>(repeats);
  return static_cast<double>(milliseconds) / 1000 / static_cast<double>(repeats);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Print(const std::string& list, const Buffers& buffers,
           const std::vector<std::unique_ptr<Contender>>& contenders) {
  const CudaInfo& info = QueryCuda();
  const double copy = contenders[0]->bytes() / Median(contenders[0]->seconds);
  std::printf(
      "{\"list\":\"%s\",\"variables\":%zu,\"elements\":%lld,\"gpu\":\"%s\",\"driver\":%d,"
      "\"runtime\":%d,\"copyBytesPerSecond\":%.6g,\"contenders\":[",
      list.c_str(), buffers.list.size(), static_cast<long long>(buffers.elements),
      info.devices[0].name.c_str(), info.driver, info.runtime, copy);
  for (size_t i = 0; i < contenders.size(); ++i) {
    const Contender& c = *contenders[i];
    const double rate = c.bytes() / Median(c.seconds);
    std::printf(
        "%s{\"name\":\"%s\",\"bytes\":%.0f,\"launches\":%d,\"repeats\":%lld,\"hostSeconds\":%.6g,"
        "\"bytesPerSecond\":%.6g,\"shareOfCopy\":%.4f,\"seconds\":[",
        i == 0 ? "" : ",", c.name().c_str(), c.bytes(), c.launches(),
        static_cast<long long>(c.repeats), c.host_seconds, rate, rate / copy);
    for (size_t k = 0; k < c.seconds.size(); ++k) {
      std::printf("%s%.9g", k == 0 ? "" : ",", c.seconds[k]);
    }
    std::printf("]}");
    std::fprintf(stderr, "%-34s %10.1f us %8.0f GB/s %5.1f%% of copy, host %.1f us\n",
                 c.name().c_str(), Median(c.seconds) * 1e6, rate / 1e9, 100 * rate / copy,
                 c.host_seconds * 1e6);
  }
  std::printf("]}\n");
}

int Bench(const std::string& name, int rounds, const std::vector<int64_t>& chunks) {
  std::vector<Matrix> matrices = NamedList(name);
  if (matrices.empty() || rounds < 1) {
    std::fprintf(stderr, "cuda_bench: LIST must be vit, resnet, billion or tiny, ROUNDS > 0\n");
    return EXIT_FAILURE;
  }
  Buffers buffers(std::move(matrices));
  std::vector<std::unique_ptr<Contender>> contenders;
  contenders.push_back(std::make_unique<CopyContender>());
  for (const Kind& kind : Kinds(chunks)) {
    contenders.push_back(std::make_unique<StepContender>(kind, &buffers));
  }
  cudaStream_t stream = nullptr;
  CUDA_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  for (const auto& contender : contenders) {
    if (!contender->Check()) {
      std::fprintf(stderr, "cuda_bench: %s gives a wrong result\n", contender->name().c_str());
      return EXIT_FAILURE;
    }
  }
  for (int round = 0; round < rounds; ++round) {
    for (const auto& contender : contenders) {
      contender->Prepare();
      Time(contender.get(), stream, 3);  // past the first step, which is a different one
      if (round == 0) {
        const double once = Time(contender.get(), stream, 3);
        contender->repeats = std::max<int64_t>(5, static_cast<int64_t>(kMinSample / once));
      }
      contender->seconds.push_back(Time(contender.get(), stream, contender->repeats));
    }
  }
  Print(name, buffers, contenders);
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace tfjs_ftp

int main(int argc, char** argv) {
  using namespace tfjs_ftp;
  if (argc != 3 && argc != 4) {
    std::fprintf(stderr, "cuda_bench LIST ROUNDS [CHUNK_ELEMENTS[,CHUNK_ELEMENTS...]]\n");
    return EXIT_FAILURE;
  }
  const CudaInfo& info = QueryCuda();
  if (!info.available) {
    std::fprintf(stderr, "cuda_bench: %s\n", info.reason.c_str());
    return EXIT_FAILURE;
  }
  std::vector<int64_t> chunks;
  for (const char* at = argc == 4 ? argv[3] : "16384"; at != nullptr; at = std::strchr(at, ',')) {
    if (*at == ',') ++at;
    chunks.push_back(std::atoll(at));
    if (chunks.back() < 1024) {
      std::fprintf(stderr, "cuda_bench: CHUNK_ELEMENTS must be at least 1024\n");
      return EXIT_FAILURE;
    }
  }
  return Bench(argv[1], std::atoi(argv[2]), chunks);
}
