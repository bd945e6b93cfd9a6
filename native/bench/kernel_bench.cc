// Times the CPU step without Node and TensorFlow against memcpy, all contenders interleaved;
// `kernel_bench --help` lists the options. Prints one JSON object; times are seconds of one step
// (or copy), one number a round. Bytes a parameter are counted in bench/bytes.ts. `npm run bench --
// --suite kernels` builds and runs it.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "contenders.h"
#include "json_writer.h"
#include "measure.h"
#include "options.h"

namespace tfjs_ftp {
namespace {

struct Arguments {
  std::string variables;  // file with one line "rows length" a variable
  int64_t rounds = 31;
  std::vector<int64_t> threads = {1};
  int64_t copy_megabytes = 512;
  double min_sample_ms = 50;
};

struct Measured {
  int64_t repeats = 1;  // steps a sample
  std::vector<double> seconds;
};

std::vector<std::unique_ptr<Contender>> MakeContenders(SharedBuffers* shared, CopyBuffers* copied) {
  std::vector<std::unique_ptr<Contender>> contenders;
  contenders.push_back(MakeCopy(copied));
  if (auto stream = MakeStreamCopy(copied)) contenders.push_back(std::move(stream));
  auto step = [&](const char* name, const StepOptions& options, RowOrder order, bool excluded,
                  StateFormat format = StateFormat::kFloat32) {
    contenders.push_back(MakeStep(name, shared, options, order, excluded, format));
  };
  step("ftp-adamw-rows", AdamWOptions(), RowOrder::kRows, false);
  step("ftp-adamw-columns", AdamWOptions(), RowOrder::kColumns, false);
  step("ftp-sgd-momentum-rows", SgdMomentumOptions(), RowOrder::kRows, false);
  step("ftp-sgd-momentum-columns", SgdMomentumOptions(), RowOrder::kColumns, false);
  step("ftp-adamw-bfloat16-rows", AdamWOptions(), RowOrder::kRows, false, StateFormat::kBfloat16);
  step("ftp-adamw-bfloat16-columns", AdamWOptions(), RowOrder::kColumns, false,
       StateFormat::kBfloat16);
  step("adamw", AdamWOptions(), RowOrder::kRows, true);
  return contenders;
}

// Seconds of one run, mean over `repeats`.
double Time(Contender* contender, int threads, int64_t repeats) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  for (int64_t i = 0; i < repeats; ++i) contender->Run(threads);
  return std::chrono::duration<double>(Clock::now() - start).count() / static_cast<double>(repeats);
}

std::vector<Measured> Interleave(const std::vector<std::unique_ptr<Contender>>& contenders,
                                 int threads, const Arguments& arguments) {
  const size_t count = contenders.size();
  std::vector<Measured> measured(count);
  for (size_t i = 0; i < count; ++i) {
    Time(contenders[i].get(), threads, 2);  // pages, caches, threads
    const double once = Time(contenders[i].get(), threads, 1);
    measured[i].repeats = Repeats(arguments.min_sample_ms / 1000, once, 1);
  }
  for (int64_t round = 0; round < arguments.rounds; ++round) {
    for (size_t k = 0; k < count; ++k) {
      const size_t i = Turn(round, k, count);
      measured[i].seconds.push_back(Time(contenders[i].get(), threads, measured[i].repeats));
    }
  }
  return measured;
}

std::vector<ListedVariable> ReadList(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<ListedVariable> list;
  ListedVariable variable;
  while (file >> variable.rows >> variable.length) {
    if (variable.rows <= 0 || variable.length <= 0) {
      throw std::runtime_error("rows and length must be > 0 in " + path);
    }
    list.push_back(variable);
  }
  if (list.empty() || !file.eof()) throw std::runtime_error(path + " is not a list of variables");
  return list;
}

void Bench(const Arguments& arguments) {
  SharedBuffers shared(ReadList(arguments.variables));
  CopyBuffers copied(arguments.copy_megabytes << 20);
  const auto contenders = MakeContenders(&shared, &copied);
  JsonWriter json(stdout);
  json.BeginObject();
  json.Member("simd", CpuSimdName());
  json.Member("elements", shared.elements);
  json.Member("variables", static_cast<int64_t>(shared.list.size()));
  json.Member("copyBytes", copied.bytes);
  json.Key("runs").BeginArray();
  for (const int64_t threads : arguments.threads) {
    std::fprintf(stderr, "%d thread%s\n", static_cast<int>(threads), threads == 1 ? "" : "s");
    const auto measured = Interleave(contenders, static_cast<int>(threads), arguments);
    json.BeginObject();
    json.Member("threads", threads);
    json.Key("contenders").BeginArray();
    for (size_t i = 0; i < contenders.size(); ++i) {
      json.BeginObject();
      json.Member("name", contenders[i]->name());
      json.Member("repeats", measured[i].repeats);
      json.Member("seconds", measured[i].seconds);
      json.EndObject();
    }
    json.EndArray();
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  std::printf("\n");
  // The contenders share their output: each is checked after a run of its own.
  for (const auto& contender : contenders) {
    contender->Run(static_cast<int>(arguments.threads.back()));
    const std::string wrong = contender->Check();
    if (!wrong.empty()) throw std::runtime_error(contender->name() + ": " + wrong);
  }
}

int Main(int argc, char** argv) {
  Arguments arguments;
  Options options("kernel_bench",
                  "Times the CPU step over a list of variables against plain AdamW and memcpy.");
  options.String("--variables", "FILE", "one line `rows length` a variable", &arguments.variables);
  options.Whole("--rounds", "samples of each contender", 1, &arguments.rounds);
  options.Wholes("--threads", "numbers of threads, one run each", 1, &arguments.threads);
  options.Whole("--copy-megabytes", "of each buffer of the copy", 1, &arguments.copy_megabytes);
  options.Number("--min-sample-ms", "shorter samples take several steps", &arguments.min_sample_ms);
  if (!options.Parse(argc, argv)) return EXIT_SUCCESS;
  if (arguments.variables.empty()) throw UsageError("--variables FILE is needed");
  Bench(arguments);
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace tfjs_ftp

int main(int argc, char** argv) {
  return tfjs_ftp::RunMain("kernel_bench", [&] { return tfjs_ftp::Main(argc, argv); });
}
