// Plain C++ interface of the fused FTP step on a CUDA device, the counterpart of CpuStep in
// step.h: pointers, sizes and a stream in; a status out. No CUDA header is needed to call
// it.
#ifndef TFJS_FTP_KERNELS_CUDA_LAUNCH_STEP_H_
#define TFJS_FTP_KERNELS_CUDA_LAUNCH_STEP_H_

#include <cstdint>
#include <string>

#include "../step.h"

namespace tfjs_ftp {

// No variable has a non-finite gradient.
constexpr int32_t kNoVariable = INT32_MAX;
// Where in the scratch memory the step leaves the index of the first variable with a non-finite
// gradient (int32, kNoVariable if there is none).
constexpr int64_t kFlagOffset = 0;
// Scratch and table memory must start at a multiple of this.
constexpr int64_t kTableAlignment = 16;

enum class CudaVariant : int32_t {
  // Pass 1, finish, pass 2 as launches of their own (and the check, where asked for, in front).
  kThreeLaunches = 0,
  // One launch for everything behind the check; persistent blocks take items from a counter.
  kOneLaunch = 1,
};

// The three-launch version is what is checked most and depends on nothing but stream order. The
// one-launch version becomes the default once it has measured faster on a GPU; it has not run on
// one yet.
constexpr CudaVariant kDefaultCudaVariant = CudaVariant::kThreeLaunches;

// What a bench may vary. `chunk_elements` decides the order of sums, so results of different values
// differ in their last bits; the other two change no result.
struct CudaTuning {
  CudaVariant variant = kDefaultCudaVariant;
  // Of one chunk: enough for a block to hide its start and its sums behind, few enough that the
  // last blocks of a launch end together.
  int64_t chunk_elements = 16384;
  int64_t lag_items =
      0;  // one-launch: items between the passes of a variable; 0: by resident blocks
};

struct CudaSizes {
  StepResult result;
  int64_t table_bytes = 0;    // of host memory, pinned if the copy shall not wait
  int64_t scratch_bytes = 0;  // of device memory
};

struct CudaResult {
  StepResult step;  // kOk, or what is wrong with the arguments
  int cuda = 0;     // cudaError_t of the copy or of a launch, 0 for success
  bool ok() const { return step.status == StepStatus::kOk && cuda == 0; }
};

// Memory that CudaStep needs for these variables. Of the variables only sizes and flags are looked
// at.
CudaSizes MeasureCudaStep(const StepOptions& options, const VariableStep* variables, int64_t count,
                          const CudaTuning& tuning = CudaTuning());

// Enqueues one fused FTP step over `count` variables on `stream` (a cudaStream_t); all pointers of
// the variables are device memory of the current device. Returns without waiting for the device and
// allocates nothing.
//
// `scratch`: device memory, used until the step has run. `table`: host memory, read until the copy
// at the head of the step has run, so the next step in flight needs another one (PinnedRing). Both
// as large as MeasureCudaStep says.
//
// With options.check_finite a kernel looks at all gradients first; if one holds NaN or an infinity,
// no later kernel writes anything, and the flag at kFlagOffset of the scratch memory says so once
// the step has run. Bytes moved per float32 parameter of a projected variable under AdamW: 40, as
// on the CPU (4 less where pass 2 finds C in L2, 4 more with decay), and 4 more for the check. Sums
// are partitioned by shape alone and added in a fixed order: the same inputs give the same bits,
// whatever the device.
//
// Where the copy, the check or the first launch behind it fails, nothing is written. The launches
// after that one take no memory (LoadKernels); should one fail all the same, states are updated and
// outputs are not.
CudaResult CudaStep(const StepOptions& options, const VariableStep* variables, int64_t count,
                    void* scratch, void* table, void* stream,
                    const CudaTuning& tuning = CudaTuning());

// cudaGetErrorString.
std::string CudaErrorMessage(int error);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_LAUNCH_STEP_H_
