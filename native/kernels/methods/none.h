// No rule: the plain base update, W_t = W_{t-1} - u. Of excluded variables and of plain optimizers.
#ifndef TFJS_FTP_KERNELS_METHODS_NONE_H_
#define TFJS_FTP_KERNELS_METHODS_NONE_H_

#include "last_update.h"
#include "method.h"

namespace tfjs_ftp {

struct NoRule {
  static constexpr Rule kCode = Rule::kNone;
  static constexpr int kNumbers = 0;
  struct Numbers {};
  static constexpr bool kProjects = false;
  static constexpr int kGatherSums = 0;
  static SlotSet SlotsOf(int32_t) { return 0; }
  static bool IsWhole(int32_t) { return false; }
  using LastRule = LastOfNone;

  struct Scalars {};
  static Scalars Prepare(const Numbers&, int32_t, const VariableStep&, const StepOptions&) {
    return {};
  }

  template <class T>
  struct Extra {};
  template <class Io, class Args>
  static FTP_MEMBER Extra<typename Io::T> Load(const Io&, const Args&, const typename Io::T&) {
    return {};
  }
  template <class T>
  static FTP_MEMBER T Gradient(const Scalars&, float, const T& g, const Extra<T>&) {
    return g;
  }
  template <class T>
  static FTP_MEMBER T Apply(const Scalars&, const T& w, const T& u, const Extra<T>&) {
    return w - u;
  }
  template <class Io, class Args>
  static FTP_MEMBER void Store(const Io&, const Args&, const Extra<typename Io::T>&) {}
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_NONE_H_
