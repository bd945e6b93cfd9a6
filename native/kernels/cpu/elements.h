// One group of 16 elements: base update and deviation. Shared by both walks and by the plain pass.
// Compiled once per instruction set, see simd.h.
#ifndef TFJS_FTP_KERNELS_CPU_ELEMENTS_H_
#define TFJS_FTP_KERNELS_CPU_ELEMENTS_H_

#include "passes.h"
#include "simd.h"

namespace tfjs_ftp {
namespace {

// A whole group of 16 elements.
struct WholeGroup {
  FTP_INLINE_MEMBER FloatLanes load(const float* p) const { return Load(p); }
  FTP_INLINE_MEMBER void store(float* p, const FloatLanes& x) const { Store(p, x); }
  FTP_INLINE_MEMBER FloatLanes keep(const FloatLanes& x) const { return x; }
};

// The last group of a run, shorter than 16. Lanes behind `count` may hold anything in between (0/0
// under epsilon 0) and are cleared by keep() before they reach a sum.
struct PartGroup {
  int64_t count;
  FTP_INLINE_MEMBER FloatLanes load(const float* p) const { return LoadPart(p, count); }
  FTP_INLINE_MEMBER void store(float* p, const FloatLanes& x) const { StorePart(p, x, count); }
  FTP_INLINE_MEMBER FloatLanes keep(const FloatLanes& x) const { return KeepPart(x, count); }
};

// U_t of elements i .. i + 15 and the base optimizer's state. `w` is looked at under decay only.
template <BaseUpdate kBase, class Group>
FTP_INLINE FloatLanes BaseStep(const PassArgs& a, const Group& group, int64_t i,
                               const FloatLanes& g, const FloatLanes& w) {
  if (kBase == BaseUpdate::kAdamW) {
    const FloatLanes m = FirstMoment(a.adamw, g, group.load(a.m + i));
    FloatLanes v = SecondMoment(a.adamw, g, group.load(a.v + i));
    group.store(a.m + i, m);
    group.store(a.v + i, v);
    if (a.amsgrad) {
      v = Max(group.load(a.vmax + i), v);
      group.store(a.vmax + i, v);
    }
    const FloatLanes u = AdamWUpdate(a.adamw, m, v);
    return a.decays ? AddDecoupledDecay(a.adamw, u, w) : u;
  }
  FloatLanes d = a.decays ? AddCoupledDecay(a.sgd, g, w) : g;
  if (a.momentum_slot) {
    const FloatLanes buffer =
        a.first_update ? d : MomentumBuffer(a.sgd, d, group.load(a.momentum + i));
    group.store(a.momentum + i, buffer);
    d = a.nesterov ? NesterovDirection(a.sgd, d, buffer) : buffer;
  }
  return FloatLanes(a.sgd.learning_rate) * d;
}

// What a group adds to the sums of its rows or columns.
struct GroupSums {
  FloatLanes c;   // C_t
  FloatLanes gd;  // G C_{t-1} / n_{t-1} (kContinue), G D (kRejoin)
  FloatLanes d;   // D = W - A (kRejoin)
};

// Base update, C_t and the terms of its sums for elements i .. i + 15. `ratio` and `inverse_norm`
// are those of step t - 1 and looked at under kContinue only.
template <BaseUpdate kBase, DeviationMode kMode, class Group>
FTP_INLINE GroupSums DeviateGroup(const PassArgs& a, const Group& group, int64_t i,
                                  const FloatLanes& ratio, const FloatLanes& inverse_norm) {
  GroupSums sums;
  constexpr bool kProposal = kBase == BaseUpdate::kProposal;
  const bool needs_weights = kProposal || kMode != DeviationMode::kContinue || a.decays;
  const FloatLanes w = needs_weights ? group.load(a.weights + i) : FloatLanes(0.0f);
  const FloatLanes g = group.load(a.gradient + i);
  const FloatLanes u = kProposal ? FloatLanes(0.0f) : BaseStep<kBase>(a, group, i, g, w);
  if (kMode == DeviationMode::kContinue) {
    const FloatLanes previous = group.load(a.deviation + i);
    sums.gd = (previous * inverse_norm) * g;
    sums.c = kProposal ? w - group.load(a.anchor + i) : DeviationFromState(ratio, previous, u);
  } else {
    const FloatLanes anchor = group.load(a.anchor + i);
    sums.c = DeviationFromWeights(w, u, anchor);
    if (kMode == DeviationMode::kRejoin) {
      sums.d = w - anchor;
      sums.gd = sums.d * g;
    }
  }
  group.store(a.deviation + i, sums.c);
  sums.c = group.keep(Abs(sums.c));
  if (kMode != DeviationMode::kFirst) sums.gd = group.keep(sums.gd);
  if (kMode == DeviationMode::kRejoin) sums.d = group.keep(Abs(sums.d));
  return sums;
}

// Calls body(group, i) for the groups of [begin, end).
template <class Body>
FTP_INLINE void ForGroups(int64_t begin, int64_t end, const Body& body) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) body(WholeGroup(), i);
  if (i < end) body(PartGroup{end - i}, i);
}

// Writes value(group, i) to output[i] for the groups of [begin, end); past the caches if `stream`,
// where the caller fences once it is done.
template <class Value>
FTP_INLINE void WriteGroups(float* output, int64_t begin, int64_t end, bool stream,
                            const Value& value) {
  int64_t i = begin;
  if (stream) {
    const int64_t head = AlignedHead(output + begin, end - begin);
    if (head > 0) {
      const PartGroup group{head};
      group.store(output + i, value(group, i));
      i += head;
    }
    for (; i + kLanes <= end; i += kLanes) Stream(output + i, value(WholeGroup(), i));
  }
  ForGroups(i, end, [&](auto group, int64_t j) FTP_LAMBDA_INLINE {
    group.store(output + j, value(group, j));
  });
}

}  // namespace
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CPU_ELEMENTS_H_
