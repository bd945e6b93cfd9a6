// How our work on the GPU is ordered with TensorFlow's.
#ifndef TFJS_FTP_OP_STREAM_ORDER_H_
#define TFJS_FTP_OP_STREAM_ORDER_H_

#include <functional>
#include <string>

namespace tfjs_ftp {

// The three ways; OrderWithTensorFlow says what each does and why.
enum class StreamOrder {
  kLegacyStream,  // A: the legacy default stream orders us with blocking streams
  kSynchronize,   // B: the host waits before and after
  kEvents,        // C: events on the whole context, no wait on the host; newer drivers
};

// The way for a TensorFlow of this version ("2.9.1"; empty: unknown). TFJS_FTP_STREAM_ORDER =
// legacy, synchronize or events overrides it, to measure and to compare. Returns "", or what is
// wrong with that variable; *order is then as it was.
std::string ChooseStreamOrder(const std::string& tensorflow_version, StreamOrder* order);

const char* StreamOrderName(StreamOrder order);

// Runs `launch`, which enqueues work on the stream (a cudaStream_t) that it is given and returns a
// cudaError_t, such that all GPU work that TensorFlow has enqueued before sees none of ours, ours
// sees all of TensorFlow's, and what TensorFlow enqueues later sees all of ours. Returns the first
// cudaError_t.
int OrderWithTensorFlow(StreamOrder order, const std::function<int(void* stream)>& launch);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_OP_STREAM_ORDER_H_
