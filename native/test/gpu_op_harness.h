// What the tests of the ops on device memory share: a stream that plays TensorFlow's, the ops'
// order with it as a test asks for it, and models in device memory.
#ifndef TFJS_FTP_TEST_GPU_OP_HARNESS_H_
#define TFJS_FTP_TEST_GPU_OP_HARNESS_H_

#include <cuda_runtime_api.h>

#include <string>
#include <vector>

#include "driven.h"
#include "op_calls.h"

namespace tfjs_ftp {

// How the ops' work is ordered with TensorFlow's stream: the three ways of op/stream_order.cc, and
// none at all, on a stream of its own, run ahead of what TensorFlow has queued or long after it.
enum class Scheme { kLegacyStream, kSynchronize, kEvents, kUnorderedEarly, kUnorderedLate };
const char* SchemeName(Scheme scheme);
// For all ops from now on, whatever was chosen when they were registered.
void UseScheme(Scheme scheme);

// Finds the TensorFlow double, registers the ops with it and gives it device memory. Whether that
// worked, with the GPU kernels.
bool SetUpOps();

// The stream of TensorFlow. What it is given runs some time, in order.
class TheirStream {
 public:
  explicit TheirStream(unsigned flags);
  ~TheirStream();
  TheirStream(const TheirStream&) = delete;
  TheirStream& operator=(const TheirStream&) = delete;

  // A new tensor with these values in it when this returns.
  tf_double::TensorRef Put(const std::vector<float>& values) const;
  void Copy(const tf_double::TensorRef& to, const tf_double::TensorRef& from) const;
  void Fill(const tf_double::TensorRef& to, int byte) const;
  // The values of `from`, through a long chain of operations that has only just begun when this
  // returns.
  void ProduceSlowly(const tf_double::TensorRef& to, const tf_double::TensorRef& from) const;
  // Waits for this stream and for no other.
  std::vector<float> Get(const tf_double::TensorRef& tensor) const;

 private:
  cudaStream_t stream_ = nullptr;
};

// Variables with their states in tensors, beside the same on the host.
struct Model {
  StepOptions options;
  std::vector<Driven> variables;
  Tensors states;
  Tensors weights;

  // Puts everything into device memory.
  Model(const StepOptions& options, const std::vector<Driven>& variables,
        const TheirStream& stream);

  std::vector<int32_t> Plan(int t, bool rejoins = false);
  // Takes a step of the copies on the host, with nothing else under way: `variables` are then as
  // they should be on the device. Waits for the device.
  StepResult StepAlone(int t, bool rejoins = false);
  // Draws the gradients of step t, on the host.
  void DrawGradients(int t);
  Tensors PutGradients(const TheirStream& stream) const;

 private:
  std::vector<VariableStep> List(int t, bool rejoins);
};

// The values of tensors once the whole device has run, and what they should be.
std::vector<std::vector<float>> Downloaded(const Tensors& tensors);
std::vector<std::vector<float>> StatesOf(const std::vector<Driven>& variables);
std::vector<std::vector<float>> OutputsOf(const std::vector<Driven>& variables);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_GPU_OP_HARNESS_H_
