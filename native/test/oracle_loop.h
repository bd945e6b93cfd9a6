// What every test of a step against the float64 oracle shares: the kinds of options, and the loop
// over some steps of one variable. How a step is taken is the test's own.
#ifndef TFJS_FTP_TEST_ORACLE_LOOP_H_
#define TFJS_FTP_TEST_ORACLE_LOOP_H_

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "driven.h"
#include "oracle.h"

namespace tfjs_ftp {

// Float32 rounding grows with the steps taken; a wrong formula is off by far more than this.
constexpr double kTolerance = 2e-5;
// Norms and hyper-gradients are sums of float32 products.
constexpr double kConstraintTolerance = 2e-3;
// Of `size` numbers in bfloat16: here and there one lies so near to the middle of two that float32
// and float64 round it to different ones, 2^-8 apart. Rounded otherwise, all would be off by about
// half of that.
inline double Bfloat16Tolerance(int64_t size) {
  return 2e-4 + 0.01 / std::sqrt(static_cast<double>(size));
}

// FTP around AdamW, with decay, with AMSGrad; SGD plain, with momentum, dampening and decay, with
// Nesterov; a proposal. Behind them the other rules and the exact hyper-gradient.
constexpr int kVariants = 19;
constexpr int kAdamWVariant = 0;
constexpr int kMomentumVariant = 4;
constexpr int kProposalVariant = 6;

template <class RulePiece>
StepOptions WithRule(StepOptions options, const typename RulePiece::Numbers& numbers,
                     int32_t flags = 0) {
  SetRule<RulePiece>(&options, numbers, flags);
  return options;
}

inline StepOptions Variant(int variant) {
  const StepOptions adamw = FtpOptions<AdamW>(kAdamWNumbers);
  const StepOptions momentum = FtpOptions<Sgd>({1e-2, 0.9, 0.5, 0.05}, Sgd::kMomentum);
  const StepOptions proposal = FtpOptions<Proposal>({});
  const Digrap::Numbers digrap = {1e-2, 0.9, 0.999};
  switch (variant) {
    case kAdamWVariant:
      return adamw;
    case 1:
      return FtpOptions<AdamW>(AdamWWithDecay(0.1));
    case 2:
      return FtpOptions<AdamW>(kAdamWNumbers, AdamW::kAmsgrad);
    case 3:
      return FtpOptions<Sgd>(kSgdNumbers);
    case kMomentumVariant:
      return momentum;
    case 5:
      return FtpOptions<Sgd>({1e-2, 0.9, 0.0, 0.05}, Sgd::kMomentum | Sgd::kNesterov);
    case kProposalVariant:
      return proposal;
    case 7:
      return WithRule<Ftp>(adamw, kFtpNumbers, Ftp::kExact);
    case 8:
      return WithRule<FixedRadius>(adamw, {0.2});
    case 9:
      return WithRule<FixedRadius>(momentum, {0.1}, FixedRadius::kFrobenius);
    case 10:
      return WithRule<FixedRadius>(proposal, {0.05});
    case 11:
      return WithRule<Spd>(adamw, {1.5});
    case 12:
      return WithRule<Spd>(momentum, {0.8}, Spd::kRows);
    case 13:
      return WithRule<Spd>(proposal, {1.0});
    case 14:
      return WithRule<L2Sp>(momentum, {0.5}, L2Sp::kCoupled);
    case 15:
      return WithRule<L2Sp>(FtpOptions<AdamW>(AdamWWithDecay(0.1)), {2.0});
    case 16:
      return WithRule<Digrap>(adamw, digrap);
    case 17:
      return WithRule<Digrap>(momentum, digrap);
    default:
      return WithRule<NoRule>(FtpOptions<AdamW>(kAdamWNumbers, AdamW::kAmsgrad), {});
  }
}

inline std::string Name(const Shape& s) {
  return std::to_string(s.outer) + "x" + std::to_string(s.rows) + "x" + std::to_string(s.inner);
}

// Takes the step `step` (its pointers are those of `x`): leaves x->state and x->output as after it.
using TakeStep = std::function<void(const VariableStep& step, Driven* x)>;

struct OracleRun {
  std::string name;
  StepOptions options;
  Shape shape;
  bool excluded = false;
  OracleAround around;
  StateFormat format = StateFormat::kFloat32;
  int rejoin_at = 0;  // step before which the weights are assigned from outside; 0: none
  int steps = 4;
};

// Weights, gamma, hyper-gradient and norms of every step against the oracle.
inline void CheckAgainstOracle(const OracleRun& run, const TakeStep& take_step) {
  const StepOptions& options = run.options;
  const Shape& shape = run.shape;
  const char* const name = run.name.c_str();
  const uint32_t seed = static_cast<uint32_t>(shape.outer * 31 + shape.rows * 7 + shape.inner);
  Driven x(options, shape, run.excluded, seed, run.format);
  OracleVariable y(shape.outer, shape.rows, shape.inner, run.excluded, x.weights, x.weights);
  y.format = run.format;
  const bool narrow = run.format != StateFormat::kFloat32;
  const double tolerance = narrow ? Bfloat16Tolerance(y.size()) : kTolerance;
  const StateLayout layout = x.Layout(options);
  for (int t = 1; t <= run.steps; ++t) {
    DrawGradient(&x.gradient, seed, t);
    bool from_weights = t == 1;
    if (t == run.rejoin_at) {
      for (size_t i = 0; i < x.weights.size(); ++i) {
        x.weights[i] += 0.01f * static_cast<float>(static_cast<int>(i % 7) - 3);
        y.weights[i] = x.weights[i];
      }
      from_weights = true;
    }
    if (options.base == BaseUpdate::kProposal) {
      for (size_t i = 0; i < x.weights.size(); ++i) {
        x.proposal[i] = x.weights[i] - 0.01f * x.gradient[i];
      }
    }
    x.output.assign(x.output.size(), std::numeric_limits<float>::quiet_NaN());
    VariableStep step = x.Step(t, t, from_weights);
    OracleAround around = run.around;
    if (t == 1) around.ema_momentum = 0;
    step.gradient_scale = around.gradient_scale;
    step.clip_value = around.clip_value;
    step.ema_momentum = around.ema_momentum;
    take_step(step, &x);
    OracleStep(options, around, t, t, from_weights, x.gradient, x.proposal, &y);
    x.weights = x.output;
    const double distance = RelativeDistance(x.weights.data(), y.weights);
    CHECK(distance < tolerance, "%s t=%d: %g", name, t, distance);
    const auto check_slot = [&](Slot slot, const std::vector<double>& expected, const char* what) {
      if (layout[slot] == kNoSection) return;
      const double off = RelativeDistance(x.Numbers(layout, slot).data(), expected);
      CHECK(off < tolerance, "%s t=%d: %s %g", name, t, what, off);
    };
    check_slot(Slot::kEma, y.average, "average");
    check_slot(Slot::kGradient, y.seen, "kept gradient");
    if (narrow) {
      check_slot(Slot::kM, y.m, "m");
      check_slot(Slot::kV, y.v, "v");
      check_slot(Slot::kMomentum, y.momentum, "momentum");
    }
    if (run.excluded || layout[Slot::kConstraint] == kNoSection) continue;
    const float* c = x.state.data() + layout[Slot::kConstraint];
    CHECK(std::abs(c[0] - y.gamma) <= kConstraintTolerance * y.gamma, "%s t=%d: gamma %g %g", name,
          t, static_cast<double>(c[0]), y.gamma);
    if (options.rule == Rule::kFtp || options.rule == Rule::kDigrap)
      CHECK(std::abs(c[3] - y.hyper_gradient) <=
                kConstraintTolerance * (1 + std::abs(y.hyper_gradient)),
            "%s t=%d: h %g %g", name, t, static_cast<double>(c[3]), y.hyper_gradient);
    CHECK(RelativeDistance(x.state.data() + layout[Slot::kNorms], y.norms) < kConstraintTolerance,
          "%s t=%d: norms", name, t);
  }
}

// Scales and clips the gradients, about a third of them; averages the weights and keeps gradients.
// The limit is one at which learning rate times limit does not meet a gamma: rows of one element
// would then have a deviation of rounding errors alone.
inline void TakeAround(OracleRun* run) {
  run->name += " around";
  run->around = {0.5, 0.37, 0.75};
  run->options.has_average = true;
  run->options.keeps_gradient = true;
}

// One variable with one variant of the options as all of its kinds: held, assigned from outside
// before step `rejoin_at`, and excluded, where the variant has that. One of the last two with what
// a step does around its method.
template <class Check>
void ForEachKind(const Shape& shape, int variant, int rejoin_at, const Check& check) {
  OracleRun run;
  run.name = Name(shape) + " variant " + std::to_string(variant);
  run.options = Variant(variant);
  run.shape = shape;
  check(run);
  OracleRun rejoining = run;
  rejoining.name += " rejoin";
  rejoining.rejoin_at = rejoin_at;
  if (variant % 2 == 1 || run.options.base == BaseUpdate::kProposal) TakeAround(&rejoining);
  check(rejoining);
  if (run.options.base == BaseUpdate::kProposal) return;
  run.name += " excluded";
  run.excluded = true;
  if (variant % 2 == 0) TakeAround(&run);
  check(run);
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_ORACLE_LOOP_H_
