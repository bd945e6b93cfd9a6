// A PTX kernel, decoded once: what the parser makes and the machine runs. Names are gone; every
// operand is the number of a register.
#ifndef TFJS_FTP_TEST_PTX_PROGRAM_H_
#define TFJS_FTP_TEST_PTX_PROGRAM_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tfjs_ftp {
namespace ptx {

constexpr int kWarpLanes = 32;
constexpr uint32_t kAllLanes = 0xffffffffu;

// One register of all lanes of a warp. Lanes lie side by side in their own width, so that loops
// over them vectorize; a predicate is a mask of lanes.
struct alignas(64) Register {
  unsigned char bytes[kWarpLanes * 8];
};

// The library is compiled with -fno-strict-aliasing: a register holds floats now and words then.
template <class T>
T* Lanes(Register& x) {
  return reinterpret_cast<T*>(x.bytes);
}
inline uint32_t& Predicate(Register& x) { return *reinterpret_cast<uint32_t*>(x.bytes); }

// Calls `body` with each lane of a mask.
template <class Body>
void ForLanes(uint32_t mask, const Body& body) {
  if (mask == kAllLanes) {
    for (int lane = 0; lane < kWarpLanes; ++lane) body(lane);
  } else {
    for (; mask != 0; mask &= mask - 1) body(__builtin_ctz(mask));
  }
}

struct Instruction;
// Computes the lanes in `mask`; others keep their values.
using Compute = void (*)(Register* registers, const Instruction& instruction, uint32_t mask);

enum class Kind : uint8_t {
  kCompute,  // `compute` does it
  kSelect,   // likewise, from one of two sources
  kLoad,
  kStore,
  kAtomic,
  kFence,
  kBranch,
  kBarrier,
  kShuffle,
  kPause,
  kReturn,
};

enum class Space : uint8_t { kGlobal, kShared, kParameter };
enum class AtomicOp : uint8_t { kAdd, kMin };

constexpr int kMaxDestinations = 4;
constexpr int kMaxSources = 4;
constexpr int32_t kNoRegister = -1;

struct Instruction {
  Kind kind = Kind::kCompute;
  uint8_t destinations = 0;
  uint8_t sources = 0;
  bool guard_negated = false;
  int32_t guard = kNoRegister;
  int32_t destination[kMaxDestinations] = {};
  int32_t source[kMaxSources] = {};
  Compute compute = nullptr;
  int32_t target = -1;  // of a branch
  // Memory accesses: `elements` values of `bytes` each at register `address` plus `offset`.
  int32_t address = kNoRegister;
  bool narrow_address = false;   // a 32-bit register
  bool uniform_address = false;  // `offset` alone, the same in all lanes
  int64_t offset = 0;
  Space space = Space::kGlobal;
  AtomicOp atomic = AtomicOp::kAdd;
  uint8_t elements = 1;
  uint8_t bytes = 4;
  uint8_t register_bytes = 4;  // width of the registers they go to or come from
  bool is_signed = false;      // a narrow value keeps its sign in a wider register
};

struct Constant {
  int32_t reg;
  uint8_t bytes;
  uint64_t value;
};

// Registers that the machine sets when a block starts.
struct SpecialRegisters {
  int32_t thread = kNoRegister;   // %tid.x
  int32_t block = kNoRegister;    // %ctaid.x
  int32_t threads = kNoRegister;  // %ntid.x
  int32_t blocks = kNoRegister;   // %nctaid.x
};

struct Kernel {
  std::string name;  // mangled
  std::string file;
  std::vector<Instruction> code;
  std::vector<std::string> text;  // of each instruction, for messages
  std::vector<int> line;
  int32_t registers = 0;
  std::vector<Constant> constants;
  SpecialRegisters special;
  size_t parameter_bytes = 0;
  size_t shared_bytes = 0;
};

}  // namespace ptx
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_PTX_PROGRAM_H_
