// What a block does with one item of the work table: the check, pass 1 and pass 2 of a chunk, for
// which the item's record is in shared memory (TakeRecord); and the blocks of the launches that
// have one block an item.
#ifndef TFJS_FTP_KERNELS_CUDA_ITEMS_CUH_
#define TFJS_FTP_KERNELS_CUDA_ITEMS_CUH_

#include "../methods.h"
#include "finish.cuh"
#include "walk_columns.cuh"
#include "walk_rows.cuh"

namespace tfjs_ftp {

// Whether the check has found a gradient that is not finite: then nothing may be written.
FTP_DEVICE bool Refused(const StepArgs& args) {
  return LoadVolatile(&args.header->non_finite) != kNoVariable;
}

// Looks at the chunk's share of the gradient. x - x is 0 for finite x, NaN for NaN and infinities.
template <int kWidth>
FTP_DEVICE bool AllFinite(const Pack<kWidth>& g) {
  bool finite = true;
#pragma unroll
  for (const float x : g.e) finite = finite && x - x == 0.0f;
  return finite;
}

FTP_DEVICE void CheckItem(const StepArgs& args, const WorkItem& item) {
  const VariableRecord& record = args.records[item.record];
  const float* const gradient = record.gradient;
  bool finite = true;
  ForElements(record.aligned, ChunkElements(record.partition, item.part),
              [&](const auto& elements) {
                // Pass 1 reads it again.
                finite = AllFinite(elements.LoadSoon(gradient)) && finite;
              });
  if (!finite) atomicMin(&args.header->non_finite, record.index);
}

// The sums that a rule takes of a chunk before anything is written, and the check, in one read of
// the gradient.
template <class RulePiece>
FTP_DEVICE void GatherItem(BlockShared& shared, const StepArgs& args, const WorkItem& item) {
  constexpr int kSums = RulePiece::kGatherSums;
  TakeRecord(shared, args, item.record);
  const VariableRecord& record = shared.record();
  const bool gathers = record.gather_sums > 0;
  bool finite = true;
  double sums[kSums] = {};
  ForElements(
      record.aligned, ChunkElements(record.partition, item.part), [&](const auto& elements) {
        const auto g = elements.LoadSoon(record.gradient);
        finite = AllFinite(g) && finite;
        if (!gathers) return;
        const auto terms = RulePiece::Gather(elements, record, SeenGradient(record.around, g));
#pragma unroll
        for (int s = 0; s < kSums; ++s) AddTo(&sums[s], terms.sum[s]);
      });
  if (!finite && args.check) atomicMin(&args.header->non_finite, record.index);
  if (!gathers) return;
#pragma unroll
  for (int s = 0; s < kSums; ++s) {
    const double sum = BlockSum(shared, sums[s]);
    if (Thread() == 0) record.gathered()[item.part * kSums + s] = sum;
  }
}

// What the rule makes of a variable's sums.
template <class RulePiece>
FTP_DEVICE void FinishGathering(BlockShared& shared, const StepArgs& args, int32_t index) {
  constexpr int kSums = RulePiece::kGatherSums;
  TakeRecord(shared, args, index);
  const VariableRecord& record = shared.record();
  if (record.gather_sums == 0) return;
  double sums[kSums];
#pragma unroll
  for (int s = 0; s < kSums; ++s) {
    double sum = 0.0;
    for (int64_t chunk = Thread(); chunk < record.partition.chunks; chunk += kBlockThreads) {
      sum += record.gathered()[chunk * kSums + s];
    }
    sums[s] = BlockSum(shared, sum);
  }
  if (Thread() == 0) {
    *record.gathered_level() =
        RulePiece::FinishGather(record.rule_scalars.As<typename RulePiece::Scalars>(), sums,
                                record.constraint(), record.norms());
  }
}

// The one pass of a rule that does not project, over a chunk.
template <class Base, class RulePiece>
FTP_DEVICE void PlainItem(const VariableRecord& record, int64_t chunk) {
  const auto& base = record.base_scalars.As<typename Base::Scalars>();
  const auto& rule = record.rule_scalars.As<typename RulePiece::Scalars>();
  float level = 0.0f;
  if constexpr (RulePiece::kGatherSums > 0) level = static_cast<float>(*record.gathered_level());
  ForElements(record.aligned, ChunkElements(record.partition, chunk), [&](const auto& elements) {
    elements.Store(record.output,
                   PlainElements<Base, RulePiece>(elements, record, base, rule, level));
  });
}

template <class Base, class RulePiece, DeviationMode kMode>
FTP_DEVICE void DeviateWalk(BlockShared& shared, const VariableRecord& record, int64_t chunk) {
  if constexpr (RulePiece::template kHasMode<kMode>) {
    switch (record.partition.walk) {
      case DeviceWalk::kRows:
      case DeviceWalk::kPieces:
        return DeviateRows<Base, RulePiece, kMode>(shared, record, chunk);
      case DeviceWalk::kColumns:
        // Other modes are cut for single columns (MakeDevicePartition).
        if constexpr (kMode == DeviationMode::kContinue) {
          if (record.partition.width == kPackWidth) {
            return DeviateColumns<Base, RulePiece, kMode, kPackWidth>(shared, record, chunk);
          }
        }
        return DeviateColumns<Base, RulePiece, kMode, 1>(shared, record, chunk);
      case DeviceWalk::kPlain:
        return;
    }
  }
}

// Pass 1 of a chunk, or all of it where there is no second.
template <class Base, class RulePiece>
FTP_DEVICE void DeviateItem(BlockShared& shared, const WorkItem& item) {
  const VariableRecord& record = shared.record();
  if constexpr (kCompiled<Base, NoRule>) {
    if (record.rule == Rule::kNone) return PlainItem<Base, NoRule>(record, item.part);
  }
  if constexpr (RulePiece::kProjects) {
    switch (record.mode) {
      case DeviationMode::kFirst:
        return DeviateWalk<Base, RulePiece, DeviationMode::kFirst>(shared, record, item.part);
      case DeviationMode::kContinue:
        return DeviateWalk<Base, RulePiece, DeviationMode::kContinue>(shared, record, item.part);
      case DeviationMode::kRejoin:
        return DeviateWalk<Base, RulePiece, DeviationMode::kRejoin>(shared, record, item.part);
    }
  } else if constexpr (!std::is_same<RulePiece, NoRule>::value) {
    PlainItem<Base, RulePiece>(record, item.part);
  }
}

// Pass 2 of a chunk of a projected variable.
template <class RulePiece>
FTP_DEVICE void ProjectItem(BlockShared& shared, const WorkItem& item) {
  const VariableRecord& record = shared.record();
  switch (record.partition.walk) {
    case DeviceWalk::kRows:
    case DeviceWalk::kPieces:
      return ProjectRows<RulePiece>(shared, record, item.part);
    case DeviceWalk::kColumns:
      if (record.partition.width == kPackWidth) {
        return ProjectColumns<RulePiece, kPackWidth>(shared, record, item.part);
      }
      return ProjectColumns<RulePiece, 1>(shared, record, item.part);
    case DeviceWalk::kPlain:
      return;
  }
}

FTP_DEVICE void CheckBlock(const StepArgs& args) { CheckItem(args, args.items[Block()]); }

template <class RulePiece>
FTP_DEVICE void GatherBlock(BlockShared& shared, const StepArgs& args) {
  GatherItem<RulePiece>(shared, args, args.items[Block()]);
}

template <class RulePiece>
FTP_DEVICE void FinishGatheringBlock(BlockShared& shared, const StepArgs& args) {
  if (!Refused(args)) FinishGathering<RulePiece>(shared, args, Block());
}

template <class Base, class RulePiece>
FTP_DEVICE void DeviateBlock(BlockShared& shared, const StepArgs& args) {
  if (Refused(args)) return;
  const WorkItem item = args.items[Block()];
  TakeRecord(shared, args, item.record);
  DeviateItem<Base, RulePiece>(shared, item);
}

template <class RulePiece>
FTP_DEVICE void FinishBlock(BlockShared& shared, const StepArgs& args) {
  if (Refused(args)) return;
  const WorkItem item = args.finish_items[Block()];
  TakeRecord(shared, args, item.record);
  FinishItem<RulePiece>(shared, args, item);
}

// In reverse: the chunks whose C was written last are the most likely to be in L2.
template <class RulePiece>
FTP_DEVICE void ProjectBlock(BlockShared& shared, const StepArgs& args) {
  if (Refused(args)) return;
  const WorkItem item = args.items[args.projected_count - 1 - Block()];
  TakeRecord(shared, args, item.record);
  ProjectItem<RulePiece>(shared, item);
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_ITEMS_CUH_
