// Where the parts of a variable's state lie in its slab, one float32 array per variable.
#ifndef TFJS_FTP_KERNELS_STATE_LAYOUT_H_
#define TFJS_FTP_KERNELS_STATE_LAYOUT_H_

#include <cstdint>

#include "ftp_kernels.h"

namespace tfjs_ftp {

// Sections start at multiples of 16 floats (64 bytes) from the start of the slab.
constexpr int64_t kStateAlignment = 16;
// Floats of the constraint section: gamma, its two moments, hyper-gradient.
constexpr int64_t kConstraintLength = 4;
constexpr int64_t kNoSection = -1;

// Offsets in floats; kNoSection where a section does not exist.
struct StateLayout {
  int64_t constraint = kNoSection;  // (4)
  int64_t norms = kNoSection;       // (rows)
  int64_t anchor = kNoSection;      // (size)
  int64_t deviation = kNoSection;   // (size)
  int64_t m = kNoSection;           // (size) AdamW
  int64_t v = kNoSection;           // (size) AdamW
  int64_t vmax = kNoSection;        // (size) AdamW with AMSGrad
  int64_t momentum = kNoSection;    // (size) SGD with momentum
  int64_t length = 0;               // of the slab, at least one alignment unit
};

inline StateLayout LayoutState(BaseUpdate base, bool amsgrad, bool momentum_slot, bool excluded,
                               int64_t size, int64_t rows) {
  StateLayout layout;
  int64_t next = 0;
  auto take = [&next](int64_t length) {
    const int64_t offset = next;
    next += (length + kStateAlignment - 1) / kStateAlignment * kStateAlignment;
    return offset;
  };
  if (!excluded) {
    layout.constraint = take(kConstraintLength);
    layout.norms = take(rows);
    layout.anchor = take(size);
    layout.deviation = take(size);
  }
  if (base == BaseUpdate::kAdamW) {
    layout.m = take(size);
    layout.v = take(size);
    if (amsgrad) layout.vmax = take(size);
  } else if (base == BaseUpdate::kSgd && momentum_slot) {
    layout.momentum = take(size);
  }
  layout.length = next > 0 ? next : kStateAlignment;
  return layout;
}

inline StateLayout LayoutState(const StepOptions& options, const VariableStep& variable) {
  return LayoutState(options.base, options.amsgrad, options.momentum_slot, variable.excluded,
                     variable.size(), variable.rows);
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_STATE_LAYOUT_H_
