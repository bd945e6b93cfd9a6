// MPI's functions as MpiCalls, compiled once for each binary interface. No header of MPI is needed
// to build this: the few facts in which the interfaces differ are stated here, so that one addon
// works with any library.
#if !defined(_WIN32)
#include <dlfcn.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

#include "mpi_library.h"

namespace tfjs_ftp {
namespace {

constexpr int kErrorLength = 512;  // the longest MPI_MAX_ERROR_STRING of the three
constexpr int kTag = 0;
// Partners of a rank at once: more requests would only fill the library's queues.
constexpr int kPartnersAtOnce = 32;

void* Symbol(void* library, const char* name) {
  void* const symbol = dlsym(library, name);
  if (symbol == nullptr) throw MpiError(std::string("it has no ") + name);
  return symbol;
}

// What differs between the interfaces. Types and ops are in the order of MpiType and MpiOp.
template <class H>
struct Facts {
  using Handle = H;
  H world;
  H errors_return;
  H types[4];
  H ops[3];
  int thread_serialized;
  void* in_place;
  void* statuses_ignore;
};

// Open MPI 4 and 5, mpi.h: handles are addresses of variables that the library exports.
Facts<void*> OpenMpiFacts(void* library) {
  const auto at = [library](const char* name) { return Symbol(library, name); };
  return {
      at("ompi_mpi_comm_world"),
      at("ompi_mpi_errors_return"),
      {at("ompi_mpi_float"), at("ompi_mpi_double"), at("ompi_mpi_int32_t"), at("ompi_mpi_byte")},
      {at("ompi_mpi_op_sum"), at("ompi_mpi_op_min"), at("ompi_mpi_op_max")},
      2,
      reinterpret_cast<void*>(1),
      nullptr};
}

// MPICH's interface, common to its relatives since 2013 (the MPICH ABI Compatibility Initiative),
// mpi.h: handles are numbers.
Facts<int> MpichFacts() {
  return {0x44000000,
          0x54000001,
          {0x4c00040a, 0x4c00080b, 0x4c000439, 0x4c00010d},
          {0x58000003, 0x58000002, 0x58000001},
          2,
          reinterpret_cast<void*>(-1),
          reinterpret_cast<void*>(1)};
}

// MPI 5.0, "Application Binary Interface": handles are pointers with these values.
Facts<void*> StandardFacts() {
  const auto at = [](uintptr_t value) { return reinterpret_cast<void*>(value); };
  return {at(0x101),
          at(0x142),
          {at(0x210), at(0x214), at(0x250), at(0x247)},
          {at(0x21), at(0x22), at(0x23)},
          2048,
          at(1),
          nullptr};
}

template <class H>
class Shim final : public MpiCalls {
 public:
  Shim(void* library, const Facts<H>& facts) : facts_(facts), comms_{facts.world} {
    Find(library, "MPI_Initialized", &initialized_);
    Find(library, "MPI_Init_thread", &init_thread_);
    Find(library, "MPI_Finalize", &finalize_);
    Find(library, "MPI_Abort", &abort_);
    Find(library, "MPI_Error_string", &error_string_);
    Find(library, "MPI_Comm_set_errhandler", &set_errhandler_);
    Find(library, "MPI_Comm_rank", &rank_);
    Find(library, "MPI_Comm_size", &size_);
    Find(library, "MPI_Comm_split", &split_);
    Find(library, "MPI_Barrier", &barrier_);
    Find(library, "MPI_Bcast", &bcast_);
    Find(library, "MPI_Allreduce", &allreduce_);
    Find(library, "MPI_Isend", &isend_);
    Find(library, "MPI_Irecv", &irecv_);
    Find(library, "MPI_Waitall", &waitall_);
  }

  void Init() override {
    int done = 0;
    Check("MPI_Initialized", initialized_(&done));
    if (done != 0) throw MpiError("another part of the program has called MPI_Init already");
    int provided = 0;
    Check("MPI_Init_thread", init_thread_(nullptr, nullptr, facts_.thread_serialized, &provided));
    if (provided < facts_.thread_serialized) {
      throw MpiError(
          "the library was built without threads: MPI_Init_thread gives less than "
          "MPI_THREAD_SERIALIZED");
    }
    // Failures come back as exceptions; the default would end the process without a word of ours.
    Check("MPI_Comm_set_errhandler", set_errhandler_(facts_.world, facts_.errors_return));
  }

  void Finalize() override { Check("MPI_Finalize", finalize_()); }

  void Abort(int code) override {
    abort_(facts_.world, code);
    _exit(code);
  }

