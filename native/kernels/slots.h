// The parts of a variable's state: the one list of slots.
#ifndef TFJS_FTP_KERNELS_SLOTS_H_
#define TFJS_FTP_KERNELS_SLOTS_H_

#include <cstdint>

#include "lanes.h"

namespace tfjs_ftp {

// In the order in which they lie in a slab.
enum class Slot : int32_t {
  kConstraint,  // a rule's numbers: FTP's gamma, its two moments, hyper-gradient
  kNorms,       // a rule's number per row: FTP's MARS norms
  kAnchor,      // A
  kDeviation,   // C
  kM,           // first moment
  kV,           // second moment
  kVmax,        // its largest value so far (AMSGrad)
  kMomentum,    // SGD's buffer
  kEma,         // running average of W
  kGradient,    // the gradient that the last step saw
};
constexpr int kSlots = 10;

enum class SlotShape : int32_t { kTensor, kRows, kConstraint };

struct SlotInfo {
  const char* name;
  SlotShape shape;
};
constexpr SlotInfo kSlotInfos[kSlots] = {
    {"constraint", SlotShape::kConstraint},
    {"norms", SlotShape::kRows},
    {"anchor", SlotShape::kTensor},
    {"deviation", SlotShape::kTensor},
    {"m", SlotShape::kTensor},
    {"v", SlotShape::kTensor},
    {"vmax", SlotShape::kTensor},
    {"momentum", SlotShape::kTensor},
    {"ema", SlotShape::kTensor},
    {"gradient", SlotShape::kTensor},
};

// Which slots a method has.
using SlotSet = uint32_t;
constexpr SlotSet Slots() { return 0; }
template <class... More>
constexpr SlotSet Slots(Slot first, More... more) {
  return (SlotSet{1} << static_cast<int>(first)) | Slots(more...);
}
constexpr bool Has(SlotSet set, Slot slot) { return (set & Slots(slot)) != 0; }

// How a variable's state is stored. Formulas do not see it: they load and store float32 numbers.
// The codes are those of the plan.
enum class StateFormat : int32_t {
  kFloat32 = 0,
  kBfloat16 = 1,  // the upper half of a float32, rounded to nearest, ties to even
};
constexpr int kStateFormats = 2;

// The slots that are stored in the variable's format; all others are float32. Not among them: the
// anchor, which a rounded copy would move; an average, whose steps are below what bfloat16
// resolves; the kept gradient, which hyper-gradients divide by.
constexpr SlotSet kFormattedSlots =
    Slots(Slot::kDeviation, Slot::kM, Slot::kV, Slot::kVmax, Slot::kMomentum);

// Floats of memory that `count` numbers of a slot take.
inline int64_t SlotFloats(StateFormat format, Slot slot, int64_t count) {
  const bool halved = format == StateFormat::kBfloat16 && Has(kFormattedSlots, slot);
  return halved ? (count + 1) / 2 : count;
}

// Where a slot lies. Which slot it is is known wherever one is loaded or stored, so that each such
// place is compiled for one format.
struct SlotPointer {
  float* at;
  Slot slot;
  FTP_MEMBER bool formatted() const {
    return ((kFormattedSlots >> static_cast<int>(slot)) & 1) != 0;
  }
  // Of a slot that is float32 in every format.
  FTP_MEMBER operator float*() const { return at; }
};

// A variable's slots in memory; null where there is none.
struct StatePointers {
  float* at[kSlots];
  FTP_MEMBER SlotPointer operator[](Slot slot) const { return {at[static_cast<int>(slot)], slot}; }
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_SLOTS_H_
