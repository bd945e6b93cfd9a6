// MPI for JavaScript: work is posted to MPI's own thread and gives a handle, which is waited for
// (`mpiWait`) or turned into a promise (`mpiPromise`). The arrays of some work are held until it is
// done.
#if !defined(_WIN32)
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../mpi/exchange.h"
#include "../mpi/mpi_library.h"
#include "../mpi/mpi_thread.h"
#include "errors.h"
#include "exports.h"
#include "float_array.h"
#include "handle.h"

namespace tfjs_ftp {
namespace {

constexpr char kFailure[] = "MPI_FAILURE";
constexpr double kFinalizeSeconds = 60;

// MPI is there once per process, and so is this. Never freed: MPI's thread may run until the
// process ends.
struct Mpi {
  MpiLibrary library;
  MpiThread thread;
  ExchangeBuffers buffers;
  // The environment (main or worker thread) that uses MPI.
  napi_env owner = nullptr;
  bool initialized = false;
  bool finalized = false;
  // Of the owner: where promises are settled.
  Napi::ThreadSafeFunction settle;
  int promises = 0;
};

Mpi& TheMpi() {
  static Mpi& mpi = *new Mpi;
  return mpi;
}

MpiCalls* Calls() { return TheMpi().library.calls.get(); }

// ---- Work, as JavaScript holds it. ----

constexpr napi_type_tag kWorkTag = {0x6d1f4a9c3b7e4d02, 0x9a5c81e2f07d4b36};

struct Work {
  std::shared_ptr<MpiTask> task = std::make_shared<MpiTask>();
  std::vector<Napi::ObjectReference> arrays;
  std::unique_ptr<Napi::Promise::Deferred> promise;
};

Napi::Array NumbersOf(Napi::Env env, const MpiTask& task) {
  Napi::Array numbers = Napi::Array::New(env, task.numbers.size());
  for (size_t i = 0; i < task.numbers.size(); ++i) {
    numbers.Set(static_cast<uint32_t>(i), task.numbers[i]);
  }
  return numbers;
}

void Settle(Napi::Env env, Work* work) {
  const MpiTask& task = *work->task;
  work->arrays.clear();
  if (!task.error.empty()) {
    Napi::Error error = Napi::Error::New(env, task.error);
    error.Set("code", kFailure);
    work->promise->Reject(error.Value());
    return;
  }
  work->promise->Resolve(NumbersOf(env, task));
}

Napi::Value Post(Napi::Env env, std::unique_ptr<Work> work,
                 std::function<std::vector<double>()> todo) {
  work->task->work = std::move(todo);
  TheMpi().thread.Post(work->task);
  return NewHandle(env, kWorkTag, std::move(work), [](Napi::BasicEnv, Work* dropped) {
    // Nobody waits for it any more, but MPI may still write to its arrays.
    TheMpi().thread.Wait(*dropped->task, kFinalizeSeconds);
  });
}

// Holds an array while MPI works on it.
void Hold(Work* work, const Napi::Value& value) {
  work->arrays.push_back(Napi::Persistent(value.As<Napi::Object>()));
}

// ---- Arguments. ----

bool ReadFloats(const Napi::Value& value, Work* work, std::vector<float*>* arrays,
                std::vector<int64_t>* lengths) {
  if (!value.IsArray()) return false;
  const Napi::Array list = value.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Value one = list.Get(i);
    const FloatArray array = FloatArrayOf(one);
    if (array.data == nullptr) return false;
    arrays->push_back(array.data);
    lengths->push_back(array.length);
    Hold(work, one);
  }
  return true;
}

// Bounds of what each rank owns: from 0 to the length of the list, never falling.
bool ReadBounds(const Napi::Value& value, int64_t length, std::vector<int64_t>* bounds) {
  if (!value.IsArray()) return false;
  const Napi::Array list = value.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Value one = list.Get(i);
    if (!one.IsNumber()) return false;
    bounds->push_back(one.As<Napi::Number>().Int64Value());
    if (i > 0 && bounds->at(i) < bounds->at(i - 1)) return false;
  }
  return list.Length() >= 2 && bounds->front() == 0 && bounds->back() == length;
}

