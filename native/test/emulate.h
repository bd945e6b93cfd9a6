// CudaStep on the host: the same table, the same kernel bodies, fibers for threads (simt_host.h).
// Scratch memory has exactly the size that MeasureTable asks for and holds NaN where the table is
// not copied to.
#ifndef TFJS_FTP_TEST_EMULATE_H_
#define TFJS_FTP_TEST_EMULATE_H_

#include <cstring>
#include <memory>

#include "../kernels/cpu/float_mode.h"
#include "../kernels/cuda/fused.cuh"
#include "../kernels/cuda/items.cuh"
#include "simt_host.h"

namespace tfjs_ftp {

struct Emulation {
  CudaTuning tuning;
  int64_t resident = 3;  // blocks at a time in the one-launch version
  ThreadOrder order = ThreadOrder::kForward;
};

template <BaseUpdate kBase>
void EmulatePasses(const StepArgs& args, const Emulation& emulation) {
  const auto grid = [&](int64_t blocks, const std::function<void(const HostSimt&)>& body) {
    RunGrid(blocks, 2, emulation.order, body);
  };
  if (emulation.tuning.variant == CudaVariant::kOneLaunch) {
    if (args.fused_count == 0) return;
    RunGrid(emulation.resident, emulation.resident, emulation.order,
            [&](const HostSimt& simt) { RunFusedBlock<HostSimt, kBase>(simt, args); });
    return;
  }
  grid(args.item_count, [&](const HostSimt& simt) { DeviateBlock<HostSimt, kBase>(simt, args); });
  grid(args.finish_count, [&](const HostSimt& simt) { FinishBlock(simt, args); });
  grid(args.projected_count, [&](const HostSimt& simt) { ProjectBlock(simt, args); });
}

inline StepResult EmulateStep(const StepOptions& options, const VariableStep* variables,
                              int64_t count, const Emulation& emulation) {
  const KernelFloatMode float_mode;  // as nvcc is told
  const TableShape shape = MeasureTable(options, variables, count, emulation.tuning);
  if (shape.status != StepStatus::kOk) return {shape.status, shape.variable};
  const size_t table_bytes = static_cast<size_t>(shape.table_bytes);
  const size_t scratch_bytes = static_cast<size_t>(shape.scratch_bytes);
  std::unique_ptr<char[]> table(new char[table_bytes]);
  std::unique_ptr<char[]> scratch(new char[scratch_bytes]);
  std::memset(scratch.get(), 0xff, scratch_bytes);
  const StepArgs args = BuildTable(options, variables, count, emulation.tuning, shape,
                                   emulation.resident, table.get(), scratch.get());
  std::memcpy(scratch.get(), table.get(), table_bytes);
  table.reset();  // nothing reads it once it is copied
  if (options.check_finite) {
    RunGrid(args.item_count, 2, emulation.order,
            [&](const HostSimt& simt) { CheckBlock(simt, args); });
  }
  switch (options.base) {
    case BaseUpdate::kAdamW:
      EmulatePasses<BaseUpdate::kAdamW>(args, emulation);
      break;
    case BaseUpdate::kSgd:
      EmulatePasses<BaseUpdate::kSgd>(args, emulation);
      break;
    case BaseUpdate::kProposal:
      EmulatePasses<BaseUpdate::kProposal>(args, emulation);
      break;
  }
  int32_t flag = 0;
  std::memcpy(&flag, scratch.get() + kFlagOffset, sizeof(flag));
  if (flag != kNoVariable) return {StepStatus::kNonFiniteGradient, flag};
  return {};
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_EMULATE_H_
