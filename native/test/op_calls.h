// Calls of the registered ops on tensors of the TensorFlow double, as src/backends/op.ts makes
// them.
#ifndef TFJS_FTP_TEST_OP_CALLS_H_
#define TFJS_FTP_TEST_OP_CALLS_H_

#include <string>
#include <vector>

#include "../kernels/step.h"
#include "tf_double.h"

namespace tfjs_ftp {

using Tensors = std::vector<tf_double::TensorRef>;

// The plan of a step (kernels/plan.h) over these variables; their pointers are not looked at.
std::vector<int32_t> EncodePlan(const StepOptions& options,
                                const std::vector<VariableStep>& variables);

// A tensor of integers in host memory.
tf_double::TensorRef Integers(const std::vector<int32_t>& words);
tf_double::TensorRef Integers64(const std::vector<int64_t>& numbers);

// `device`: "CPU" or "GPU".
tf_double::Result CallAllocate(const std::string& device, int64_t length);
tf_double::Result CallRead(const std::string& device, const tf_double::TensorRef& state,
                           int64_t offset, int64_t length);
tf_double::Result CallWrite(const std::string& device, const tf_double::TensorRef& state,
                            const tf_double::TensorRef& values, int64_t offset);
tf_double::Result CallStep(const std::string& device, const std::vector<int32_t>& plan,
                           const Tensors& states, const Tensors& weights, const Tensors& gradients,
                           const Tensors& proposals = {});

tf_double::Result CallGather(const std::string& device, const std::vector<int32_t>& plan,
                             const Tensors& states, const Tensors& weights,
                             const Tensors& gradients, int32_t want);
// The numbers of its output.
std::vector<double> GatheredBy(const tf_double::Result& result);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_OP_CALLS_H_
