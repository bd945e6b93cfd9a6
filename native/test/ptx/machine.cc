#include "machine.h"

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "warp.h"

namespace tfjs_ftp {
namespace ptx {
namespace {

// Instructions of a warp's turn: enough to run to its next barrier, unless it waits for a word.
constexpr int64_t kTurn = 20000;
// Of a shuffled order turns are of random length up to this.
constexpr int64_t kLongestShuffledTurn = 400;
// Rounds over all blocks in which none of them does anything but look at memory.
constexpr int kIdleRounds = 2000;

class Block {
 public:
  Block(const Kernel& kernel, int threads) : threads_(threads), shared_(kernel.shared_bytes) {
    for (int first = 0; first < threads_; first += kWarpLanes) {
      warps_.push_back(std::make_unique<Warp>(kernel, &shared_, first / kWarpLanes));
    }
  }

  size_t warps() const { return warps_.size(); }

  void Start(Grid* grid, int64_t number) {
    shared_.Start();
    for (size_t i = 0; i < warps_.size(); ++i) {
      const int threads = std::min(threads_ - static_cast<int>(i) * kWarpLanes, kWarpLanes);
      warps_[i]->Start(grid, number, threads == kWarpLanes ? kAllLanes : (1u << threads) - 1);
    }
  }

  bool ended() const {
    return Count([](const Warp& warp) { return warp.alive(); }) == 0;
  }

  // A turn of each warp in this order, each until its threads wait for other warps or `turn` says:
  // as far apart as warps can come. Whether any of them got on.
  bool Round(const std::vector<size_t>& order, const std::function<int64_t()>& turn) {
    bool moved = false;
    for (const size_t i : order) {
      Warp& warp = *warps_[i];
      if (warp.alive() == warp.at_barrier()) continue;
      const int64_t stores = warp.stores();
      const Warp::Stop stop = warp.Run(turn());
      moved = moved || stop == Warp::Stop::kWaits || warp.stores() != stores;
    }
    PassBarrier();
    return moved;
  }

 private:
  template <class Lanes>
  int Count(const Lanes& lanes) const {
    int count = 0;
    for (const auto& warp : warps_) count += __builtin_popcount(lanes(*warp));
    return count;
  }

  // Lets the threads go on once all of them have come to the barrier.
  void PassBarrier() {
    const int waiting = Count([](const Warp& warp) { return warp.at_barrier(); });
    if (waiting == 0 || waiting < Count([](const Warp& warp) { return warp.alive(); })) return;
    int32_t place = -1;
    for (const auto& warp : warps_) {
      if (warp->at_barrier() == 0) continue;
      const int32_t here = warp->PlaceOf(warp->at_barrier());
      if (place >= 0 && here != place) {
        warp->Fail(here, warp->at_barrier(), "waits at another barrier than other threads");
      }
      place = here;
      if (waiting < threads_) {
        warp->Fail(here, warp->at_barrier(), "waits at a barrier, and other threads have ended");
      }
    }
    for (const auto& warp : warps_) warp->PassBarrier();
    shared_.PassBarrier();
  }

  int threads_;
  SharedMemory shared_;
  std::vector<std::unique_ptr<Warp>> warps_;
};

// Takes blocks into work, as many at a time as there are `places`, until all have ended.
void RunBlocks(Grid* grid, const std::vector<Block*>& places) {
  const Launch& launch = grid->launch;
  std::mt19937 random(launch.seed);
  const bool shuffled = launch.order == Order::kShuffled;
  const auto turn = [&]() -> int64_t {
    return shuffled ? 1 + static_cast<int64_t>(random() % kLongestShuffledTurn) : kTurn;
  };
  std::vector<size_t> warps(places[0]->warps());
  std::iota(warps.begin(), warps.end(), size_t{0});
  if (launch.order == Order::kBackward) std::reverse(warps.begin(), warps.end());
  int64_t started = 0;
  std::vector<Block*> running;
  const auto start = [&](Block* block) {
    const int64_t number = launch.order == Order::kBackward ? launch.blocks - 1 - started : started;
    ++started;
    block->Start(grid, number);
    running.push_back(block);
  };
  for (Block* const block : places) start(block);
  for (int idle = 0; !running.empty();) {
    bool moved = false;
    if (shuffled) std::shuffle(running.begin(), running.end(), random);
    const std::vector<Block*> round = running;
    for (Block* const block : round) {
      if (shuffled) std::shuffle(warps.begin(), warps.end(), random);
      moved = block->Round(warps, turn) || moved;
      if (!block->ended()) continue;
      running.erase(std::find(running.begin(), running.end(), block));
      if (started < launch.blocks) start(block);
    }
    idle = moved ? 0 : idle + 1;
    if (idle > kIdleRounds) throw Fault("no block can go on");
  }
}

}  // namespace

class Machine::Blocks {
 public:
  // So many blocks for a kernel.
  std::vector<Block*> For(const Kernel& kernel, int threads, int64_t count) {
    std::vector<std::unique_ptr<Block>>& kept = kept_[{&kernel, threads}];
    std::vector<Block*> blocks;
    for (size_t i = 0; static_cast<int64_t>(i) < count; ++i) {
      if (i == kept.size()) kept.push_back(std::make_unique<Block>(kernel, threads));
      blocks.push_back(kept[i].get());
    }
    return blocks;
  }

 private:
  std::map<std::pair<const Kernel*, int>, std::vector<std::unique_ptr<Block>>> kept_;
};

Machine::Machine() : blocks_(std::make_unique<Blocks>()) {}
Machine::~Machine() = default;

std::string Machine::Run(const Kernel& kernel, const Launch& launch, const FindAllocation& find) {
  if (launch.blocks <= 0) return "";
  Grid grid = {kernel, launch, find, std::vector<Allocation>(kernel.code.size())};
  try {
    RunBlocks(&grid,
              blocks_->For(kernel, launch.threads, std::min(launch.blocks, launch.resident)));
  } catch (const Fault& fault) {
    return fault.what();
  }
  return "";
}

}  // namespace ptx
}  // namespace tfjs_ftp
