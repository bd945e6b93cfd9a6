// What a block does of gathering: the sums of a chunk, the rows that turn and lie in several
// chunks, and what a variable's sums are in all. Every sum is added in an order that the shape
// decides.
#ifndef TFJS_FTP_KERNELS_CUDA_GATHER_CUH_
#define TFJS_FTP_KERNELS_CUDA_GATHER_CUH_

#include "finish.cuh"
#include "gather_table.h"
#include "items.cuh"
#include "walk_columns.cuh"

namespace tfjs_ftp {

// A thread's sums of a chunk: for each number the products with the gradient and the squares.
struct ThreadSums {
  double squares = 0.0;
  double numbers[2 * kHypers] = {};
  bool finite = true;

  template <int kWidth>
  __device__ __forceinline__ void TakeGradient(const Pack<kWidth>& g) {
    finite = AllFinite(g) && finite;
    AddProduct(&squares, g, g);
  }
  template <int kWidth>
  static __device__ __forceinline__ void AddProduct(double* sum, const Pack<kWidth>& x,
                                                    const Pack<kWidth>& y) {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      *sum += static_cast<double>(x.e[i]) * static_cast<double>(y.e[i]);
    }
  }
};

// Takes the derivatives of a pack; of one whose row turns with the sums of its turning.
template <bool kTurns, int kWidth>
struct PackSums {
  ThreadSums* all;
  double* turning;  // kTurnSums
  Pack<kWidth> g;
  Pack<kWidth> c;

  __device__ __forceinline__ void TakeDeviation() {
    if constexpr (kTurns) {
      ThreadSums::AddProduct(&turning[0], g, c);
      ThreadSums::AddProduct(&turning[1], c, c);
    }
  }
  template <Hyper kHyper, class Io>
  __device__ __forceinline__ void Take(const Io&, const Pack<kWidth>& y) {
    constexpr int h = static_cast<int>(kHyper);
    ThreadSums::AddProduct(&all->numbers[2 * h], g, y);
    ThreadSums::AddProduct(&all->numbers[2 * h + 1], y, y);
    if constexpr (kTurns && h < kBaseHypers) {
      AddTo(&turning[TurnSumOf(h)], SignTimes(c, y));
      ThreadSums::AddProduct(&turning[TurnSumOf(h) + 1], c, y);
    }
  }
};

// A pack of a row whose number is `row`.
template <class Base, class LastRule, class Elements>
FTP_DEVICE void GatherPack(const Elements& elements, const VariableRecord& record, float level,
                           const typename Elements::T& row, ThreadSums* all, double* turning) {
  const auto& base = record.base_scalars.As<typename Base::Last>();
  const auto& rule = record.rule_scalars.As<typename LastRule::Last>();
  const auto held = LastRule::Hold(elements, record);
  PackSums<LastRule::kTurns, Elements::kWidth> sums = {all, turning, elements.Load(record.gradient),
                                                       held.c};
  all->TakeGradient(sums.g);
  sums.TakeDeviation();
  TakeDerivatives<Base, LastRule>(elements, record, base, rule, level, row, held, &sums);
}

// Leaves the sums of all threads as those of the chunk. All threads of the block take part.
FTP_DEVICE void StoreChunk(BlockShared& shared, const StepArgs& args, const VariableRecord& record,
                           int64_t chunk, const ThreadSums& sums) {
  double* const numbers = ChunkNumbers(record) + chunk * kGatherNumbers;
  const double squares = BlockSum(shared, sums.squares);
  if (Thread() == 0) numbers[0] = squares;
#pragma unroll
  for (int i = 0; i < 2 * kHypers; ++i) {
    double sum = 0.0;
    if ((record.last.hypers >> (i / 2) & 1) != 0) sum = BlockSum(shared, sums.numbers[i]);
    if (Thread() == 0) numbers[1 + i] = sum;
  }
  if (!sums.finite && args.check) atomicMin(&args.header->non_finite, record.index);
}

// A chunk of elements whose rows do not matter.
template <class Base, class LastRule>
FTP_DEVICE void GatherPlain(const VariableRecord& record, int64_t chunk, ThreadSums* sums) {
  float level = 0.0f;
  float row = 0.0f;
  if constexpr (LastRule::kHasRow) {
    level = record.level();
    row = record.norms()[0];
  }
  ForElements(record.aligned, ChunkElements(record.partition, chunk), [&](const auto& elements) {
    using T = typename std::decay_t<decltype(elements)>::T;
    GatherPack<Base, LastRule>(elements, record, level, T(row), sums, nullptr);
  });
}

