// Finding an MPI library at run time, and telling its binary interface.
#ifndef TFJS_FTP_MPI_MPI_LIBRARY_H_
#define TFJS_FTP_MPI_MPI_LIBRARY_H_

#include <memory>
#include <string>
#include <vector>

#include "mpi_calls.h"

namespace tfjs_ftp {

// The binary interfaces of MPI's C functions.
enum class MpiAbi {
  kOpenMpi,   // Open MPI
  kMpich,     // MPICH and its relatives: Intel MPI, MVAPICH, Cray MPICH, ParaStation MPI
  kStandard,  // the standard interface of MPI 5
};

// As in TFJS_FTP_MPI_ABI.
const char* MpiAbiName(MpiAbi abi);
// False for a name of none.
bool MpiAbiOf(const std::string& name, MpiAbi* abi);

struct MpiLibrary {
  std::string path;
  MpiAbi abi = MpiAbi::kOpenMpi;
  // What the library says of itself, its first line.
  std::string version;
  std::unique_ptr<MpiCalls> calls;
};

// A library that was not taken.
struct MpiAttempt {
  std::string path;
  std::string reason;
};

// What the process has loaded already, else the first of `names` that loads and has the interface
// `wanted` (null: any). Without calls: none did.
MpiLibrary OpenMpiLibrary(const std::vector<std::string>& names, const MpiAbi* wanted,
                          std::vector<MpiAttempt>* tried);

// ---- mpi_shim.cc ----

// The calls of a loaded library. Throws MpiError naming a function that it lacks.
std::unique_ptr<MpiCalls> BindMpi(void* library, MpiAbi abi);

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_MPI_MPI_LIBRARY_H_
