// What a step does with one group of elements, for any method and both devices. `Io` moves a group
// between memory and its number type: Load and Store for what a step touches once, LoadSoon and
// StoreSoon for what its other pass touches too. StoreSoon gives the number as it is stored. `Args`
// has the pointers of a variable (weights, gradient, proposal, state) and `around`.
#ifndef TFJS_FTP_KERNELS_ELEMENTS_H_
#define TFJS_FTP_KERNELS_ELEMENTS_H_

#include <type_traits>

#include "around.h"
#include "methods/method.h"
#include "methods/proposal.h"

namespace tfjs_ftp {

// Stores the gradient that the step saw, where it is kept.
template <class Io, class Args>
FTP_INLINE void KeepGradient(const Io& io, const Args& a, const typename Io::T& g) {
  if (a.state[Slot::kGradient] != nullptr) io.Store(a.state[Slot::kGradient], g);
}

// Pass 1 of a rule that projects: base update, C_t, and the terms of the rule's sums. `factors` are
// of step t - 1 and looked at under kContinue only.
template <class Base, class RulePiece, DeviationMode kMode, class Io, class Args, class Factors>
FTP_INLINE auto DeviateElements(const Io& io, const Args& a, const typename Base::Scalars& base,
                                const Factors& factors) {
  using T = typename Io::T;
  constexpr bool kProposal = std::is_same<Base, Proposal>::value;
  constexpr bool kContinue = kMode == DeviationMode::kContinue;
  constexpr bool kFromWeights = kMode == DeviationMode::kRejoin || (!kContinue && !kProposal);
  const T gradient = io.Load(a.gradient);
  T w(0.0f);
  if (kFromWeights || base.reads_weights) w = io.Load(a.weights);
  T p(0.0f);
  if constexpr (kProposal) p = io.Load(a.proposal);
  T anchor(0.0f);
  if constexpr (kProposal || !kContinue) anchor = io.LoadSoon(a.state[Slot::kAnchor]);
  T previous(0.0f);
  if constexpr (kContinue) previous = io.LoadSoon(a.state[Slot::kDeviation]);
  auto loaded = Base::Load(base, io, a.state);
  const T g = SeenGradient(a.around, gradient);
  const T u = Base::Update(base, g, w, &loaded);
  Base::Store(base, io, a.state, loaded);
  KeepGradient(io, a, g);
  T c;
  if constexpr (kProposal) {
    c = p - anchor;
  } else if constexpr (kContinue) {
    c = DeviationFromState(factors.ratio, previous, u);
  } else {
    c = DeviationFromWeights(w, u, anchor);
  }
  if constexpr (kMode == DeviationMode::kRejoin) previous = w - anchor;
  // From here on C is what is stored, so that sums, pass 2 and the next step agree.
  c = io.StoreSoon(a.state[Slot::kDeviation], c);
  return RulePiece::template Add<kMode>(factors, g, c, previous);
}

// Pass 2 of a rule that projects: W_t = A + ratio C_t. C is not looked at again in this step.
template <class Io, class Args>
FTP_INLINE typename Io::T ProjectElements(const Io& io, const Args& a,
                                          const typename Io::T& ratio) {
  const auto anchor = io.Load(a.state[Slot::kAnchor]);
  const auto w = Project(anchor, ratio, io.Load(a.state[Slot::kDeviation]));
  AddToAverage(io, a.around, a.state[Slot::kEma], w);
  return w;
}

// The one pass of a rule that does not project: W_t. `level`: what the rule found before the pass.
template <class Base, class RulePiece, class Io, class Args>
FTP_INLINE typename Io::T PlainElements(const Io& io, const Args& a,
                                        const typename Base::Scalars& base,
                                        const typename RulePiece::Scalars& rule, float level) {
  using T = typename Io::T;
  const T w = io.Load(a.weights);
  const T gradient = io.Load(a.gradient);
  const auto extra = RulePiece::Load(io, a, w);
  auto loaded = Base::Load(base, io, a.state);
  const T g = SeenGradient(a.around, gradient);
  const T u = Base::Update(base, RulePiece::Gradient(rule, level, g, extra), w, &loaded);
  Base::Store(base, io, a.state, loaded);
  RulePiece::Store(io, a, extra);
  KeepGradient(io, a, g);
  const T after = RulePiece::Apply(rule, w, u, extra);
  AddToAverage(io, a.around, a.state[Slot::kEma], after);
  return after;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_ELEMENTS_H_