// A chunk of rows, or a piece of one.
template <class Base, class LastRule>
FTP_DEVICE void GatherRows(BlockShared& shared, const VariableRecord& record, int64_t chunk,
                           ThreadSums* all) {
  if (Thread() == 0) shared.rows = ChunkRows(record.partition, chunk);
  __syncthreads();
  const RowsPlace& place = shared.rows;
  const int lanes = place.lanes;
  const bool piece = record.partition.walk == DeviceWalk::kPieces;
  const float level = record.level();
  double turning[LastRule::kTurns ? kTurnSums : 1];
  // All threads go round equally often: lanes of a warp are added up together.
#pragma unroll 1
  for (int first = 0; first < place.rows; first += kBlockThreads / lanes) {
    const bool active = first + Thread() / lanes < place.rows;
    const int64_t row = place.first_row + first + Thread() / lanes;
    const float norm = active ? record.norms()[row] : 0.0f;
#pragma unroll
    for (double& sum : turning) sum = 0.0;
#pragma unroll 1
    for (int slot = Thread() % lanes; active && slot < place.slots; slot += lanes) {
      const Span span = RowSpan(record.partition, row, place.first_slot + slot);
      if (span.empty()) continue;
      AtSpan(record.aligned, span, [&](const auto& elements) {
        using T = typename std::decay_t<decltype(elements)>::T;
        GatherPack<Base, LastRule>(elements, record, level, T(norm), all, turning);
      });
    }
    if constexpr (LastRule::kTurns) {
      if (piece) break;  // the one row of all threads
#pragma unroll
      for (double& sum : turning) sum = LaneSum(sum, lanes);
      if (active && Thread() % lanes == 0) {
        const auto& rule = record.rule_scalars.As<typename LastRule::Last>();
        TurnRow(rule, record.last.hypers, level, norm, turning, all->numbers);
      }
    }
  }
  if constexpr (LastRule::kTurns) {
    if (!piece) return;
#pragma unroll
    for (int i = 0; i < kTurnSums; ++i) {
      const int plane = TurnPlace(record.last.hypers, i);
      if (plane < 0) continue;
      const double sum = BlockSum(shared, turning[i]);
      if (Thread() == 0) TurnPartials(record)[plane * record.partition.plane() + chunk] = sum;
    }
  }
}

// A chunk of columns, each thread with a column of its own.
template <class Base, class LastRule>
FTP_DEVICE void GatherColumns(BlockShared& shared, const VariableRecord& record, int64_t chunk,
                              ThreadSums* all) {
  const DevicePartition& p = record.partition;
  const TileRange& range = shared.tile;
  if (Thread() == 0) shared.tile = ChunkTile(p, chunk);
  __syncthreads();
  const TilePlace place = PlaceInTile(p);
  const float level = record.level();
#pragma unroll 1
  for (int tile = 0; tile < range.columns; tile += p.lanes) {
    const int column = tile + place.lane;
    double turning[LastRule::kTurns ? kTurnSums : 1] = {};
    if (place.line_lane < range.line_lanes && column < range.columns) {
      const float norm = record.norms()[RowOfColumn(p, range.first_column + column)];
      int64_t index = range.first_index + column + place.line_lane * p.columns;
#pragma unroll 2
      for (int line = place.line_lane; line < range.lines; line += range.line_lanes) {
        GatherPack<Base, LastRule>(Elements<1>{index}, record, level, Pack<1>(norm), all, turning);
        index += range.line_lanes * p.columns;
      }
    }
    if constexpr (LastRule::kTurns) {
      double* const slot =
          TurnPartials(record) + range.stripe * p.columns + range.first_column + tile;
#pragma unroll
      for (int i = 0; i < kTurnSums; ++i) {
        const int plane = TurnPlace(record.last.hypers, i);
        if (plane < 0) continue;
        const double sum[1] = {turning[i]};
        StoreColumnSums<1>(shared, p.lanes, range.columns - tile, sum, slot + plane * p.plane());
      }
    }
  }
}

template <class Base, class LastRule>
FTP_DEVICE void GatherChunk(BlockShared& shared, const VariableRecord& record, int64_t chunk,
                            ThreadSums* sums) {
  if constexpr (LastRule::kProjects) {
    if (record.partition.walk == DeviceWalk::kColumns) {
      GatherColumns<Base, LastRule>(shared, record, chunk, sums);
    } else {
      GatherRows<Base, LastRule>(shared, record, chunk, sums);
    }
  } else {
    GatherPlain<Base, LastRule>(record, chunk, sums);
  }
}