bool ReadData(const Napi::Value& value, void** data, size_t* length, MpiType* type) {
  if (!value.IsTypedArray()) return false;
  napi_typedarray_type kind;
  if (napi_get_typedarray_info(value.Env(), value, &kind, length, data, nullptr, nullptr) !=
      napi_ok) {
    return false;
  }
  switch (kind) {
    case napi_float32_array:
      *type = MpiType::kFloat;
      return true;
    case napi_float64_array:
      *type = MpiType::kDouble;
      return true;
    case napi_int32_array:
      *type = MpiType::kInt32;
      return true;
    case napi_uint8_array:
      *type = MpiType::kByte;
      return true;
    default:
      return false;
  }
}

std::vector<std::string> ReadStrings(const Napi::Value& value) {
  std::vector<std::string> strings;
  if (!value.IsArray()) return strings;
  const Napi::Array list = value.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    strings.push_back(list.Get(i).ToString().Utf8Value());
  }
  return strings;
}

bool AreNumbers(const Napi::CallbackInfo& info, std::initializer_list<size_t> places) {
  for (const size_t place : places) {
    if (place >= info.Length() || !info[place].IsNumber()) return false;
  }
  return true;
}

int IntAt(const Napi::CallbackInfo& info, size_t place) {
  return info[place].As<Napi::Number>().Int32Value();
}

// Whether MPI may be called; throws where not.
bool IsReady(Napi::Env env) {
  const Mpi& mpi = TheMpi();
  if (mpi.initialized && !mpi.finalized && mpi.owner == static_cast<napi_env>(env)) return true;
  ThrowCoded(env, kFailure,
             mpi.finalized ? "MPI has ended in this process" : "MPI is not started in this thread");
  return false;
}

// What works on one array in place, with arguments (comm, array, number).
using ArrayCall = void (*)(int comm, void* data, int length, MpiType type, int number);
Napi::Value PostOnArray(const Napi::CallbackInfo& info, const char* usage, ArrayCall call) {
  Napi::Env env = info.Env();
  if (!IsReady(env)) return env.Undefined();
  void* data = nullptr;
  size_t length = 0;
  MpiType type;
  if (!AreNumbers(info, {0, 2}) || !ReadData(info[1], &data, &length, &type) ||
      length > INT32_MAX) {
    return Reject(env, usage);
  }
  const int comm = IntAt(info, 0);
  const int number = IntAt(info, 2);
  auto work = std::make_unique<Work>();
  Hold(work.get(), info[1]);
  return Post(env, std::move(work), [call, comm, data, length, type, number] {
    call(comm, data, static_cast<int>(length), type, number);
    return std::vector<double>();
  });
}

// ---- The end. ----

void End(int code) {
  Mpi& mpi = TheMpi();
  if (!mpi.initialized || mpi.finalized) return;
  mpi.finalized = true;
  if (code == 0 && !mpi.thread.IsBusy()) {
    const auto task = std::make_shared<MpiTask>();
    task->work = [] {
      Calls()->Finalize();
      return std::vector<double>();
    };
    mpi.thread.Post(task);
    mpi.thread.Wait(*task, 1e9);  // the others may have work left
    return;
  }
  if (code == 0) {
    std::fputs(
        "tfjs-ftp: the process ends in the middle of an exchange with other ranks; ending the "
        "job\n",
        stderr);
  }
  // Where MPI's thread waits for a rank that will not come, only another thread can end it.
  Calls()->Abort(code == 0 ? 1 : code);
}

}  // namespace

Napi::Value MpiOpen(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Mpi& mpi = TheMpi();
  Napi::Object result = Napi::Object::New(env);
  MpiAbi abi = MpiAbi::kOpenMpi;
  const bool is_wanted = info.Length() > 1 && info[1].IsString();
  if (is_wanted && !MpiAbiOf(info[1].As<Napi::String>().Utf8Value(), &abi)) {
    return Reject(env, "mpi.open: unknown interface");
  }
  std::vector<MpiAttempt> attempts;
  if (mpi.library.calls == nullptr) {
    mpi.library = OpenMpiLibrary(ReadStrings(info[0]), is_wanted ? &abi : nullptr, &attempts);
  }
  Napi::Array tried = Napi::Array::New(env, attempts.size());
  for (size_t i = 0; i < attempts.size(); ++i) {
    Napi::Object attempt = Napi::Object::New(env);
    attempt.Set("path", attempts[i].path);
    attempt.Set("reason", attempts[i].reason);
    tried.Set(static_cast<uint32_t>(i), attempt);
  }
  result.Set("tried", tried);
  if (mpi.library.calls == nullptr) return result;
  result.Set("path", mpi.library.path);
  result.Set("abi", MpiAbiName(mpi.library.abi));
  result.Set("version", mpi.library.version);
  return result;
}

