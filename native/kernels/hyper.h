// Hyper-gradients of one variable. With G the gradient at the present weights, and X the derivative
// of these weights by a number of the update that led to them, everything from before that update
// held: sum G X and sum X^2 for each number that is wanted. The formulas are those of methods/.
#ifndef TFJS_FTP_KERNELS_HYPER_H_
#define TFJS_FTP_KERNELS_HYPER_H_

#include "methods.h"
#include "scalar_bytes.h"

namespace tfjs_ftp {

// The last update of a variable, worked out on the host, the same for every device.
struct PreparedLast {
  LastUpdate last = {};
  Rule rule = Rule::kNone;
  bool projects = false;
  bool whole = false;     // the rule took the tensor as one row
  int32_t turn_sums = 0;  // sums per row that lie in memory, where rows turn
  ScalarBytes base_scalars;
  ScalarBytes rule_scalars;
};

// Whether the numbers `hypers` need the slot `gradient` of a variable with this method.
template <class Base, class LastRule>
bool ReadsGradient(const StepOptions& options, HyperSet hypers) {
  constexpr HyperSet kBySeen = HyperSetOf(Hyper::kFirst, Hyper::kBeta2);
  return (hypers & kBySeen) != 0 || (hypers != 0 && Base::DirectionHasGradient(options.base_flags));
}

// The numbers among `hypers` that a variable with this method has.
template <class Base, class LastRule>
HyperSet LearnsOf(const StepOptions& options, HyperSet hypers) {
  return hypers & (Base::LearnsOf(options.base_flags) | LastRule::LearnsOf(options.rule_flags));
}

// Of a variable whose pair is compiled; its numbers, t and n are those of its last update.
inline PreparedLast PrepareLast(const StepOptions& options, const VariableStep& x,
                                HyperSet hypers) {
  PreparedLast result;
  result.rule = RuleOf(options, x.excluded);
  VisitMethod(options.base, result.rule, [&](auto base_type, auto rule_type) {
    using Base = PieceOf<decltype(base_type)>;
    using RulePiece = PieceOf<decltype(rule_type)>;
    using LastRule = typename RulePiece::LastRule;
    if constexpr (Base::kLearns != 0) {
      LastUpdate& last = result.last;
      last.hypers = LearnsOf<Base, LastRule>(options, x.from_weights ? 0 : hypers);
      if (last.hypers == 0) return;
      const MethodNumbers& numbers = NumbersOf(options, x);
      const auto base = ReadNumbers<typename Base::Numbers>(numbers.base);
      const auto rule = ReadNumbers<typename RulePiece::Numbers>(numbers.rule);
      const int32_t flags = options.rule_flags;
      const double rate = LearningRateOf(options, x);
      const double coupled = Base::CoupledDecay(base) + LastRule::GradientPull(rule, flags);
      const double decay =
          Base::DecayOf(base, options.base_flags, coupled) + LastRule::Pull(rule, flags);
      last.rate = static_cast<float>(rate);
      last.decay = static_cast<float>(decay);
      last.inverse = static_cast<float>(1.0 / (1.0 - rate * decay));
      last.coupled = static_cast<float>(coupled);
      last.reads_gradient = ReadsGradient<Base, LastRule>(options, last.hypers);
      const bool by_seen = last.Has(Hyper::kFirst) || last.Has(Hyper::kBeta2);
      last.reads_before = last.Has(Hyper::kWeightDecay) ||
                          (last.Has(Hyper::kLearningRate) && decay != 0.0) ||
                          (by_seen && coupled != 0.0) ||
                          (last.Has(Hyper::kStrength) && LastRule::kStrengthReadsBefore);
      result.projects = LastRule::kProjects;
      result.whole = LastRule::kProjects && RulePiece::IsWhole(flags);
      if (LastRule::kTurns) result.turn_sums = TurnPlaces(last.hypers);
      result.base_scalars.Set(Base::PrepareLast(base, options.base_flags, x));
      result.rule_scalars.Set(LastRule::Prepare(rule, flags, RulePiece::IsWhole(flags), rate));
    }
  });
  return result;
}

template <class Base>
constexpr bool kHasBeta2 = (Base::kLearns & HyperSetOf(Hyper::kBeta2)) != 0;

template <bool kScales, class T>
FTP_INLINE T Scaled(const T& scale, const T& y) {
  if constexpr (kScales) {
    return scale * y;
  } else {
    return y;
  }
}

// Gives sums->Take<hyper>(io, y) of a group of elements, for each number that is wanted, y = -X
// before rows turn. `level`: the first number of the slot `constraint`; `row`: the row's number in
// the slot `norms`. `Args` has the pointers of a variable and `last`.
template <class Base, class LastRule, class Io, class Args, class Sums>
FTP_INLINE void TakeDerivatives(const Io& io, const Args& args, const typename Base::Last& base,
                                const typename LastRule::Last& rule, float level,
                                const typename Io::T& row, const Held<typename Io::T>& held,
                                Sums* sums) {
  using T = typename Io::T;
  const LastUpdate& u = args.last;
  T gradient(0.0f);
  if (u.reads_gradient) {
    gradient = LastRule::Gradient(rule, level, row, io.Load(args.state[Slot::kGradient]), held);
  }
  const auto left = Base::LeftBy(base, io, args.state, gradient);
  const T direction = LastRule::Direction(rule, left.direction, held);
  T before(0.0f);
  if (u.reads_before) before = LastRule::Before(u, held, direction);
  const T seen = u.coupled != 0.0f ? gradient + T(u.coupled) * before : gradient;
  constexpr bool kScales = LastRule::kProjects;
  T scale(1.0f);
  if constexpr (kScales) scale = LastRule::Scale(level, row);
  if (u.Has(Hyper::kLearningRate)) {
    const T y = u.decay != 0.0f ? direction + T(u.decay) * before : direction;
    sums->template Take<Hyper::kLearningRate>(io, Scaled<kScales>(scale, y));
  }
  if (u.Has(Hyper::kWeightDecay)) {
    sums->template Take<Hyper::kWeightDecay>(
        io, Scaled<kScales>(scale, Base::ByDecay(base, u, before)));
  }
  if (u.Has(Hyper::kFirst)) {
    sums->template Take<Hyper::kFirst>(io,
                                       Scaled<kScales>(scale, Base::ByFirst(base, u, left, seen)));
  }
  if constexpr (kHasBeta2<Base>) {
    if (u.Has(Hyper::kBeta2)) {
      sums->template Take<Hyper::kBeta2>(
          io, Scaled<kScales>(scale, Base::ByBeta2(base, u, left, seen)));
    }
  }
  if constexpr (LastRule::kLearns != 0) {
    if (u.Has(Hyper::kStrength)) {
      sums->template Take<Hyper::kStrength>(io, LastRule::ByStrength(u, level, row, held, before));
    }
  }
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_HYPER_H_
