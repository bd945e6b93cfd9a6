// What the native tests share: checks that count, and variables driven through a step.
#ifndef TFJS_FTP_TEST_DRIVEN_H_
#define TFJS_FTP_TEST_DRIVEN_H_

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "../kernels/state.h"
#include "../kernels/step.h"
#include "method_options.h"

namespace tfjs_ftp {

inline int g_failures = 0;
inline int g_checks = 0;

#define CHECK(condition, ...)                                     \
  do {                                                            \
    ++g_checks;                                                   \
    if (!(condition)) {                                           \
      ++g_failures;                                               \
      std::printf("%s:%d: %s: ", __FILE__, __LINE__, #condition); \
      std::printf(__VA_ARGS__);                                   \
      std::printf("\n");                                          \
    }                                                             \
  } while (false)

struct Shape {
  int64_t outer, rows, inner;
};

// One variable driven through the kernels, with buffers of exactly the size it needs so that a
// sanitizer sees every access outside of them.
struct Driven {
  Shape shape;
  bool excluded;
  StateFormat format;
  std::vector<float> weights, gradient, output, state;
  std::vector<float> proposal;  // where another optimizer proposes

  Driven(const StepOptions& options, const Shape& s, bool is_excluded, uint32_t seed,
         StateFormat state_format = StateFormat::kFloat32)
      : shape(s), excluded(is_excluded), format(state_format) {
    const size_t size = static_cast<size_t>(s.outer * s.rows * s.inner);
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, 0.1f);
    weights.resize(size);
    gradient.resize(size);
    if (options.base == BaseUpdate::kProposal) proposal.resize(size);
    output.assign(size, std::numeric_limits<float>::quiet_NaN());
    for (float& w : weights) w = normal(random);
    const StateLayout layout = Layout(options);
    state.assign(static_cast<size_t>(layout.length), 0.0f);
    if (layout[Slot::kAnchor] != kNoSection && size > 0) {
      std::memcpy(state.data() + layout[Slot::kAnchor], weights.data(), size * sizeof(float));
    }
  }

  StateLayout Layout(const StepOptions& options) const {
    return LayoutState(options, excluded, shape.outer * shape.rows * shape.inner, shape.rows,
                       format);
  }

  // The numbers of a slot that is there.
  std::vector<float> Numbers(const StateLayout& layout, Slot slot) const {
    const float* const at = state.data() + layout[slot];
    std::vector<float> numbers(at, at + layout.lengths[static_cast<int>(slot)]);
    if (format == StateFormat::kFloat32 || !Has(kFormattedSlots, slot)) return numbers;
    std::vector<uint16_t> upper(2 * numbers.size());
    std::memcpy(upper.data(), at, upper.size() * sizeof(uint16_t));
    numbers.clear();
    for (int64_t i = 0; i < layout.counts[static_cast<int>(slot)]; ++i) {
      numbers.push_back(FromBfloat16(upper[static_cast<size_t>(i)]));
    }
    return numbers;
  }

  VariableStep Step(int t, int n, bool from_weights) {
    VariableStep step;
    step.weights = weights.data();
    step.gradient = gradient.data();
    if (!proposal.empty()) step.proposal = proposal.data();
    step.state = state.data();
    step.output = output.data();
    step.outer = shape.outer;
    step.rows = shape.rows;
    step.inner = shape.inner;
    step.format = format;
    step.excluded = excluded;
    step.from_weights = from_weights;
    step.t = t;
    step.n = n;
    return step;
  }

  // The same step with the pointers of this variable.
  VariableStep Take(VariableStep step) {
    const VariableStep own = Step(step.t, step.n, step.from_weights);
    step.weights = own.weights;
    step.gradient = own.gradient;
    step.proposal = own.proposal;
    step.state = own.state;
    step.output = own.output;
    return step;
  }
};

inline void DrawGradient(std::vector<float>* gradient, uint32_t seed, int t) {
  std::mt19937 random(seed * 977u);
  std::normal_distribution<float> normal(0.0f, 1.0f);
  std::mt19937 noise_random(seed * 977u + static_cast<uint32_t>(t));
  for (float& g : *gradient) g = 0.7f * normal(random) + 0.3f * normal(noise_random);
}

inline double RelativeDistance(const float* x, const std::vector<double>& reference) {
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    difference += (x[i] - reference[i]) * (x[i] - reference[i]);
    norm += reference[i] * reference[i];
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

inline bool SameBits(const std::vector<std::vector<float>>& a,
                     const std::vector<std::vector<float>>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size()) return false;
    if (!a[i].empty() && std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0) {
      return false;
    }
  }
  return a.size() == b.size();
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_DRIVEN_H_
