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
  for (std::vector<double>* tensor : {&deviation, &m, &v, &vmax, &momentum, &average, &seen}) {
    tensor->assign(count, 0.0);
  }
  norms.assign(static_cast<size_t>(rows), 0.0);
}

double Bfloat16(double x) {
  int exponent = 0;
  const double fraction = std::frexp(x, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8);
}

namespace {

// `values` as the state holds them.
void Store(const OracleVariable& x, std::vector<double>* values) {
  if (x.format != StateFormat::kBfloat16) return;
  for (double& value : *values) value = Bfloat16(value);
}

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// Adam on one number; bias correction with t.
double StepNumber(double x, double h, double rate, double beta1, double beta2, int t, double* m,
                  double* v) {
  *m = beta1 * *m + (1 - beta1) * h;
  *v = beta2 * *v + (1 - beta2) * h * h;
  return x -
         rate * (*m / (1 - std::pow(beta1, t))) / (std::sqrt(*v / (1 - std::pow(beta2, t))) + 1e-8);
}

// What the base update would leave for the gradient `g`.
std::vector<double> Propose(const StepOptions& options, int n, const std::vector<double>& g,
                            OracleVariable* x) {
  std::vector<double> after(g.size());
  for (size_t i = 0; i < g.size(); ++i) {
    double u = 0;
    if (options.base == BaseUpdate::kAdamW) {
      const AdamW::Numbers o = ReadNumbers<AdamW::Numbers>(options.numbers.base);
      const bool amsgrad = (options.base_flags & AdamW::kAmsgrad) != 0;
      x->m[i] = o.beta1 * x->m[i] + (1 - o.beta1) * g[i];
      x->v[i] = o.beta2 * x->v[i] + (1 - o.beta2) * g[i] * g[i];
      x->vmax[i] = std::max(x->vmax[i], x->v[i]);
      const double second = amsgrad ? x->vmax[i] : x->v[i];
      u = o.learning_rate / (1 - std::pow(o.beta1, n)) * x->m[i] /
              (std::sqrt(second) / std::sqrt(1 - std::pow(o.beta2, n)) + o.epsilon) +
          o.learning_rate * o.weight_decay * x->weights[i];
    } else {
      const Sgd::Numbers o = ReadNumbers<Sgd::Numbers>(options.numbers.base);
      double d = g[i] + o.weight_decay * x->weights[i];
      if ((options.base_flags & Sgd::kMomentum) != 0) {
        x->momentum[i] = n == 1 ? d : o.momentum * x->momentum[i] + (1 - o.dampening) * d;
        const bool nesterov = (options.base_flags & Sgd::kNesterov) != 0;
        d = nesterov ? d + o.momentum * x->momentum[i] : x->momentum[i];
      }
      u = o.learning_rate * d;
    }
    after[i] = x->weights[i] - u;
  }
  return after;
}

// DiGraP: g with its part along the deviation taken out. `d`: the deviation before the step.
std::vector<double> WithoutConflict(const StepOptions& options, int t, const std::vector<double>& g,
                                    const std::vector<double>& d, OracleVariable* x) {
  const Digrap::Numbers o = ReadNumbers<Digrap::Numbers>(options.numbers.rule);
  if (t == 1) {
    x->gamma = x->gamma_m = x->gamma_v = x->hyper_gradient = 0;
  } else {
    x->hyper_gradient = x->norms[0] * Dot(g, x->deviation);
    x->gamma = StepNumber(x->gamma, x->hyper_gradient, o.learning_rate, o.beta1, o.beta2, t,
                          &x->gamma_m, &x->gamma_v);
    x->gamma = std::min(std::max(x->gamma, 0.0), 1.0);
  }
  const double dot = Dot(g, d);
  const double k = dot / (Dot(d, d) + 1e-8);
  x->norms[0] = options.numbers.base[0] * k;
  x->deviation = d;
  std::vector<double> result = g;
  for (size_t i = 0; i < g.size() && dot < 0; ++i) result[i] -= x->gamma * k * d[i];
  return result;
}

// Norms of rows as the rule takes them.
std::vector<double> Norms(const OracleVariable& x, const std::vector<double>& c, bool squares,
                          double epsilon) {
  std::vector<double> norms(x.norms.size(), epsilon);
  for (size_t i = 0; i < c.size(); ++i) {
    norms[x.row_of(static_cast<int64_t>(i))] += squares ? c[i] * c[i] : std::abs(c[i]);
  }
  for (double& norm : norms) norm = squares ? std::sqrt(norm) : norm;
  return norms;
}

// FTP: gamma and the shares s of the rows. `old` and `old_norms`: C_{t-1} and n_{t-1}.
std::vector<double> FtpShares(const StepOptions& options, int t, const std::vector<double>& g,
                              const std::vector<double>& old, const std::vector<double>& old_norms,
                              bool rejoin, OracleVariable* x) {
  const Ftp::Numbers o = ReadNumbers<Ftp::Numbers>(options.numbers.rule);
  const bool exact = (options.rule_flags & Ftp::kExact) != 0;
  x->norms = Norms(*x, x->deviation, false, 1e-8);
  if (t == 1) {
    x->gamma = 1e-8;
  } else {
    double h = 0;
    for (size_t i = 0; i < g.size(); ++i) {
      const double norm = old_norms[x->row_of(static_cast<int64_t>(i))];
      if (!exact || (!rejoin && x->gamma < norm)) h += g[i] * old[i] / norm;
    }
    x->hyper_gradient = h;
    if (h > 0) h *= o.k;
    x->gamma =
        StepNumber(x->gamma, h, o.learning_rate, o.beta1, o.beta2, t, &x->gamma_m, &x->gamma_v);
    const double max_norm = *std::max_element(x->norms.begin(), x->norms.end());
    x->gamma = std::min(std::max(x->gamma, 1e-8), max_norm);
  }
  std::vector<double> shares;
  for (const double norm : x->norms) shares.push_back(std::min(x->gamma / norm, 1.0));
  return shares;
}

std::vector<double> FixedRadiusShares(const StepOptions& options, OracleVariable* x) {
  const double radius = ReadNumbers<FixedRadius::Numbers>(options.numbers.rule).radius;
  x->norms = Norms(*x, x->deviation, (options.rule_flags & FixedRadius::kFrobenius) != 0, 0.0);
  x->gamma = radius;
  std::vector<double> shares;
  for (const double norm : x->norms) shares.push_back(1 / std::max(1.0, norm / radius));
  return shares;
}

// SPD. `d`: the deviation before the step.
std::vector<double> SpdShares(const StepOptions& options, const std::vector<double>& g,
                              const std::vector<double>& d, OracleVariable* x) {
  const double strength = ReadNumbers<Spd::Numbers>(options.numbers.rule).strength;
  const bool rows = (options.rule_flags & Spd::kRows) != 0;
  const std::vector<double> after = Norms(*x, x->deviation, !rows, rows ? 1e-8 : 0.0);
  const std::vector<double> before = Norms(*x, d, !rows, rows ? 1e-8 : 0.0);
  x->gamma = Dot(g, d) > 0 ? strength : 0;
  std::vector<double> shares;
  for (size_t r = 0; r < after.size(); ++r) {
    const double ratio = after[r] == 0 ? 0 : (after[r] - before[r]) / after[r];
    x->norms[r] = std::min(std::max(ratio, 0.0), 1.0);
    shares.push_back(1 - x->gamma * x->norms[r]);
  }
  return shares;
}

// The method's own step, with the gradient that it sees.
void MethodStep(const StepOptions& options, int t, int n, bool from_weights, std::vector<double> g,
                const std::vector<float>& proposal, OracleVariable* x) {
  const Rule rule = x->excluded ? Rule::kNone : options.rule;
  x->norms.resize(static_cast<size_t>(RuleIsWhole(options) ? 1 : x->rows));
  std::vector<double> d(g.size());
  for (size_t i = 0; i < d.size(); ++i) d[i] = x->weights[i] - x->anchor[i];
  const double strength = ReadNumbers<L2Sp::Numbers>(options.numbers.rule).strength;
  const bool coupled = (options.rule_flags & L2Sp::kCoupled) != 0;
  if (rule == Rule::kDigrap) g = WithoutConflict(options, t, g, d, x);
  for (size_t i = 0; i < g.size() && rule == Rule::kL2Sp && coupled; ++i) g[i] += strength * d[i];
  std::vector<double> after(proposal.begin(), proposal.end());
  if (options.base != BaseUpdate::kProposal) after = Propose(options, n, g, x);
  if (rule == Rule::kNone || rule == Rule::kL2Sp || rule == Rule::kDigrap) {
    const bool decays = rule == Rule::kL2Sp && !coupled;
    const double rate = decays ? options.numbers.base[0] * strength : 0;
    for (size_t i = 0; i < g.size(); ++i) x->weights[i] = after[i] - rate * d[i];
    return;
  }
  const bool rejoin = from_weights && t > 1;
  const std::vector<double> old = rejoin ? d : x->deviation;
  const std::vector<double> old_norms = rejoin ? Norms(*x, d, false, 1e-8) : x->norms;
  for (size_t i = 0; i < g.size(); ++i) x->deviation[i] = after[i] - x->anchor[i];
  Store(*x, &x->deviation);
  const std::vector<double> shares = rule == Rule::kFtp
                                         ? FtpShares(options, t, g, old, old_norms, rejoin, x)
                                     : rule == Rule::kSpd ? SpdShares(options, g, d, x)
                                                          : FixedRadiusShares(options, x);
  for (size_t i = 0; i < g.size(); ++i) {
    x->weights[i] = x->anchor[i] + shares[x->row_of(static_cast<int64_t>(i))] * x->deviation[i];
  }
}

}  // namespace

void OracleStep(const StepOptions& options, const OracleAround& around, int t, int n,
                bool from_weights, const std::vector<float>& gradient,
                const std::vector<float>& proposal, OracleVariable* x) {
  for (size_t i = 0; i < gradient.size(); ++i) {
    const double g = around.gradient_scale * gradient[i];
    x->seen[i] = std::min(std::max(g, -around.clip_value), around.clip_value);
  }
  MethodStep(options, t, n, from_weights, x->seen, proposal, x);
  for (auto* slot : {&x->deviation, &x->m, &x->v, &x->vmax, &x->momentum}) Store(*x, slot);
  for (size_t i = 0; i < gradient.size(); ++i) {
    x->average[i] = around.ema_momentum * x->average[i] + (1 - around.ema_momentum) * x->weights[i];
  }
}

}  // namespace tfjs_ftp
