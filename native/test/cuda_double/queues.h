// Streams and events as queues of operations, and the rules by which one waits for another.
#ifndef TFJS_FTP_TEST_CUDA_DOUBLE_QUEUES_H_
#define TFJS_FTP_TEST_CUDA_DOUBLE_QUEUES_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <vector>

namespace tfjs_ftp {
namespace cuda_double {

// A copy, a launch, or (empty `run`) a mark in a stream. Needs only earlier operations.
struct Operation {
  std::function<void()> run;
  std::vector<std::shared_ptr<Operation>> needs;
  uint64_t number = 0;  // in the order of the calls that enqueued
  int asked = 0;        // how often the host has looked without waiting
  bool done = false;
  std::chrono::steady_clock::time_point done_at;  // when it had run
};
using OperationRef = std::shared_ptr<Operation>;

struct Stream {
  bool blocking = true;  // waits for the legacy default stream, which waits for it
  bool destroyed = false;
  OperationRef tail;  // what was enqueued last
};

struct Event {
  bool destroyed = false;
  OperationRef mark;  // null: never recorded
};

class Queues {
 public:
  Queues();

  // Streams and events live until the end of the process, so that a destroyed one is known as such.
  Stream* AddStream(bool blocking);
  Event* AddEvent();
  Stream* legacy() { return streams_.front().get(); }
  bool Knows(const Stream* stream) const;
  bool Knows(const Event* event) const;

  // Behind what the stream holds, behind `also` (may be null), and, between the legacy default
  // stream and the blocking ones, behind what the others hold.
  OperationRef Enqueue(Stream* stream, std::function<void()> run, const OperationRef& also);
  // A mark behind everything that is queued.
  OperationRef Everything();
  // All that is enqueued from now on waits for `mark`.
  void HoldBack(const OperationRef& mark);

  // Runs an operation and what it needs, nothing else.
  void Finish(const OperationRef& operation);

  void SetSchedule(uint64_t seed);
  int64_t Queued();
  void Drop();

 private:
  void FinishLatestFirst(const OperationRef& target);
  void FinishShuffled(const OperationRef& target);
  static void Run(Operation* operation);

  std::vector<std::unique_ptr<Stream>> streams_;  // the first is the legacy default stream
  std::vector<std::unique_ptr<Event>> events_;
  OperationRef gate_;  // what all new operations wait for
  uint64_t next_number_ = 1;
  uint64_t seed_ = 0;
  std::mt19937_64 random_;
};

}  // namespace cuda_double
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_CUDA_DOUBLE_QUEUES_H_