Napi::Value MpiInit(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Mpi& mpi = TheMpi();
  if (mpi.library.calls == nullptr || mpi.owner != nullptr) {
    ThrowCoded(env, kFailure,
               mpi.owner == nullptr ? "no MPI library is open"
                                    : "MPI is in use already, in this or another thread");
    return env.Undefined();
  }
  mpi.owner = env;
  mpi.initialized = true;
  mpi.settle = Napi::ThreadSafeFunction::New(
      env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), "tfjs-ftp mpi", 0, 1);
  mpi.settle.Unref(env);
  // A worker thread that is ended from outside has no exit event.
  napi_add_env_cleanup_hook(
      env, [](void*) { End(TheMpi().thread.IsBusy() ? 1 : 0); }, nullptr);
  return Post(env, std::make_unique<Work>(), [] {
    Calls()->Init();
    return std::vector<double>{static_cast<double>(Calls()->Rank(0)),
                               static_cast<double>(Calls()->Size(0))};
  });
}

Napi::Value MpiSplit(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!IsReady(env)) return env.Undefined();
  if (!AreNumbers(info, {0, 1, 2})) return Reject(env, "mpi.split takes (comm, color, key)");
  const int comm = IntAt(info, 0);
  const int color = IntAt(info, 1);
  const int key = IntAt(info, 2);
  return Post(env, std::make_unique<Work>(), [comm, color, key] {
    const int made = Calls()->Split(comm, color, key);
    return std::vector<double>{static_cast<double>(made), static_cast<double>(Calls()->Rank(made)),
                               static_cast<double>(Calls()->Size(made))};
  });
}

Napi::Value MpiBarrier(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!IsReady(env)) return env.Undefined();
  if (!AreNumbers(info, {0})) return Reject(env, "mpi.barrier takes (comm)");
  const int comm = IntAt(info, 0);
  return Post(env, std::make_unique<Work>(), [comm] {
    Calls()->Barrier(comm);
    return std::vector<double>();
  });
}

Napi::Value MpiAllReduce(const Napi::CallbackInfo& info) {
  return PostOnArray(info, "mpi.allReduce takes (comm, array, op)",
                     [](int comm, void* data, int length, MpiType type, int op) {
                       Calls()->AllReduce(comm, data, length, type, static_cast<MpiOp>(op));
                     });
}

Napi::Value MpiBroadcast(const Napi::CallbackInfo& info) {
  return PostOnArray(info, "mpi.broadcast takes (comm, array, root)",
                     [](int comm, void* data, int length, MpiType type, int root) {
                       Calls()->Broadcast(comm, data, length, type, root);
                     });
}

Napi::Value MpiReduce(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!IsReady(env)) return env.Undefined();
  auto work = std::make_unique<Work>();
  std::vector<float*> sources;
  std::vector<float*> targets;
  std::vector<int64_t> lengths;
  std::vector<int64_t> target_lengths;
  std::vector<int64_t> bounds;
  ReduceOptions options;
  const bool fits = AreNumbers(info, {0, 4, 5}) && info.Length() >= 7 && info[6].IsBoolean() &&
                    ReadFloats(info[1], work.get(), &sources, &lengths) &&
                    ReadFloats(info[2], work.get(), &targets, &target_lengths) &&
                    sources.size() == targets.size();
  if (!fits) {
    return Reject(env, "mpi.reduce takes (comm, from, to, bounds, slice, scale, gather)");
  }
  const FlatArrays from(std::move(sources), lengths);
  const int comm = IntAt(info, 0);
  options.slice = info[4].As<Napi::Number>().Int64Value();
  options.scale = info[5].As<Napi::Number>().DoubleValue();
  options.gather = info[6].As<Napi::Boolean>().Value();
  if (!ReadBounds(info[3], from.size(), &bounds) || options.slice < 1 ||
      options.slice > INT32_MAX) {
    return Reject(env, "mpi.reduce: bounds do not fit the arrays, or slice is out of range");
  }
  const FlatArrays to(std::move(targets), lengths);
  for (size_t i = 0; i < lengths.size(); ++i) {
    // What is not written may be missing.
    if (target_lengths[i] == lengths[i] || (target_lengths[i] == 0 && !options.gather)) continue;
    return Reject(env, "mpi.reduce: arrays to write to must be as long as those to read");
  }
  return Post(env, std::move(work), [comm, from, to, bounds, options, target_lengths] {
    const int rank = Calls()->Rank(comm);
    if (bounds.size() != static_cast<size_t>(Calls()->Size(comm)) + 1) {
      throw MpiError("mpi.reduce: there must be one bound more than ranks");
    }
    const size_t own = static_cast<size_t>(rank);
    for (const FlatArrays::Piece& piece : to.PiecesOf(bounds[own], bounds[own + 1])) {
      if (target_lengths[piece.array] == 0) {
        throw MpiError("mpi.reduce: an array that this rank owns is missing");
      }
    }
    const std::vector<uint8_t> non_finite =
        ReduceFloats(Calls(), comm, from, to, bounds, options, &TheMpi().buffers);
    std::vector<double> found;
    for (size_t i = 0; i < non_finite.size(); ++i) {
      if (non_finite[i] != 0) found.push_back(static_cast<double>(i));
    }
    return found;
  });
}

