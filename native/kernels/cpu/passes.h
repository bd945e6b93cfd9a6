// What a pass over one variable needs, and the table of passes compiled for one instruction set.
#ifndef TFJS_FTP_KERNELS_CPU_PASSES_H_
#define TFJS_FTP_KERNELS_CPU_PASSES_H_

#include <cstdint>

#include "../around.h"
#include "../methods/last_update.h"
#include "../methods/method.h"
#include "../partition.h"
#include "../scalar_bytes.h"
#include "../slots.h"
#include "../step.h"

namespace tfjs_ftp {

struct PassArgs {
  BaseUpdate base;
  Rule rule;
  DeviationMode mode;
  bool stream;  // the output is too large to stay in cache: write past it
  ScalarBytes base_scalars;
  ScalarBytes rule_scalars;
  Around around;
  // The number that the rule has for the whole tensor. Of a rule that projects: in pass 1 that of
  // step t - 1, in pass 2 that of step t (FTP: gamma). Of others: what its gathering found.
  float level;
  const float* weights;
  const float* gradient;
  const float* proposal;
  float* output;
  StatePointers state;
  Partition partition;
  double* partials;     // see Partition::partials
  double* chunk_total;  // (chunks) share of the rule's total, FTP's hyper-gradient
  double* chunk_max;    // (chunks) largest row number, where a chunk has whole rows
  // Of gathering, whose scalars are those of the last update.
  LastUpdate last;
};

struct PassTable {
  const char* name;
  // Pass 1 of a rule that projects over one chunk: base update, C_t, partial sums.
  void (*deviate)(const PassArgs& args, int64_t chunk);
  // Pass 2 over one chunk: W_t = A + s C_t.
  void (*project)(const PassArgs& args, int64_t chunk);
  // The one pass of a rule that does not project over elements [begin, end).
  void (*plain)(const PassArgs& args, int64_t begin, int64_t end);
  // The sums over elements [begin, end) that a rule takes before anything is written. Returns
  // whether their gradients are finite: one read of the gradient serves both.
  bool (*gather)(const PassArgs& args, int64_t begin, int64_t end, double* sums);
  // Whether all of x[0 .. count) are finite.
  bool (*all_finite)(const float* x, int64_t count);
  // The sums of a chunk (kGatherNumbers) before a step. Of rows that turn and lie in several
  // chunks, what their turning needs goes to the partials. Returns whether the gradients are
  // finite.
  bool (*sums)(const PassArgs& args, int64_t chunk, double* numbers);
};

// Compiled from passes.cc once per instruction set and format of the state.
const PassTable& PassesScalar();
const PassTable& PassesSse2();
const PassTable& PassesAvx2();
const PassTable& PassesAvx512();
const PassTable& PassesNeon();
const PassTable& PassesScalarBfloat16();
const PassTable& PassesSse2Bfloat16();
const PassTable& PassesAvx2Bfloat16();
const PassTable& PassesAvx512Bfloat16();
const PassTable& PassesNeonBfloat16();
const PassTable& PassesAvx512Bfloat16Instruction();

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CPU_PASSES_H_
