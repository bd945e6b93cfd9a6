// Groups of 16 elements, and loops over them. Compiled once per instruction set, see simd.h.
#ifndef TFJS_FTP_KERNELS_CPU_GROUPS_H_
#define TFJS_FTP_KERNELS_CPU_GROUPS_H_

#include "../elements.h"
#include "passes.h"
#include "simd.h"

#ifndef FTP_STATE_FORMAT
#define FTP_STATE_FORMAT kFloat32
#endif

namespace tfjs_ftp {
namespace {

// The format of the state that this translation unit is compiled for.
constexpr StateFormat kStateFormat = StateFormat::FTP_STATE_FORMAT;

// Whether the numbers of a slot lie in memory as bfloat16.
FTP_INLINE bool IsBfloat16(const SlotPointer& slot) {
  return kStateFormat == StateFormat::kBfloat16 && slot.formatted();
}
FTP_INLINE uint16_t* UpperHalves(const SlotPointer& slot) {
  return reinterpret_cast<uint16_t*>(slot.at);
}

// A whole group of 16 elements from `index` on.
struct WholeGroup {
  using T = FloatLanes;
  int64_t index;
  FTP_INLINE_MEMBER FloatLanes Load(const float* p) const { return tfjs_ftp::Load(p + index); }
  FTP_INLINE_MEMBER FloatLanes LoadSoon(const float* p) const { return Load(p); }
  FTP_INLINE_MEMBER void Store(float* p, const FloatLanes& x) const {
    tfjs_ftp::Store(p + index, x);
  }
  FTP_INLINE_MEMBER FloatLanes Load(const SlotPointer& slot) const {
    return IsBfloat16(slot) ? LoadBfloat16(UpperHalves(slot) + index) : Load(slot.at);
  }
  FTP_INLINE_MEMBER FloatLanes LoadSoon(const SlotPointer& slot) const { return Load(slot); }
  FTP_INLINE_MEMBER FloatLanes StoreSoon(const SlotPointer& slot, const FloatLanes& x) const {
    if (!IsBfloat16(slot)) {
      Store(slot.at, x);
      return x;
    }
    return StoreBfloat16(UpperHalves(slot) + index, x);
  }
  FTP_INLINE_MEMBER void Store(const SlotPointer& slot, const FloatLanes& x) const {
    StoreSoon(slot, x);
  }
  FTP_INLINE_MEMBER FloatLanes Keep(const FloatLanes& x) const { return x; }
  FTP_INLINE_MEMBER WholeGroup At(int64_t i) const { return {i}; }
};

// The last group of a run, shorter than 16. Lanes behind `count` may hold anything in between (0/0
// under epsilon 0) and are cleared by Keep() before they reach a sum.
struct PartGroup {
  using T = FloatLanes;
  int64_t index;
  int64_t count;
  FTP_INLINE_MEMBER FloatLanes Load(const float* p) const { return LoadPart(p + index, count); }
  FTP_INLINE_MEMBER FloatLanes LoadSoon(const float* p) const { return Load(p); }
  FTP_INLINE_MEMBER void Store(float* p, const FloatLanes& x) const {
    StorePart(p + index, x, count);
  }
  FTP_INLINE_MEMBER FloatLanes Load(const SlotPointer& slot) const {
    return IsBfloat16(slot) ? LoadBfloat16Part(UpperHalves(slot) + index, count) : Load(slot.at);
  }
  FTP_INLINE_MEMBER FloatLanes LoadSoon(const SlotPointer& slot) const { return Load(slot); }
  FTP_INLINE_MEMBER FloatLanes StoreSoon(const SlotPointer& slot, const FloatLanes& x) const {
    if (!IsBfloat16(slot)) {
      Store(slot.at, x);
      return x;
    }
    return StoreBfloat16Part(UpperHalves(slot) + index, x, count);
  }
  FTP_INLINE_MEMBER void Store(const SlotPointer& slot, const FloatLanes& x) const {
    StoreSoon(slot, x);
  }
  FTP_INLINE_MEMBER FloatLanes Keep(const FloatLanes& x) const { return KeepPart(x, count); }
  FTP_INLINE_MEMBER PartGroup At(int64_t i) const { return {i, count}; }
};

// Calls body(group) for the groups of [begin, end).
template <class Body>
FTP_INLINE void ForGroups(int64_t begin, int64_t end, const Body& body) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) body(WholeGroup{i});
  if (i < end) body(PartGroup{i, end - i});
}

// Writes value(group) to `output` for the groups of [begin, end); past the caches if `stream`,
// where the caller fences once it is done.
template <class Value>
FTP_INLINE void WriteGroups(float* output, int64_t begin, int64_t end, bool stream,
                            const Value& value) {
  int64_t i = begin;
  if (stream) {
    const int64_t head = AlignedHead(output + begin, end - begin);
    if (head > 0) {
      const PartGroup group{i, head};
      group.Store(output, value(group));
      i += head;
    }
    for (; i + kLanes <= end; i += kLanes) Stream(output + i, value(WholeGroup{i}));
  }
  ForGroups(i, end, [&](auto group) FTP_LAMBDA_INLINE { group.Store(output, value(group)); });
}

// Whether a sum of x - x, which is 0 for finite x and NaN for NaN and infinities, has stayed 0.
FTP_INLINE bool IsZero(const FloatLanes& sum) {
  float lanes[kLanes];
  Store(lanes, sum);
  float total = 0.0f;
  for (int64_t i = 0; i < kLanes; ++i) total = total + lanes[i];
  return total == 0.0f;
}

// Pass 1 of a group; lanes behind its end add nothing to the sums.
template <class Base, class RulePiece, DeviationMode kMode, class Group, class Factors>
FTP_INLINE auto DeviateGroup(const PassArgs& a, const typename Base::Scalars& base,
                             const Group& group, const Factors& factors) {
  auto terms = DeviateElements<Base, RulePiece, kMode>(group, a, base, factors);
  for (auto& sum : terms.row) sum = group.Keep(sum);
  if (RulePiece::template kTotals<kMode>) terms.total = group.Keep(terms.total);
  return terms;
}

}  // namespace
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CPU_GROUPS_H_
