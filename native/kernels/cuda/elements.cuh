// One pack of elements (four, or one): base update, deviation, projection. The arithmetic is that
// of ftp_math.h, one float at a time, in the same order as on the CPU.
#ifndef TFJS_FTP_KERNELS_CUDA_ELEMENTS_CUH_
#define TFJS_FTP_KERNELS_CUDA_ELEMENTS_CUH_

#include "simt.cuh"

namespace tfjs_ftp {

// The numbers of AdamW for this variable.
FTP_DEVICE AdamWScalars AdamWOf(const StepConstants& constants, const VariableRecord& record) {
  AdamWScalars scalars = constants.adamw;
  scalars.step_size = record.step_size;
  scalars.inverse_sqrt_bias2 = record.inverse_sqrt_bias2;
  return scalars;
}

// Elements first .. last - 1 of the pack at p; the others are 0 and not touched. `whole`: all four,
// in one access.
template <class Simt, Reuse kReuse, int kWidth>
FTP_DEVICE Pack<kWidth> LoadSpan(const Simt& simt, const float* p, const Span& span, bool whole) {
  Pack<kWidth> x;
  if constexpr (kWidth == kPackWidth) {
    if (whole) return simt.template LoadPack<kReuse>(p + span.index);
  }
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    x.e[i] =
        i >= span.first && i < span.last ? simt.template Load<kReuse>(p + span.index + i) : 0.0f;
  }
  return x;
}

template <class Simt, Reuse kReuse, int kWidth>
FTP_DEVICE void StoreSpan(const Simt& simt, float* p, const Span& span, bool whole,
                          const Pack<kWidth>& x) {
  if constexpr (kWidth == kPackWidth) {
    if (whole) return simt.template StorePack<kReuse>(p + span.index, x);
  }
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    if (i >= span.first && i < span.last) simt.template Store<kReuse>(p + span.index + i, x.e[i]);
  }
}

// U_t of a pack and the base optimizer's state. `w` is looked at under decay only.
template <class Simt, BaseUpdate kBase, int kWidth>
FTP_DEVICE Pack<kWidth> BaseStep(const Simt& simt, const StepConstants& constants,
                                 const VariableRecord& record, const Span& span, bool whole,
                                 const Pack<kWidth>& g, const Pack<kWidth>& w) {
  Pack<kWidth> u;
  if constexpr (kBase == BaseUpdate::kAdamW) {
    const AdamWScalars adamw = AdamWOf(constants, record);
    Pack<kWidth> m = LoadSpan<Simt, Reuse::kNever, kWidth>(simt, record.m, span, whole);
    Pack<kWidth> v = LoadSpan<Simt, Reuse::kNever, kWidth>(simt, record.v, span, whole);
    Pack<kWidth> second{};
    if (constants.amsgrad)
      second = LoadSpan<Simt, Reuse::kNever, kWidth>(simt, record.vmax, span, whole);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      m.e[i] = FirstMoment(adamw, g.e[i], m.e[i]);
      v.e[i] = SecondMoment(adamw, g.e[i], v.e[i]);
      second.e[i] = constants.amsgrad ? Max(second.e[i], v.e[i]) : v.e[i];
      u.e[i] = AdamWUpdate(adamw, m.e[i], second.e[i]);
      if (constants.decays) u.e[i] = AddDecoupledDecay(adamw, u.e[i], w.e[i]);
    }
    StoreSpan<Simt, Reuse::kNever, kWidth>(simt, record.m, span, whole, m);
    StoreSpan<Simt, Reuse::kNever, kWidth>(simt, record.v, span, whole, v);
    if (constants.amsgrad)
      StoreSpan<Simt, Reuse::kNever, kWidth>(simt, record.vmax, span, whole, second);
    return u;
  }
  Pack<kWidth> buffer{};
  if (constants.momentum_slot) {
    if (!record.first_update) {
      buffer = LoadSpan<Simt, Reuse::kNever, kWidth>(simt, record.momentum, span, whole);
    }
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      const float d = constants.decays ? AddCoupledDecay(constants.sgd, g.e[i], w.e[i]) : g.e[i];
      buffer.e[i] = record.first_update ? d : MomentumBuffer(constants.sgd, d, buffer.e[i]);
      u.e[i] =
          constants.sgd.learning_rate *
          (constants.nesterov ? NesterovDirection(constants.sgd, d, buffer.e[i]) : buffer.e[i]);
    }
    StoreSpan<Simt, Reuse::kNever, kWidth>(simt, record.momentum, span, whole, buffer);
    return u;
  }
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    u.e[i] = constants.sgd.learning_rate *
             (constants.decays ? AddCoupledDecay(constants.sgd, g.e[i], w.e[i]) : g.e[i]);
  }
  return u;
}

