// Kernels on the double: what nvcc's host code calls to make them known and to launch them, so that
// the launchers of the production code run as they are. The kernels' PTX is run by the interpreter
// (ptx/machine.h), as an operation of the stream.
#include <cuda_runtime_api.h>

#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "../ptx/machine.h"
#include "../ptx/parser.h"
#include "cuda_double.h"
#include "device.h"

namespace tfjs_ftp {
namespace cuda_double {
namespace {

KernelSchedule g_schedule;

// The kernels by the addresses of their host functions. Filled before main, read ever after.
class Kernels {
 public:
  static Kernels& Get() {
    static Kernels* const kernels = new Kernels();
    return *kernels;
  }

  void Register(const void* function, const char* name) { names_[function] = name; }

  // Null if no file has it; throws ptx::ParseError.
  const ptx::Kernel* Find(const void* function) {
    if (kernels_.empty()) Load();
    const auto name = names_.find(function);
    if (name == names_.end()) return nullptr;
    const auto kernel = kernels_.find(name->second);
    return kernel == kernels_.end() ? nullptr : &kernel->second;
  }

 private:
  void Load() {
    std::istringstream files(TFJS_FTP_PTX_FILES);
    for (std::string file; std::getline(files, file, '|');) {
      for (ptx::Kernel& kernel : ptx::ParseFile(file)) kernels_[kernel.name] = std::move(kernel);
    }
  }

  std::map<const void*, std::string> names_;
  std::map<std::string, ptx::Kernel> kernels_;
};

// Finds a kernel for a call that names it.
const ptx::Kernel* Find(Device* device, const void* function) {
  try {
    const ptx::Kernel* const kernel = Kernels::Get().Find(function);
    if (kernel == nullptr) device->Misuse(cudaErrorInvalidDeviceFunction, "no such kernel");
    return kernel;
  } catch (const ptx::ParseError& error) {
    device->Misuse(cudaErrorInvalidDeviceFunction, error.what());
    return nullptr;
  }
}

void RunKernel(Device* device, const ptx::Kernel& kernel, int64_t blocks, int threads,
               const std::vector<char>& parameters) {
  ptx::Launch launch;
  launch.blocks = blocks;
  launch.threads = threads;
  launch.parameters = parameters.data();
  launch.resident = g_schedule.resident;
  launch.order = g_schedule.order;
  launch.seed = g_schedule.seed;
  static ptx::Machine* const machine = new ptx::Machine();
  const std::string wrong = machine->Run(
      kernel, launch, [device](uint64_t address) { return device->memory.AllocationAt(address); });
  if (!wrong.empty()) device->MisuseOnDevice(wrong);
}

cudaError_t Launch(const void* function, dim3 grid, dim3 block, void** arguments, size_t dynamic,
                   cudaStream_t handle) {
  return Device::Get().Call([&](Device* device) {
    const ptx::Kernel* const kernel = Find(device, function);
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    Stream* const stream = device->Find(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (grid.x == 0 || grid.y * grid.z * block.y * block.z != 1 || dynamic != 0) {
      return device->Misuse(cudaErrorInvalidValue, "a grid that the double cannot run");
    }
    if (device->launch_fails.Falls()) return cudaErrorLaunchOutOfResources;
    // The one argument of a kernel, as it is now.
    const char* const argument = static_cast<const char*>(arguments[0]);
    const std::vector<char> parameters(argument, argument + kernel->parameter_bytes);
    device->Enqueue(
        stream, [=] { RunKernel(device, *kernel, grid.x, static_cast<int>(block.x), parameters); });
    return cudaSuccess;
  });
}

// What <<<...>>> says, from the call to the launch behind it.
struct Configuration {
  dim3 grid;
  dim3 block;
  size_t dynamic;
  cudaStream_t stream;
};
thread_local Configuration t_configuration;

}  // namespace

void SetKernelSchedule(const KernelSchedule& schedule) {
  Device::Get().Control([&](Device*) { g_schedule = schedule; });
}

}  // namespace cuda_double
}  // namespace tfjs_ftp

using tfjs_ftp::cuda_double::Device;

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments,
                             size_t dynamic, cudaStream_t stream) {
  return tfjs_ftp::cuda_double::Launch(function, grid, block, arguments, dynamic, stream);
}

// Registers and memory are for ptxas to say: `npm run check:ptxas`.
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  return Device::Get().Call([&](Device* device) {
    *attributes = cudaFuncAttributes();
    return tfjs_ftp::cuda_double::Find(device, function) == nullptr ? cudaErrorInvalidDeviceFunction
                                                                    : cudaSuccess;
  });
}

// What nvcc makes of cudaOccupancyMaxActiveBlocksPerMultiprocessor.
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks,
                                                                   const void* function, int,
                                                                   size_t, unsigned) {
  return Device::Get().Call([&](Device* device) {
    if (tfjs_ftp::cuda_double::Find(device, function) == nullptr) {
      return cudaErrorInvalidDeviceFunction;
    }
    *blocks = static_cast<int>(tfjs_ftp::cuda_double::g_schedule.resident);
    return cudaSuccess;
  });
}

// Called by what nvcc writes for <<<...>>> and in front of main, in all toolkits up to CUDA 13.
extern "C" {

void** __cudaRegisterFatBinary(void*) {
  static void* module = nullptr;
  return &module;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
char __cudaInitModule(void**) { return 1; }
void __cudaRegisterFunction(void**, const char* function, char*, const char* name, int, uint3*,
                            uint3*, dim3*, dim3*, int*) {
  tfjs_ftp::cuda_double::Kernels::Get().Register(function, name);
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t dynamic, CUstream_st* stream) {
  tfjs_ftp::cuda_double::t_configuration = {grid, block, dynamic, stream};
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* dynamic, void* stream) {
  const auto& configuration = tfjs_ftp::cuda_double::t_configuration;
  *grid = configuration.grid;
  *block = configuration.block;
  *dynamic = configuration.dynamic;
  *static_cast<cudaStream_t*>(stream) = configuration.stream;
  return cudaSuccess;
}

// Newer toolkits launch by a handle; here it is the function itself.
#if CUDART_VERSION >= 12010
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(function));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               size_t dynamic, cudaStream_t stream) {
  return cudaLaunchKernel(kernel, grid, block, arguments, dynamic, stream);
}
#endif

}  // extern "C"
