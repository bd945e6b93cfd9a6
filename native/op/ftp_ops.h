// The TensorFlow ops of tfjs-ftp. State tensors are allocated by TfjsFtpAllocate, belong to one
// optimizer and are updated in place; variables and gradients are only read, new weights are
// outputs (their buffers may be shared with tensors the user holds, which no reference count
// shows).
//
//   TfjsFtpAllocate(spec: int32[2])                               -> state: float[length], zeros
//   TfjsFtpRead(state, range: int32[4])                           -> values: float[length], a copy
//   TfjsFtpWrite(state, values: float, offset: int32[2])          -> done: int32[1], in place
//   TfjsFtpStep(plan: int32, states, weights, gradients: N*float) -> outputs: N*float
//   TfjsFtpGather(plan, states, weights, gradients: N*float, want: int32[1])
//                                          -> numbers: int32[22 N], float64 as two words, on the
//                                          host
//
// Lengths and offsets are int64, low word first; the plan is that of kernels/plan.h.
#ifndef TFJS_FTP_OP_FTP_OPS_H_
#define TFJS_FTP_OP_FTP_OPS_H_

#include <string>
#include <vector>

#include "tf_api.h"

namespace tfjs_ftp {

struct TensorFlowState {
  TfLookup lookup;
  bool registered = false;
  bool gpu = false;  // a GPU kernel is registered
};

// Finds TensorFlow and registers the ops, once per process; safe to call from any thread. Called
// again after a failure, whose reason is in lookup.reason, it does what is missing.
TensorFlowState RegisterTensorFlowOps(const std::vector<std::string>& paths);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_OP_FTP_OPS_H_
