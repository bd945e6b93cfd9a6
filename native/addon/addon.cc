// The export list of tfjs-ftp's addon.
#include "exports.h"
#include "pin_library.h"

#ifndef TFJS_FTP_VERSION
#define TFJS_FTP_VERSION "0.0.0"
#endif

namespace tfjs_ftp {
namespace {

using Function = Napi::Value (*)(const Napi::CallbackInfo& info);

template <Function kFunction>
void Export(Napi::Object* exports, const char* name) {
  exports->Set(name, Napi::Function::New<kFunction>(exports->Env(), name));
}

#if defined(TFJS_FTP_HAVE_CUDA)
Napi::Object DeviceExports(Napi::Env env) {
  Napi::Object device = Napi::Object::New(env);
  Export<DeviceAllocate>(&device, "allocate");
  Export<DeviceFree>(&device, "free");
  Export<DeviceAddress>(&device, "address");
  Export<DeviceUpload>(&device, "upload");
  Export<DeviceDownload>(&device, "download");
  Export<DeviceClear>(&device, "clear");
  Export<DeviceCopy>(&device, "copy");
  Export<DeviceMemoryOf>(&device, "memory");
  Export<NewDeviceStepper>(&device, "newStepper");
  Export<FreeDeviceStepper>(&device, "freeStepper");
  Export<DeviceStep>(&device, "step");
  Export<DeviceGather>(&device, "gather");
  return device;
}
#endif

#if !defined(_WIN32)
Napi::Object MpiExports(Napi::Env env) {
  Napi::Object mpi = Napi::Object::New(env);
  Export<MpiOpen>(&mpi, "open");
  Export<MpiInit>(&mpi, "init");
  Export<MpiSplit>(&mpi, "split");
  Export<MpiBarrier>(&mpi, "barrier");
  Export<MpiAllReduce>(&mpi, "allReduce");
  Export<MpiBroadcast>(&mpi, "broadcast");
  Export<MpiReduce>(&mpi, "reduce");
  Export<MpiGather>(&mpi, "gather");
  Export<MpiWait>(&mpi, "wait");
  Export<MpiPromise>(&mpi, "promise");
  Export<MpiEnd>(&mpi, "end");
  return mpi;
}
#endif

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  // Kernels registered with TensorFlow and the pool's threads outlive any one environment.
  PinThisLibrary();
  exports.Set("version", TFJS_FTP_VERSION);
  Export<BuildInfo>(&exports, "buildInfo");
  Export<CudaInfoOf>(&exports, "cudaInfo");
  Export<StateLayoutOf>(&exports, "stateLayout");
  Export<AdviseState>(&exports, "adviseState");
  Export<Step>(&exports, "step");
  Export<Gather>(&exports, "gather");
  Export<TensorFlow>(&exports, "tensorflow");
  Export<OutputMemory>(&exports, "outputMemory");
#if !defined(_WIN32)
  exports.Set("mpi", MpiExports(env));
#endif
#if defined(TFJS_FTP_HAVE_CUDA)
  exports.Set("device", DeviceExports(env));
#endif
  (void)env;
  return exports;
}

}  // namespace
}  // namespace tfjs_ftp

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return tfjs_ftp::Init(env, exports);
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
