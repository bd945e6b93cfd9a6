#include "emulate.h"

#include <cstring>
#include <memory>

#include "../kernels/cpu/float_mode.h"
#include "../kernels/cuda/fused.cuh"
#include "../kernels/cuda/items.cuh"

namespace tfjs_ftp {
namespace {

// Blocks at a time in launches that have one block an item.
constexpr int64_t kResident = 2;

void Grid(int64_t blocks, int64_t resident, ThreadOrder order,
          const std::function<void(const HostSimt&)>& body) {
  const KernelFloatMode float_mode;  // as nvcc is told
  RunGrid(blocks, resident, order, body);
}

template <BaseUpdate kBase>
void Deviate(const StepArgs& args, ThreadOrder order) {
  Grid(args.item_count, kResident, order,
       [&](const HostSimt& simt) { DeviateBlock<HostSimt, kBase>(simt, args); });
}

template <BaseUpdate kBase>
void Fused(const StepArgs& args, int64_t blocks, ThreadOrder order) {
  Grid(blocks, blocks, order,
       [&](const HostSimt& simt) { RunFusedBlock<HostSimt, kBase>(simt, args); });
}

}  // namespace

void EmulateCheck(const StepArgs& args, ThreadOrder order) {
  Grid(args.item_count, kResident, order, [&](const HostSimt& simt) { CheckBlock(simt, args); });
}

void EmulateDeviate(BaseUpdate base, const StepArgs& args, ThreadOrder order) {
  switch (base) {
    case BaseUpdate::kAdamW:
      return Deviate<BaseUpdate::kAdamW>(args, order);
    case BaseUpdate::kSgd:
      return Deviate<BaseUpdate::kSgd>(args, order);
    case BaseUpdate::kProposal:
      return Deviate<BaseUpdate::kProposal>(args, order);
  }
}

void EmulateFinish(const StepArgs& args, ThreadOrder order) {
  Grid(args.finish_count, kResident, order, [&](const HostSimt& simt) { FinishBlock(simt, args); });
}

void EmulateProject(const StepArgs& args, ThreadOrder order) {
  Grid(args.projected_count, kResident, order,
       [&](const HostSimt& simt) { ProjectBlock(simt, args); });
}

void EmulateFused(BaseUpdate base, const StepArgs& args, int64_t blocks, ThreadOrder order) {
  switch (base) {
    case BaseUpdate::kAdamW:
      return Fused<BaseUpdate::kAdamW>(args, blocks, order);
    case BaseUpdate::kSgd:
      return Fused<BaseUpdate::kSgd>(args, blocks, order);
    case BaseUpdate::kProposal:
      return Fused<BaseUpdate::kProposal>(args, blocks, order);
  }
}

StepResult EmulateStep(const StepOptions& options, const VariableStep* variables, int64_t count,
                       const Emulation& emulation) {
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
  const ThreadOrder order = emulation.order;
  if (options.check_finite) EmulateCheck(args, order);
  if (emulation.tuning.variant == CudaVariant::kOneLaunch) {
    if (args.fused_count > 0) EmulateFused(options.base, args, emulation.resident, order);
  } else {
    EmulateDeviate(options.base, args, order);
    EmulateFinish(args, order);
    EmulateProject(args, order);
  }
  int32_t flag = 0;
  std::memcpy(&flag, scratch.get() + kFlagOffset, sizeof(flag));
  if (flag != kNoVariable) return {StepStatus::kNonFiniteGradient, flag};
  return {};
}

}  // namespace tfjs_ftp
