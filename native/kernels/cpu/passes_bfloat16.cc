// The passes over state in bfloat16.
#define FTP_STATE_FORMAT kBfloat16
#define FTP_FORMAT_SUFFIX Bfloat16
#include "passes.cc"