Napi::Value MpiGather(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!IsReady(env)) return env.Undefined();
  auto work = std::make_unique<Work>();
  std::vector<float*> arrays;
  std::vector<int64_t> lengths;
  std::vector<int64_t> bounds;
  if (!AreNumbers(info, {0, 3}) || !ReadFloats(info[1], work.get(), &arrays, &lengths)) {
    return Reject(env, "mpi.gather takes (comm, arrays, bounds, slice)");
  }
  const FlatArrays flat(std::move(arrays), lengths);
  const int comm = IntAt(info, 0);
  const int64_t slice = info[3].As<Napi::Number>().Int64Value();
  if (!ReadBounds(info[2], flat.size(), &bounds) || slice < 1 || slice > INT32_MAX) {
    return Reject(env, "mpi.gather: bounds do not fit the arrays, or slice is out of range");
  }
  return Post(env, std::move(work), [comm, flat, bounds, slice] {
    if (bounds.size() != static_cast<size_t>(Calls()->Size(comm)) + 1) {
      throw MpiError("mpi.gather: there must be one bound more than ranks");
    }
    GatherFloats(Calls(), comm, flat, bounds, slice, &TheMpi().buffers);
    return std::vector<double>();
  });
}

Napi::Value MpiWait(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Work* const work = info.Length() > 0 ? FromHandle<Work>(info[0], kWorkTag) : nullptr;
  if (work == nullptr || !AreNumbers(info, {1})) {
    return Reject(env, "mpi.wait takes (work, seconds)");
  }
  if (!TheMpi().thread.Wait(*work->task, info[1].As<Napi::Number>().DoubleValue())) {
    return env.Null();
  }
  work->arrays.clear();
  if (!work->task->error.empty()) {
    ThrowCoded(env, kFailure, work->task->error);
    return env.Undefined();
  }
  return NumbersOf(env, *work->task);
}

Napi::Value MpiPromise(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Mpi& mpi = TheMpi();
  Work* const work = info.Length() > 0 ? FromHandle<Work>(info[0], kWorkTag) : nullptr;
  if (work == nullptr || work->promise != nullptr) return Reject(env, "mpi.promise takes (work)");
  work->promise = std::make_unique<Napi::Promise::Deferred>(env);
  const Napi::Promise promise = work->promise->Promise();
  // The handle must outlive MPI's thread's call.
  auto* const held = new Napi::Reference<Napi::Value>(Napi::Persistent(info[0]));
  const auto tell = [work, held] {
    TheMpi().settle.NonBlockingCall([work, held](Napi::Env at, Napi::Function) {
      if (--TheMpi().promises == 0) TheMpi().settle.Unref(at);
      Settle(at, work);
      delete held;
    });
  };
  if (mpi.promises++ == 0) mpi.settle.Ref(env);
  if (!mpi.thread.Tell(work->task.get(), tell)) {
    if (--mpi.promises == 0) mpi.settle.Unref(env);
    Settle(env, work);
    delete held;
  }
  return promise;
}

Napi::Value MpiEnd(const Napi::CallbackInfo& info) {
  if (!AreNumbers(info, {0})) return Reject(info.Env(), "mpi.end takes (code)");
  End(IntAt(info, 0));
  return info.Env().Undefined();
}

}  // namespace tfjs_ftp

#endif
