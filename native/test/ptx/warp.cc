#include "warp.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

namespace tfjs_ftp {
namespace ptx {
namespace {

int First(uint32_t lanes) { return __builtin_ctz(lanes); }

// The lanes one by one; ForLanes where a loop over all of them may be one vector instruction.
template <class Body>
void ForEach(uint32_t lanes, const Body& body) {
  for (; lanes != 0; lanes &= lanes - 1) body(First(lanes));
}

template <class T>
void Fill(Register* x, T value) {
  for (int lane = 0; lane < kWarpLanes; ++lane) Lanes<T>(*x)[lane] = value;
}

// Calls `body` with a value of the type that an access has in memory.
template <class Body>
void WithMemoryType(const Instruction& i, const Body& body) {
  switch (i.bytes) {
    case 1:
      return i.is_signed ? body(int8_t{}) : body(uint8_t{});
    case 2:
      return i.is_signed ? body(int16_t{}) : body(uint16_t{});
    case 4:
      return i.is_signed ? body(int32_t{}) : body(uint32_t{});
    default:
      return body(uint64_t{});
  }
}
// And in its registers.
template <class Body>
void WithRegisterType(const Instruction& i, const Body& body) {
  switch (i.register_bytes) {
    case 2:
      return body(uint16_t{});
    case 4:
      return body(uint32_t{});
    default:
      return body(uint64_t{});
  }
}

}  // namespace

Warp::Warp(const Kernel& kernel, SharedMemory* shared, int number)
    : shared_(shared),
      number_(number),
      registers_(new Register[static_cast<size_t>(kernel.registers)]),
      defined_(static_cast<size_t>(kernel.registers)) {
  for (const Constant& constant : kernel.constants) {
    Register* const x = &registers_[static_cast<size_t>(constant.reg)];
    if (constant.bytes == 0) Predicate(*x) = constant.value != 0 ? kAllLanes : 0;
    if (constant.bytes == 2) Fill(x, static_cast<uint16_t>(constant.value));
    if (constant.bytes == 4) Fill(x, static_cast<uint32_t>(constant.value));
    if (constant.bytes == 8) Fill(x, constant.value);
  }
}

void Warp::Start(Grid* grid, int64_t block, uint32_t lanes) {
  grid_ = grid;
  block_ = block;
  alive_ = lanes;
  at_barrier_ = at_shuffle_ = 0;
  std::fill(place_, place_ + kWarpLanes, 0);
  std::fill(defined_.begin(), defined_.end(), 0u);
  const auto define = [this](int32_t reg) { defined_[static_cast<size_t>(reg)] = kAllLanes; };
  for (const Constant& constant : grid_->kernel.constants) define(constant.reg);
  const auto set = [&](int32_t reg, const auto& value_of) {
    if (reg == kNoRegister) return;
    define(reg);
    uint32_t* const values = Lanes<uint32_t>(registers_[static_cast<size_t>(reg)]);
    for (int lane = 0; lane < kWarpLanes; ++lane)
      values[lane] = static_cast<uint32_t>(value_of(lane));
  };
  const SpecialRegisters& special = grid_->kernel.special;
  set(special.thread, [&](int lane) { return number_ * kWarpLanes + lane; });
  set(special.block, [&](int) { return block; });
  set(special.threads, [&](int) { return grid_->launch.threads; });
  set(special.blocks, [&](int) { return grid_->launch.blocks; });
}

void Warp::Fail(int32_t at, uint32_t lanes, const std::string& what) const {
  const Kernel& kernel = grid_->kernel;
  const size_t place = static_cast<size_t>(at);
  throw Fault(kernel.file + ":" + std::to_string(kernel.line[place]) + ": block " +
              std::to_string(block_) + ", thread " +
              std::to_string(number_ * kWarpLanes + First(lanes)) + " " + what + ": " +
              kernel.text[place]);
}

int32_t Warp::PlaceOf(uint32_t lanes) const {
  const int32_t place = place_[First(lanes)];
  ForEach(lanes, [&](int lane) {
    if (place_[lane] != place) {
      Fail(place_[lane], 1u << lane, "waits, and threads of its warp wait elsewhere");
    }
  });
  return place;
}

void Warp::SetPlace(uint32_t lanes, int32_t place) {
  ForEach(lanes, [&](int lane) { place_[lane] = place; });
}

void Warp::PassBarrier() {
  ForEach(at_barrier_, [&](int lane) { ++place_[lane]; });
  at_barrier_ = 0;
}

uint32_t Warp::PickLanes(int32_t* next) const {
  int32_t place = std::numeric_limits<int32_t>::max();
  *next = place;
  uint32_t lanes = 0;
  ForEach(Runnable(), [&](int lane) {
    if (place_[lane] < place) {
      *next = place;
      place = place_[lane];
      lanes = 0;
    } else if (place_[lane] > place) {
      *next = std::min(*next, place_[lane]);
    }
    if (place_[lane] == place) lanes |= 1u << lane;
  });
  return lanes;
}

// Lanes that are furthest behind go on until they reach others: the usual code of a compiler, whose
// branches meet again further on, has its lanes together again as soon as they can be.
Warp::Stop Warp::Run(int64_t budget) {
  const Instruction* const code = grid_->kernel.code.data();
  for (;;) {
    if (Runnable() == 0) {
      if (at_shuffle_ == 0) return Stop::kWaits;
      MeetAtShuffle();
    }
    int32_t next = 0;
    const uint32_t lanes = PickLanes(&next);
    int32_t at = place_[First(lanes)];
    for (bool together = true; together;) {
      if (at >= next || budget-- <= 0) {
        SetPlace(lanes, at);
        if (budget < 0) return Stop::kBudget;
        break;
      }
      const Instruction& i = code[at];
      uint32_t mask = lanes;
      if (i.guard != kNoRegister) {
        MustBeDefined(at, i.guard, lanes, "is guarded by a register that was never written");
        const uint32_t holds = Predicate(registers_[static_cast<size_t>(i.guard)]);
        mask &= i.guard_negated ? ~holds : holds;
      }
      switch (i.kind) {
        case Kind::kCompute:
          if (mask != 0) RunCompute(i, mask);
          ++at;
          break;
        case Kind::kSelect:
          if (mask != 0) RunSelect(i, mask);
          ++at;
          break;
        case Kind::kLoad:
        case Kind::kStore:
        case Kind::kAtomic:
          if (mask != 0) RunMemory(at, i, mask);
          ++at;
          break;
        case Kind::kFence:
          ++at;
          break;
        case Kind::kBranch:
          if (mask == 0) {
            ++at;
          } else if (mask == lanes) {
            at = i.target;
          } else {
            SetPlace(mask, i.target);
            SetPlace(lanes & ~mask, at + 1);
            together = false;
          }
          break;
        case Kind::kShuffle:
          if (mask == kAllLanes) {
            RunShuffle(at, i, mask);
            ++at;
            break;
          }
          at_shuffle_ |= mask;
          SetPlace(mask, at);
          SetPlace(lanes & ~mask, at + 1);
          together = false;
          break;
        case Kind::kBarrier:
          at_barrier_ |= mask;
          SetPlace(mask, at);
          SetPlace(lanes & ~mask, at + 1);
          together = false;
          break;
        case Kind::kPause:
          SetPlace(lanes, at + 1);
          if (mask != 0) return Stop::kPauses;
          together = false;
          break;
        case Kind::kReturn:
          alive_ &= ~mask;
          SetPlace(lanes & ~mask, at + 1);
          together = false;
          break;
      }
    }
  }
}

// No lane can go on: those that are at a shuffle take it, if they are all there.
void Warp::MeetAtShuffle() {
  const int32_t at = PlaceOf(at_shuffle_);
  const Instruction& i = grid_->kernel.code[static_cast<size_t>(at)];
  const uint32_t lanes = at_shuffle_;
  at_shuffle_ = 0;
  RunShuffle(at, i, lanes);
  SetPlace(lanes, at + 1);
}

void Warp::RunShuffle(int32_t at, const Instruction& i, uint32_t mask) {
  for (int k = 1; k < i.sources; ++k) {
    MustBeDefined(at, i.source[k], mask, "shuffles by a register that was never written");
  }
  const uint32_t defined = Defined(i.source[0]);
  const uint32_t* const values = Lanes<uint32_t>(registers_[static_cast<size_t>(i.source[0])]);
  const uint32_t* const distances = Lanes<uint32_t>(registers_[static_cast<size_t>(i.source[1])]);
  const uint32_t* const clamps = Lanes<uint32_t>(registers_[static_cast<size_t>(i.source[2])]);
  const uint32_t* const members = Lanes<uint32_t>(registers_[static_cast<size_t>(i.source[3])]);
  uint32_t results[kWarpLanes] = {};
  uint32_t results_defined = 0;
  ForEach(mask, [&](int lane) {
    if (members[lane] != mask) {
      Fail(at, 1u << lane, "shuffles with lanes that are not there");
    }
    if (clamps[lane] != kWarpLanes - 1) Fail(at, 1u << lane, "shuffles within part of a warp");
    const uint32_t from = (static_cast<uint32_t>(lane) ^ distances[lane]) & (kWarpLanes - 1);
    if ((mask >> from & 1) == 0)
      Fail(at, 1u << lane, "takes the value of a lane that is not there");
    results[lane] = values[from];
    results_defined |= (defined >> from & 1) << lane;
  });
  uint32_t* const to = Lanes<uint32_t>(registers_[static_cast<size_t>(i.destination[0])]);
  ForEach(mask, [&](int lane) { to[lane] = results[lane]; });
  Define(i.destination[0], mask, results_defined);
  if (i.destinations == 2) {
    Predicate(registers_[static_cast<size_t>(i.destination[1])]) |= mask;
    Define(i.destination[1], mask, mask);
  }
}

void Warp::Define(int32_t reg, uint32_t mask, uint32_t defined) {
  uint32_t& lanes = defined_[static_cast<size_t>(reg)];
  lanes = (lanes & ~mask) | (defined & mask);
}

void Warp::MustBeDefined(int32_t at, int32_t reg, uint32_t mask, const char* what) const {
  const uint32_t undefined = mask & ~Defined(reg);
  if (undefined != 0) Fail(at, undefined, what);
}

void Warp::RunCompute(const Instruction& i, uint32_t mask) {
  uint32_t defined = mask;
  for (int k = 0; k < i.sources; ++k) defined &= Defined(i.source[k]);
  i.compute(registers_.get(), i, mask);
  for (int k = 0; k < i.destinations; ++k) Define(i.destination[k], mask, defined);
}

// Only what is chosen must be there.
void Warp::RunSelect(const Instruction& i, uint32_t mask) {
  const uint32_t first = Predicate(registers_[static_cast<size_t>(i.source[2])]);
  const uint32_t chosen = (first & Defined(i.source[0])) | (~first & Defined(i.source[1]));
  i.compute(registers_.get(), i, mask);
  Define(i.destination[0], mask, chosen & Defined(i.source[2]));
}

void Warp::LocateGlobal(int32_t at, const Instruction& i, uint32_t mask, const uint64_t* addresses,
                        unsigned char** places) {
  const uint64_t bytes = static_cast<uint64_t>(i.bytes) * i.elements;
  Allocation& known = grid_->touched[static_cast<size_t>(at)];
  ForEach(mask, [&](int lane) {
    const uint64_t address = addresses[lane];
    if (!known.Holds(address, bytes)) {
      known = grid_->find(address);
      if (!known.Holds(address, bytes)) {
        Fail(at, 1u << lane, "touches what is outside of live device memory");
      }
    }
    places[lane] = reinterpret_cast<unsigned char*>(address);
  });
}

void Warp::LocateShared(int32_t at, const Instruction& i, uint32_t mask, const uint64_t* addresses,
                        unsigned char** places) {
  const int bytes = i.bytes * i.elements;
  ForEach(mask, [&](int lane) {
    const uint64_t offset = addresses[lane];
    if (offset > shared_->size() || static_cast<size_t>(bytes) > shared_->size() - offset) {
      Fail(at, 1u << lane, "touches what is outside of the block's shared memory");
    }
    const int32_t thread = number_ * kWarpLanes + lane;
    const char* wrong = nullptr;
    if (i.kind == Kind::kLoad) {
      wrong = shared_->Read(offset, bytes, thread);
    } else {
      for (int k = 0; k < i.elements && wrong == nullptr; ++k) {
        wrong = shared_->Write(offset + static_cast<uint64_t>(k * i.bytes), i.bytes, thread,
                               (Defined(i.source[k]) >> lane & 1) != 0);
      }
    }
    if (wrong != nullptr) Fail(at, 1u << lane, wrong);
    places[lane] = shared_->at(offset);
  });
}

void Warp::Locate(int32_t at, const Instruction& i, uint32_t mask, uint64_t* addresses,
                  unsigned char** places) {
  MustBeDefined(at, i.address, mask, "has its address from a register that was never written");
  const size_t base = static_cast<size_t>(i.address);
  const uint64_t bytes = static_cast<uint64_t>(i.bytes) * i.elements;
  uint64_t bits = 0;
  ForEach(mask, [&](int lane) {
    const uint64_t start = i.narrow_address ? Lanes<uint32_t>(registers_[base])[lane]
                                            : Lanes<uint64_t>(registers_[base])[lane];
    addresses[lane] = start + static_cast<uint64_t>(i.offset);
    bits |= addresses[lane];
  });
  if (bits % bytes != 0) {
    ForEach(mask, [&](int lane) {
      if (addresses[lane] % bytes != 0) {
        Fail(at, 1u << lane, "touches an address that is not aligned to the size of the access");
      }
    });
  }
  switch (i.space) {
    case Space::kGlobal:
      return LocateGlobal(at, i, mask, addresses, places);
    case Space::kShared:
      return LocateShared(at, i, mask, addresses, places);
    case Space::kParameter: {
      const Allocation parameters = {0, grid_->kernel.parameter_bytes};
      unsigned char* const start =
          static_cast<unsigned char*>(const_cast<void*>(grid_->launch.parameters));
      ForEach(mask, [&](int lane) {
        if (!parameters.Holds(addresses[lane], bytes)) {
          Fail(at, 1u << lane, "touches what is outside of the parameters");
        }
        places[lane] = start + addresses[lane];
      });
    }
  }
}

void Warp::RunMemory(int32_t at, const Instruction& i, uint32_t mask) {
  if (i.kind != Kind::kLoad) {
    ++stores_;
    for (int k = 0; k < i.sources && i.space != Space::kShared; ++k) {
      MustBeDefined(at, i.source[k], mask, "stores a register that was never written");
    }
  }
  if (i.uniform_address && i.kind == Kind::kLoad) return RunUniformLoad(at, i, mask);
  uint64_t addresses[kWarpLanes];
  unsigned char* places[kWarpLanes];
  Locate(at, i, mask, addresses, places);
  if (i.kind == Kind::kAtomic) return RunAtomic(i, mask, places);
  WithMemoryType(i, [&](auto memory) {
    WithRegisterType(i, [&](auto in_register) {
      using M = decltype(memory);
      using R = decltype(in_register);
      const auto lanes_of = [&](int32_t reg) {
        return Lanes<R>(registers_[static_cast<size_t>(reg)]);
      };
      for (int k = 0; k < i.destinations; ++k) {
        R* const lanes = lanes_of(i.destination[k]);
        ForEach(mask, [&](int lane) {
          M value;
          std::memcpy(&value, places[lane] + static_cast<size_t>(k) * sizeof(M), sizeof(M));
          lanes[lane] = static_cast<R>(value);
        });
      }
      for (int k = 0; k < i.sources; ++k) {
        const R* const lanes = lanes_of(i.source[k]);
        ForEach(mask, [&](int lane) {
          const M value = static_cast<M>(lanes[lane]);
          std::memcpy(places[lane] + static_cast<size_t>(k) * sizeof(M), &value, sizeof(M));
        });
      }
    });
  });
  if (i.kind == Kind::kLoad) DefineLoaded(i, mask, addresses);
}

// All lanes read the same place: half of what kernels do, as they keep in shared memory what their
// threads have in common.
void Warp::RunUniformLoad(int32_t at, const Instruction& i, uint32_t mask) {
  const bool shared = i.space == Space::kShared;
  const uint64_t offset = static_cast<uint64_t>(i.offset);
  const int bytes = i.bytes * i.elements;
  const Allocation all = {0, shared ? shared_->size() : grid_->kernel.parameter_bytes};
  if (!all.Holds(offset, static_cast<uint64_t>(bytes))) {
    Fail(at, mask,
         shared ? "touches what is outside of the block's shared memory"
                : "touches what is outside of the parameters");
  }
  if (offset % static_cast<uint64_t>(bytes) != 0) {
    Fail(at, mask, "touches an address that is not aligned to the size of the access");
  }
  const bool alone = (mask & (mask - 1)) == 0;
  const int32_t thread = alone ? number_ * kWarpLanes + First(mask) : SharedMemory::kSeveral;
  const char* const wrong = shared ? shared_->Read(offset, bytes, thread) : nullptr;
  if (wrong != nullptr) Fail(at, mask, wrong);
  const unsigned char* const place =
      shared ? shared_->at(offset)
             : static_cast<const unsigned char*>(grid_->launch.parameters) + offset;
  WithMemoryType(i, [&](auto memory) {
    WithRegisterType(i, [&](auto in_register) {
      using R = decltype(in_register);
      for (int k = 0; k < i.elements; ++k) {
        std::memcpy(&memory, place + k * i.bytes, sizeof(memory));
        const R value = static_cast<R>(memory);
        R* const lanes = Lanes<R>(registers_[static_cast<size_t>(i.destination[k])]);
        ForLanes(mask, [=](int lane) { lanes[lane] = value; });
        const bool defined =
            !shared || shared_->Defined(offset + static_cast<uint64_t>(k * i.bytes), i.bytes);
        Define(i.destination[k], mask, defined ? mask : 0);
      }
    });
  });
}

void Warp::DefineLoaded(const Instruction& i, uint32_t mask, const uint64_t* addresses) {
  for (int k = 0; k < i.elements; ++k) {
    uint32_t defined = mask;
    if (i.space == Space::kShared) {
      ForEach(mask, [&](int lane) {
        const uint64_t offset = addresses[lane] + static_cast<uint64_t>(k * i.bytes);
        if (!shared_->Defined(offset, i.bytes)) defined &= ~(1u << lane);
      });
    }
    Define(i.destination[k], mask, defined);
  }
}

// Lane by lane, in some order as on a GPU.
void Warp::RunAtomic(const Instruction& i, uint32_t mask, unsigned char* const* places) {
  const int32_t* const operands = Lanes<int32_t>(registers_[static_cast<size_t>(i.source[0])]);
  ForEach(mask, [&](int lane) {
    int32_t old = 0;
    std::memcpy(&old, places[lane], sizeof(old));
    const int32_t result = i.atomic == AtomicOp::kMin
                               ? std::min(old, operands[lane])
                               : static_cast<int32_t>(static_cast<uint32_t>(old) +
                                                      static_cast<uint32_t>(operands[lane]));
    std::memcpy(places[lane], &result, sizeof(result));
    if (i.destinations == 1) {
      Lanes<int32_t>(registers_[static_cast<size_t>(i.destination[0])])[lane] = old;
    }
  });
  if (i.destinations == 1) Define(i.destination[0], mask, mask);
}

}  // namespace ptx
}  // namespace tfjs_ftp
