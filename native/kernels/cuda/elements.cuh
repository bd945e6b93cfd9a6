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

// Elements index .. index + kWidth - 1: in one access, for which they must be aligned, or in
// kWidth. A type, so that the choice is made once a pack: made at every access, it would keep the
// loads of a pack apart by branches.
enum class Access { kWhole, kSplit };
template <int kElements, Access kHow = Access::kWhole>
struct Elements {
  static constexpr int kWidth = kElements;
  int64_t index;
};

template <Reuse kReuse, int kWidth, Access kHow>
FTP_DEVICE Pack<kWidth> LoadAt(const float* p, const Elements<kWidth, kHow>& elements) {
  if constexpr (kWidth == kPackWidth && kHow == Access::kWhole) {
    return LoadPack<kReuse>(p + elements.index);
  } else {
    Pack<kWidth> x;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) x.e[i] = Load<kReuse>(p + elements.index + i);
    return x;
  }
}

template <Reuse kReuse, int kWidth, Access kHow>
FTP_DEVICE void StoreAt(float* p, const Elements<kWidth, kHow>& elements, const Pack<kWidth>& x) {
  if constexpr (kWidth == kPackWidth && kHow == Access::kWhole) {
    StorePack<kReuse>(p + elements.index, x);
  } else {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) Store<kReuse>(p + elements.index + i, x.e[i]);
  }
}

// Runs `body` with the place of the span's pack, or of one element after the other where the span
// is part of a pack or the buffers are not aligned.
template <class Body>
FTP_DEVICE void AtSpan(bool aligned, const Span& span, const Body& body) {
  if (aligned && span.whole()) {
    body(Elements<kPackWidth>{span.index});
  } else {
#pragma unroll 1
    for (int i = span.first; i < span.last; ++i) body(Elements<1>{span.index + i});
  }
}

// U_t of a pack and the base optimizer's state. `w` is looked at under decay only.
template <BaseUpdate kBase, int kWidth, Access kHow>
FTP_DEVICE Pack<kWidth> BaseStep(const StepConstants& constants, const VariableRecord& record,
                                 const Elements<kWidth, kHow>& elements, const Pack<kWidth>& g,
                                 const Pack<kWidth>& w) {
  Pack<kWidth> u;
  if constexpr (kBase == BaseUpdate::kAdamW) {
    const AdamWScalars adamw = AdamWOf(constants, record);
    Pack<kWidth> m = LoadAt<Reuse::kNever>(record.m, elements);
    Pack<kWidth> v = LoadAt<Reuse::kNever>(record.v, elements);
    Pack<kWidth> second{};
    if (constants.amsgrad) second = LoadAt<Reuse::kNever>(record.vmax, elements);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      m.e[i] = FirstMoment(adamw, g.e[i], m.e[i]);
      v.e[i] = SecondMoment(adamw, g.e[i], v.e[i]);
      second.e[i] = constants.amsgrad ? Max(second.e[i], v.e[i]) : v.e[i];
      u.e[i] = AdamWUpdate(adamw, m.e[i], second.e[i]);
      if (constants.decays) u.e[i] = AddDecoupledDecay(adamw, u.e[i], w.e[i]);
    }
    StoreAt<Reuse::kNever>(record.m, elements, m);
    StoreAt<Reuse::kNever>(record.v, elements, v);
    if (constants.amsgrad) StoreAt<Reuse::kNever>(record.vmax, elements, second);
    return u;
  }
  Pack<kWidth> buffer{};
  if (constants.momentum_slot) {
    if (!record.first_update) {
      buffer = LoadAt<Reuse::kNever>(record.momentum, elements);
    }
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      const float d = constants.decays ? AddCoupledDecay(constants.sgd, g.e[i], w.e[i]) : g.e[i];
      buffer.e[i] = record.first_update ? d : MomentumBuffer(constants.sgd, d, buffer.e[i]);
      u.e[i] =
          constants.sgd.learning_rate *
          (constants.nesterov ? NesterovDirection(constants.sgd, d, buffer.e[i]) : buffer.e[i]);
    }
    StoreAt<Reuse::kNever>(record.momentum, elements, buffer);
    return u;
  }
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    u.e[i] = constants.sgd.learning_rate *
             (constants.decays ? AddCoupledDecay(constants.sgd, g.e[i], w.e[i]) : g.e[i]);
  }
  return u;
}

// What the elements of a pack add to the sums of their rows.
template <int kWidth>
struct PackTerms {
  Pack<kWidth> c{};  // |C_t|
  Pack<kWidth> gd;   // G C_{t-1} / n_{t-1} (kContinue), G D (kRejoin)
  Pack<kWidth> d;    // |D|, D = W - A (kRejoin)
};

// Base update, C_t and the terms of its sums. `ratio` and `inverse_norm` are those of step t - 1
// and looked at under kContinue only.
template <BaseUpdate kBase, DeviationMode kMode, int kWidth, Access kHow>
FTP_DEVICE PackTerms<kWidth> DeviatePack(const StepConstants& constants,
                                         const VariableRecord& record,
                                         const Elements<kWidth, kHow>& elements,
                                         const Pack<kWidth>& ratio,
                                         const Pack<kWidth>& inverse_norm) {
  constexpr bool kProposal = kBase == BaseUpdate::kProposal;
  constexpr bool kContinue = kMode == DeviationMode::kContinue;
  constexpr bool kNeedsAnchor = kProposal || !kContinue;
  const Pack<kWidth> g = LoadAt<Reuse::kNever>(record.gradient, elements);
  Pack<kWidth> w{};
  if (kNeedsAnchor || constants.decays) w = LoadAt<Reuse::kNever>(record.weights, elements);
  Pack<kWidth> anchor{};
  if (kNeedsAnchor) anchor = LoadAt<Reuse::kSoon>(record.anchor, elements);
  Pack<kWidth> previous{};
  if (kContinue) previous = LoadAt<Reuse::kSoon>(record.deviation, elements);
  Pack<kWidth> u{};
  if constexpr (!kProposal) u = BaseStep<kBase>(constants, record, elements, g, w);
  Pack<kWidth> c{};
  PackTerms<kWidth> terms{};
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    if constexpr (kContinue) {
      c.e[i] =
          kProposal ? w.e[i] - anchor.e[i] : DeviationFromState(ratio.e[i], previous.e[i], u.e[i]);
      terms.gd.e[i] = (previous.e[i] * inverse_norm.e[i]) * g.e[i];
    } else {
      c.e[i] = DeviationFromWeights(w.e[i], u.e[i], anchor.e[i]);
      const float d = w.e[i] - anchor.e[i];
      terms.gd.e[i] = d * g.e[i];
      terms.d.e[i] = Abs(d);
    }
    terms.c.e[i] = Abs(c.e[i]);
  }
  StoreAt<Reuse::kSoon>(record.deviation, elements, c);
  return terms;
}

// W_t = A + ratio C_t. C is not read again in this step: as the first to leave L2 it makes room for
// the C of chunks that are still to come.
template <int kWidth, Access kHow>
FTP_DEVICE void ProjectPack(const VariableRecord& record, const Elements<kWidth, kHow>& elements,
                            const Pack<kWidth>& ratio) {
  const Pack<kWidth> anchor = LoadAt<Reuse::kNever>(record.anchor, elements);
  const Pack<kWidth> c = LoadAt<Reuse::kNever>(record.deviation, elements);
  Pack<kWidth> w;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) w.e[i] = Project(anchor.e[i], ratio.e[i], c.e[i]);
  StoreAt<Reuse::kNever>(record.output, elements, w);
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
