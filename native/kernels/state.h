// Where the slots of a variable's state lie in its slab, one float32 array per variable.
#ifndef TFJS_FTP_KERNELS_STATE_H_
#define TFJS_FTP_KERNELS_STATE_H_

#include <cstdint>

#include "methods.h"
#include "slots.h"
#include "step.h"

namespace tfjs_ftp {

// Slots start at multiples of 16 floats (64 bytes) from the start of the slab.
constexpr int64_t kStateAlignment = 16;
// Floats of the slot `constraint`.
constexpr int64_t kConstraintLength = 4;
constexpr int64_t kNoSection = -1;

// Offsets and lengths in floats; kNoSection where a slot does not exist. `counts`: numbers that a
// slot holds, which in a narrower format take fewer floats.
struct StateLayout {
  int64_t offsets[kSlots];
  int64_t lengths[kSlots];
  int64_t counts[kSlots];
  int64_t length = 0;  // of the slab, at least one alignment unit

  int64_t operator[](Slot slot) const { return offsets[static_cast<int>(slot)]; }
};

// The layout for a method; `excluded`: of a variable that takes the plain base update.
inline StateLayout LayoutState(const StepOptions& options, bool excluded, int64_t size,
                               int64_t rows, StateFormat format = StateFormat::kFloat32) {
  StateLayout layout;
  const SlotSet slots = MethodSlots(options, excluded);
  if (RuleIsWhole(options)) rows = 1;
  for (int i = 0; i < kSlots; ++i) {
    const bool has = Has(slots, static_cast<Slot>(i));
    const SlotShape shape = kSlotInfos[i].shape;
    const int64_t count = shape == SlotShape::kTensor ? size
                          : shape == SlotShape::kRows ? rows
                                                      : kConstraintLength;
    const int64_t length = SlotFloats(format, static_cast<Slot>(i), count);
    layout.counts[i] = has ? count : 0;
    layout.offsets[i] = has ? layout.length : kNoSection;
    layout.lengths[i] = has ? length : 0;
    if (has) layout.length += (length + kStateAlignment - 1) / kStateAlignment * kStateAlignment;
  }
  if (layout.length == 0) layout.length = kStateAlignment;
  return layout;
}

inline StateLayout LayoutState(const StepOptions& options, const VariableStep& variable) {
  return LayoutState(options, variable.excluded, variable.size(), variable.rows, variable.format);
}

// The slots of a variable; null where they are not.
inline StatePointers PointersOf(const StateLayout& layout, float* slab) {
  StatePointers pointers;
  for (int i = 0; i < kSlots; ++i) {
    pointers.at[i] = layout.offsets[i] == kNoSection ? nullptr : slab + layout.offsets[i];
  }
  return pointers;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_STATE_H_
