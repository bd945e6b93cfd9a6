// One warp: its registers, and where each of its lanes stands.
#ifndef TFJS_FTP_TEST_PTX_WARP_H_
#define TFJS_FTP_TEST_PTX_WARP_H_

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

#include "machine.h"
#include "program.h"
#include "shared_memory.h"

namespace tfjs_ftp {
namespace ptx {

struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What all blocks of a launch share.
struct Grid {
  const Kernel& kernel;
  const Launch& launch;
  const FindAllocation& find;
  // Of each instruction, the allocation that it touched last.
  std::vector<Allocation> touched;
};

class Warp {
 public:
  enum class Stop { kWaits, kPauses, kBudget };

  Warp(const Kernel& kernel, SharedMemory* shared, int number);

  // For block number `block` of a grid; `lanes` of the warp are threads of it.
  void Start(Grid* grid, int64_t block, uint32_t lanes);

  // Until all lanes wait at a barrier or have ended, or pause, or `budget` instructions have run.
  Stop Run(int64_t budget);

  uint32_t alive() const { return alive_; }
  uint32_t at_barrier() const { return at_barrier_; }
  // Stores and atomics so far: a warp that only looks at memory does not get on.
  int64_t stores() const { return stores_; }
  // Where the lanes in `lanes`, not empty, stand; a fault if it is not one place.
  int32_t PlaceOf(uint32_t lanes) const;
  void PassBarrier();

  [[noreturn]] void Fail(int32_t at, uint32_t lanes, const std::string& what) const;

 private:
  uint32_t Runnable() const { return alive_ & ~at_barrier_ & ~at_shuffle_; }
  // The lanes that go on next, those that are furthest behind; where the next ones stand.
  uint32_t PickLanes(int32_t* next) const;
  void SetPlace(uint32_t lanes, int32_t place);
  void MeetAtShuffle();

  // Values of registers that were never written may be computed with (a compiler copies the padding
  // of structs), and make undefined whatever comes of them. They must not decide anything: no
  // branch, no address, nothing in global memory.
  uint32_t Defined(int32_t reg) const { return defined_[static_cast<size_t>(reg)]; }
  void Define(int32_t reg, uint32_t mask, uint32_t defined);
  void MustBeDefined(int32_t at, int32_t reg, uint32_t mask, const char* what) const;
  void RunCompute(const Instruction& i, uint32_t mask);
  void RunSelect(const Instruction& i, uint32_t mask);
  void RunMemory(int32_t at, const Instruction& i, uint32_t mask);
  void RunUniformLoad(int32_t at, const Instruction& i, uint32_t mask);
  void DefineLoaded(const Instruction& i, uint32_t mask, const uint64_t* addresses);
  void RunAtomic(const Instruction& i, uint32_t mask, unsigned char* const* at);
  void RunShuffle(int32_t at, const Instruction& i, uint32_t mask);

  // Addresses of an access, lane by lane, and where they are on the host; all checked.
  void Locate(int32_t at, const Instruction& i, uint32_t mask, uint64_t* addresses,
              unsigned char** places);
  void LocateGlobal(int32_t at, const Instruction& i, uint32_t mask, const uint64_t* addresses,
                    unsigned char** places);
  void LocateShared(int32_t at, const Instruction& i, uint32_t mask, const uint64_t* addresses,
                    unsigned char** places);

  Grid* grid_ = nullptr;
  SharedMemory* shared_;
  int number_;
  int64_t block_ = 0;
  std::unique_ptr<Register[]> registers_;
  std::vector<uint32_t> defined_;  // of each register: in which lanes
  int32_t place_[kWarpLanes] = {};
  uint32_t alive_ = 0;
  uint32_t at_barrier_ = 0;
  uint32_t at_shuffle_ = 0;
  int64_t stores_ = 0;
};

}  // namespace ptx
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_PTX_WARP_H_
