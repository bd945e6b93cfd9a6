// What the double's libcuda.so.1 (driver.cc) finds in the program that holds the double: the
// driver's three functions for events of a whole context. They return a cudaError_t.
#ifndef TFJS_FTP_TEST_CUDA_DOUBLE_CONTEXT_EVENTS_H_
#define TFJS_FTP_TEST_CUDA_DOUBLE_CONTEXT_EVENTS_H_

#define TFJS_FTP_EXPORTED extern "C" __attribute__((visibility("default")))

TFJS_FTP_EXPORTED int tfjsFtpDoubleContextCurrent(void** context);
// The event stands for all work of all streams so far.
TFJS_FTP_EXPORTED int tfjsFtpDoubleContextRecord(void* context, void* event);
// All work that is enqueued later, on any stream, waits for the event.
TFJS_FTP_EXPORTED int tfjsFtpDoubleContextWait(void* context, void* event);

#endif  // TFJS_FTP_TEST_CUDA_DOUBLE_CONTEXT_EVENTS_H_
