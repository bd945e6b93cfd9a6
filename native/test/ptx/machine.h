// Runs PTX kernels on the host: blocks of warps of 32 lanes in lockstep, with divergence.
//
// What a GPU would do silently, or only sometimes, ends the launch here, every time:
//   - an access outside of an allocation, or not aligned to its size
//   - a register that is used before it is written; shared memory likewise
//   - two threads at a word of shared memory without a barrier between them, in a warp too
//   - threads of a block at different barriers, or ended while others wait at one
//   - a shuffle that not all of its lanes come to
//   - blocks that wait for one another for ever
#ifndef TFJS_FTP_TEST_PTX_MACHINE_H_
#define TFJS_FTP_TEST_PTX_MACHINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "program.h"

namespace tfjs_ftp {
namespace ptx {

// Addresses [begin, end) of one allocation.
struct Allocation {
  uint64_t begin = 0;
  uint64_t end = 0;
  bool Holds(uint64_t address, uint64_t bytes) const {
    return address >= begin && address < end && bytes <= end - address;
  }
};
// The allocation that an address lies in, an empty one if there is none.
using FindAllocation = std::function<Allocation(uint64_t address)>;

// In which order blocks, and warps of a block, take turns. Kernels whose results depend on it lack
// a barrier or a counter.
enum class Order { kForward, kBackward, kShuffled };

struct Launch {
  int64_t blocks = 1;
  int threads = 256;  // of a block
  const void* parameters = nullptr;
  int64_t resident = 4;  // blocks at a time
  Order order = Order::kForward;
  uint32_t seed = 1;  // of Order::kShuffled
};

class Machine {
 public:
  Machine();
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // Runs a launch to its end. Empty, or what went wrong and where: then the launch has stopped
  // there. The kernel must stay where it is until it runs no more on this machine.
  std::string Run(const Kernel& kernel, const Launch& launch, const FindAllocation& find);

 private:
  // Blocks with their registers, megabytes of them, are kept from launch to launch.
  class Blocks;
  std::unique_ptr<Blocks> blocks_;
};

}  // namespace ptx
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_PTX_MACHINE_H_
