// The update that led to the present weights, as far as the state still tells of it: what the
// derivatives of the present weights by its numbers need (hyper.h). With W the weights before it,
// the base and the rule's pull subtracted rate (direction + decay W).
#ifndef TFJS_FTP_KERNELS_METHODS_LAST_UPDATE_H_
#define TFJS_FTP_KERNELS_METHODS_LAST_UPDATE_H_

#include <cstdint>

#include "../lanes.h"
#include "../slots.h"
#include "../step.h"

namespace tfjs_ftp {

// The numbers that have a hyper-gradient, in the order of their sums.
enum class Hyper : int32_t {
  kLearningRate,
  kWeightDecay,
  kFirst,  // beta1 or momentum
  kBeta2,
  kStrength,  // of the rule; the others are the base's
};
constexpr int kHypers = 5;
constexpr int kBaseHypers = 4;

// Some of them.
using HyperSet = int32_t;
constexpr HyperSet HyperSetOf() { return 0; }
template <class... More>
constexpr HyperSet HyperSetOf(Hyper first, More... more) {
  return (HyperSet{1} << static_cast<int>(first)) | HyperSetOf(more...);
}
constexpr HyperSet kBaseHyperSet = (1 << kBaseHypers) - 1;

// Of one variable, rounded to float32 once.
struct LastUpdate {
  float rate;
  float decay;
  float inverse;        // 1 / (1 - rate decay)
  float coupled;        // share of W in what the base took for its gradient
  HyperSet hypers;      // whose derivatives are wanted and exist
  bool reads_before;    // whether they need W
  bool reads_gradient;  // whether they need the gradient that the step saw
  FTP_MEMBER bool Has(Hyper hyper) const { return (hypers >> static_cast<int>(hyper) & 1) != 0; }
};

// W - U from the weights behind it.
template <class T>
FTP_INLINE T WeightsBefore(const LastUpdate& u, const T& after, const T& direction) {
  return (after + T(u.rate) * direction) * T(u.inverse);
}

// What is known of a group of elements besides the base's slots; 0 where nothing needs it.
template <class T>
struct Held {
  T w;  // present weights
  T a;  // anchor
  T c;  // the slot `deviation`
};

// A rule's part, LastRule:
//   kProjects, kTurns (methods/ball.h), kHasRow: whether it has a number per row (or one in all)
//   kLearns, LearnsOf(flags): what it has besides the base's numbers; kStrengthReadsBefore
//   GradientPull, Pull: share of W in the gradient that the base saw, in what was subtracted
//   Last, Prepare(numbers, flags, whole, learning rate): its numbers;  Hold: loads
//   Gradient, Direction: what the rule made of them, without their share of W
//   Before: W;  Scale: what the new weights took of a change of W - U, before rows turn
//   ByStrength: minus the derivative by its strength
// This is a rule that leaves the base alone.
struct LastOfNone {
  static constexpr bool kProjects = false;
  static constexpr bool kTurns = false;
  static constexpr bool kHasRow = false;
  static constexpr HyperSet kLearns = 0;
  static constexpr bool kStrengthReadsBefore = false;
  static HyperSet LearnsOf(int32_t) { return 0; }
  template <class Numbers>
  static double GradientPull(const Numbers&, int32_t) {
    return 0.0;
  }
  template <class Numbers>
  static double Pull(const Numbers&, int32_t) {
    return 0.0;
  }

  struct Last {};
  template <class Numbers>
  static Last Prepare(const Numbers&, int32_t, bool, double) {
    return {};
  }

  template <class Io, class Args>
  static FTP_MEMBER Held<typename Io::T> Hold(const Io& io, const Args& args) {
    using T = typename Io::T;
    return {args.last.reads_before ? io.Load(args.weights) : T(0.0f), T(0.0f), T(0.0f)};
  }
  template <class AnyLast, class T>
  static FTP_MEMBER T Gradient(const AnyLast&, float, const T&, const T& g, const Held<T>&) {
    return g;
  }
  template <class AnyLast, class T>
  static FTP_MEMBER T Direction(const AnyLast&, const T& direction, const Held<T>&) {
    return direction;
  }
  template <class T>
  static FTP_MEMBER T Before(const LastUpdate& u, const Held<T>& held, const T& direction) {
    return WeightsBefore(u, held.w, direction);
  }
};

// One that projects: the state has W - U - A.
struct LastOfProjection : LastOfNone {
  static constexpr bool kProjects = true;
  static constexpr bool kHasRow = true;

  template <class Io, class Args>
  static FTP_MEMBER Held<typename Io::T> HoldDeviation(const Io& io, const Args& args, bool c) {
    using T = typename Io::T;
    const bool before = args.last.reads_before;
    return {T(0.0f), before ? io.Load(args.state[Slot::kAnchor]) : T(0.0f),
            c || before ? io.Load(args.state[Slot::kDeviation]) : T(0.0f)};
  }
  template <class T>
  static FTP_MEMBER T Before(const LastUpdate& u, const Held<T>& held, const T& direction) {
    return WeightsBefore(u, held.a + held.c, direction);
  }
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_LAST_UPDATE_H_
