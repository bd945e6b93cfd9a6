// The sums of gathering in float64, written from the formulas of docs/algorithm.md with one X for
// each number, whole, and no code of the kernels. The state is that which steps have left.
#ifndef TFJS_FTP_TEST_GATHER_ORACLE_H_
#define TFJS_FTP_TEST_GATHER_ORACLE_H_

#include <array>
#include <vector>

#include "../kernels/gather.h"
#include "driven.h"

namespace tfjs_ftp {

// Bases and rules that are gathered of, with numbers at which rows are cut, and not.
inline std::vector<StepOptions> GatheredMethods() {
  std::vector<StepOptions> bases(7);
  SetBase<AdamW>(&bases[0], {1e-2, 0.8, 0.95, 1e-8, 0.0});
  SetBase<AdamW>(&bases[1], {1e-2, 0.7, 0.9, 1e-8, 0.3});
  SetBase<AdamW>(&bases[2], {1e-2, 0.9, 0.5, 1e-8, 0.1}, AdamW::kAmsgrad);
  SetBase<Sgd>(&bases[3], {1e-2, 0.0, 0.0, 0.0});
  SetBase<Sgd>(&bases[4], {1e-2, 0.0, 0.0, 0.4});
  SetBase<Sgd>(&bases[5], {1e-2, 0.8, 0.3, 0.2}, Sgd::kMomentum);
  SetBase<Sgd>(&bases[6], {1e-2, 0.7, 0.0, 0.2}, Sgd::kMomentum | Sgd::kNesterov);
  std::vector<StepOptions> methods;
  for (StepOptions base : bases) {
    base.keeps_gradient = true;
    std::vector<StepOptions> rules(9, base);
    SetRule<NoRule>(&rules[0], {});
    SetRule<Ftp>(&rules[1], {1.0, 5e-2, 0.9, 0.999});
    SetRule<FixedRadius>(&rules[2], {0.1});
    SetRule<FixedRadius>(&rules[3], {0.15}, FixedRadius::kFrobenius);
    SetRule<Spd>(&rules[4], {0.7});
    SetRule<Spd>(&rules[5], {1.5}, Spd::kRows);
    SetRule<L2Sp>(&rules[6], {0.6});
    SetRule<L2Sp>(&rules[7], {0.6}, L2Sp::kCoupled);
    SetRule<Digrap>(&rules[8], {0.5, 0.9, 0.999});
    methods.insert(methods.end(), rules.begin(), rules.end());
  }
  return methods;
}

namespace gather_oracle {

using Vector = std::vector<double>;

// The variable's numbers and slots as doubles.
struct View {
  const VariableStep& x;
  const StateLayout layout;

