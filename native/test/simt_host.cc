#include "simt_host.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define FTP_START_SWITCH(save, bottom, size) __sanitizer_start_switch_fiber(save, bottom, size)
#define FTP_FINISH_SWITCH(save, bottom, size) __sanitizer_finish_switch_fiber(save, bottom, size)
#else
#define FTP_START_SWITCH(save, bottom, size) ((void)(save), (void)(bottom), (void)(size))
#define FTP_FINISH_SWITCH(save, bottom, size) ((void)(save), (void)(bottom), (void)(size))
#endif

namespace tfjs_ftp {
namespace {

constexpr size_t kStackBytes = 128 * 1024;
// Rounds over all blocks in which none of them does anything but look at a word.
constexpr int kIdleRounds = 1000;

[[noreturn]] void Die(const char* message, int block, int thread) {
  std::fprintf(stderr, "block %d, thread %d: %s\n", block, thread, message);
  std::abort();
}

enum class Wait { kNone, kBarrier, kLanes, kPause, kEnd };

// Where the scheduler itself runs.
jmp_buf g_scheduler;
const void* g_scheduler_bottom = nullptr;
size_t g_scheduler_size = 0;

}  // namespace

// A thread with a stack of its own. Stacks are entered with makecontext once; after that, switching
// is a longjmp, which unlike swapcontext makes no system call.
struct Fiber {
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  jmp_buf where;
  bool started = false;
  void* fake_stack = nullptr;
  Wait wait = Wait::kNone;
  double value = 0;  // what it brings to a sum over lanes, and takes from it
  int lanes = 0;     // of the sum; 0: maximum over the warp
  HostBlock* owner = nullptr;
  int thread = 0;
};

class HostBlock {
 public:
  explicit HostBlock(const std::function<void(const HostSimt&)>* body)
      : body_(body), fibers_(kBlockThreads) {
    for (int i = 0; i < kBlockThreads; ++i) {
      fibers_[static_cast<size_t>(i)].owner = this;
      fibers_[static_cast<size_t>(i)].thread = i;
    }
  }

  void Start(int block) {
    block_ = block;
    ended_ = 0;
    std::memset(static_cast<void*>(&shared), 0xff,
                sizeof(shared));  // NaN, wherever it is read too early
    for (Fiber& fiber : fibers_) {
      fiber.started = false;
      fiber.wait = Wait::kNone;
    }
  }

  bool ended() const { return ended_ == kBlockThreads; }

  // Runs one warp after the other, each until its threads wait for other warps: as far apart as
  // warps can come, which is what shows that a barrier is missing. Whether any thread did more than
  // look at a word.
  bool Round(const std::vector<int>& warps, const std::vector<int>& lanes) {
    bool moved = false;
    for (const int warp : warps) {
      for (bool again = true; again;) {
        for (const int lane : lanes) {
          Fiber& fiber = fibers_[static_cast<size_t>(warp * kWarpThreads + lane)];
          if (fiber.wait != Wait::kNone && fiber.wait != Wait::kPause) continue;
          Resume(&fiber);
          moved = moved || fiber.wait != Wait::kPause;
        }
        again = ReleaseWarp(warp * kWarpThreads);
      }
    }
    return Release() || moved;
  }

  // Called in a fiber: back to the scheduler until it resumes this one.
  void Leave(int thread, Wait wait) {
    Fiber& fiber = fibers_[static_cast<size_t>(thread)];
    fiber.wait = wait;
    FTP_START_SWITCH(&fiber.fake_stack, g_scheduler_bottom, g_scheduler_size);
    if (_setjmp(fiber.where) == 0) _longjmp(g_scheduler, 1);
    FTP_FINISH_SWITCH(fiber.fake_stack, nullptr, nullptr);
  }

  double Meet(int thread, double x, int lanes) {
    Fiber& fiber = fibers_[static_cast<size_t>(thread)];
    fiber.value = x;
    fiber.lanes = lanes;
    Leave(thread, Wait::kLanes);
    return fiber.value;
  }

  BlockShared shared;

 private:
  static void Enter(unsigned high, unsigned low) {
    Fiber* const fiber = reinterpret_cast<Fiber*>((static_cast<uintptr_t>(high) << 32) | low);
    FTP_FINISH_SWITCH(nullptr, &g_scheduler_bottom, &g_scheduler_size);
    HostBlock* const owner = fiber->owner;
    {
      const HostSimt simt(owner, owner->block_, fiber->thread);
      (*owner->body_)(simt);
    }
    fiber->wait = Wait::kEnd;
    ++owner->ended_;
    FTP_START_SWITCH(nullptr, g_scheduler_bottom, g_scheduler_size);
    _longjmp(g_scheduler, 1);
  }

  static void Resume(Fiber* fiber) {
    void* fake_stack = nullptr;
    FTP_START_SWITCH(&fake_stack, fiber->stack.get(), kStackBytes);
    if (_setjmp(g_scheduler) == 0) {
      fiber->wait = Wait::kNone;
      if (fiber->started) _longjmp(fiber->where, 1);
      fiber->started = true;
      ucontext_t context;
      getcontext(&context);
      context.uc_stack.ss_sp = fiber->stack.get();
      context.uc_stack.ss_size = kStackBytes;
      context.uc_link = nullptr;
      const uintptr_t address = reinterpret_cast<uintptr_t>(fiber);
      makecontext(&context, reinterpret_cast<void (*)()>(Enter), 2,
                  static_cast<unsigned>(address >> 32), static_cast<unsigned>(address));
      setcontext(&context);
    }
    FTP_FINISH_SWITCH(fake_stack, nullptr, nullptr);
  }

