// The passes for one instruction set and one format of the state: this file is compiled once for
// each instruction set (CMakeLists.txt, binding.gyp), with FTP_PASSES naming the table, for
// float32; passes_bfloat16.cc compiles it for the other format.
#include "passes.h"

#include "../methods.h"
#include "groups.h"
#include "walk_columns.h"
#include "walk_gather.h"
#include "walk_rows.h"

namespace tfjs_ftp {
namespace {

template <class Base, class RulePiece, DeviationMode kMode>
void DeviateIn(const PassArgs& args, int64_t chunk) {
  if constexpr (RulePiece::template kHasMode<kMode>) {
    if (args.partition.walk == Walk::kRows) {
      DeviateRows<Base, RulePiece, kMode>(args, chunk);
    } else {
      DeviateColumns<Base, RulePiece, kMode>(args, chunk);
    }
  }
}

void Deviate(const PassArgs& args, int64_t chunk) {
  VisitMethod(args.base, args.rule, [&](auto base_type, auto rule_type) {
    using Base = PieceOf<decltype(base_type)>;
    using RulePiece = PieceOf<decltype(rule_type)>;
    if constexpr (RulePiece::kProjects) {
      switch (args.mode) {
        case DeviationMode::kFirst:
          return DeviateIn<Base, RulePiece, DeviationMode::kFirst>(args, chunk);
        case DeviationMode::kContinue:
          return DeviateIn<Base, RulePiece, DeviationMode::kContinue>(args, chunk);
        case DeviationMode::kRejoin:
          return DeviateIn<Base, RulePiece, DeviationMode::kRejoin>(args, chunk);
      }
    }
  });
}

void ProjectChunk(const PassArgs& args, int64_t chunk) {
  VisitRule(args.rule, [&](auto rule_type) {
    using RulePiece = PieceOf<decltype(rule_type)>;
    if constexpr (RulePiece::kProjects) {
      if (args.partition.walk == Walk::kRows) {
        ProjectRows<RulePiece>(args, chunk);
      } else {
        ProjectColumns<RulePiece>(args, chunk);
      }
    }
  });
}

template <class Base, class RulePiece>
void PlainRun(const PassArgs& args, int64_t begin, int64_t end) {
  const PassArgs a = args;
  const typename Base::Scalars base = a.base_scalars.As<typename Base::Scalars>();
  const typename RulePiece::Scalars rule = a.rule_scalars.As<typename RulePiece::Scalars>();
  WriteGroups(a.output, begin, end, a.stream, [&](auto group) FTP_LAMBDA_INLINE {
    return PlainElements<Base, RulePiece>(group, a, base, rule, a.level);
  });
  if (a.stream) StreamFence();
}

void Plain(const PassArgs& args, int64_t begin, int64_t end) {
  VisitMethod(args.base, args.rule, [&](auto base_type, auto rule_type) {
    using Base = PieceOf<decltype(base_type)>;
    using RulePiece = PieceOf<decltype(rule_type)>;
    if constexpr (!RulePiece::kProjects) PlainRun<Base, RulePiece>(args, begin, end);
  });
}

bool Gather(const PassArgs& args, int64_t begin, int64_t end, double* sums) {
  bool finite = true;
  VisitRule(args.rule, [&](auto rule_type) {
    using RulePiece = PieceOf<decltype(rule_type)>;
    constexpr int kSums = RulePiece::kGatherSums;
    if constexpr (kSums > 0) {
      const PassArgs a = args;
      DoubleLanes total[kSums];
      for (DoubleLanes& sum : total) sum = ZeroDoubles();
      FloatLanes check(0.0f);
      ForGroups(begin, end, [&](auto group) FTP_LAMBDA_INLINE {
        const FloatLanes g = group.Load(a.gradient);
        check = check + (g - g);
        const auto terms = RulePiece::Gather(group, a, SeenGradient(a.around, g));
        for (int s = 0; s < kSums; ++s) {
          total[s] = Accumulate(total[s], group.Keep(terms.sum[s]));
        }
      });
      for (int s = 0; s < kSums; ++s) sums[s] = SumLanes(total[s]);
      finite = IsZero(check);
    }
  });
  return finite;
}

bool AllFinite(const float* x, int64_t count) {
  FloatLanes sum(0.0f);
  ForGroups(0, count, [&](auto group) FTP_LAMBDA_INLINE {
    const FloatLanes lanes = group.Load(x);
    sum = sum + (lanes - lanes);
  });
  return IsZero(sum);
}

bool Sums(const PassArgs& args, int64_t chunk, double* numbers) {
  if (args.last.hypers == 0) return SquaresOfChunk(args, chunk, numbers);
  bool finite = true;
  VisitMethod(args.base, args.rule, [&](auto base_type, auto rule_type) {
    using Base = PieceOf<decltype(base_type)>;
    using LastRule = typename PieceOf<decltype(rule_type)>::LastRule;
    if constexpr (Base::kLearns != 0) finite = GatherChunk<Base, LastRule>(args, chunk, numbers);
  });
  return finite;
}

}  // namespace

#define FTP_STRING_(x) #x
#define FTP_STRING(x) FTP_STRING_(x)

#define FTP_JOIN_(a, b) a##b
#define FTP_JOIN(a, b) FTP_JOIN_(a, b)
#ifndef FTP_FORMAT_SUFFIX
#define FTP_FORMAT_SUFFIX
#endif

const PassTable& FTP_JOIN(FTP_PASSES, FTP_FORMAT_SUFFIX)() {
  static const PassTable table = {
      FTP_STRING(FTP_SIMD_NAME), Deviate, ProjectChunk, Plain, Gather, AllFinite, Sums};
  return table;
}

}  // namespace tfjs_ftp
