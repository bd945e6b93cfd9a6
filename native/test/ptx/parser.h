// Reads the PTX that nvcc writes.
#ifndef TFJS_FTP_TEST_PTX_PARSER_H_
#define TFJS_FTP_TEST_PTX_PARSER_H_

#include <stdexcept>
#include <string>
#include <vector>

#include "program.h"

namespace tfjs_ftp {
namespace ptx {

// Something that the interpreter does not know, with file and line.
struct ParseError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// All kernels of a module. `file` is for messages. Throws ParseError.
std::vector<Kernel> Parse(const std::string& text, const std::string& file);
std::vector<Kernel> ParseFile(const std::string& file);

}  // namespace ptx
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_PTX_PARSER_H_
