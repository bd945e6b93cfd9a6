// What a pass over one variable needs, and the table of passes compiled for one instruction set.
#ifndef TFJS_FTP_KERNELS_CPU_PASSES_H_
#define TFJS_FTP_KERNELS_CPU_PASSES_H_

#include <cstdint>

#include "../deviation_mode.h"
#include "../ftp_kernels.h"
#include "../ftp_math.h"
#include "../partition.h"

namespace tfjs_ftp {

struct PassArgs {
  BaseUpdate base;
  DeviationMode mode;
  bool amsgrad;
  bool momentum_slot;
  bool nesterov;
  bool first_update;  // n = 1
  bool decays;        // weight decay is not zero
  bool stream;        // the output is too large to stay in cache: write past it
  AdamWScalars adamw;
  SgdScalars sgd;
  float gamma;  // pass 1: gamma_{t-1}; pass 2: gamma_t
  const float* weights;
  const float* gradient;
  const float* anchor;
  float* deviation;
  float* m;
  float* v;
  float* vmax;
  float* momentum;
  float* norms;  // pass 1 reads n_{t-1}; n_t is there before pass 2
  float* output;
  Partition partition;
  double* partials;   // see Partition::partials
  double* chunk_h;    // (chunks) share of the hyper-gradient
  double* chunk_max;  // (chunks) largest norm, where a chunk has whole rows
};

struct PassTable {
  const char* name;
  // Pass 1 of a projected variable over one chunk: base update, C_t, partial sums.
  void (*deviate)(const PassArgs& args, int64_t chunk);
  // Pass 2 over one chunk: W_t = A + clip(gamma / n, 0, 1) C_t.
  void (*project)(const PassArgs& args, int64_t chunk);
  // Plain base update of elements [begin, end) of an excluded variable: W_t = W - U.
  void (*plain)(const PassArgs& args, int64_t begin, int64_t end);
  // Whether all of x[0 .. count) are finite.
  bool (*all_finite)(const float* x, int64_t count);
};

// Compiled from passes.cc once per instruction set.
const PassTable& PassesScalar();
const PassTable& PassesSse2();
const PassTable& PassesAvx2();
const PassTable& PassesAvx512();
const PassTable& PassesNeon();

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CPU_PASSES_H_