  int Rank(int comm) override {
    int result = 0;
    Check("MPI_Comm_rank", rank_(At(comm), &result));
    return result;
  }

  int Size(int comm) override {
    int result = 0;
    Check("MPI_Comm_size", size_(At(comm), &result));
    return result;
  }

  int Split(int comm, int color, int key) override {
    H made;
    Check("MPI_Comm_split", split_(At(comm), color, key, &made));
    comms_.push_back(made);  // with the error handler of the one that it comes from
    return static_cast<int>(comms_.size()) - 1;
  }

  void Barrier(int comm) override { Check("MPI_Barrier", barrier_(At(comm))); }

  void Broadcast(int comm, void* data, int count, MpiType type, int root) override {
    Check("MPI_Bcast", bcast_(data, count, Type(type), root, At(comm)));
  }

  void AllReduce(int comm, void* data, int count, MpiType type, MpiOp op) override {
    Check("MPI_Allreduce", allreduce_(facts_.in_place, data, count, Type(type),
                                      facts_.ops[static_cast<int>(op)], At(comm)));
  }

  void Transfer(int comm, const std::vector<MpiMessage>& sends,
                const std::vector<MpiMessage>& receives) override {
    const int ranks = Size(comm);
    const int rank = Rank(comm);
    std::vector<H> requests;
    requests.reserve(sends.size() + receives.size());
    // At distance d every rank sends to the one d above and receives from the one d below, so that
    // no rank has two senders at a time more than another.
    for (int first = 1; first < ranks; first += kPartnersAtOnce) {
      requests.clear();
      const auto is_near = [&](int peer, int sign) {
        const int distance = (sign * (peer - rank) + ranks) % ranks;
        return distance >= first && distance < first + kPartnersAtOnce;
      };
      for (const MpiMessage& message : receives) {
        if (!is_near(message.peer, -1)) continue;
        Check("MPI_Irecv", irecv_(message.data, message.count, Type(MpiType::kFloat), message.peer,
                                  kTag, At(comm), Next(&requests)));
      }
      for (const MpiMessage& message : sends) {
        if (!is_near(message.peer, 1)) continue;
        Check("MPI_Isend", isend_(message.data, message.count, Type(MpiType::kFloat), message.peer,
                                  kTag, At(comm), Next(&requests)));
      }
      Check("MPI_Waitall",
            waitall_(static_cast<int>(requests.size()), requests.data(), facts_.statuses_ignore));
    }
  }

 private:
  template <class Function>
  static void Find(void* library, const char* name, Function* function) {
    *function = reinterpret_cast<Function>(Symbol(library, name));
  }

  static H* Next(std::vector<H>* requests) {
    requests->emplace_back();
    return &requests->back();
  }

  H At(int comm) const { return comms_.at(static_cast<size_t>(comm)); }
  H Type(MpiType type) const { return facts_.types[static_cast<int>(type)]; }

  void Check(const char* name, int code) const {
    if (code == 0) return;
    char text[kErrorLength + 1] = "";
    int length = 0;
    if (error_string_(code, text, &length) != 0) length = 0;
    throw MpiError(std::string(name) + " failed: " +
                   (length > 0 ? std::string(text, static_cast<size_t>(length))
                               : "error " + std::to_string(code)));
  }

  const Facts<H> facts_;
  std::vector<H> comms_;

  int (*initialized_)(int*);
  int (*init_thread_)(int*, char***, int, int*);
  int (*finalize_)();
  int (*abort_)(H, int);
  int (*error_string_)(int, char*, int*);
  int (*set_errhandler_)(H, H);
  int (*rank_)(H, int*);
  int (*size_)(H, int*);
  int (*split_)(H, int, int, H*);
  int (*barrier_)(H);
  int (*bcast_)(void*, int, H, int, H);
  int (*allreduce_)(const void*, void*, int, H, H, H);
  int (*isend_)(const void*, int, H, int, int, H, H*);
  int (*irecv_)(void*, int, H, int, int, H, H*);
  int (*waitall_)(int, H*, void*);
};

}  // namespace

std::unique_ptr<MpiCalls> BindMpi(void* library, MpiAbi abi) {
  switch (abi) {
    case MpiAbi::kOpenMpi:
      return std::make_unique<Shim<void*>>(library, OpenMpiFacts(library));
    case MpiAbi::kMpich:
      return std::make_unique<Shim<int>>(library, MpichFacts());
    case MpiAbi::kStandard:
      return std::make_unique<Shim<void*>>(library, StandardFacts());
  }
  throw MpiError("an unknown interface");
}

}  // namespace tfjs_ftp

#endif
