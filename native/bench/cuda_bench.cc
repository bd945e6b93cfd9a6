// Times the CUDA step without Node and TensorFlow against a device copy and plain fused AdamW on
// the same machinery, all contenders interleaved; `cuda_bench --help` lists the options. A table
// goes to stdout, everything that was measured to --json FILE (bench/schema.ts describes it): times
// are seconds of one step by CUDA events, one number a round.
//
// nsys, ncu and compute-sanitizer attach to this program. NVTX ranges of the domain "tfjs_ftp"
// carry the workload, the contender and the phases (native/kernels/cuda/profile_range.h).
//
// Exit codes: 0, 1 for a failure, 2 for wrong options, 77 without a GPU that the kernels run on.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "../kernels/cuda/cuda_device.h"
#include "../kernels/cuda/profile_range.h"
#include "cuda_cases.h"
#include "cuda_contenders.h"
#include "cuda_machine.h"
#include "json_writer.h"
#include "measure.h"
#include "options.h"
#include "workloads.h"

namespace tfjs_ftp {
namespace {

// Steps before a sample: past the first one, which is another than those that follow.
constexpr int64_t kWarmUpSteps = 3;

struct Arguments {
  std::vector<std::string> lists;
  SweepAxes sweep;
  CaseAxes cases;
  int64_t rounds = 11;
  double min_sample_ms = 20;
  int64_t copy_megabytes = 1024;
  std::string json;
  std::string commit;
};

struct Measured {
  int64_t repeats = 1;
  std::vector<double> seconds;       // of one step on the device
  std::vector<double> host_seconds;  // of enqueueing one, without waiting
};

class Event {
 public:
  Event() { CUDA_OK(cudaEventCreate(&event_)); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

struct Time {
  double device;  // s
  double host;
};

// Of one run, mean over `repeats`, in a profiler's range of that name.
Time TimeRuns(const char* name, CudaContender* contender, cudaStream_t stream, int64_t repeats) {
  const Event first;
  const Event last;
  CUDA_OK(cudaDeviceSynchronize());
  const ProfileRange range(name);
  const auto start = std::chrono::steady_clock::now();
  CUDA_OK(cudaEventRecord(first.get(), stream));
  for (int64_t i = 0; i < repeats; ++i) contender->Run(stream);
  CUDA_OK(cudaEventRecord(last.get(), stream));
  const std::chrono::duration<double> host = std::chrono::steady_clock::now() - start;
  CUDA_OK(cudaEventSynchronize(last.get()));
  float milliseconds = 0;
  CUDA_OK(cudaEventElapsedTime(&milliseconds, first.get(), last.get()));
  const double count = static_cast<double>(repeats);
  return {static_cast<double>(milliseconds) / 1000 / count, host.count() / count};
}

std::vector<Measured> Interleave(const std::vector<CudaContender*>& contenders,
                                 const Arguments& arguments, cudaStream_t stream) {
  std::vector<Measured> measured(contenders.size());
  for (int64_t round = 0; round < arguments.rounds; ++round) {
    for (size_t k = 0; k < contenders.size(); ++k) {
      const size_t i = Turn(round, k, contenders.size());
      contenders[i]->Prepare();
      TimeRuns("warm-up", contenders[i], stream, kWarmUpSteps);
      if (round == 0) {
        const double once = TimeRuns("warm-up", contenders[i], stream, kWarmUpSteps).device;
        measured[i].repeats = Repeats(arguments.min_sample_ms / 1000, once, 1);
      }
      const Time time =
          TimeRuns(contenders[i]->name().c_str(), contenders[i], stream, measured[i].repeats);
      measured[i].seconds.push_back(time.device);
      measured[i].host_seconds.push_back(time.host);
    }
  }
  return measured;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void WriteContender(JsonWriter* json, const CudaContender& contender, const Case* made,
                    const Measured& measured) {
  json->BeginObject();
  json->Member("name", contender.name());
  json->Member("optimizer", made == nullptr ? "copy" : made->optimizer.name);
  json->MemberOrNull("layout", made == nullptr ? "" : made->layout);
  json->MemberOrNull("version", made == nullptr ? "" : made->version);
  json->Member("checked", made != nullptr && made->checked);
  json->Key("chunkElements");
  if (made == nullptr) {
    json->Null();
    json->Key("bytesPerParameter").Null();
  } else {
    json->Value(made->tuning.chunk_elements);
    json->Member("bytesPerParameter", made->bytes());
  }
  json->Member("bytes", contender.bytes());
  json->Member("launches", contender.launches());
  json->Member("repeats", measured.repeats);
  json->Member("samples", measured.seconds);
  json->Member("hostSamples", measured.host_seconds);
  json->EndObject();
}

void WriteWorkload(JsonWriter* json, const Workload& workload) {
  json->Key("workload").BeginObject();
  json->Member("name", workload.name);
  json->Member("label", workload.label);
  json->Member("variables", static_cast<int64_t>(workload.variables.size()));
  json->Member("parameters", workload.elements());
  json->Key("rows");
  if (workload.rows > 0) {
    json->Value(workload.rows);
  } else {
    json->Null();
  }
  json->EndObject();
}

void PrintRow(const CudaContender& contender, const Measured& measured, double copy_rate) {
  const double rate = contender.bytes() / Median(measured.seconds);
  std::printf("  %-38s %10.1f us %8.1f GB/s %6.1f%% of copy %2d launches, host %8.1f us\n",
              contender.name().c_str(), Median(measured.seconds) * 1e6, rate / 1e9,
              100 * rate / copy_rate, contender.launches(), Median(measured.host_seconds) * 1e6);
}

// Measures one workload and writes its object. Throws where a contender's result is wrong.
void RunWorkload(const Workload& workload, const std::vector<Case>& cases, CudaContender* copy,
                 const Arguments& arguments, cudaStream_t stream, JsonWriter* json) {
  const ProfileRange range(workload.name.c_str());
  DeviceBuffers buffers(workload.variables, cases);
  std::vector<std::unique_ptr<CudaContender>> steps;
  std::vector<CudaContender*> contenders = {copy};
  for (const Case& made : cases) {
    steps.push_back(MakeCudaStep(made, &buffers));
    contenders.push_back(steps.back().get());
  }
  for (CudaContender* const contender : contenders) {
    const std::string wrong = contender->Check();
    if (!wrong.empty()) {
      throw std::runtime_error(workload.name + ", " + contender->name() + ": " + wrong);
    }
  }
  const std::vector<Measured> measured = Interleave(contenders, arguments, stream);
  json->BeginObject();
  WriteWorkload(json, workload);
  json->Key("contenders").BeginArray();
  std::printf("%s, %lld parameters\n", workload.label.c_str(),
              static_cast<long long>(workload.elements()));
  const double copy_rate = copy->bytes() / Median(measured[0].seconds);
  for (size_t i = 0; i < contenders.size(); ++i) {
    WriteContender(json, *contenders[i], i == 0 ? nullptr : &cases[i - 1], measured[i]);
    PrintRow(*contenders[i], measured[i], copy_rate);
  }
  json->EndArray();
  json->EndObject();
  std::fflush(stdout);
}

std::string Gigabytes(double bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GB", bytes / 1e9);
  return text;
}

void Bench(const Arguments& arguments, std::FILE* file) {
  std::vector<LeftOut> left_out;
  std::vector<Workload> workloads = SweepWorkloads(arguments.sweep, &left_out);
  for (size_t i = arguments.lists.size(); i-- > 0;) {
    workloads.insert(workloads.begin(), ListWorkload(arguments.lists[i]));
  }
  const std::vector<Case> cases = MakeCases(arguments.cases);
  const CudaInfo& info = QueryCuda();
  std::printf("%s, driver for CUDA %s, CUDA %s\n", info.devices.front().name.c_str(),
              CudaVersionText(info.driver).c_str(), CudaVersionText(info.runtime).c_str());
  JsonWriter json(file);
  json.BeginObject();
  json.Member("kind", "cuda");
  json.Member("schemaVersion", 1);
  json.Member("program", "cuda_bench");
  WriteMachine(&json, arguments.commit);
  json.Member("rounds", arguments.rounds);
  json.Key("runs").BeginArray();
  cudaStream_t stream = nullptr;
  CUDA_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  const std::unique_ptr<CudaContender> copy = MakeDeviceCopy(arguments.copy_megabytes << 20);
  for (const Workload& workload : workloads) {
    const auto needed = static_cast<double>(MeasureBytes(workload.variables, cases));
    size_t free = 0;
    size_t total = 0;
    CUDA_OK(cudaMemGetInfo(&free, &total));
    if (needed > static_cast<double>(free)) {
      left_out.push_back({workload.label, "needs " + Gigabytes(needed) + " of device memory, " +
                                              Gigabytes(static_cast<double>(free)) + " are free"});
      continue;
    }
    RunWorkload(workload, cases, copy.get(), arguments, stream, &json);
  }
  json.EndArray();
  json.Key("leftOut").BeginArray();
  for (const LeftOut& item : left_out) {
    std::printf("left out: %s: %s\n", item.what.c_str(), item.reason.c_str());
    json.BeginObject();
    json.Member("what", item.what);
    json.Member("reason", item.reason);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  std::fputc('\n', file);
  CUDA_OK(cudaStreamDestroy(stream));
}

// What is measured where the command line names neither lists nor a point of the sweep, and what an
// axis is where only others are named.
void FillIn(Arguments* arguments) {
  SweepAxes& sweep = arguments->sweep;
  const bool swept = !sweep.elements.empty() || !sweep.rows.empty() || !sweep.variables.empty();
  if (!swept && !arguments->lists.empty()) return;
  if (!swept) arguments->lists = {"vit", "tiny-10k"};
  if (sweep.elements.empty()) sweep.elements = {1 << 20, 1 << 24, 1 << 28};
  if (sweep.rows.empty()) sweep.rows = {64, 4096};
  if (sweep.variables.empty()) sweep.variables = {1, 100};
}

std::vector<std::string> OptimizerNames() {
  std::vector<std::string> names;
  for (const Optimizer& optimizer : KnownOptimizers()) names.push_back(optimizer.name);
  return names;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  Options options("cuda_bench",
                  "Times the CUDA step against plain AdamW and a device copy. Without a list and "
                  "an axis: lists vit and tiny-10k,\nand a sweep over 1, 16 and 256 Mi elements.");
  options.Words("--list", "lists of variables", ListNames(), &arguments.lists);
  options.Wholes("--elements", "sweep: elements of all variables together", 1,
                 &arguments.sweep.elements);
  options.Wholes("--rows", "sweep: rows of each variable", 1, &arguments.sweep.rows);
  options.Wholes("--variables", "sweep: how many variables", 1, &arguments.sweep.variables);
  options.Words("--optimizer", "what is timed", OptimizerNames(), &arguments.cases.optimizers);
  options.Words("--layout", "rows contiguous, columns strided", {"rows", "columns"},
                &arguments.cases.layouts);
  options.Words("--launches", "three launches, or everything in one", {"three", "one"},
                &arguments.cases.launches);
  options.Words("--check", "the look for non-finite gradients", {"off", "on"},
                &arguments.cases.checks);
  options.Wholes("--chunk", "elements of a chunk", 1024, &arguments.cases.chunks);
  options.Whole("--rounds", "samples of each contender", 1, &arguments.rounds);
  options.Number("--min-sample-ms", "shorter samples take several steps", &arguments.min_sample_ms);
  options.Whole("--copy-megabytes", "of each buffer of the copy", 1, &arguments.copy_megabytes);
  options.String("--json", "FILE", "everything that was measured", &arguments.json);
  options.String("--commit", "HASH", "in place of the commit of the build", &arguments.commit);
  if (!options.Parse(argc, argv)) return EXIT_SUCCESS;
  FillIn(&arguments);

  const CudaInfo& info = QueryCuda();
  if (!info.available) {
    std::fprintf(stderr, "cuda_bench: no GPU that the kernels run on: %s\n", info.reason.c_str());
    return kExitNoGpu;
  }
  // Opened before anything runs: a long run must not end with a file that cannot be written.
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      arguments.json.empty() ? std::tmpfile() : std::fopen(arguments.json.c_str(), "w"),
      std::fclose);
  if (file == nullptr) {
    throw UsageError("--json must be a file that can be written, got '" + arguments.json + "'");
  }
  Bench(arguments, file.get());
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace tfjs_ftp

int main(int argc, char** argv) {
  return tfjs_ftp::RunMain("cuda_bench", [&] { return tfjs_ftp::Main(argc, argv); });
}
