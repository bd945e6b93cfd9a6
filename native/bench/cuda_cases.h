// The contenders of cuda_bench by their axes: optimizer, layout, number of launches, check, size of
// chunks; with the bytes that each must move.
#ifndef TFJS_FTP_BENCH_CUDA_CASES_H_
#define TFJS_FTP_BENCH_CUDA_CASES_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "../kernels/cuda/launch_step.h"
#include "measure.h"

namespace tfjs_ftp {

struct Optimizer {
  std::string name;
  StepOptions options;
  bool excluded;  // every variable: the plain base update on the same machinery
  // Of a float32 parameter, every word moved once: what pass 2 reads again (C, and A of the
  // projection alone) is taken to come from L2. W weights, G gradient, A anchor, C deviation, m v
  // moments, b momentum. The norms, a number a row, are not counted.
  int bytes;
};

// By the names that --optimizer takes.
inline std::vector<Optimizer> KnownOptimizers() {
  return {
      {"ftp-adamw", AdamWOptions(), false, 36},  // G C m v A -> C m v W
      {"ftp-adamw-amsgrad", AdamWOptions(0.0, AdamW::kAmsgrad), false,
       44},                                                   // and vmax, read and written
      {"ftp-adamw-decay", AdamWOptions(0.01), false, 40},     // and W, read
      {"ftp-sgd-momentum", SgdMomentumOptions(), false, 28},  // G C b A -> C b W
      {"projection", FtpOptions<Proposal>({}), false, 24},    // G C W A -> C W
      {"adamw", AdamWOptions(), true, 28},                    // W G m v -> m v W
  };
}

// Bytes a parameter that the look for NaN and infinities reads, before anything else: G.
constexpr int kCheckBytes = 4;

struct CaseAxes {
  std::vector<std::string> optimizers = {"ftp-adamw", "adamw"};
  std::vector<std::string> layouts = {"rows", "columns"};
  std::vector<std::string> launches = {"three", "one"};
  std::vector<std::string> checks = {"off"};
  std::vector<int64_t> chunks = {CudaTuning().chunk_elements};
};

struct Case {
  std::string name;
  Optimizer optimizer;
  std::string layout;   // empty where rows do not matter
  std::string version;  // "three" or "one"
  RowOrder order = RowOrder::kRows;
  bool checked = false;
  CudaTuning tuning;

  int bytes() const { return optimizer.bytes + (checked ? kCheckBytes : 0); }
  // Kernels of a step; the copy of the work table in front of them is none.
  int launches() const {
    const bool single = optimizer.excluded || tuning.variant == CudaVariant::kOneLaunch;
    return (single ? 1 : 3) + (checked ? 1 : 0);
  }
};

// Every combination, each once: plain AdamW does not look at rows.
inline std::vector<Case> MakeCases(const CaseAxes& axes) {
  std::vector<Case> cases;
  for (const Optimizer& optimizer : KnownOptimizers()) {
    if (std::find(axes.optimizers.begin(), axes.optimizers.end(), optimizer.name) ==
        axes.optimizers.end()) {
      continue;
    }
    const std::vector<std::string> layouts =
        optimizer.excluded ? std::vector<std::string>{""} : axes.layouts;
    for (const std::string& layout : layouts) {
      for (const std::string& version : axes.launches) {
        for (const std::string& check : axes.checks) {
          for (const int64_t chunk : axes.chunks) {
            Case made;
            made.optimizer = optimizer;
            made.layout = layout;
            made.version = version;
            made.order = layout == "columns" ? RowOrder::kColumns : RowOrder::kRows;
            made.checked = check == "on";
            made.optimizer.options.check_finite = made.checked;
            made.tuning.variant =
                version == "one" ? CudaVariant::kOneLaunch : CudaVariant::kThreeLaunches;
            made.tuning.chunk_elements = chunk;
            made.name = optimizer.name + (layout.empty() ? "" : "-" + layout) + "-" + version +
                        (made.checked ? "-checked" : "") +
                        (axes.chunks.size() > 1 ? "-" + std::to_string(chunk) : "");
            cases.push_back(made);
          }
        }
      }
    }
  }
  return cases;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_BENCH_CUDA_CASES_H_
