// Inputs and outputs of TfjsFtpAllocate, TfjsFtpRead and TfjsFtpWrite, decoded and checked,
// whatever the device.
#ifndef TFJS_FTP_OP_STATE_INPUTS_H_
#define TFJS_FTP_OP_STATE_INPUTS_H_

#include <cstddef>

#include "op_context.h"

namespace tfjs_ftp {

// What one of these ops has to do: fill or copy `bytes` bytes. `from` is null for TfjsFtpAllocate.
struct StateCopy {
  float* to = nullptr;
  const float* from = nullptr;
  size_t bytes = 0;
};

// Each reads the small integer inputs (host memory on every device), checks the sizes and allocates
// the output. False if the op has failed.
bool ReadAllocateInputs(OpContext* op, StateCopy* copy);
bool ReadReadInputs(OpContext* op, StateCopy* copy);
bool ReadWriteInputs(OpContext* op, StateCopy* copy);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_OP_STATE_INPUTS_H_