// What the elements of a pack add to the sums of their rows; 0 for elements that do not exist.
template <int kWidth>
struct PackTerms {
  Pack<kWidth> c{};  // |C_t|
  Pack<kWidth> gd;   // G C_{t-1} / n_{t-1} (kContinue), G D (kRejoin)
  Pack<kWidth> d;    // |D|, D = W - A (kRejoin)
};

// Base update, C_t and the terms of its sums. `ratio` and `inverse_norm` are those of step t - 1
// and looked at under kContinue only.
template <class Simt, BaseUpdate kBase, DeviationMode kMode, int kWidth>
FTP_DEVICE PackTerms<kWidth> DeviatePack(const Simt& simt, const StepConstants& constants,
                                         const VariableRecord& record, const Span& span,
                                         const Pack<kWidth>& ratio,
                                         const Pack<kWidth>& inverse_norm) {
  constexpr bool kProposal = kBase == BaseUpdate::kProposal;
  constexpr bool kContinue = kMode == DeviationMode::kContinue;
  constexpr bool kNeedsAnchor = kProposal || !kContinue;
  const bool whole = kWidth == kPackWidth && record.aligned && span.whole();
  const Pack<kWidth> g = LoadSpan<Simt, Reuse::kNever, kWidth>(simt, record.gradient, span, whole);
  Pack<kWidth> w{};
  if (kNeedsAnchor || constants.decays)
    w = LoadSpan<Simt, Reuse::kNever, kWidth>(simt, record.weights, span, whole);
  Pack<kWidth> anchor{};
  if (kNeedsAnchor) anchor = LoadSpan<Simt, Reuse::kSoon, kWidth>(simt, record.anchor, span, whole);
  Pack<kWidth> previous{};
  if (kContinue)
    previous = LoadSpan<Simt, Reuse::kSoon, kWidth>(simt, record.deviation, span, whole);
  Pack<kWidth> u{};
  if constexpr (!kProposal)
    u = BaseStep<Simt, kBase, kWidth>(simt, constants, record, span, whole, g, w);
  Pack<kWidth> c{};
  PackTerms<kWidth> terms{};
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    const bool exists = i >= span.first && i < span.last;
    if constexpr (kContinue) {
      c.e[i] =
          kProposal ? w.e[i] - anchor.e[i] : DeviationFromState(ratio.e[i], previous.e[i], u.e[i]);
      terms.gd.e[i] = exists ? (previous.e[i] * inverse_norm.e[i]) * g.e[i] : 0.0f;
    } else {
      c.e[i] = DeviationFromWeights(w.e[i], u.e[i], anchor.e[i]);
      const float d = w.e[i] - anchor.e[i];
      terms.gd.e[i] = exists ? d * g.e[i] : 0.0f;
      terms.d.e[i] = exists ? Abs(d) : 0.0f;
    }
    // Elements that do not exist may be NaN here (0/0 under epsilon 0).
    terms.c.e[i] = exists ? Abs(c.e[i]) : 0.0f;
  }
  StoreSpan<Simt, Reuse::kSoon, kWidth>(simt, record.deviation, span, whole, c);
  return terms;
}

// W_t = A + ratio C_t.
template <class Simt, int kWidth>
FTP_DEVICE void ProjectPack(const Simt& simt, const VariableRecord& record, const Span& span,
                            const Pack<kWidth>& ratio) {
  const bool whole = kWidth == kPackWidth && record.aligned && span.whole();
  const Pack<kWidth> anchor =
      LoadSpan<Simt, Reuse::kNever, kWidth>(simt, record.anchor, span, whole);
  const Pack<kWidth> c = LoadSpan<Simt, Reuse::kSoon, kWidth>(simt, record.deviation, span, whole);
  Pack<kWidth> w;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) w.e[i] = Project(anchor.e[i], ratio.e[i], c.e[i]);
  StoreSpan<Simt, Reuse::kNever, kWidth>(simt, record.output, span, whole, w);
}

template <int kWidth>
FTP_DEVICE Pack<kWidth> Fill(float x) {
  Pack<kWidth> pack;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) pack.e[i] = x;
  return pack;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_ELEMENTS_CUH_
