// A variable's method with its numbers, worked out on the host, the same for every device.
#ifndef TFJS_FTP_KERNELS_PREPARED_H_
#define TFJS_FTP_KERNELS_PREPARED_H_

#include "methods.h"
#include "scalar_bytes.h"

namespace tfjs_ftp {

struct Prepared {
  Rule rule = Rule::kNone;
  bool projects = false;
  bool whole = false;  // the rule takes the tensor as one row
  DeviationMode mode = DeviationMode::kFirst;
  int32_t row_sums = 0;     // sums per row that pass 1 takes
  int32_t gather_sums = 0;  // sums that the rule takes before anything is written
  ScalarBytes base_scalars;
  ScalarBytes rule_scalars;
};

// Sums per row that pass 1 takes in this mode.
template <class RulePiece>
int32_t RowSumsOf(DeviationMode mode) {
  switch (mode) {
    case DeviationMode::kFirst:
      return RulePiece::template kRowSums<DeviationMode::kFirst>;
    case DeviationMode::kContinue:
      return RulePiece::template kRowSums<DeviationMode::kContinue>;
    case DeviationMode::kRejoin:
      break;
  }
  return RulePiece::template kRowSums<DeviationMode::kRejoin>;
}

// Of a variable whose pair is compiled. Without `scalars` the numbers, which take some powers, are
// left out.
inline Prepared Prepare(const StepOptions& options, const VariableStep& variable,
                        bool scalars = true) {
  Prepared result;
  result.rule = RuleOf(options, variable.excluded);
  VisitMethod(options.base, result.rule, [&](auto base_type, auto rule_type) {
    using Base = PieceOf<decltype(base_type)>;
    using RulePiece = PieceOf<decltype(rule_type)>;
    using BaseNumbers = typename Base::Numbers;
    using RuleNumbers = typename RulePiece::Numbers;
    result.gather_sums = RulePiece::kGatherSums;
    if constexpr (RulePiece::kProjects) {
      result.projects = true;
      result.whole = RulePiece::IsWhole(options.rule_flags);
      result.mode = RulePiece::ModeOf(variable);
      result.row_sums = RowSumsOf<RulePiece>(result.mode);
    }
    if (!scalars) return;
    const MethodNumbers& numbers = NumbersOf(options, variable);
    result.base_scalars.Set(
        Base::Prepare(ReadNumbers<BaseNumbers>(numbers.base), options.base_flags, variable));
    result.rule_scalars.Set(RulePiece::Prepare(ReadNumbers<RuleNumbers>(numbers.rule),
                                               options.rule_flags, variable, options));
  });
  return result;
}

// Methods with their numbers, for the variables of one list. Nearly all of them have the same step
// counts and numbers, and the powers of each would take longer than all the rest of a small
// variable: a variable like the one before it takes over what was worked out for that one.
class Preparation {
 public:
  explicit Preparation(const StepOptions& options) : options_(options) {}

  const Prepared& Of(const VariableStep& x) {
    const bool same = known_ && x.excluded == last_.excluded && x.t == last_.t && x.n == last_.n &&
                      x.from_weights == last_.from_weights && x.numbers == last_.numbers;
    if (!same) prepared_ = Prepare(options_, x);
    last_ = x;
    known_ = true;
    return prepared_;
  }

 private:
  const StepOptions& options_;
  bool known_ = false;
  VariableStep last_;
  Prepared prepared_;
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_PREPARED_H_
