// The sums of gathering over a chunk (hyper.h). Compiled once per instruction set, see simd.h.
//
// Chunks are elements where no row matters, else rows or columns as in a step, but with narrow
// blocks of columns (GatherPartition): a column that turns has up to ten sums.
#ifndef TFJS_FTP_KERNELS_CPU_WALK_GATHER_H_
#define TFJS_FTP_KERNELS_CPU_WALK_GATHER_H_

#include "../gather.h"
#include "walk_columns.h"

namespace tfjs_ftp {
namespace {

// The sums of a chunk, and whether its gradients are finite: sum of g - g.
struct ChunkSums {
  DoubleLanes squares;
  DoubleLanes products[kHypers];  // g y
  DoubleLanes lengths[kHypers];   // y^2
  FloatLanes check;

  FTP_INLINE_MEMBER ChunkSums() : check(0.0f) {
    squares = ZeroDoubles();
    for (int h = 0; h < kHypers; ++h) products[h] = lengths[h] = ZeroDoubles();
  }
  FTP_INLINE_MEMBER void TakeGradient(const FloatLanes& g) {
    check = check + (g - g);
    squares = AccumulateProduct(squares, g, g);
  }
  template <Hyper kHyper>
  FTP_INLINE_MEMBER void Take(const FloatLanes& g, const FloatLanes& y) {
    constexpr int h = static_cast<int>(kHyper);
    products[h] = AccumulateProduct(products[h], g, y);
    lengths[h] = AccumulateProduct(lengths[h], y, y);
  }
  // Adds them to `numbers`; returns whether the gradients are finite.
  FTP_INLINE_MEMBER bool Finish(HyperSet hypers, double* numbers) const {
    numbers[0] = numbers[0] + SumLanes(squares);
    for (int h = 0; h < kHypers; ++h) {
      if ((hypers >> h & 1) == 0) continue;
      numbers[1 + 2 * h] = numbers[1 + 2 * h] + SumLanes(products[h]);
      numbers[2 + 2 * h] = numbers[2 + 2 * h] + SumLanes(lengths[h]);
    }
    return IsZero(check);
  }
};

// Sums of elements whose row does not turn.
struct GroupSums {
  ChunkSums* all;
  FloatLanes g;
  template <Hyper kHyper, class Group>
  FTP_INLINE_MEMBER void Take(const Group& group, const FloatLanes& y) {
    all->Take<kHyper>(g, group.Keep(y));
  }
};

// Sums of a row that turns.
struct TurningRow {
  ChunkSums* all;
  FloatLanes g;
  FloatLanes c;
  DoubleLanes sums[kTurnSums];

  FTP_INLINE_MEMBER void TakeDeviation() {
    sums[0] = AccumulateProduct(sums[0], g, c);
    sums[1] = AccumulateProduct(sums[1], c, c);
  }
  template <Hyper kHyper, class Group>
  FTP_INLINE_MEMBER void Take(const Group& group, const FloatLanes& with_rest) {
    const FloatLanes y = group.Keep(with_rest);
    all->Take<kHyper>(g, y);
    if constexpr (static_cast<int>(kHyper) < kBaseHypers) {
      constexpr int at = TurnSumOf(static_cast<int>(kHyper));
      sums[at] = Accumulate(sums[at], SignTimes(c, y));
      sums[at + 1] = AccumulateProduct(sums[at + 1], c, y);
    }
  }
};

// Sums of 16 columns that turn: `sums` points to those of the first, a plane for each kind.
struct TurningColumns {
  ChunkSums* all;
  FloatLanes g;
  FloatLanes c;
  double* sums;
  const int* planes;  // of each number's first sum