  Vector Of(Slot slot) const {
    const int i = static_cast<int>(slot);
    if (layout.offsets[i] == kNoSection) return Vector(static_cast<size_t>(x.size()), 0.0);
    const float* const first = x.state + layout.offsets[i];
    return Vector(first, first + layout.lengths[i]);
  }
  Vector Of(const float* values) const { return Vector(values, values + x.size()); }
};

}  // namespace gather_oracle

// Takes `steps` steps of a variable on the CPU; returns the last of them, with the gradient of the
// next step in its place.
inline VariableStep StepThenDraw(const StepOptions& options, int steps, Driven* x) {
  VariableStep last;
  const StateLayout layout = x->Layout(options);
  const float sign = options.rule == Rule::kDigrap ? -20.0f : 20.0f;
  for (int t = 1; t <= steps; ++t) {
    DrawGradient(&x->gradient, 3u, t);
    // Later gradients point back, or outwards, so that SPD and DiGraP act.
    for (size_t j = 0; j < x->gradient.size() && t > 1; ++j) {
      if (layout[Slot::kAnchor] == kNoSection) break;
      x->gradient[j] +=
          sign * (x->weights[j] - x->state[static_cast<size_t>(layout[Slot::kAnchor]) + j]);
    }
    last = x->Step(t, t, t == 1);
    CpuStep(options, &last, 1);
    x->weights = x->output;
  }
  DrawGradient(&x->gradient, 11u, 9);
  last = x->Step(steps, steps, false);
  return last;
}

// All sums of one variable, and for each number the sum of squares that X would have if none of its
// terms were taken from another.
struct OracleSums {
  std::array<double, kGatherNumbers> numbers = {};
  std::array<double, kHypers> sizes = {};
};
inline OracleSums OracleGather(const StepOptions& o, const VariableStep& x) {
  using gather_oracle::Vector;
  const gather_oracle::View view = {x, LayoutState(o, x)};
  OracleSums result;
  const size_t size = static_cast<size_t>(x.size());
  const Vector g = view.Of(x.gradient);
  for (const double value : g) result.numbers[0] += value * value;
  if (x.from_weights || size == 0) return result;
  const Rule rule = RuleOf(o, x.excluded);
  const MethodNumbers& numbers = NumbersOf(o, x);
  const double rate = numbers.base[0];
  const bool coupled_rule = rule == Rule::kL2Sp && (o.rule_flags & L2Sp::kCoupled) != 0;
  const double strength = numbers.rule[0];
  const Vector a = view.Of(Slot::kAnchor), c = view.Of(Slot::kDeviation), w = view.Of(x.weights);
  const Vector norms = view.Of(Slot::kNorms), constraint = view.Of(Slot::kConstraint);
  const bool projects = rule == Rule::kFtp || rule == Rule::kFixedRadius || rule == Rule::kSpd;
  const auto row_of = [&](size_t i) {
    const int64_t row = static_cast<int64_t>(i) / x.inner % x.rows;
    return norms.size() == 1 ? size_t{0} : static_cast<size_t>(row);
  };

  // X by the learning rate, decay, beta1 or momentum, beta2: -dU/d(number), then the strength.
  std::vector<Vector> by(kHypers, Vector(size, 0.0));
  const auto add_size = [&](size_t h, double term) { result.sizes[h] += term * term; };
  const Vector m = view.Of(Slot::kM), v = view.Of(Slot::kV), buffer = view.Of(Slot::kMomentum);
  const bool amsgrad = o.base == BaseUpdate::kAdamW && (o.base_flags & AdamW::kAmsgrad) != 0;
  const Vector second = amsgrad ? view.Of(Slot::kVmax) : v;
  const Vector kept = view.Of(Slot::kGradient);
  const int n = x.n;
  for (size_t i = 0; i < size; ++i) {
    const double pull = rule == Rule::kL2Sp && !coupled_rule ? strength : 0.0;
    double seen = kept[i];  // without its share of W
    double seen_share = coupled_rule ? strength : 0.0;
    if (coupled_rule) seen -= strength * a[i];
    if (rule == Rule::kDigrap && norms[0] < 0) seen -= constraint[0] * norms[0] / rate * c[i];
    const double after = projects ? a[i] + c[i] : w[i];
    double direction = 0, decay = 0;
    const AdamW::Numbers adam = ReadNumbers<AdamW::Numbers>(numbers.base);
    const double c1 = 1 - std::pow(adam.beta1, n), c2 = 1 - std::pow(adam.beta2, n);
    const Sgd::Numbers sgd = ReadNumbers<Sgd::Numbers>(numbers.base);
    const bool momentum = (o.base_flags & Sgd::kMomentum) != 0;
    const bool nesterov = (o.base_flags & Sgd::kNesterov) != 0;
    const double root = std::sqrt(second[i] / c2);
    if (o.base == BaseUpdate::kAdamW) {
      direction = m[i] / c1 / (root + adam.epsilon);
      decay = adam.weight_decay;
    } else {
      seen_share += sgd.weight_decay;
      direction = !momentum ? seen : nesterov ? seen + sgd.momentum * buffer[i] : buffer[i];
      decay = momentum && !nesterov ? 0 : seen_share;
    }
    const double direct = direction;
    direction -= pull * a[i];
    decay += pull;
    const double before =
        rule == Rule::kDigrap ? a[i] + c[i] : (after + rate * direction) / (1 - rate * decay);
    seen += seen_share * before;
    by[0][i] = -(direction + decay * before);
    if (o.base == BaseUpdate::kAdamW) {
      by[1][i] = -rate * before;
      const double first = (m[i] - seen) / adam.beta1 / c1;
      const double first_rest = m[i] * n * std::pow(adam.beta1, n - 1) / c1 / c1;
      by[2][i] = -rate * (first + first_rest) / (root + adam.epsilon);
      add_size(
          2, rate * ((std::abs(m[i]) + std::abs(seen)) / adam.beta1 / c1) / (root + adam.epsilon));
      const double change = second[i] > v[i] ? 0 : (v[i] - seen * seen) / adam.beta2 / c2;
      const double rest = second[i] / c2 * n * std::pow(adam.beta2, n - 1) / c2;
      const double by_root = rate * direct / (root + adam.epsilon) / 2 / root;
      if (root > 0) by[3][i] = by_root * (change + rest);
      if (root > 0) add_size(3, by_root * ((v[i] + seen * seen) / adam.beta2 / c2 + rest));
    } else {
      const double share = n == 1 ? 1 : 1 - sgd.dampening;
      by[1][i] = -rate * before * (!momentum ? 1 : nesterov ? 1 + sgd.momentum : share);
      const double old = n == 1 ? 0 : buffer[i] - share * seen;  // momentum buf'
      if (momentum) {
        by[2][i] = nesterov ? -rate * (buffer[i] + old) : -rate * old / sgd.momentum;
        add_size(2, rate * (std::abs(buffer[i]) + std::abs(seen)) / sgd.momentum);
      }
    }
    if (rule == Rule::kL2Sp && !coupled_rule) by[4][i] = -rate * (before - a[i]);
    if (rule == Rule::kSpd && constraint[0] > 0) by[4][i] = -norms[row_of(i)] * c[i];
    for (const size_t h : {0, 1, 4}) add_size(h, by[h][i]);
    add_size(0, decay * before);
    if (rule == Rule::kL2Sp) add_size(4, rate * (std::abs(before) + std::abs(a[i])));
  }

  // What projection makes of the base's.
  for (size_t h = 0; h < kBaseHypers && projects; ++h) {
    Vector along(norms.size(), 0.0);
    const bool frobenius =
        rule == Rule::kFixedRadius && (o.rule_flags & FixedRadius::kFrobenius) != 0;
    for (size_t i = 0; i < size; ++i) {
      const double sign = c[i] > 0 ? 1 : c[i] < 0 ? -1 : 0;
      along[row_of(i)] += frobenius ? c[i] * by[h][i] / norms[0] : sign * by[h][i];
    }
    for (size_t i = 0; i < size; ++i) {
      const double norm = norms[row_of(i)];
      double& value = by[h][i];
      if (rule == Rule::kSpd) {
        value *= 1 - constraint[0] * norm;
      } else if (constraint[0] < norm) {
        value = constraint[0] / norm * (value - c[i] * along[row_of(i)] / norm);
      }
    }
  }
  for (size_t h = 0; h < kHypers; ++h) {
    for (size_t i = 0; i < size; ++i) {
      result.numbers[1 + 2 * h] += g[i] * by[h][i];
      result.numbers[2 + 2 * h] += by[h][i] * by[h][i];
    }
  }
  return result;
}

// Whether the sums of a variable are those of the oracle, as far as float32 allows, in which X has
// been worked out.
inline void CheckGathered(const char* name, const double* numbers, const OracleSums& oracle) {
  const auto& expected = oracle.numbers;
  CHECK(std::abs(numbers[0] - expected[0]) <= 1e-12 * expected[0], "%s: squares %g, not %g", name,
        numbers[0], expected[0]);
  for (size_t h = 0; h < kHypers; ++h) {
    const double sum = expected[1 + 2 * h];
    const double xx = expected[2 + 2 * h];
    const double* const own = numbers + 1 + 2 * h;
    CHECK(std::abs(own[0] - sum) <= 2e-6 * std::sqrt(expected[0] * oracle.sizes[h]),
          "%s: h of %d: %g, not %g", name, static_cast<int>(h), own[0], sum);
    CHECK(std::abs(own[1] - xx) <= 4e-6 * std::sqrt(xx * oracle.sizes[h]) + 1e-10 * oracle.sizes[h],
          "%s: sum X^2 of %d: %g, not %g", name, static_cast<int>(h), own[1], xx);
  }
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_GATHER_ORACLE_H_
