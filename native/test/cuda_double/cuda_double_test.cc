// Tests of the rules that the double of the CUDA runtime keeps: what waits for what, when host
// memory is read and written, what is refused. A test that relies on the double relies on these.
#include "cuda_double.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "../../kernels/cuda/cuda_device.h"
#include "../../kernels/cuda/launch_step.h"
#include "../../kernels/cuda/pinned_ring.h"
#include "../device_memory.h"
#include "../driven.h"
#include "../step_alone.h"

namespace tfjs_ftp {
namespace {

using cuda_double::LastMisuse;
using cuda_double::Misuses;

// One number in device memory.
class Cell {
 public:
  explicit Cell(int value) {
    CUDA_OK(cudaMalloc(&memory_, sizeof(int)));
    CUDA_OK(cudaMemcpy(memory_, &value, sizeof(int), cudaMemcpyHostToDevice));
    CUDA_OK(cudaDeviceSynchronize());
  }
  ~Cell() { cudaFree(memory_); }
  Cell(const Cell&) = delete;
  Cell& operator=(const Cell&) = delete;

  // From pageable memory: the number is taken now, whenever the copy runs.
  void Set(int value, cudaStream_t stream) {
    CUDA_OK(cudaMemcpyAsync(memory_, &value, sizeof(int), cudaMemcpyHostToDevice, stream));
  }
  void CopyFrom(const Cell& other, cudaStream_t stream) {
    CUDA_OK(cudaMemcpyAsync(memory_, other.memory_, sizeof(int), cudaMemcpyDeviceToDevice, stream));
  }
  // Once all has run.
  int Get() const {
    CUDA_OK(cudaDeviceSynchronize());
    int value = 0;
    CUDA_OK(cudaMemcpy(&value, memory_, sizeof(int), cudaMemcpyDeviceToHost));
    return value;
  }
  void* address() const { return memory_; }