  // Lets go the threads whose barrier or sum is complete.
  bool Release() {
    int at_barrier = 0;
    int paused = 0;
    for (const Fiber& fiber : fibers_) {
      at_barrier += fiber.wait == Wait::kBarrier ? 1 : 0;
      paused += fiber.wait == Wait::kPause || fiber.wait == Wait::kNone ? 1 : 0;
    }
    if (at_barrier == kBlockThreads) {
      for (Fiber& fiber : fibers_) fiber.wait = Wait::kNone;
      return true;
    }
    if (at_barrier > 0 && paused == 0) {
      Die("some threads wait at a barrier, the others have ended or wait elsewhere", block_, 0);
    }
    return false;
  }

  bool ReleaseWarp(int first) {
    Fiber* const warp = &fibers_[static_cast<size_t>(first)];
    int waiting = 0;
    for (int i = 0; i < kWarpThreads; ++i) waiting += warp[i].wait == Wait::kLanes ? 1 : 0;
    if (waiting == 0) return false;
    for (int i = 0; i < kWarpThreads; ++i) {
      if (warp[i].wait == Wait::kNone || warp[i].wait == Wait::kPause) return false;
      if (warp[i].wait != Wait::kLanes || warp[i].lanes != warp[0].lanes) {
        Die("not all threads of a warp take part in a sum over lanes", block_, first + i);
      }
    }
    const int lanes = warp[0].lanes;
    double values[kWarpThreads];
    for (int step = 1; step < (lanes == 0 ? kWarpThreads : lanes); step *= 2) {
      for (int i = 0; i < kWarpThreads; ++i) {
        const double other = warp[i ^ step].value;
        values[i] = lanes == 0 ? static_cast<double>(MaxNorm(static_cast<float>(warp[i].value),
                                                             static_cast<float>(other)))
                               : warp[i].value + other;
      }
      for (int i = 0; i < kWarpThreads; ++i) warp[i].value = values[i];
    }
    for (int i = 0; i < kWarpThreads; ++i) warp[i].wait = Wait::kNone;
    return true;
  }

  const std::function<void(const HostSimt&)>* body_;
  std::vector<Fiber> fibers_;
  int block_ = 0;
  int ended_ = 0;
};

BlockShared& HostSimt::Shared() const { return owner_->shared; }
void HostSimt::Sync() const { owner_->Leave(thread_, Wait::kBarrier); }
double HostSimt::LaneSum(double x, int lanes) const { return owner_->Meet(thread_, x, lanes); }
float HostSimt::WarpMaxNorm(float x) const {
  return static_cast<float>(owner_->Meet(thread_, static_cast<double>(x), 0));
}
void HostSimt::Pause() const { owner_->Leave(thread_, Wait::kPause); }

void HostSimt::CheckAligned(const float* p) {
  if (reinterpret_cast<uintptr_t>(p) % 16 != 0) Die("a 16-byte access is not aligned", -1, -1);
}

void RunGrid(int64_t blocks, int64_t resident, ThreadOrder order,
             const std::function<void(const HostSimt&)>& body) {
  static std::vector<std::unique_ptr<HostBlock>> kept;  // stacks are dear
  static const std::function<void(const HostSimt&)>* running = nullptr;
  static const std::function<void(const HostSimt&)> run = [](const HostSimt& simt) {
    (*running)(simt);
  };
  running = &body;
  const size_t at_once = static_cast<size_t>(std::min(blocks, resident));
  while (kept.size() < at_once) kept.push_back(std::make_unique<HostBlock>(&run));
  std::mt19937 random(17);
  std::vector<int> warps(kBlockThreads / kWarpThreads);
  std::vector<int> lanes(kWarpThreads);
  std::iota(warps.begin(), warps.end(), 0);
  std::iota(lanes.begin(), lanes.end(), 0);
  if (order == ThreadOrder::kBackward) {
    std::reverse(warps.begin(), warps.end());
    std::reverse(lanes.begin(), lanes.end());
  }
  std::vector<size_t> places(at_once);
  std::iota(places.begin(), places.end(), size_t{0});
  int64_t next = 0;
  std::vector<bool> busy(at_once, false);
  for (int idle = 0;;) {
    bool moved = false;
    bool any = false;
    if (order == ThreadOrder::kShuffled) std::shuffle(places.begin(), places.end(), random);
    for (const size_t place : places) {
      HostBlock& block = *kept[place];
      if (!busy[place]) {
        if (next >= blocks) continue;
        block.Start(static_cast<int>(next++));
        busy[place] = true;
      }
      any = true;
      if (order == ThreadOrder::kShuffled) {
        std::shuffle(warps.begin(), warps.end(), random);
        std::shuffle(lanes.begin(), lanes.end(), random);
      }
      moved = block.Round(warps, lanes) || moved;
      if (block.ended()) busy[place] = false;
    }
    if (!any && next >= blocks) return;
    idle = moved ? 0 : idle + 1;
    if (idle > kIdleRounds) Die("no block can go on", -1, -1);
  }
}

}  // namespace tfjs_ftp
