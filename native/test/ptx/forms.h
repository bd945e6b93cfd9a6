// The instructions that the interpreter knows, by their full names: an instruction with a modifier
// that is not written here is refused, never run as if the modifier were not there.
#ifndef TFJS_FTP_TEST_PTX_FORMS_H_
#define TFJS_FTP_TEST_PTX_FORMS_H_

#include <string>

#include "program.h"

namespace tfjs_ftp {
namespace ptx {

// Operands of an instruction without memory access: `widths` in bytes, destinations first; 0 is a
// predicate.
struct Form {
  Kind kind = Kind::kCompute;
  Compute compute = nullptr;
  int destinations = 1;
  int sources = 0;
  int widths[kMaxDestinations + kMaxSources] = {};
};

// Null if there is none of this name.
const Form* FindForm(const std::string& opcode);

}  // namespace ptx
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_PTX_FORMS_H_
