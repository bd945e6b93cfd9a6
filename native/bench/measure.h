// What the benches of both devices share: the order of turns, the numbers they compute with, and
// the options of the optimizers that they time.
#ifndef TFJS_FTP_BENCH_MEASURE_H_
#define TFJS_FTP_BENCH_MEASURE_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "../kernels/step.h"
#include "../test/method_options.h"

namespace tfjs_ftp {

// Which of `count` contenders has turn k of a round: the order rotates and turns round from one
// round to the next, so that neither noise of the machine nor what ran before favours one of them.
inline size_t Turn(int64_t round, size_t k, size_t count) {
  const size_t turned = round % 2 == 0 ? k : count - 1 - k;
  return (turned + static_cast<size_t>(round) / 2) % count;
}

// Runs of a sample, so that it lasts `min_sample` where one run lasts `once` (both s); never so
// many that a clock which says 0 would keep it running for ever.
inline int64_t Repeats(double min_sample, double once, int64_t least) {
  constexpr double kMost = 10000;
  const double repeats = std::min(kMost, std::ceil(min_sample / std::max(once, 1e-9)));
  return std::max(least, static_cast<int64_t>(repeats));
}

// Reproducible numbers in (-scale, scale), none of them so small that sums of products underflow.
inline void FillRandom(float* floats, int64_t length, float scale, uint64_t seed) {
  uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
  for (int64_t i = 0; i < length; ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    const float unit = static_cast<float>(static_cast<int32_t>(state >> 32)) / 2147483648.0f;
    floats[i] = scale * unit;
  }
}

enum class RowOrder {
  kRows,     // output axis first: a row is one contiguous run
  kColumns,  // output axis last, as in Keras: a row is a strided column
};

// FTP around AdamW, and around SGD with momentum.
inline StepOptions AdamWOptions(double weight_decay = 0.0, int32_t flags = 0) {
  return FtpOptions<AdamW>({1e-3, 0.9, 0.999, 1e-8, weight_decay}, flags);
}
inline StepOptions SgdMomentumOptions() {
  return FtpOptions<Sgd>({1e-2, 0.9, 0.0, 0.0}, Sgd::kMomentum);
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_BENCH_MEASURE_H_
