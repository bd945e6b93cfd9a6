// The scalars of any piece, as bytes: what a record of a variable carries for a pass whose method
// is known only where it runs.
#ifndef TFJS_FTP_KERNELS_SCALAR_BYTES_H_
#define TFJS_FTP_KERNELS_SCALAR_BYTES_H_

#include <cstring>
#include <type_traits>

#include "lanes.h"

namespace tfjs_ftp {

class ScalarBytes {
 public:
  template <class Scalars>
  void Set(const Scalars& scalars) {
    static_assert(std::is_trivially_copyable<Scalars>::value, "copied as bytes");
    static_assert(sizeof(Scalars) <= sizeof(bytes_) && alignof(Scalars) <= alignof(double),
                  "make ScalarBytes larger");
    std::memcpy(bytes_, &scalars, sizeof(scalars));
  }
  template <class Scalars>
  FTP_MEMBER const Scalars& As() const {
    return *reinterpret_cast<const Scalars*>(bytes_);
  }

 private:
  alignas(double) unsigned char bytes_[64] = {};
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_SCALAR_BYTES_H_
