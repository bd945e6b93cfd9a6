#if !defined(_WIN32)
#include "mpi_library.h"

#include <dlfcn.h>

#include <cstdlib>

namespace tfjs_ftp {
namespace {

constexpr int kVersionLength = 8192;  // the longest MPI_MAX_LIBRARY_VERSION_STRING of the three

// As mpi4py 4.1 tells them apart (src/mpi4py/_mpiabi.py): a library built with the standard
// interface says so; Open MPI has its communicators as symbols; all others are relatives of MPICH.
MpiAbi DetectAbi(void* library) {
  using GetVersion = int (*)(int*, int*);
  const auto get_version = reinterpret_cast<GetVersion>(dlsym(library, "MPI_Abi_get_version"));
  int major = 0;
  int minor = 0;
  if (get_version != nullptr && get_version(&major, &minor) == 0 && major > 0) {
    return MpiAbi::kStandard;
  }
  return dlsym(library, "ompi_mpi_comm_self") != nullptr ? MpiAbi::kOpenMpi : MpiAbi::kMpich;
}

std::string VersionOf(void* library) {
  using GetVersion = int (*)(char*, int*);
  const auto get = reinterpret_cast<GetVersion>(dlsym(library, "MPI_Get_library_version"));
  if (get == nullptr) return "";
  std::string text(kVersionLength, '\0');
  int length = 0;
  if (get(&text[0], &length) != 0) return "";
  text.resize(text.find_first_of(std::string("\n\0", 2)));
  return text;
}

// Where a loaded library lies.
std::string PathOf(void* library, const std::string& name) {
  Dl_info info;
  void* const function = dlsym(library, "MPI_Get_version");
  const bool known = dladdr(function, &info) != 0 && info.dli_fname != nullptr;
  return known ? info.dli_fname : name;
}

// Takes the library if it is MPI of the interface that is wanted; else says why not.
bool Take(void* library, const std::string& name, const MpiAbi* wanted, MpiLibrary* result,
          std::string* reason) {
  if (dlsym(library, "MPI_Get_version") == nullptr) {
    *reason = "it has no MPI_Get_version";
    return false;
  }
  const MpiAbi abi = DetectAbi(library);
  if (wanted != nullptr && abi != *wanted) {
    *reason = std::string("its interface is '") + MpiAbiName(abi) + "', not '" +
              MpiAbiName(*wanted) + "'";
    return false;
  }
  try {
    result->calls = BindMpi(library, abi);
  } catch (const MpiError& error) {
    *reason = error.what();
    return false;
  }
  result->path = PathOf(library, name);
  result->abi = abi;
  result->version = VersionOf(library);
  return true;
}

}  // namespace

const char* MpiAbiName(MpiAbi abi) {
  switch (abi) {
    case MpiAbi::kOpenMpi:
      return "openmpi";
    case MpiAbi::kMpich:
      return "mpich";
    case MpiAbi::kStandard:
      return "mpiabi";
  }
  return "";
}

bool MpiAbiOf(const std::string& name, MpiAbi* abi) {
  for (const MpiAbi one : {MpiAbi::kOpenMpi, MpiAbi::kMpich, MpiAbi::kStandard}) {
    if (name != MpiAbiName(one)) continue;
    *abi = one;
    return true;
  }
  return false;
}

MpiLibrary OpenMpiLibrary(const std::vector<std::string>& names, const MpiAbi* wanted,
                          std::vector<MpiAttempt>* tried) {
  MpiLibrary result;
  std::string reason;
  // What LD_PRELOAD or another part of the program has brought.
  void* const process = dlopen(nullptr, RTLD_LAZY);
  if (process != nullptr && dlsym(process, "MPI_Get_version") != nullptr) {
    const std::string name = "the library that the process has loaded";
    if (Take(process, name, wanted, &result, &reason)) return result;
    tried->push_back({name, reason});
  }
  for (const std::string& name : names) {
    // Open MPI 4's plugins look for its symbols among the global ones where they are not linked
    // with it; those of this library are all called MPI_, PMPI_, ompi_ or mca_.
    void* const library = dlopen(name.c_str(), RTLD_LAZY | RTLD_GLOBAL);
    if (library == nullptr) {
      const char* const why = dlerror();
      tried->push_back({name, why == nullptr ? "cannot be loaded" : why});
      continue;
    }
    // Never unloaded once it is taken: MPI has no way back from MPI_Init.
    if (Take(library, name, wanted, &result, &reason)) return result;
    tried->push_back({name, reason});
    dlclose(library);
  }
  return result;
}

}  // namespace tfjs_ftp

#endif
