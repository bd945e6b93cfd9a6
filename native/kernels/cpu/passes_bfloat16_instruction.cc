// The passes over state in bfloat16 with AVX-512's instruction that rounds to it, for processors
// that have it; for other instruction sets this file is empty.
#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__GNUC__)
#define FTP_STATE_FORMAT kBfloat16
#define FTP_FORMAT_SUFFIX Bfloat16Instruction
#define FTP_BFLOAT16_INSTRUCTION
#include "passes.cc"
#endif
