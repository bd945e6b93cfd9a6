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
// How a slot's numbers are stored; formulas do not see it.
enum class SlotFormat : int32_t { kFloat32 };

struct SlotInfo {
  const char* name;
  SlotShape shape;
  SlotFormat format;
};
constexpr SlotInfo kSlotInfos[kSlots] = {
    {"constraint", SlotShape::kConstraint, SlotFormat::kFloat32},
    {"norms", SlotShape::kRows, SlotFormat::kFloat32},
    {"anchor", SlotShape::kTensor, SlotFormat::kFloat32},
    {"deviation", SlotShape::kTensor, SlotFormat::kFloat32},
    {"m", SlotShape::kTensor, SlotFormat::kFloat32},
    {"v", SlotShape::kTensor, SlotFormat::kFloat32},
    {"vmax", SlotShape::kTensor, SlotFormat::kFloat32},
    {"momentum", SlotShape::kTensor, SlotFormat::kFloat32},
    {"ema", SlotShape::kTensor, SlotFormat::kFloat32},
    {"gradient", SlotShape::kTensor, SlotFormat::kFloat32},
};

// Which slots a method has.
using SlotSet = uint32_t;
constexpr SlotSet Slots() { return 0; }
template <class... More>
constexpr SlotSet Slots(Slot first, More... more) {
  return (SlotSet{1} << static_cast<int>(first)) | Slots(more...);
}
constexpr bool Has(SlotSet set, Slot slot) { return (set & Slots(slot)) != 0; }

// A variable's slots in memory; null where there is none.
struct StatePointers {
  float* at[kSlots];
  FTP_MEMBER float* operator[](Slot slot) const { return at[static_cast<int>(slot)]; }
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_SLOTS_H_
