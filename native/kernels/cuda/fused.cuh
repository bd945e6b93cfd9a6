// The one-launch version: a block's whole life. What changed against the three launches: blocks
// stay and take items from a counter, and the two passes of a variable follow each other closely
// enough for pass 2 to find C in L2; blocks learn through counters in device memory how far a
// variable has come.
//
// Items wait only for items in front of them in the list, and an item is in front of another only
// if a running block has taken it already: the first unfinished item never waits, whatever the
// number of blocks.
#ifndef TFJS_FTP_KERNELS_CUDA_FUSED_CUH_
#define TFJS_FTP_KERNELS_CUDA_FUSED_CUH_

#include "finish.cuh"
#include "items.cuh"

namespace tfjs_ftp {

// Makes what this block wrote visible, then runs `signal` in one thread.
template <class Simt, class Signal>
FTP_DEVICE void PublishThen(const Simt& simt, const Signal& signal) {
  simt.Fence();
  simt.Sync();
  if (simt.Thread() == 0) signal();
}

// Waits until *word has reached `value`; what was published before that is then visible to all
// threads.
template <class Simt>
FTP_DEVICE void WaitFor(const Simt& simt, const int32_t* word, int64_t value) {
  if (simt.Thread() == 0) {
    while (simt.LoadVolatile(word) < value) simt.Pause();
    simt.Fence();
  }
  simt.Sync();
}

// The item in shared memory. Each part has one place in the code, whatever phase asks for it: the
// kernel stays small.
template <class Simt, BaseUpdate kBase>
FTP_DEVICE void RunFusedItem(const Simt& simt, const StepArgs& args) {
  const FusedItem& item = simt.Shared().fused;
  const VariableRecord& record = simt.Shared().record();
  TakeRecord(simt, args, item.record);
  const bool whole = item.phase == FusedPhase::kWhole;
  if (whole || item.phase == FusedPhase::kDeviate) {
    DeviateItem<Simt, kBase>(simt, args, {item.record, item.part});
    if (!whole) {
      PublishThen(simt, [&] { simt.AtomicAdd(&args.progress[item.record].arrived, 1); });
      return;
    }
    if (record.excluded) return;
    simt.Sync();
  }
  if (whole || item.phase == FusedPhase::kFinish) {
    if (!whole) WaitFor(simt, &args.progress[item.record].arrived, record.partition.chunks);
    const int64_t last = whole ? record.partition.groups : item.part + 1;
    bool updated = false;
    for (int32_t group = whole ? 0 : item.part; group < last; ++group) {
      updated = FinishItem(simt, args, {item.record, group});
    }
    if (!whole) {
      if (updated) {
        PublishThen(simt, [&] { simt.StoreVolatile(&args.progress[item.record].ready, 1); });
      }
      return;
    }
    simt.Sync();
  }
  if (item.phase == FusedPhase::kProject) WaitFor(simt, &args.progress[item.record].ready, 1);
  ProjectItem(simt, {item.record, item.part});
}

template <class Simt, BaseUpdate kBase>
FTP_DEVICE void RunFusedBlock(const Simt& simt, const StepArgs& args) {
  if (Refused(simt, args)) return;
  FusedItem& taken = simt.Shared().fused;
  for (;;) {
    if (simt.Thread() == 0) {
      const int32_t index = simt.AtomicAdd(&args.header->next_item, 1);
      taken.record = -1;
      if (index < args.fused_count) taken = args.fused_items[index];
    }
    simt.Sync();
    if (taken.record < 0) return;
    RunFusedItem<Simt, kBase>(simt, args);
    simt.Sync();  // before the next item takes the block's shared memory
  }
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_FUSED_CUH_
