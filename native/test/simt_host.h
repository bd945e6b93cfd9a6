// Runs kernel bodies (templates over the class Simt, see kernels/cuda/simt.cuh) on the host: every
// thread of a block is a fiber of its own with its own stack, so barriers and sums over lanes work
// as on a GPU, and the sanitizers see every access. Memory is sequentially consistent here: that
// fences are missing is the one thing this cannot show.
//
// Threads and blocks run in an order that the test picks. A body whose results depend on it lacks a
// barrier.
#ifndef TFJS_FTP_TEST_SIMT_HOST_H_
#define TFJS_FTP_TEST_SIMT_HOST_H_

#include <cstdint>
#include <functional>

#include "../kernels/cuda/simt.cuh"

namespace tfjs_ftp {

enum class ThreadOrder { kForward, kBackward, kShuffled };

class HostBlock;

class HostSimt {
 public:
  HostSimt(HostBlock* owner, int block, int thread)
      : owner_(owner), block_(block), thread_(thread) {}

  int Thread() const { return thread_; }
  int Block() const { return block_; }
  BlockShared& Shared() const;
  void Sync() const;
  double LaneSum(double x, int lanes) const;
  float WarpMaxNorm(float x) const;

  template <Reuse kReuse>
  float Load(const float* p) const {
    return *p;
  }
  template <Reuse kReuse>
  Pack<kPackWidth> LoadPack(const float* p) const {
    CheckAligned(p);
    Pack<kPackWidth> x;
    for (int i = 0; i < kPackWidth; ++i) x.e[i] = p[i];
    return x;
  }
  template <Reuse kReuse>
  void Store(float* p, float x) const {
    *p = x;
  }
  template <Reuse kReuse>
  void StorePack(float* p, const Pack<kPackWidth>& x) const {
    CheckAligned(p);
    for (int i = 0; i < kPackWidth; ++i) p[i] = x.e[i];
  }

  void Fence() const {}
  int32_t AtomicAdd(int32_t* p, int32_t x) const {
    const int32_t old = *p;
    *p += x;
    return old;
  }
  void AtomicMin(int32_t* p, int32_t x) const { *p = x < *p ? x : *p; }
  float LoadPublished(const float* p) const { return *p; }
  double LoadPublished(const double* p) const { return *p; }
  int32_t LoadVolatile(const int32_t* p) const { return *p; }
  void StoreVolatile(int32_t* p, int32_t x) const { *p = x; }
  void Pause() const;

 private:
  static void CheckAligned(const float* p);

  HostBlock* owner_;
  int block_;
  int thread_;
};

// Runs blocks 0 .. blocks - 1, `resident` of them at a time. Ends the program with a message if
// threads of a block meet at different barriers, or if no block can go on any more.
void RunGrid(int64_t blocks, int64_t resident, ThreadOrder order,
             const std::function<void(const HostSimt&)>& body);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_SIMT_HOST_H_
