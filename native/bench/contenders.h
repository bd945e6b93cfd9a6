// What kernel_bench times: the fused step over a list of variables in one base, layout and mode,
// and plain copies to hold it against.
#ifndef TFJS_FTP_BENCH_CONTENDERS_H_
#define TFJS_FTP_BENCH_CONTENDERS_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "../kernels/step.h"
#include "lists.h"
#include "measure.h"

namespace tfjs_ftp {

struct FreeFloats {
  void operator()(float* floats) const { std::free(floats); }
};
// As aligned as TensorFlow's and JavaScript's own buffers are.
using Floats = std::unique_ptr<float[], FreeFloats>;
Floats AllocateFloats(int64_t length);

// Buffers that all contenders read, and the one they all write their new weights to.
struct SharedBuffers {
  std::vector<ListedVariable> list;
  std::vector<Floats> weights;
  std::vector<Floats> gradients;
  std::vector<Floats> outputs;
  int64_t elements = 0;

  explicit SharedBuffers(std::vector<ListedVariable> variables);
};

class Contender {
 public:
  explicit Contender(std::string name) : name_(std::move(name)) {}
  virtual ~Contender() = default;
  const std::string& name() const { return name_; }
  // One step, or one copy, on `threads` threads.
  virtual void Run(int threads) = 0;
  // Empty, or what is wrong with the result of the last Run.
  virtual std::string Check() const = 0;

 private:
  std::string name_;
};

// Two buffers of `bytes` each, filled; all copies go from the one to the other.
struct CopyBuffers {
  int64_t bytes;
  Floats source;
  Floats target;

  explicit CopyBuffers(int64_t bytes);
};

// memcpy, one slice a thread.
std::unique_ptr<Contender> MakeCopy(CopyBuffers* buffers);

// Copies with stores past the caches, in blocks that threads claim one by one. memcpy does so too,
// but only above a size that glibc takes from what the processor says of its caches, which is a
// guess in virtual machines. Null where the instruction set has no such stores.
std::unique_ptr<Contender> MakeStreamCopy(CopyBuffers* buffers);

// The fused step. Excluded: the plain base update of the same machinery.
std::unique_ptr<Contender> MakeStep(std::string name, SharedBuffers* shared,
                                    const StepOptions& options, RowOrder order, bool excluded,
                                    StateFormat format = StateFormat::kFloat32);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_BENCH_CONTENDERS_H_