FTP_DEVICE void SquaresOfChunk(const VariableRecord& record, int64_t chunk, ThreadSums* sums) {
  ForElements(record.aligned, ChunkElements(record.partition, chunk), [&](const auto& elements) {
    sums->TakeGradient(elements.LoadSoon(record.gradient));
  });
}

FTP_DEVICE void SquaresBlock(BlockShared& shared, const StepArgs& args) {
  const WorkItem item = args.items[Block()];
  TakeRecord(shared, args, item.record);
  ThreadSums sums;
  SquaresOfChunk(shared.record(), item.part, &sums);
  StoreChunk(shared, args, shared.record(), item.part, sums);
}

template <class Base, class LastRule>
FTP_DEVICE void SumsBlock(BlockShared& shared, const StepArgs& args) {
  const WorkItem item = args.items[Block()];
  TakeRecord(shared, args, item.record);
  const VariableRecord& record = shared.record();
  ThreadSums sums;
  if (record.last.hypers == 0) {
    SquaresOfChunk(record, item.part, &sums);
  } else if (record.rule == Rule::kNone) {
    GatherChunk<Base, LastOfNone>(shared, record, item.part, &sums);
  } else if constexpr (!std::is_same<LastRule, LastOfNone>::value) {
    GatherChunk<Base, LastRule>(shared, record, item.part, &sums);
  }
  StoreChunk(shared, args, record, item.part, sums);
}

// What turning adds for a group of rows; `finish_lanes` rows at a time, as in FinishGroup.
FTP_DEVICE void TurnBlock(BlockShared& shared, const StepArgs& args) {
  const WorkItem item = args.finish_items[Block()];
  TakeRecord(shared, args, item.record);
  const VariableRecord& record = shared.record();
  const auto& rule = record.rule_scalars.As<LastOfBall::Last>();
  const DevicePartition& p = record.partition;
  const HyperSet hypers = record.last.hypers;
  const int rows_at_once = p.finish_lanes;
  const int term_lanes = kBlockThreads / rows_at_once;
  const int term_lane = Thread() / rows_at_once;
  const int64_t last = LeastOf((item.part + int64_t{1}) * kFinishRows, p.rows);
  double turned[2 * kBaseHypers] = {};
#pragma unroll 1
  for (int64_t base = item.part * kFinishRows; base < last; base += rows_at_once) {
    const int64_t row = base + Thread() % rows_at_once;
    const bool active = row < last;
    double sums[kTurnSums] = {};
#pragma unroll
    for (int i = 0; i < kTurnSums; ++i) {
      const int plane = TurnPlace(hypers, i);
      if (plane < 0) continue;
      const double* const from = TurnPartials(record) + plane * p.plane();
      sums[i] = active ? SumTerms(p, from, row, term_lane, term_lanes) : 0.0;
      sums[i] = RowTotal(shared, rows_at_once, sums[i]);
    }
    if (active && term_lane == 0) {
      TurnRow(rule, hypers, record.level(), record.norms()[row], sums, turned);
    }
  }
  double* const numbers = GroupNumbers(record) + item.part * kGatherNumbers;
#pragma unroll
  for (int i = 0; i < kGatherNumbers; ++i) {
    double sum = 0.0;
    if (i > 0 && i <= 2 * kBaseHypers) sum = BlockSum(shared, turned[i > 0 ? i - 1 : 0]);
    if (Thread() == 0) numbers[i] = sum;
  }
}

// The sums of a variable, from those of its chunks and of its groups.
FTP_DEVICE void TotalsBlock(BlockShared& shared, const StepArgs& args) {
  TakeRecord(shared, args, Block());
  const VariableRecord& record = shared.record();
  const int64_t parts = record.partition.chunks + TurnGroups(record);
#pragma unroll 1
  for (int i = 0; i < kGatherNumbers; ++i) {
    double sum = 0.0;
    for (int64_t part = Thread(); part < parts; part += kBlockThreads) {
      sum += ChunkNumbers(record)[part * kGatherNumbers + i];
    }
    sum = BlockSum(shared, sum);
    if (Thread() == 0) args.numbers[record.index * int64_t{kGatherNumbers} + i] = sum;
  }
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_GATHER_CUH_