 private:
  void* memory_ = nullptr;
};

cudaStream_t NewStream(unsigned flags) {
  cudaStream_t stream = nullptr;
  CUDA_OK(cudaStreamCreateWithFlags(&stream, flags));
  return stream;
}

cudaEvent_t NewEvent() {
  cudaEvent_t event = nullptr;
  CUDA_OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  return event;
}

void TestWithinAStream() {
  const cudaStream_t stream = NewStream(cudaStreamNonBlocking);
  Cell a(1);
  Cell b(0);
  a.Set(2, stream);
  b.CopyFrom(a, stream);
  a.Set(3, stream);
  CHECK(cuda_double::QueuedOperations() == 3, "nothing runs before it must");
  CHECK(b.Get() == 2 && a.Get() == 3, "a stream keeps its order");
  CHECK(cudaStreamDestroy(stream) == cudaSuccess, "destroy");
  CHECK(cudaStreamSynchronize(stream) == cudaErrorInvalidResourceHandle, "destroyed stream");
  cuda_double::Reset();
}

// Whether a copy on `second` sees what was enqueued on `first` before it.
bool Ordered(cudaStream_t first, cudaStream_t second) {
  Cell a(1);
  Cell b(0);
  a.Set(2, first);
  b.CopyFrom(a, second);
  return b.Get() == 2;
}

void TestLegacyStream() {
  const cudaStream_t blocking = NewStream(cudaStreamDefault);
  const cudaStream_t another = NewStream(cudaStreamDefault);
  const cudaStream_t free = NewStream(cudaStreamNonBlocking);
  for (const cudaStream_t legacy : {cudaStreamLegacy, cudaStream_t{nullptr}}) {
    CHECK(Ordered(legacy, blocking) && Ordered(blocking, legacy), "legacy and blocking");
    CHECK(!Ordered(legacy, free) && !Ordered(free, legacy), "legacy and non-blocking");
  }
  CHECK(!Ordered(blocking, another) && !Ordered(blocking, free), "no order between others");
  // Through the legacy stream two blocking ones are ordered with each other.
  Cell a(1);
  Cell b(0);
  Cell c(0);
  a.Set(2, blocking);
  c.Set(5, cudaStreamLegacy);
  b.CopyFrom(a, another);
  CHECK(b.Get() == 2, "blocking, legacy, blocking");
  // With a random schedule unordered work goes both ways, ordered work one way.
  int in_order = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    cuda_double::SetSchedule(seed);
    CHECK(Ordered(blocking, cudaStreamLegacy), "seed %d", static_cast<int>(seed));
    in_order += Ordered(blocking, free) ? 1 : 0;
  }
  CHECK(in_order > 0 && in_order < 20, "%d of 20", in_order);
  cuda_double::Reset();
}

void TestWaits() {
  const cudaStream_t first = NewStream(cudaStreamNonBlocking);
  const cudaStream_t second = NewStream(cudaStreamNonBlocking);
  Cell a(1);
  Cell b(1);
  a.Set(2, first);
  b.Set(2, second);
  CHECK(cudaStreamQuery(first) == cudaErrorNotReady, "query");
  CHECK(cudaGetLastError() == cudaErrorNotReady && cudaGetLastError() == cudaSuccess, "last error");
  CUDA_OK(cudaStreamSynchronize(second));
  CHECK(cudaStreamQuery(second) == cudaSuccess, "waited for");
  CHECK(cudaStreamQuery(first) == cudaErrorNotReady, "a wait for another stream");
  CUDA_OK(cudaDeviceSynchronize());
  CHECK(cudaStreamQuery(first) == cudaSuccess, "the device waited for all");
  a.Set(3, first);
  int looks = 1;
  while (cudaStreamQuery(first) == cudaErrorNotReady && looks < 1 << 20) ++looks;
  CHECK(looks > 100 && looks < 1 << 20, "a host that polls gets on: %d", looks);
  cuda_double::Reset();
}

void TestEvents() {
  const cudaStream_t first = NewStream(cudaStreamNonBlocking);
  const cudaStream_t second = NewStream(cudaStreamNonBlocking);
  const cudaEvent_t event = NewEvent();
  CHECK(cudaEventQuery(event) == cudaSuccess, "never recorded");
  Cell a(1);
  Cell b(0);
  a.Set(2, first);
  CUDA_OK(cudaEventRecord(event, first));
  CHECK(cudaEventQuery(event) == cudaErrorNotReady, "recorded");
  a.Set(3, first);
  CUDA_OK(cudaStreamWaitEvent(second, event, 0));
  b.CopyFrom(a, second);
  CUDA_OK(cudaStreamSynchronize(second));
  CHECK(cudaEventQuery(event) == cudaSuccess && cudaStreamQuery(first) == cudaErrorNotReady,
        "waits for what was in front of the event, for no more");
  CHECK(b.Get() == 2 && a.Get() == 3, "behind the event");
  // A wait takes the event as it is at the call.
  a.Set(4, first);
  CUDA_OK(cudaStreamWaitEvent(second, event, 0));
  CUDA_OK(cudaEventRecord(event, first));
  b.CopyFrom(a, second);
  CUDA_OK(cudaStreamSynchronize(second));
  CHECK(cudaEventQuery(event) == cudaErrorNotReady && b.Get() == 3, "recorded after the wait");
  float milliseconds = -1;
  const cudaEvent_t later = NewEvent();
  CHECK(cudaEventElapsedTime(&milliseconds, event, later) == cudaErrorInvalidResourceHandle,
        "the time of an event that was never recorded");
  CUDA_OK(cudaEventRecord(later, first));
  CHECK(cudaEventElapsedTime(&milliseconds, event, later) == cudaErrorNotReady, "no time yet");
  CUDA_OK(cudaEventSynchronize(event));
  CHECK(cudaEventElapsedTime(&milliseconds, event, later) == cudaErrorNotReady, "half a time");
  CUDA_OK(cudaEventSynchronize(later));
  CUDA_OK(cudaEventElapsedTime(&milliseconds, event, later));
  CHECK(milliseconds >= 0, "%g ms", static_cast<double>(milliseconds));
  CHECK(cudaEventDestroy(event) == cudaSuccess, "destroy");
  CHECK(cudaEventRecord(event, first) == cudaErrorInvalidResourceHandle, "destroyed event");
  cuda_double::Reset();
}

// The driver's events of a whole context, found as op/stream_order.cc finds them.
void TestContextEvents() {
  CHECK(dlopen("libcuda.so.1", RTLD_NOLOAD | RTLD_LAZY) == nullptr, "loaded already");
  void* const driver = dlopen(TFJS_FTP_DOUBLE_DRIVER, RTLD_NOW | RTLD_LOCAL);
  CHECK(driver != nullptr, "%s", dlerror());
  if (driver == nullptr) return;
  CHECK(dlopen("libcuda.so.1", RTLD_NOLOAD | RTLD_LAZY) == driver,
        "another name than the driver's");
  const auto current = reinterpret_cast<int (*)(void**)>(dlsym(driver, "cuCtxGetCurrent"));
  const auto record = reinterpret_cast<int (*)(void*, void*)>(dlsym(driver, "cuCtxRecordEvent"));
  const auto wait = reinterpret_cast<int (*)(void*, void*)>(dlsym(driver, "cuCtxWaitEvent"));
  void* context = nullptr;
  CHECK(current(&context) == cudaSuccess && context != nullptr, "no context");
  const cudaStream_t first = NewStream(cudaStreamNonBlocking);
  const cudaStream_t second = NewStream(cudaStreamNonBlocking);
  const cudaEvent_t event = NewEvent();
  Cell a(1);
  Cell b(0);
  a.Set(2, first);
  CHECK(record(context, event) == cudaSuccess, "record");
  CUDA_OK(cudaStreamWaitEvent(second, event, 0));
  b.CopyFrom(a, second);
  CHECK(b.Get() == 2, "an event of the context stands for every stream");
  a.Set(3, second);
  CUDA_OK(cudaEventRecord(event, second));
  CHECK(wait(context, event) == cudaSuccess, "wait");
  const cudaStream_t later = NewStream(cudaStreamNonBlocking);
  b.CopyFrom(a, later);
  CHECK(b.Get() == 3, "all later work waits, on new streams too");
  CHECK(record(nullptr, event) == cudaErrorInvalidValue && Misuses() == 1, "no context");
  cuda_double::Reset();
}

// Pageable host memory is read at the call, page-locked memory when the copy runs.
void TestHostMemory() {
  const cudaStream_t stream = NewStream(cudaStreamNonBlocking);
  int* pinned = nullptr;
  CUDA_OK(cudaHostAlloc(reinterpret_cast<void**>(&pinned), sizeof(int), cudaHostAllocDefault));
  Cell a(1);
  *pinned = 2;
  CUDA_OK(cudaMemcpyAsync(a.address(), pinned, sizeof(int), cudaMemcpyHostToDevice, stream));
  *pinned = 3;
  CHECK(a.Get() == 3, "read when the copy ran");
  CUDA_OK(cudaMemcpyAsync(pinned, a.address(), sizeof(int), cudaMemcpyDeviceToHost, stream));
  *pinned = 7;
  CHECK(cudaStreamQuery(stream) == cudaErrorNotReady, "a copy to page-locked memory waits not");
  CUDA_OK(cudaStreamSynchronize(stream));
  CHECK(*pinned == 3, "written when the copy ran");
  int pageable = 0;
  CUDA_OK(cudaMemcpyAsync(&pageable, a.address(), sizeof(int), cudaMemcpyDeviceToHost, stream));
  CHECK(pageable == 3, "a copy to pageable memory waits");
  CUDA_OK(cudaMemcpyAsync(a.address(), pinned, sizeof(int), cudaMemcpyHostToDevice, stream));
  CUDA_OK(cudaFreeHost(pinned));
  CHECK(cudaStreamSynchronize(stream) == cudaErrorIllegalAddress && Misuses() == 1,
        "freed too soon");
  CHECK(cudaStreamSynchronize(stream) == cudaErrorIllegalAddress, "the device is lost");
  cuda_double::Reset();
}

void TestMisuse() {
  const int64_t before = cuda_double::DeviceAllocations();
  Cell a(1);
  char* const start = static_cast<char*>(a.address());
  int values[2] = {5, 6};
  CHECK(cudaMemcpy(start, values, 8, cudaMemcpyHostToDevice) == cudaErrorInvalidValue, "too long");
  CHECK(cudaMemcpy(start - 4, values, 4, cudaMemcpyHostToDevice) == cudaErrorInvalidValue,
        "before");
  CHECK(cudaMemset(values, 0, 4) == cudaErrorInvalidValue, "host memory");
  CHECK(cudaMemcpy(values, start, 4, cudaMemcpyHostToHost) == cudaErrorInvalidMemcpyDirection,
        "direction");
  CHECK(cudaFree(values) == cudaErrorInvalidValue && cudaSetDevice(3) == cudaErrorInvalidDevice,
        "free, device");
  CHECK(cudaStreamSynchronize(cudaStreamPerThread) == cudaErrorInvalidResourceHandle, "per thread");
  CHECK(Misuses() == 7, "%d: %s", static_cast<int>(Misuses()), LastMisuse().c_str());
  CHECK(cudaPeekAtLastError() == cudaErrorInvalidResourceHandle, "last error");
  CHECK(cudaGetLastError() == cudaErrorInvalidResourceHandle, "last error");
  CHECK(cudaGetLastError() == cudaSuccess && a.Get() == 1, "such errors pass");
  // cudaFree waits for the device: a queued copy still finds the memory.
  void* memory = nullptr;
  Cell b(0);
  CUDA_OK(cudaMalloc(&memory, sizeof(int)));
  const cudaStream_t stream = NewStream(cudaStreamNonBlocking);
  CUDA_OK(cudaMemsetAsync(memory, 0, sizeof(int), stream));
  CUDA_OK(cudaMemcpyAsync(b.address(), memory, sizeof(int), cudaMemcpyDeviceToDevice, stream));
  CUDA_OK(cudaFree(memory));
  CHECK(cudaMemsetAsync(memory, 0, sizeof(int), stream) == cudaErrorInvalidValue, "after free");
  CHECK(cuda_double::DeviceAllocations() == before + 2, "allocations");
  // The host cannot read device memory.
  const pid_t child = fork();
  if (child == 0) {
    volatile int* const cell = static_cast<int*>(a.address());
    _exit(*cell == 1 ? 0 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  // A sanitizer ends the child with code 1.
  CHECK(!WIFEXITED(status) || WEXITSTATUS(status) == 1, "the host read device memory");
  cudaPointerAttributes attributes;
  CUDA_OK(cudaPointerGetAttributes(&attributes, start + 2));
  CHECK(attributes.type == cudaMemoryTypeDevice, "kind of device memory");
  CUDA_OK(cudaPointerGetAttributes(&attributes, values));
  CHECK(attributes.type == cudaMemoryTypeUnregistered, "kind of host memory");
  cuda_double::AcceptHostMemory(true);
  CHECK(cudaMemset(values, 0, 4) == cudaSuccess && cudaDeviceSynchronize() == cudaSuccess &&
            values[0] == 0 && values[1] == 6,
        "host memory as device memory");
  cuda_double::AcceptHostMemory(false);
  cuda_double::Reset();
}

void TestFaults() {
  void* memory = nullptr;
  cuda_double::FailDeviceAllocation(2);
  CHECK(cudaMalloc(&memory, 4) == cudaSuccess && cudaFree(memory) == cudaSuccess, "the first");
  CHECK(cudaMalloc(&memory, 4) == cudaErrorMemoryAllocation && memory == nullptr, "the second");
  CHECK(cudaMalloc(&memory, 4) == cudaSuccess && cudaFree(memory) == cudaSuccess, "the third");
  cuda_double::FailHostAllocation(1);
  CHECK(cudaMallocHost(&memory, 4) == cudaErrorMemoryAllocation, "page-locked");
  cuda_double::SetMemory(size_t{1} << 20);
  CHECK(cudaMalloc(&memory, 2 << 20) == cudaErrorMemoryAllocation, "more than there is");
  size_t free = 0;
  size_t total = 0;
  CHECK(cudaMemGetInfo(&free, &total) == cudaSuccess && free == total && total == 1 << 20, "info");
  cuda_double::SetMemory(size_t{8} << 30);
  Cell a(1);
  cuda_double::LoseDevice(1);
  a.Set(2, nullptr);
  a.Set(3, nullptr);
  CHECK(cudaDeviceSynchronize() == cudaErrorLaunchFailure, "lost");
  CHECK(
      cudaGetLastError() == cudaErrorLaunchFailure && cudaGetLastError() == cudaErrorLaunchFailure,
      "for good");
  CHECK(cudaMalloc(&memory, 4) == cudaErrorLaunchFailure, "every call");
  cuda_double::Reset();
  CHECK(a.Get() == 2, "what ran before stays");
  cuda_double::Reset();
}

// The step of the production code on the double: the launches it should have, checked.
void TestStep() {
  CHECK(QueryCuda().available && QueryCuda().devices.size() == 1, "no device");
  CHECK(QueryCuda().devices[0].name == cuda_double::kDeviceName, "its name");
  StepOptions options = FtpOptions<tfjs_ftp::AdamW>(kAdamWNumbers);
  options.check_finite = true;
  for (const CudaVariant variant : {CudaVariant::kThreeLaunches, CudaVariant::kOneLaunch}) {
    CudaTuning tuning;
    tuning.variant = variant;
    Driven x(options, Shape{40, 130, 1}, false, 1u);
    DrawGradient(&x.gradient, 2u, 1);
    const Driven before = x;
    VariableStep step = x.Step(1, 1, true);
    const DeviceFloats weights(x.weights);
    const DeviceFloats gradient(x.gradient);
    const DeviceFloats state(x.state);
    const DeviceFloats output(static_cast<int64_t>(x.output.size()));
    step.weights = weights.get();
    step.gradient = gradient.get();
    step.state = state.get();
    step.output = output.get();
    const CudaSizes sizes = MeasureCudaStep(options, &step, 1, tuning);
    DeviceFloats scratch(sizes.scratch_bytes / static_cast<int64_t>(sizeof(float)) + 1);
    int error = cudaSuccess;
    const auto run = [&] {
      PinnedRing::Slot* const slot = PinnedRing::Get().Acquire(sizes.table_bytes, &error);
      const CudaResult result = CudaStep(options, &step, 1, scratch.get(), PinnedRing::Memory(slot),
                                         cudaStreamLegacy, tuning);
      const int released = PinnedRing::Get().Release(slot, cudaStreamLegacy);
      return result.cuda != cudaSuccess ? result.cuda : released;
    };
    CUDA_OK(cudaDeviceSynchronize());
    CHECK(run() == cudaSuccess, "step");
    // The copy of the table, the check, and pass 1, finish and pass 2 or all in one.
    CHECK(cuda_double::QueuedOperations() == (variant == CudaVariant::kOneLaunch ? 3 : 5),
          "one operation a launch: %d", static_cast<int>(cuda_double::QueuedOperations()));
    x.state = state.Download();
    CHECK(StateOfCpuStep(options, step, before, x), "other state than the CPU's");
    cuda_double::FailLaunch(2);
    CHECK(run() == cudaErrorLaunchOutOfResources, "launch error");
    CHECK(cudaDeviceSynchronize() == cudaSuccess && cudaGetLastError() == 701, "it passes");
    // Freed before it ran: a GPU would read whatever is there by then.
    step.gradient = DeviceFloats(x.gradient).get();
    CHECK(run() == cudaSuccess && cudaDeviceSynchronize() == cudaErrorIllegalAddress, "freed");
    CHECK(LastMisuse().find("touches what is outside of live device memory: ld.global") !=
              std::string::npos,
          "%s", LastMisuse().c_str());
    cuda_double::Reset();
  }
}

}  // namespace
}  // namespace tfjs_ftp

int main() {
  using namespace tfjs_ftp;
  TestWithinAStream();
  TestLegacyStream();
  TestWaits();
  TestEvents();
  TestContextEvents();
  TestHostMemory();
  TestMisuse();
  TestFaults();
  TestStep();
  std::printf("CUDA double: %d checks, %d failures\n", g_checks, g_failures);
  return g_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
