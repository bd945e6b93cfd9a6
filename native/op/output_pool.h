// Memory of large outputs on the host, kept from step to step.
//
// The new weights of a step are outputs of an op. What TensorFlow allocates for them goes back to
// the system when the weights of the step before are dropped, and each page of it is then faulted
// in and cleared again in the next step. This pool keeps what comes back: never more than is lent
// out at that moment, so that it shrinks with the variables that it serves and is empty after them.
// A block comes back when TensorFlow drops the last reference to its tensor, whoever held it.
#ifndef TFJS_FTP_OP_OUTPUT_POOL_H_
#define TFJS_FTP_OP_OUTPUT_POOL_H_

#include <cstddef>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace tfjs_ftp {

class OutputPool {
 public:
  // One for the process. It is never destroyed: tensors may live longer than any object.
  static OutputPool& Get();

  // Whether an output of this size is worth its place; smaller ones are left to TensorFlow.
  static bool Serves(size_t bytes) { return bytes >= kLeastBytes; }

  // Not cleared; null where there is no memory. With huge pages where the system has them.
  void* Take(size_t bytes);
  // From any thread.
  void Return(void* memory, size_t bytes);
  // Gives back to the system what is idle, and what comes back until the next Take.
  void Trim();

  size_t lent_bytes() const;
  size_t idle_bytes() const;

 private:
  static constexpr size_t kLeastBytes = size_t{64} << 10;

  using Blocks = std::vector<std::pair<void*, size_t>>;
  // Takes idle blocks out until at most `bytes` are left; they are freed outside of the lock.
  void TakeSurplus(size_t bytes, Blocks* surplus);

  mutable std::mutex mutex_;
  std::unordered_map<size_t, std::vector<void*>> idle_;  // by size
  size_t idle_bytes_ = 0;
  size_t lent_bytes_ = 0;
  bool keeps_ = true;
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_OP_OUTPUT_POOL_H_
