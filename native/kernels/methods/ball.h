// The last update of a rule that held the weights in a ball around the anchor, of radius `level`,
// by a norm n of each row of C or of all of it (methods/ftp.h, methods/fixed_radius.h). A change X
// of C made this change of the new weights:
//
//   s X                          s = min(1, level / n); all of it where the row was not cut
//   s (X - C sum(sign(C) X) / n)                        where it was, by n = sum |C|
//   s (X - C sum(C X) / n^2)                            where it was, by n = sqrt(sum C^2)
//
// Without epsilon's part in n. Sums over a row with the second part follow from sums with s X in
// the place of X: a row's are taken in one read, and turned along the ball behind it.
#ifndef TFJS_FTP_KERNELS_METHODS_BALL_H_
#define TFJS_FTP_KERNELS_METHODS_BALL_H_

#include "last_update.h"
#include "method.h"

namespace tfjs_ftp {

// Sums that turning takes of a row: G C, C^2, and for each of the base's numbers sign(C) s X and
// C s X.
constexpr int kTurnSums = 2 + 2 * kBaseHypers;
FTP_INLINE constexpr int TurnSumOf(int hyper) { return 2 + 2 * hyper; }
// Only those of numbers that are wanted lie in memory: the place of a sum there, -1 if it does not;
// and how many do.
FTP_INLINE int TurnPlace(HyperSet hypers, int sum) {
  if (sum < 2) return sum;
  const int hyper = sum / 2 - 1;
  if ((hypers >> hyper & 1) == 0) return -1;
  int at = 2 + sum % 2;
  for (int h = 0; h < hyper; ++h) at += 2 * (hypers >> h & 1);
  return at;
}
FTP_INLINE int TurnPlaces(HyperSet hypers) {
  int count = 2;
  for (int h = 0; h < kBaseHypers; ++h) count += 2 * (hypers >> h & 1);
  return count;
}

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
  for (int h = 0; h < kBaseHypers; ++h) {
    if ((hypers >> h & 1) == 0) continue;
    const double by_sign = sums[TurnSumOf(h)];
    const double by_c = sums[TurnSumOf(h) + 1];
    const double along = rule.frobenius ? by_c / (n * n) : by_sign / n;
    numbers[2 * h] -= along * sums[0];
    numbers[2 * h + 1] += along * (along * sums[1] - 2.0 * by_c);
  }
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_BALL_H_