  FTP_INLINE_MEMBER void Add(int plane, const FloatLanes& x, const FloatLanes& y) {
    double* const sum = sums + plane * kGatherColumns;
    StoreDoubles(sum, AccumulateProduct(LoadDoubles(sum), x, y));
  }
  FTP_INLINE_MEMBER void TakeDeviation() {
    Add(0, g, c);
    Add(1, c, c);
  }
  template <Hyper kHyper, class Group>
  FTP_INLINE_MEMBER void Take(const Group& group, const FloatLanes& with_rest) {
    const FloatLanes y = group.Keep(with_rest);
    all->Take<kHyper>(g, y);
    if constexpr (static_cast<int>(kHyper) < kBaseHypers) {
      const int plane = planes[static_cast<int>(kHyper)];
      AddToColumn(sums + plane * kGatherColumns, SignTimes(c, y));
      Add(plane + 1, c, y);
    }
  }
};

// Elements [begin, end) of an element-wise chunk.
struct ElementChunk {
  int64_t begin;
  int64_t end;
};
FTP_INLINE ElementChunk ElementsOf(const PassArgs& a, int64_t chunk) {
  const int64_t begin = chunk * kPlainChunkElements;
  const int64_t end = begin + kPlainChunkElements;
  return {begin, end < a.partition.size ? end : a.partition.size};
}

FTP_INLINE bool SquaresOfChunk(const PassArgs& a, int64_t chunk, double* numbers) {
  const ElementChunk elements = ElementsOf(a, chunk);
  ChunkSums all;
  ForGroups(elements.begin, elements.end,
            [&](auto group) FTP_LAMBDA_INLINE { all.TakeGradient(group.Load(a.gradient)); });
  return all.Finish(0, numbers);
}

template <class Base, class LastRule>
bool GatherElements(const PassArgs& args, int64_t chunk, double* numbers) {
  const PassArgs a = args;  // a copy that no store can alias
  const auto base = a.base_scalars.As<typename Base::Last>();
  const auto rule = a.rule_scalars.As<typename LastRule::Last>();
  const FloatLanes row(LastRule::kHasRow ? a.state[Slot::kNorms][0] : 0.0f);
  const ElementChunk elements = ElementsOf(a, chunk);
  ChunkSums all;
  ForGroups(elements.begin, elements.end, [&](auto group) FTP_LAMBDA_INLINE {
    GroupSums sums{&all, group.Load(a.gradient)};
    all.TakeGradient(sums.g);
    TakeDerivatives<Base, LastRule>(group, a, base, rule, a.level, row, LastRule::Hold(group, a),
                                    &sums);
  });
  return all.Finish(a.last.hypers, numbers);
}

// Elements [begin, end), all of one row; what its turning needs goes to `turning`.
template <class Base, class LastRule>
FTP_INLINE void GatherRun(const PassArgs& a, const typename Base::Last& base,
                          const typename LastRule::Last& rule, int64_t begin, int64_t end,
                          float norm, ChunkSums* all, double* turning) {
  const FloatLanes row(norm);
  TurningRow turns;
  turns.all = all;
  for (DoubleLanes& sum : turns.sums) sum = ZeroDoubles();
  ForGroups(begin, end, [&](auto group) FTP_LAMBDA_INLINE {
    const auto held = LastRule::Hold(group, a);
    const FloatLanes g = group.Load(a.gradient);
    all->TakeGradient(g);
    if constexpr (LastRule::kTurns) {
      turns.g = g;
      turns.c = held.c;
      turns.TakeDeviation();
      TakeDerivatives<Base, LastRule>(group, a, base, rule, a.level, row, held, &turns);
    } else {
      GroupSums sums{all, g};
      TakeDerivatives<Base, LastRule>(group, a, base, rule, a.level, row, held, &sums);
    }
  });
  if constexpr (LastRule::kTurns) {
    for (int i = 0; i < kTurnSums; ++i) {
      if (TurnPlace(a.last.hypers, i) >= 0) turning[i] = SumLanes(turns.sums[i]);
    }
  }
}

template <class Base, class LastRule>
bool GatherRows(const PassArgs& args, int64_t chunk, double* numbers) {
  const PassArgs a = args;
  const auto base = a.base_scalars.As<typename Base::Last>();
  const auto rule = a.rule_scalars.As<typename LastRule::Last>();
  const Partition& p = a.partition;
  const float* const norms = a.state[Slot::kNorms];
  ChunkSums all;
  if (p.long_rows()) {
    const int64_t row = chunk / p.pieces;
    const int64_t first = (chunk % p.pieces) * kRowChunkElements;
    const int64_t last =
        first + kRowChunkElements < p.row_length ? first + kRowChunkElements : p.row_length;
    double turning[kTurnSums];
    GatherRun<Base, LastRule>(a, base, rule, row * p.row_length + first, row * p.row_length + last,
                              norms[row], &all, turning);
    if constexpr (LastRule::kTurns) {
      double* const slot = a.partials + chunk * TurnPlaces(a.last.hypers);
      for (int i = 0; i < kTurnSums; ++i) {
        const int place = TurnPlace(a.last.hypers, i);
        if (place >= 0) slot[place] = turning[i];
      }
    }
    return all.Finish(a.last.hypers, numbers);
  }
  const int64_t first = chunk * p.rows_per_chunk;
  const int64_t last = first + p.rows_per_chunk < p.rows ? first + p.rows_per_chunk : p.rows;
  for (int64_t row = first; row < last; ++row) {
    double turning[kTurnSums];
    GatherRun<Base, LastRule>(a, base, rule, row * p.row_length, (row + 1) * p.row_length,
                              norms[row], &all, turning);
    if constexpr (LastRule::kTurns) {
      TurnRow(rule, a.last.hypers, a.level, norms[row], turning, numbers + 1);
    }
  }
  return all.Finish(a.last.hypers, numbers);
}

template <class Base, class LastRule>
bool GatherColumns(const PassArgs& args, int64_t chunk, double* numbers) {
  const PassArgs a = args;
  const auto base = a.base_scalars.As<typename Base::Last>();
  const auto rule = a.rule_scalars.As<typename LastRule::Last>();
  const Partition& p = a.partition;
  const ColumnRange range = ChunkColumns(p, chunk);
  const int64_t first = range.first_column;
  const int64_t count = range.last_column - first;
  float buffer[kGatherColumns];
  const float* const norms = ColumnNorms(a, first, count, buffer);
  double sums[kTurnSums * kGatherColumns];
  const int count_of_planes = LastRule::kTurns ? TurnPlaces(a.last.hypers) : 0;
  for (int64_t i = 0; i < count_of_planes * kGatherColumns; ++i) sums[i] = 0.0;
  int planes[kBaseHypers];
  for (int h = 0; h < kBaseHypers; ++h) planes[h] = TurnPlace(a.last.hypers, TurnSumOf(h));
  ChunkSums all;
  for (int64_t line = range.first_line; line < range.last_line; ++line) {
    const int64_t start = line * p.columns + first;
    ForGroups(0, count, [&](auto columns) FTP_LAMBDA_INLINE {
      const auto group = columns.At(start + columns.index);
      const FloatLanes row = Load(norms + columns.index);
      const auto held = LastRule::Hold(group, a);
      const FloatLanes g = group.Load(a.gradient);
      all.TakeGradient(g);
      if constexpr (LastRule::kTurns) {
        TurningColumns turns{&all, g, held.c, sums + columns.index, planes};
        turns.TakeDeviation();
        TakeDerivatives<Base, LastRule>(group, a, base, rule, a.level, row, held, &turns);
      } else {
        GroupSums own{&all, g};
        TakeDerivatives<Base, LastRule>(group, a, base, rule, a.level, row, held, &own);
      }
    });
  }
  for (int s = 0; s < count_of_planes; ++s) {
    double* const slot = a.partials + (s * p.stripes + range.stripe) * p.columns + first;
    for (int64_t j = 0; j < count; ++j) slot[j] = sums[s * kGatherColumns + j];
  }
  return all.Finish(a.last.hypers, numbers);
}

template <class Base, class LastRule>
bool GatherChunk(const PassArgs& args, int64_t chunk, double* numbers) {
  if constexpr (LastRule::kProjects) {
    if (args.partition.walk == Walk::kRows) return GatherRows<Base, LastRule>(args, chunk, numbers);
    return GatherColumns<Base, LastRule>(args, chunk, numbers);
  } else {
    return GatherElements<Base, LastRule>(args, chunk, numbers);
  }
}

}  // namespace
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CPU_WALK_GATHER_H_
