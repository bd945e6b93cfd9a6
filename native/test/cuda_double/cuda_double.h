// What tests ask of the double of the CUDA runtime: faults at chosen places, other schedules, and
// what it has found wrong. The double has the interface of tfjs_ftp_cuda: the same host code of
// kernels/cuda, its launchers among it, with a CUDA runtime of its own that runs the PTX of the
// kernels (../ptx).
//
// It is stricter than a GPU. Work on a stream runs as late as CUDA's rules allow: only when the
// host waits for it, or for work that is ordered behind it, and of two operations that nothing
// orders the later one runs first. So a missing order shows in every run, not in some. Host code
// that touches device memory ends the program, as it does with a GPU.
#ifndef TFJS_FTP_TEST_CUDA_DOUBLE_CUDA_DOUBLE_H_
#define TFJS_FTP_TEST_CUDA_DOUBLE_CUDA_DOUBLE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "../ptx/machine.h"

namespace tfjs_ftp {
namespace cuda_double {

// What the one device calls itself.
extern const char* const kDeviceName;

// The n-th allocation from now (1: the next) fails with cudaErrorMemoryAllocation, once. 0: none.
void FailDeviceAllocation(int64_t n);
void FailHostAllocation(int64_t n);  // of page-locked memory
// The n-th launch of a kernel from now fails with cudaErrorLaunchOutOfResources, once.
void FailLaunch(int64_t n);
// The device is lost when `operations` more have run on it: what is queued then never runs, and
// every call returns cudaErrorLaunchFailure until Reset.
void LoseDevice(int64_t operations);

// Unordered operations run in a random order drawn from `seed`; 0 (the default): the later first.
void SetSchedule(uint64_t seed);

// How the blocks of a kernel share the device. `resident`, of them at a time, is what the occupancy
// of every kernel says; the production code asks for it once in a process.
struct KernelSchedule {
  int64_t resident = 3;
  ptx::Order order = ptx::Order::kForward;
  uint32_t seed = 1;
};
void SetKernelSchedule(const KernelSchedule& schedule);

// Device memory that cudaMemGetInfo tells and allocations must fit in; 8 GB at first.
void SetMemory(size_t bytes);

// Host memory that the double knows nothing of counts as device memory: for an addon whose tensors
// are TensorFlow's CPU tensors.
void AcceptHostMemory(bool accept);

// Use that no CUDA program may make: ranges outside of an allocation, memory that was freed,
// handles that do not exist. The call that did it has returned an error too, or the device has met
// one (cudaErrorIllegalAddress) and is lost.
int64_t Misuses();
std::string LastMisuse();

int64_t DeviceAllocations();  // live ones
int64_t QueuedOperations();   // enqueued and not run

// Drops what is queued and ends all faults, errors, misuses and schedules. Memory, streams and
// events stay.
void Reset();

}  // namespace cuda_double
}  // namespace tfjs_ftp

#endif  // TFJS_FTP_TEST_CUDA_DOUBLE_CUDA_DOUBLE_H_
