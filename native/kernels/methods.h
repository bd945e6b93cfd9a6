// Which pairs of a base update and a rule are compiled.
#ifndef TFJS_FTP_KERNELS_METHODS_H_
#define TFJS_FTP_KERNELS_METHODS_H_

#include <type_traits>

#include "methods/adamw.h"
#include "methods/digrap.h"
#include "methods/fixed_radius.h"
#include "methods/ftp.h"
#include "methods/l2_sp.h"
#include "methods/none.h"
#include "methods/proposal.h"
#include "methods/sgd.h"
#include "methods/spd.h"

namespace tfjs_ftp {

// A type as a value.
template <class Piece>
struct Type {
  using type = Piece;
};
template <class TypeOfPiece>
using PieceOf = typename std::decay_t<TypeOfPiece>::type;

// Calls visit(Type<Base>()) for the base update of a code; false where there is none.
template <class Visit>
FTP_HOST_INLINE bool VisitBase(BaseUpdate code, const Visit& visit) {
  switch (code) {
    case BaseUpdate::kAdamW:
      visit(Type<AdamW>());
      return true;
    case BaseUpdate::kSgd:
      visit(Type<Sgd>());
      return true;
    case BaseUpdate::kProposal:
      visit(Type<Proposal>());
      return true;
  }
  return false;
}

// Calls visit(Type<RulePiece>()) for the rule of a code; false where there is none.
template <class Visit>
FTP_HOST_INLINE bool VisitRule(Rule code, const Visit& visit) {
  switch (code) {
    case Rule::kNone:
      visit(Type<NoRule>());
      return true;
    case Rule::kFtp:
      visit(Type<Ftp>());
      return true;
    case Rule::kFixedRadius:
      visit(Type<FixedRadius>());
      return true;
    case Rule::kSpd:
      visit(Type<Spd>());
      return true;
    case Rule::kL2Sp:
      visit(Type<L2Sp>());
      return true;
    case Rule::kDigrap:
      visit(Type<Digrap>());
      return true;
  }
  return false;
}

// A rule that takes one pass changes what its base update sees, which a proposal does not show.
template <class Base, class RulePiece>
constexpr bool kCompiled = RulePiece::kProjects || !std::is_same<Base, Proposal>::value;

// Calls visit(Type<Base>(), Type<RulePiece>()) for a compiled pair; false where it is not.
template <class Visit>
FTP_HOST_INLINE bool VisitMethod(BaseUpdate base, Rule rule, const Visit& visit) {
  bool compiled = false;
  VisitBase(base, [&](auto base_type) {
    VisitRule(rule, [&](auto rule_type) {
      if constexpr (kCompiled<PieceOf<decltype(base_type)>, PieceOf<decltype(rule_type)>>) {
        visit(base_type, rule_type);
        compiled = true;
      }
    });
  });
  return compiled;
}

// The rule that a variable of the step takes.
inline Rule RuleOf(const StepOptions& options, bool excluded) {
  return excluded ? Rule::kNone : options.rule;
}

inline bool IsCompiled(const StepOptions& options, bool excluded) {
  return VisitMethod(options.base, RuleOf(options, excluded), [](auto, auto) {});
}

inline SlotSet MethodSlots(const StepOptions& options, bool excluded) {
  SlotSet slots = 0;
  VisitBase(options.base,
            [&](auto base) { slots |= PieceOf<decltype(base)>::SlotsOf(options.base_flags); });
  VisitRule(RuleOf(options, excluded),
            [&](auto rule) { slots |= PieceOf<decltype(rule)>::SlotsOf(options.rule_flags); });
  if (options.has_average) slots |= Slots(Slot::kEma);
  if (options.keeps_gradient) slots |= Slots(Slot::kGradient);
  return slots;
}

// Whether the rule takes the whole tensor as one row.
inline bool RuleIsWhole(const StepOptions& options) {
  bool whole = false;
  VisitRule(options.rule,
            [&](auto rule) { whole = PieceOf<decltype(rule)>::IsWhole(options.rule_flags); });
  return whole;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_H_
