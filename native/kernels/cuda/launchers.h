// Launchers of the kernels, one pair of functions a version (launch_step.cc picks).
#ifndef TFJS_FTP_KERNELS_CUDA_LAUNCHERS_H_
#define TFJS_FTP_KERNELS_CUDA_LAUNCHERS_H_

#include "work_table.h"

namespace tfjs_ftp {

// Each launcher enqueues on `stream` (a cudaStream_t) and returns the cudaError_t of its launches.

// What comes before anything is written: a rule's sums, and the look for gradients that are not
// finite where args.check asks for it, in one read of the gradients. One block a chunk, then one a
// variable.
int LaunchGathering(Rule rule, const StepArgs& args, void* stream);
// Pass 1, finish, pass 2: one block a chunk, one a group of rows, one a chunk.
int LaunchThree(BaseUpdate base, Rule rule, const StepArgs& args, void* stream);
// Everything of FTP in one launch of `blocks` blocks.
int LaunchOne(BaseUpdate base, const StepArgs& args, int64_t blocks, void* stream);

// The sums of gathering: one block a chunk, one a group of rows that turn, one a variable.
// `squares_alone`: no variable has a number with a derivative.
int LaunchSums(BaseUpdate base, Rule rule, bool squares_alone, const StepArgs& args, void* stream);

// Loads the kernels of LaunchGathering and LaunchThree onto the current device. Left to itself the
// runtime loads a kernel when it is first launched, which takes memory: a launch in the middle of a
// step could fail for want of it, with half of the step done. Fails too where no compiled
// architecture fits the device.
int LoadKernels();

// Blocks of the one-launch kernel that the current device runs at a time; 0 and *error if CUDA
// fails.
int64_t ResidentBlocks(BaseUpdate base, int* error);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CUDA_LAUNCHERS_H_
