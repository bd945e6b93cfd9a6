#include "tf_api.h"

#if defined(_WIN32)
#define NOMINMAX
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace tfjs_ftp {
namespace {

// A library that is loaded already, or null. Never loads one: a second copy of TensorFlow in the
// process would have a registry of its own.
void* LoadedLibrary(const char* name) {
#if defined(_WIN32)
  return reinterpret_cast<void*>(GetModuleHandleA(name));
#else
  return dlopen(name, RTLD_NOLOAD | RTLD_LAZY | RTLD_LOCAL);
#endif
}

void* Symbol(void* library, const char* name) {
#if defined(_WIN32)
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
#else
  return dlsym(library, name);
#endif
}

// The op and kernel functions live in libtensorflow_framework, TF_Version in libtensorflow
// (libtensorflow_cc in pip's wheels).
constexpr const char* kLibraryNames[] = {
#if defined(_WIN32)
    "tensorflow.dll",
#elif defined(__APPLE__)
    "libtensorflow_framework.2.dylib", "libtensorflow.2.dylib",
    "libtensorflow_cc.2.dylib",        "@rpath/libtensorflow_framework.2.dylib",
    "@rpath/libtensorflow.2.dylib",
#else
    "libtensorflow_framework.so.2",
    "libtensorflow.so.2",
    "libtensorflow_cc.so.2",
    "libtensorflow.so",
#endif
};

}  // namespace

TfLookup LookUpTensorFlow(const std::vector<std::string>& paths, TfApi* api) {
  TfLookup lookup;
  std::vector<void*> libraries;
  auto add = [&](const char* name) {
    if (void* library = LoadedLibrary(name)) libraries.push_back(library);
  };
  for (const char* name : kLibraryNames) add(name);
  for (const std::string& path : paths) add(path.c_str());
  lookup.found = !libraries.empty();
  if (!lookup.found) {
    lookup.reason = "no libtensorflow is loaded in this process";
    return lookup;
  }
  auto find = [&](const char* name) -> void* {
    for (void* library : libraries) {
      if (void* address = Symbol(library, name)) return address;
    }
    return nullptr;
  };
#define TFJS_FTP_FIND(result, name, arguments)                          \
  api->name = reinterpret_cast<result(*) arguments>(find("TF_" #name)); \
  if (api->name == nullptr) lookup.missing.push_back("TF_" #name);
  TFJS_FTP_TF_FUNCTIONS(TFJS_FTP_FIND)
#undef TFJS_FTP_FIND
  if (auto* version = reinterpret_cast<const char* (*)()>(find("TF_Version"))) {
    lookup.version = version();
  }
  if (!lookup.missing.empty()) {
    lookup.reason = "this libtensorflow's C API lacks functions that custom ops need";
  }
  return lookup;
}

}  // namespace tfjs_ftp
