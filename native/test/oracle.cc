#include "oracle.h"

#include <algorithm>
#include <cmath>

#include "../kernels/methods.h"

namespace tfjs_ftp {

OracleVariable::OracleVariable(int64_t o, int64_t r, int64_t i, bool is_excluded,
                               const std::vector<float>& w, const std::vector<float>& a)
    : outer(o), rows(r), inner(i), excluded(is_excluded) {
  const size_t count = static_cast<size_t>(size());
  weights.assign(w.begin(), w.end());
  anchor.assign(a.begin(), a.end());
  for (std::vector<double>* tensor : {&deviation, &m, &v, &vmax, &momentum}) {
    tensor->assign(count, 0.0);
  }
  norms.assign(static_cast<size_t>(rows), 0.0);
}

void OracleStep(const StepOptions& options, int t, int n, bool from_weights, const std::vector<float>& g,
                const std::vector<float>& proposal, OracleVariable* x) {
  const size_t count = static_cast<size_t>(x->size());
  const std::vector<double> before = x->weights;
  std::vector<double> after(count);
  for (size_t i = 0; i < count; ++i) {
    if (options.base == BaseUpdate::kProposal) {
      after[i] = static_cast<double>(proposal[i]);
      continue;
    }
    double u = 0;
    if (options.base == BaseUpdate::kAdamW) {
      const AdamW::Numbers o = ReadNumbers<AdamW::Numbers>(options.base_numbers);
      const bool amsgrad = (options.base_flags & AdamW::kAmsgrad) != 0;
      x->m[i] = o.beta1 * x->m[i] + (1 - o.beta1) * g[i];
      x->v[i] = o.beta2 * x->v[i] + (1 - o.beta2) * g[i] * g[i];
      x->vmax[i] = std::max(x->vmax[i], x->v[i]);
      const double second = amsgrad ? x->vmax[i] : x->v[i];
      u = o.learning_rate / (1 - std::pow(o.beta1, n)) * x->m[i] /
              (std::sqrt(second) / std::sqrt(1 - std::pow(o.beta2, n)) + o.epsilon) +
          o.learning_rate * o.weight_decay * before[i];
    } else {
      const Sgd::Numbers o = ReadNumbers<Sgd::Numbers>(options.base_numbers);
      double d = g[i] + o.weight_decay * before[i];
      if ((options.base_flags & Sgd::kMomentum) != 0) {
        x->momentum[i] = n == 1 ? d : o.momentum * x->momentum[i] + (1 - o.dampening) * d;
        const bool nesterov = (options.base_flags & Sgd::kNesterov) != 0;
        d = nesterov ? d + o.momentum * x->momentum[i] : x->momentum[i];
      }
      u = o.learning_rate * d;
    }
    after[i] = before[i] - u;
  }
  if (x->excluded) {
    x->weights = after;
    return;
  }
  const bool rejoin = from_weights && t > 1;
  const Ftp::Numbers o = ReadNumbers<Ftp::Numbers>(options.rule_numbers);
  std::vector<double> old_deviation = x->deviation;
  std::vector<double> old_norms = x->norms;
  if (rejoin) {
    std::fill(old_norms.begin(), old_norms.end(), 1e-8);
    for (size_t i = 0; i < count; ++i) {
      old_deviation[i] = before[i] - x->anchor[i];
      old_norms[static_cast<size_t>(x->row_of(static_cast<int64_t>(i)))] +=
          std::abs(old_deviation[i]);
    }
  }
  std::fill(x->norms.begin(), x->norms.end(), 1e-8);
  double h = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t row = static_cast<size_t>(x->row_of(static_cast<int64_t>(i)));
    x->deviation[i] = after[i] - x->anchor[i];
    x->norms[row] += std::abs(x->deviation[i]);
    if (t > 1) h += g[i] * old_deviation[i] / old_norms[row];
  }
  if (t == 1) {
    x->gamma = 1e-8;
  } else {
    x->hyper_gradient = h;
    if (h > 0) h *= o.k;
    x->gamma_m = o.beta1 * x->gamma_m + (1 - o.beta1) * h;
    x->gamma_v = o.beta2 * x->gamma_v + (1 - o.beta2) * h * h;
    x->gamma -= o.learning_rate * (x->gamma_m / (1 - std::pow(o.beta1, t))) /
                (std::sqrt(x->gamma_v / (1 - std::pow(o.beta2, t))) + 1e-8);
    const double max_norm = *std::max_element(x->norms.begin(), x->norms.end());
    x->gamma = std::min(std::max(x->gamma, 1e-8), max_norm);
  }
  for (size_t i = 0; i < count; ++i) {
    const double norm = x->norms[static_cast<size_t>(x->row_of(static_cast<int64_t>(i)))];
    x->weights[i] = x->anchor[i] + std::min(x->gamma / norm, 1.0) * x->deviation[i];
  }
}

}  // namespace tfjs_ftp
