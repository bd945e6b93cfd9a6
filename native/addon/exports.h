// What the addon exports, by the file that holds it; src/native/addon.ts types it. Defaults and
// checks of values live in TypeScript; what is checked here is what would otherwise reach outside
// of an array.
#ifndef TFJS_FTP_ADDON_EXPORTS_H_
#define TFJS_FTP_ADDON_EXPORTS_H_

#include <napi.h>

namespace tfjs_ftp {

// ---- build_info.cc ----

// buildInfo() -> {cuda, simd, threads, compiler}
Napi::Value BuildInfo(const Napi::CallbackInfo& info);
// cudaInfo() -> {built, available, runtime?, driver?, devices, reason?}; never throws.
Napi::Value CudaInfoOf(const Napi::CallbackInfo& info);

// ---- state.cc ----

// stateLayout(base, rule, baseFlags, ruleFlags, stepFlags, excluded, elements, rows, format) ->
// {length, sections}
Napi::Value StateLayoutOf(const Napi::CallbackInfo& info);
// adviseState(state): huge pages for a new state slab; before anything is written to it.
Napi::Value AdviseState(const Napi::CallbackInfo& info);

// ---- step.cc ----

// step(plan, states, weights, gradients, outputs): one fused step on Float32Arrays.
Napi::Value Step(const Napi::CallbackInfo& info);
// gather(plan, states, weights, gradients, want) -> Float64Array, kGatherNumbers for each variable
Napi::Value Gather(const Napi::CallbackInfo& info);

// ---- tensorflow.cc ----

// tensorflow(paths?) -> {found, version?, registered, gpu, reason?, missing?}
Napi::Value TensorFlow(const Napi::CallbackInfo& info);
// outputMemory(trim) -> {lent, idle} in bytes: the pool of the op's outputs, trimmed first if
// asked.
Napi::Value OutputMemory(const Napi::CallbackInfo& info);

#if !defined(_WIN32)
// ---- mpi.cc: communicators are numbers, 0 is all ranks. What gives `work` posts it to MPI's
// thread. ----

// open(names, abi?) -> {path?, abi?, version?, tried}: the first library of the interface, if any.
Napi::Value MpiOpen(const Napi::CallbackInfo& info);
// init() -> work: [rank, size]
Napi::Value MpiInit(const Napi::CallbackInfo& info);
// split(comm, color, key) -> work: [comm, rank, size]
Napi::Value MpiSplit(const Napi::CallbackInfo& info);
// barrier(comm) -> work
Napi::Value MpiBarrier(const Napi::CallbackInfo& info);
// allReduce(comm, typed array, op) -> work, in place
Napi::Value MpiAllReduce(const Napi::CallbackInfo& info);
// broadcast(comm, typed array, root) -> work, in place
Napi::Value MpiBroadcast(const Napi::CallbackInfo& info);
// reduce(comm, from, to, bounds, slice, scale, gather) -> work: which arrays are not finite
Napi::Value MpiReduce(const Napi::CallbackInfo& info);
// gather(comm, arrays, bounds, slice) -> work, in place
Napi::Value MpiGather(const Napi::CallbackInfo& info);
// wait(work, seconds) -> its numbers, null if it took longer; throws what MPI reports.
Napi::Value MpiWait(const Napi::CallbackInfo& info);
// promise(work) -> promise of its numbers
Napi::Value MpiPromise(const Napi::CallbackInfo& info);
// end(code): MPI_Finalize for 0 with no work left, else MPI_Abort, which does not return.
Napi::Value MpiEnd(const Napi::CallbackInfo& info);
#endif

#if defined(TFJS_FTP_HAVE_CUDA)
// ---- device_buffer.cc: buffers are opaque handles, offsets and lengths count floats. ----

// allocate(device, length) -> handle of zeros
Napi::Value DeviceAllocate(const Napi::CallbackInfo& info);
// free(buffer): harmless if it was freed before.
Napi::Value DeviceFree(const Napi::CallbackInfo& info);
// address(buffer) -> bigint
Napi::Value DeviceAddress(const Napi::CallbackInfo& info);
// upload(buffer, offset, Float32Array)
Napi::Value DeviceUpload(const Napi::CallbackInfo& info);
// download(buffer, offset, Float32Array)
Napi::Value DeviceDownload(const Napi::CallbackInfo& info);
// clear(buffer, offset, length): writes zeros.
Napi::Value DeviceClear(const Napi::CallbackInfo& info);
// copy(to, toOffset, from, fromOffset, length): between buffers of one device.
Napi::Value DeviceCopy(const Napi::CallbackInfo& info);
// memory(device) -> {free, total} in bytes
Napi::Value DeviceMemoryOf(const Napi::CallbackInfo& info);

// ---- device_step.cc ----

// newStepper(device) -> handle; holds the scratch memory of steps.
Napi::Value NewDeviceStepper(const Napi::CallbackInfo& info);
// freeStepper(stepper): frees the scratch memory.
Napi::Value FreeDeviceStepper(const Napi::CallbackInfo& info);
// step(stepper, plan, states, weights, gradients, outputs): one fused step on buffers of the
// stepper's device.
Napi::Value DeviceStep(const Napi::CallbackInfo& info);
// gather(stepper, plan, states, weights, gradients, want) -> Float64Array: as that of step.cc
Napi::Value DeviceGather(const Napi::CallbackInfo& info);
#endif

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_ADDON_EXPORTS_H_
