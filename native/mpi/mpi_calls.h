// What this package asks of MPI, whatever the library. All calls come from one thread.
#ifndef TFJS_FTP_MPI_MPI_CALLS_H_
#define TFJS_FTP_MPI_MPI_CALLS_H_

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace tfjs_ftp {

enum class MpiType { kFloat, kDouble, kInt32, kByte };
enum class MpiOp { kSum, kMin, kMax };

// A call that MPI reports as failed.
class MpiError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Floats that go to a rank, or come from it.
struct MpiMessage {
  int peer;
  float* data;
  int count;
};

// Communicators are numbers from 0, which is MPI_COMM_WORLD. Failures throw MpiError.
class MpiCalls {
 public:
  virtual ~MpiCalls() = default;

  // MPI_Init_thread with MPI_THREAD_SERIALIZED. Throws where the library gives less.
  virtual void Init() = 0;
  virtual void Finalize() = 0;
  // Ends all processes of the job; does not return.
  virtual void Abort(int code) = 0;

  virtual int Rank(int comm) = 0;
  virtual int Size(int comm) = 0;
  // A communicator of the ranks that gave the same color, in the order of key, then of rank.
  virtual int Split(int comm, int color, int key) = 0;

  virtual void Barrier(int comm) = 0;
  virtual void Broadcast(int comm, void* data, int count, MpiType type, int root) = 0;
  // In place.
  virtual void AllReduce(int comm, void* data, int count, MpiType type, MpiOp op) = 0;
  // Point to point, all at once; messages between two ranks arrive in the order of the lists.
  virtual void Transfer(int comm, const std::vector<MpiMessage>& sends,
                        const std::vector<MpiMessage>& receives) = 0;
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_MPI_MPI_CALLS_H_
