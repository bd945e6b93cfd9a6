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
template <class Simt>
FTP_DEVICE bool Refused(const Simt& simt, const StepArgs& args) {
  return simt.LoadVolatile(&args.header->non_finite) != kNoVariable;
}

// Looks at the chunk's share of the gradient. x - x is 0 for finite x, NaN for NaN and infinities.
template <class Simt>
FTP_DEVICE void CheckItem(const Simt& simt, const StepArgs& args, const WorkItem& item) {
  const VariableRecord& record = args.records[item.record];
  const float* const gradient = record.gradient;
  const bool aligned = record.aligned;
  const ElementRange range = ChunkElements(record.partition, item.part);
  bool finite = true;
  for (int64_t i = range.begin + simt.Thread() * kPackWidth; i < range.end;
       i += kBlockThreads * kPackWidth) {
    const int64_t left = range.end - i;
    const Span span = {i, 0, left < kPackWidth ? static_cast<int32_t>(left) : kPackWidth};
    AtSpan(aligned, span, [&](const auto& elements) {
      const auto g = LoadAt<Simt, Reuse::kSoon>(simt, gradient, elements);  // pass 1 reads it again
#pragma unroll
      for (const float x : g.e) finite = finite && x - x == 0.0f;
    });
  }
  if (!finite) simt.AtomicMin(&args.header->non_finite, record.index);
}

// Plain base update of a chunk of an excluded variable: W_t = W - U.
template <class Simt, BaseUpdate kBase>
FTP_DEVICE void PlainItem(const Simt& simt, const StepConstants& constants,
                          const VariableRecord& record, int64_t chunk) {
  const ElementRange range = ChunkElements(record.partition, chunk);
#pragma unroll 1
  for (int64_t i = range.begin + simt.Thread() * kPackWidth; i < range.end;
       i += kBlockThreads * kPackWidth) {
    const int64_t left = range.end - i;
    const Span span = {i, 0, left < kPackWidth ? static_cast<int32_t>(left) : kPackWidth};
    AtSpan(record.aligned, span, [&](const auto& elements) {
      const auto g = LoadAt<Simt, Reuse::kNever>(simt, record.gradient, elements);
      auto w = LoadAt<Simt, Reuse::kNever>(simt, record.weights, elements);
      const auto u = BaseStep<Simt, kBase>(simt, constants, record, elements, g, w);
#pragma unroll
      for (int k = 0; k < elements.kWidth; ++k) w.e[k] = w.e[k] - u.e[k];
      StoreAt<Simt, Reuse::kNever>(simt, record.output, elements, w);
    });
  }
}

template <class Simt, BaseUpdate kBase, DeviationMode kMode>
FTP_DEVICE void DeviateWalk(const Simt& simt, const StepConstants& constants,
                            const VariableRecord& record, int64_t chunk) {
  switch (record.partition.walk) {
    case DeviceWalk::kRows:
    case DeviceWalk::kPieces:
      return DeviateRows<Simt, kBase, kMode>(simt, constants, record, chunk);
    case DeviceWalk::kColumns:
      // Other modes are cut for single columns (MakeDevicePartition).
      if constexpr (kMode == DeviationMode::kContinue) {
        if (record.partition.width == kPackWidth) {
          return DeviateColumns<Simt, kBase, kMode, kPackWidth>(simt, constants, record, chunk);
        }
      }
      return DeviateColumns<Simt, kBase, kMode, 1>(simt, constants, record, chunk);
    case DeviceWalk::kPlain:
      return;
  }
}

// Pass 1 of a chunk, or all of it where the variable is excluded.
template <class Simt, BaseUpdate kBase>
FTP_DEVICE void DeviateItem(const Simt& simt, const StepArgs& args, const WorkItem& item) {
  const VariableRecord& record = simt.Shared().record();
  if constexpr (kBase != BaseUpdate::kProposal) {
    if (record.excluded) return PlainItem<Simt, kBase>(simt, args.constants, record, item.part);
  }
  switch (record.mode) {
    case DeviationMode::kFirst:
      return DeviateWalk<Simt, kBase, DeviationMode::kFirst>(simt, args.constants, record,
                                                             item.part);
    case DeviationMode::kContinue:
      return DeviateWalk<Simt, kBase, DeviationMode::kContinue>(simt, args.constants, record,
                                                                item.part);
    case DeviationMode::kRejoin:
      if constexpr (kBase != BaseUpdate::kProposal) {
        return DeviateWalk<Simt, kBase, DeviationMode::kRejoin>(simt, args.constants, record,
                                                                item.part);
      }
  }
}

// Pass 2 of a chunk of a projected variable.
template <class Simt>
FTP_DEVICE void ProjectItem(const Simt& simt, const WorkItem& item) {
  const VariableRecord& record = simt.Shared().record();
  switch (record.partition.walk) {
    case DeviceWalk::kRows:
    case DeviceWalk::kPieces:
      return ProjectRows(simt, record, item.part);
    case DeviceWalk::kColumns:
      if (record.partition.width == kPackWidth) {
        return ProjectColumns<Simt, kPackWidth>(simt, record, item.part);
      }
      return ProjectColumns<Simt, 1>(simt, record, item.part);
    case DeviceWalk::kPlain:
      return;
  }
}

template <class Simt>
FTP_DEVICE void CheckBlock(const Simt& simt, const StepArgs& args) {
  CheckItem(simt, args, args.items[simt.Block()]);
}

template <class Simt, BaseUpdate kBase>
FTP_DEVICE void DeviateBlock(const Simt& simt, const StepArgs& args) {
  if (Refused(simt, args)) return;
  const WorkItem item = args.items[simt.Block()];
  TakeRecord(simt, args, item.record);
  DeviateItem<Simt, kBase>(simt, args, item);
}

template <class Simt>
FTP_DEVICE void FinishBlock(const Simt& simt, const StepArgs& args) {
  if (Refused(simt, args)) return;
  const WorkItem item = args.finish_items[simt.Block()];
  TakeRecord(simt, args, item.record);
  FinishItem(simt, args, item);
}

// In reverse: the chunks whose C was written last are the most likely to be in L2.
template <class Simt>
FTP_DEVICE void ProjectBlock(const Simt& simt, const StepArgs& args) {
  if (Refused(simt, args)) return;
  const WorkItem item = args.items[args.projected_count - 1 - simt.Block()];
  TakeRecord(simt, args, item.record);
  ProjectItem(simt, item);
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_ITEMS_CUH_
