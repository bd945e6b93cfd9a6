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

// Makes what this block wrote visible, then runs `signal` in one thread. Its one fence is enough:
// the barrier puts the writes of all threads in front of it. One in each thread would also empty L1
// once a warp.
template <class Signal>
FTP_DEVICE void PublishThen(const Signal& signal) {
  __syncthreads();
  if (Thread() == 0) {
    __threadfence();
    signal();
  }
}

// Waits until *word has reached `value`; what was published before that is then visible to all
// threads.
FTP_DEVICE void WaitFor(const int32_t* word, int64_t value) {
  if (Thread() == 0) {
    while (LoadVolatile(word) < value) Pause();
    __threadfence();
  }
  __syncthreads();
}

// The item in shared memory. Each part has one place in the code, whatever phase asks for it: the
// kernel stays small.
template <class Base, class RulePiece>
FTP_DEVICE void RunFusedItem(BlockShared& shared, const StepArgs& args) {
  const FusedItem& item = shared.fused;
  const VariableRecord& record = shared.record();
  TakeRecord(shared, args, item.record);
  // Read again after each part: no register holds it through pass 1, which needs them all.
  const auto whole = [&item] { return item.phase == FusedPhase::kWhole; };
  if (whole() || item.phase == FusedPhase::kDeviate) {
    DeviateItem<Base, RulePiece>(shared, {item.record, item.part});
    if (!whole()) {
      PublishThen([&] { atomicAdd(&args.progress[item.record].arrived, 1); });
      return;
    }
    if (!record.projects) return;
    __syncthreads();
  }
  if (whole() || item.phase == FusedPhase::kFinish) {
    if (!whole()) WaitFor(&args.progress[item.record].arrived, record.partition.chunks);
    const int64_t last = whole() ? record.partition.groups : item.part + 1;
    bool updated = false;
    for (int32_t group = whole() ? 0 : item.part; group < last; ++group) {
      updated = FinishItem<RulePiece>(shared, args, {item.record, group});
    }
    if (!whole()) {
      if (updated) {
        PublishThen([&] { StoreVolatile(&args.progress[item.record].ready, 1); });
      }
      return;
    }
    __syncthreads();
  }
  if (item.phase == FusedPhase::kProject) WaitFor(&args.progress[item.record].ready, 1);
  ProjectItem<RulePiece>(shared, {item.record, item.part});
}

template <class Base, class RulePiece>
FTP_DEVICE void RunFusedBlock(BlockShared& shared, const StepArgs& args) {
  if (Refused(args)) return;
  FusedItem& taken = shared.fused;
  for (;;) {
    if (Thread() == 0) {
      const int32_t index = atomicAdd(&args.header->next_item, 1);
      taken.record = -1;
      if (index < args.fused_count) taken = args.fused_items[index];
    }
    __syncthreads();
    if (taken.record < 0) return;
    RunFusedItem<Base, RulePiece>(shared, args);
    __syncthreads();  // before the next item takes the block's shared memory
  }
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_FUSED_CUH_
