// The passes of ftp_kernels.h for one instruction set: this file is compiled once per entry of
// FTP_SIMD_TARGETS (CMakeLists.txt, binding.gyp) with FTP_PASSES naming the table.
#include "passes.h"

#include "elements.h"
#include "walk_columns.h"
#include "walk_rows.h"

namespace tfjs_ftp {
namespace {

template <BaseUpdate kBase, DeviationMode kMode>
void DeviateWalk(const PassArgs& args, int64_t chunk) {
  if (args.partition.walk == Walk::kRows) {
    DeviateRows<kBase, kMode>(args, chunk);
  } else {
    DeviateColumns<kBase, kMode>(args, chunk);
  }
}

template <BaseUpdate kBase>
void DeviateBase(const PassArgs& args, int64_t chunk) {
  switch (args.mode) {
    case DeviationMode::kFirst:
      return DeviateWalk<kBase, DeviationMode::kFirst>(args, chunk);
    case DeviationMode::kContinue:
      return DeviateWalk<kBase, DeviationMode::kContinue>(args, chunk);
    case DeviationMode::kRejoin:
      return DeviateWalk<kBase, DeviationMode::kRejoin>(args, chunk);
  }
}

void Deviate(const PassArgs& args, int64_t chunk) {
  switch (args.base) {
    case BaseUpdate::kAdamW:
      return DeviateBase<BaseUpdate::kAdamW>(args, chunk);
    case BaseUpdate::kSgd:
      return DeviateBase<BaseUpdate::kSgd>(args, chunk);
    case BaseUpdate::kProposal:
      return DeviateBase<BaseUpdate::kProposal>(args, chunk);
  }
}

void ProjectChunk(const PassArgs& args, int64_t chunk) {
  if (args.partition.walk == Walk::kRows) {
    ProjectRows(args, chunk);
  } else {
    ProjectColumns(args, chunk);
  }
}

template <BaseUpdate kBase>
void PlainBase(const PassArgs& args, int64_t begin, int64_t end) {
  const PassArgs a = args;
  WriteGroups(a.output, begin, end, a.stream, [&](auto group, int64_t i) FTP_LAMBDA_INLINE {
    const FloatLanes w = group.load(a.weights + i);
    const FloatLanes g = group.load(a.gradient + i);
    return w - BaseStep<kBase>(a, group, i, g, w);
  });
  if (a.stream) StreamFence();
}

void Plain(const PassArgs& args, int64_t begin, int64_t end) {
  if (args.base == BaseUpdate::kAdamW) {
    PlainBase<BaseUpdate::kAdamW>(args, begin, end);
  } else {
    PlainBase<BaseUpdate::kSgd>(args, begin, end);
  }
}

// x - x is 0 for finite x and NaN for NaN and infinities; NaN stays through the sum.
bool AllFinite(const float* x, int64_t count) {
  FloatLanes sum(0.0f);
  ForGroups(0, count, [&](auto group, int64_t i) FTP_LAMBDA_INLINE {
    const FloatLanes lanes = group.load(x + i);
    sum = sum + (lanes - lanes);
  });
  float lanes[kLanes];
  Store(lanes, sum);
  float total = 0.0f;
  for (int64_t i = 0; i < kLanes; ++i) total = total + lanes[i];
  return total == 0.0f;
}

}  // namespace

#define FTP_STRING_(x) #x
#define FTP_STRING(x) FTP_STRING_(x)

const PassTable& FTP_PASSES() {
  static const PassTable table = {FTP_STRING(FTP_SIMD_NAME), Deviate, ProjectChunk, Plain,
                                  AllFinite};
  return table;
}

}  // namespace tfjs_ftp
