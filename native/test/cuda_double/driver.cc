// A library named as the CUDA driver is, with the three functions that op/stream_order.cc looks for
// in it. A test loads it by its path before the first step; the work is done in the test program,
// which exports what is called here.
#include "context_events.h"

TFJS_FTP_EXPORTED int cuCtxGetCurrent(void** context) {
  return tfjsFtpDoubleContextCurrent(context);
}
TFJS_FTP_EXPORTED int cuCtxRecordEvent(void* context, void* event) {
  return tfjsFtpDoubleContextRecord(context, event);
}
TFJS_FTP_EXPORTED int cuCtxWaitEvent(void* context, void* event) {
  return tfjsFtpDoubleContextWait(context, event);
}
