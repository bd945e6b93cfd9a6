// What a block does with one item of the work table: the check, pass 1 and pass 2 of a chunk, for
// which the item's record is in shared memory (TakeRecord); and the blocks of the launches that
// have one block an item.
#ifndef TFJS_FTP_KERNELS_CUDA_ITEMS_CUH_
#define TFJS_FTP_KERNELS_CUDA_ITEMS_CUH_

#include "finish.cuh"
#include "walk_columns.cuh"
#include "walk_rows.cuh"

namespace tfjs_ftp {

// Whether the check has found a gradient that is not finite: then nothing may be written.
FTP_DEVICE bool Refused(const StepArgs& args) {
  return LoadVolatile(&args.header->non_finite) != kNoVariable;
}

// Looks at the chunk's share of the gradient. x - x is 0 for finite x, NaN for NaN and infinities.
FTP_DEVICE void CheckItem(const StepArgs& args, const WorkItem& item) {
  const VariableRecord& record = args.records[item.record];
  const float* const gradient = record.gradient;
  const bool aligned = record.aligned;
  const ElementRange range = ChunkElements(record.partition, item.part);
  bool finite = true;
  for (int64_t i = range.begin + Thread() * kPackWidth; i < range.end;
       i += kBlockThreads * kPackWidth) {
    const int64_t left = range.end - i;
    const Span span = {i, 0, left < kPackWidth ? static_cast<int32_t>(left) : kPackWidth};
    AtSpan(aligned, span, [&](const auto& elements) {
      const auto g = LoadAt<Reuse::kSoon>(gradient, elements);  // pass 1 reads it again
#pragma unroll
      for (const float x : g.e) finite = finite && x - x == 0.0f;
    });
  }
  if (!finite) atomicMin(&args.header->non_finite, record.index);
}

// Plain base update of a chunk of an excluded variable: W_t = W - U.
template <BaseUpdate kBase>
FTP_DEVICE void PlainItem(const StepConstants& constants, const VariableRecord& record,
                          int64_t chunk) {
  const ElementRange range = ChunkElements(record.partition, chunk);
#pragma unroll 1
  for (int64_t i = range.begin + Thread() * kPackWidth; i < range.end;
       i += kBlockThreads * kPackWidth) {
    const int64_t left = range.end - i;
    const Span span = {i, 0, left < kPackWidth ? static_cast<int32_t>(left) : kPackWidth};
    AtSpan(record.aligned, span, [&](const auto& elements) {
      const auto g = LoadAt<Reuse::kNever>(record.gradient, elements);
      auto w = LoadAt<Reuse::kNever>(record.weights, elements);
      const auto u = BaseStep<kBase>(constants, record, elements, g, w);
#pragma unroll
      for (int k = 0; k < elements.kWidth; ++k) w.e[k] = w.e[k] - u.e[k];
      StoreAt<Reuse::kNever>(record.output, elements, w);
    });
  }
}

template <BaseUpdate kBase, DeviationMode kMode>
FTP_DEVICE void DeviateWalk(BlockShared& shared, const StepConstants& constants,
                            const VariableRecord& record, int64_t chunk) {
  switch (record.partition.walk) {
    case DeviceWalk::kRows:
    case DeviceWalk::kPieces:
      return DeviateRows<kBase, kMode>(shared, constants, record, chunk);
    case DeviceWalk::kColumns:
      // Other modes are cut for single columns (MakeDevicePartition).
      if constexpr (kMode == DeviationMode::kContinue) {
        if (record.partition.width == kPackWidth) {
          return DeviateColumns<kBase, kMode, kPackWidth>(shared, constants, record, chunk);
        }
      }
      return DeviateColumns<kBase, kMode, 1>(shared, constants, record, chunk);
    case DeviceWalk::kPlain:
      return;
  }
}

// Pass 1 of a chunk, or all of it where the variable is excluded.
template <BaseUpdate kBase>
FTP_DEVICE void DeviateItem(BlockShared& shared, const StepArgs& args, const WorkItem& item) {
  const VariableRecord& record = shared.record();
  if constexpr (kBase != BaseUpdate::kProposal) {
    if (record.excluded) return PlainItem<kBase>(args.constants, record, item.part);
  }
  switch (record.mode) {
    case DeviationMode::kFirst:
      return DeviateWalk<kBase, DeviationMode::kFirst>(shared, args.constants, record, item.part);
    case DeviationMode::kContinue:
      return DeviateWalk<kBase, DeviationMode::kContinue>(shared, args.constants, record,
                                                          item.part);
    case DeviationMode::kRejoin:
      if constexpr (kBase != BaseUpdate::kProposal) {
        return DeviateWalk<kBase, DeviationMode::kRejoin>(shared, args.constants, record,
                                                          item.part);
      }
  }
}

// Pass 2 of a chunk of a projected variable.
FTP_DEVICE void ProjectItem(BlockShared& shared, const WorkItem& item) {
  const VariableRecord& record = shared.record();
  switch (record.partition.walk) {
    case DeviceWalk::kRows:
    case DeviceWalk::kPieces:
      return ProjectRows(shared, record, item.part);
    case DeviceWalk::kColumns:
      if (record.partition.width == kPackWidth) {
        return ProjectColumns<kPackWidth>(shared, record, item.part);
      }
      return ProjectColumns<1>(shared, record, item.part);
    case DeviceWalk::kPlain:
      return;
  }
}

FTP_DEVICE void CheckBlock(const StepArgs& args) { CheckItem(args, args.items[Block()]); }

template <BaseUpdate kBase>
FTP_DEVICE void DeviateBlock(BlockShared& shared, const StepArgs& args) {
  if (Refused(args)) return;
  const WorkItem item = args.items[Block()];
  TakeRecord(shared, args, item.record);
  DeviateItem<kBase>(shared, args, item);
}

FTP_DEVICE void FinishBlock(BlockShared& shared, const StepArgs& args) {
  if (Refused(args)) return;
  const WorkItem item = args.finish_items[Block()];
  TakeRecord(shared, args, item.record);
  FinishItem(shared, args, item);
}

// In reverse: the chunks whose C was written last are the most likely to be in L2.
FTP_DEVICE void ProjectBlock(BlockShared& shared, const StepArgs& args) {
  if (Refused(args)) return;
  const WorkItem item = args.items[args.projected_count - 1 - Block()];
  TakeRecord(shared, args, item.record);
  ProjectItem(shared, item);
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_ITEMS_CUH_
