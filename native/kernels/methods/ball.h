// The last update of a rule that held the weights in a ball around the anchor, of radius `level`,
// by a norm n of each row of C or of all of it (methods/ftp.h, methods/fixed_radius.h). A change X
// of C made this change of the new weights:
//
//   s X                          s = min(1, level / n); all of it where the row was not cut
//   s (X - C sum(sign(C) X) / n)                        where it was, by n = sum |C|
//   s (X - C sum(C X) / n^2)                            where it was, by n = sqrt(sum C^2)
//
// Without epsilon's part in n. Sums over a row with the second part follow from sums with s X in the
// place of X: a row's are taken in one read, and turned along the ball behind it.
#ifndef TFJS_FTP_KERNELS_METHODS_BALL_H_
#define TFJS_FTP_KERNELS_METHODS_BALL_H_

#include "last_update.h"
#include "method.h"

namespace tfjs_ftp {

// Sums that turning takes of a row: G C, C^2, and for each of the base's numbers that is wanted, in
// their order, sign(C) s X and C s X.
constexpr int kMaxTurnSums = 2 + 2 * kBaseHypers;
FTP_INLINE int TurnSumOf(HyperSet hypers, int hyper) {
  int at = 2;
  for (int h = 0; h < hyper; ++h) at += 2 * (hypers >> h & 1);
  return at;
}
FTP_INLINE int TurnSums(HyperSet hypers) { return TurnSumOf(hypers, kBaseHypers); }

// sign(c) x
template <class T>
FTP_INLINE T SignTimes(const T& c, const T& x) {
  const T zero(0.0f);
  return IfLess(zero, c, x, IfLess(c, zero, zero - x, zero));
}

struct LastOfBall : LastOfProjection {
  static constexpr bool kTurns = true;
  struct Last {
    bool frobenius;
  };
  template <class Numbers>
  static Last Prepare(const Numbers&, int32_t, bool whole, double) {
    return {whole};
  }

  template <class Io, class Args>
  static FTP_MEMBER Held<typename Io::T> Hold(const Io& io, const Args& args) {
    return HoldDeviation(io, args, true);
  }
  template <class T>
  static FTP_MEMBER T Scale(float level, const T& norm) {
    return ProjectRatio(T(level), norm);
  }
};

// What a row's turning adds to the sums: for each number G X and X^2, from the row's `sums`.
FTP_INLINE void TurnRow(const LastOfBall::Last& rule, HyperSet hypers, float level, float norm,
                        const double* sums, double* numbers) {
  if (!(level < norm)) return;
  const double n = norm;
  for (int h = 0, at = 2; h < kBaseHypers; ++h) {
    if ((hypers >> h & 1) == 0) continue;
    const double along = rule.frobenius ? sums[at + 1] / (n * n) : sums[at] / n;
    numbers[2 * h] -= along * sums[0];
    numbers[2 * h + 1] += along * (along * sums[1] - 2.0 * sums[at + 1]);
    at += 2;
  }
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_BALL_H_
