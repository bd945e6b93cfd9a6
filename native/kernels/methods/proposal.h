// Another optimizer proposes the new weights P, in an input of their own: C_t = P - A. The weights
// are those before its update; they are read where W was assigned from outside.
#ifndef TFJS_FTP_KERNELS_METHODS_PROPOSAL_H_
#define TFJS_FTP_KERNELS_METHODS_PROPOSAL_H_

#include "last_update.h"
#include "method.h"

namespace tfjs_ftp {

struct Proposal {
  static constexpr BaseUpdate kCode = BaseUpdate::kProposal;
  static constexpr int kNumbers = 0;
  struct Numbers {};
  static SlotSet SlotsOf(int32_t) { return 0; }
  // What made its proposals is not known.
  static constexpr HyperSet kLearns = 0;
  struct Scalars {
    static constexpr bool reads_weights = false;
  };
  static Scalars Prepare(const Numbers&, int32_t, const VariableStep&) { return {}; }

  template <class T>
  struct Loaded {
    T p;
  };
  template <class Io>
  static FTP_MEMBER Loaded<typename Io::T> Load(const Scalars&, const Io&, const StatePointers&) {
    return {typename Io::T(0.0f)};
  }
  template <class T>
  static FTP_MEMBER T Update(const Scalars&, const T&, const T&, Loaded<T>*) {
    return T(0.0f);
  }
  template <class Io>
  static FTP_MEMBER void Store(const Scalars&, const Io&, const StatePointers&,
                               const Loaded<typename Io::T>&) {}
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_METHODS_PROPOSAL_H_
