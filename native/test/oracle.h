// The step in float64, one element at a time, written from the equations of docs/algorithm.md and
// sharing no code with the kernels.
#ifndef TFJS_FTP_TEST_ORACLE_H_
#define TFJS_FTP_TEST_ORACLE_H_

#include <cstdint>
#include <limits>
#include <vector>

#include "../kernels/step.h"

namespace tfjs_ftp {

struct OracleVariable {
  int64_t outer, rows, inner;
  bool excluded = false;
  StateFormat format = StateFormat::kFloat32;
  std::vector<double> weights, anchor, deviation, m, v, vmax, momentum, norms, average, seen;
  // The rule's numbers of the tensor: FTP's gamma, DiGraP's omega, the radius, SPD's strength.
  double gamma = 0, gamma_m = 0, gamma_v = 0, hyper_gradient = 0;

  OracleVariable(int64_t outer, int64_t rows, int64_t inner, bool excluded,
                 const std::vector<float>& weights, const std::vector<float>& anchor);
  int64_t size() const { return outer * rows * inner; }
  // Its row among those that the rule has a number for: one where it takes the tensor as a whole.
  size_t row_of(int64_t i) const {
    return norms.size() == 1 ? 0 : static_cast<size_t>(i / inner % rows);
  }
};

// What bfloat16 holds of x: 8 significant bits, to nearest, ties to even.
double Bfloat16(double x);

// What a step does around its method, as in VariableStep.
struct OracleAround {
  double gradient_scale = 1;
  double clip_value = std::numeric_limits<double>::infinity();
  double ema_momentum = 0;
};

// One step with the gradient `g`; t and n as in VariableStep. `proposal`: what another optimizer
// proposes, under kProposal.
void OracleStep(const StepOptions& options, const OracleAround& around, int t, int n,
                bool from_weights, const std::vector<float>& g, const std::vector<float>& proposal,
                OracleVariable* variable);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_ORACLE_H_
