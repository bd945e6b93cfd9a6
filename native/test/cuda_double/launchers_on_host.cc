// The launchers of kernels/cuda/launchers.h: kernels become operations that run their bodies on the
// host (emulate.h).
#include <cuda_runtime_api.h>

#include <algorithm>
#include <functional>

#include "../../kernels/cuda/launch_step.h"
#include "../../kernels/cuda/launchers.h"
#include "../emulate.h"
#include "device.h"

namespace tfjs_ftp {
namespace {

using cuda_double::Device;
using cuda_double::Stream;

// As many blocks as the one-launch version has here.
constexpr int64_t kResidentBlocks = 3;

size_t Bytes(int64_t count, size_t size) { return static_cast<size_t>(count) * size; }

bool MayTouchRecord(Device* device, const VariableRecord& record) {
  const DevicePartition& p = record.partition;
  const size_t tensor = Bytes(p.size, sizeof(float));
  const auto may = [&](const void* start, size_t bytes, const char* what) {
    return start == nullptr || device->MayTouch(start, bytes, what);
  };
  return may(record.weights, tensor, "weights") && may(record.gradient, tensor, "a gradient") &&
         may(record.output, tensor, "an output") && may(record.anchor, tensor, "an anchor") &&
         may(record.deviation, tensor, "a deviation") && may(record.m, tensor, "m") &&
         may(record.v, tensor, "v") && may(record.vmax, tensor, "vmax") &&
         may(record.momentum, tensor, "momentum") &&
         may(record.norms, Bytes(p.rows, sizeof(float)), "norms") &&
         may(record.constraint, 4 * sizeof(float), "a constraint") &&
         may(record.sums, Bytes(2 * (p.chunks + p.groups), sizeof(double)), "sums");
}

// Looks at the table as it lies in device memory by now, and at what it points to. A GPU would read
// from wherever a wrong table sends it.
bool MayTouchAll(Device* device, const StepArgs& args) {
  const size_t items = Bytes(args.item_count, sizeof(WorkItem));
  if (!device->MayTouch(args.header, sizeof(TableHeader), "the table") ||
      !device->MayTouch(args.items, items, "the table's items")) {
    return false;
  }
  int32_t records = 0;
  for (int32_t i = 0; i < args.item_count; ++i) {
    const int32_t record = args.items[i].record;
    if (record < 0 || record >= args.item_count) {
      device->MisuseOnDevice("a work table that was not copied, or written over");
      return false;
    }
    records = std::max(records, record + 1);
  }
  if (!device->MayTouch(args.records, Bytes(records, sizeof(VariableRecord)), "the records")) {
    return false;
  }
  return std::all_of(args.records, args.records + records,
                     [&](const VariableRecord& record) { return MayTouchRecord(device, record); });
}

// One launch; `body` runs the kernel.
int Launch(void* stream, const StepArgs& args, const std::function<void()>& body) {
  return Device::Get().Call([&](Device* device) {
    Stream* const on = device->Find(static_cast<cudaStream_t>(stream));
    if (on == nullptr) return cudaErrorInvalidResourceHandle;
    if (device->launch_fails.Falls()) return cudaErrorLaunchOutOfResources;
    device->Enqueue(on, [=] {
      if (MayTouchAll(device, args)) body();
    });
    return cudaSuccess;
  });
}

constexpr ThreadOrder kOrder = ThreadOrder::kForward;

}  // namespace

int LaunchCheck(const StepArgs& args, void* stream) {
  if (args.item_count == 0) return cudaSuccess;
  return Launch(stream, args, [args] { EmulateCheck(args, kOrder); });
}

int LaunchThree(BaseUpdate base, const StepArgs& args, void* stream) {
  if (args.item_count == 0) return cudaSuccess;
  int error = Launch(stream, args, [=] { EmulateDeviate(base, args, kOrder); });
  if (error != cudaSuccess || args.projected_count == 0) return error;
  error = Launch(stream, args, [args] { EmulateFinish(args, kOrder); });
  if (error != cudaSuccess) return error;
  return Launch(stream, args, [args] { EmulateProject(args, kOrder); });
}

int LaunchOne(BaseUpdate base, const StepArgs& args, int64_t blocks, void* stream) {
  if (args.fused_count == 0) return cudaSuccess;
  const int64_t grid = std::min<int64_t>(blocks, args.fused_count);
  return Launch(stream, args, [=] { EmulateFused(base, args, grid, kOrder); });
}

int LoadKernels() {
  return Device::Get().Call([](Device*) { return cudaSuccess; });
}

int64_t ResidentBlocks(BaseUpdate, int* error) {
  *error = LoadKernels();
  return *error == cudaSuccess ? kResidentBlocks : 0;
}

}  // namespace tfjs_ftp
