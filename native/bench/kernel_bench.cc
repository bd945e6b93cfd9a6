// Times the CPU step without Node and TensorFlow against memcpy, all contenders interleaved:
//
//   kernel_bench VARIABLES ROUNDS THREADS[,THREADS...] COPY_MEGABYTES MIN_SAMPLE_MS
//
// VARIABLES: a file with one line "rows length" a variable. Prints one JSON object; times are
// seconds of one step (or copy), one number a round. Bytes a parameter are counted in
// bench/bytes.ts. `npm run bench -- --suite kernels` builds and runs it.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "contenders.h"

namespace tfjs_ftp {
namespace {

struct Arguments {
  std::string variables;
  int rounds = 0;
  std::vector<int> threads;
  int64_t copy_bytes = 0;
  double min_sample = 0;  // s
};

struct Measured {
  int64_t repeats = 1;  // steps a sample
  std::vector<double> seconds;
};

StepOptions AdamW() {
  StepOptions options;
  options.learning_rate = 1e-3;
  options.beta1 = 0.9;
  options.beta2 = 0.999;
  options.epsilon = 1e-8;
  return options;
}

StepOptions SgdWithMomentum() {
  StepOptions options;
  options.base = BaseUpdate::kSgd;
  options.momentum_slot = true;
  options.learning_rate = 1e-2;
  options.momentum = 0.9;
  return options;
}

std::vector<std::unique_ptr<Contender>> MakeContenders(SharedBuffers* shared, CopyBuffers* copied) {
  std::vector<std::unique_ptr<Contender>> contenders;
  contenders.push_back(MakeCopy(copied));
  if (auto stream = MakeStreamCopy(copied)) contenders.push_back(std::move(stream));
  auto step = [&](const char* name, const StepOptions& options, RowOrder order, bool excluded) {
    contenders.push_back(MakeStep(name, shared, options, order, excluded));
  };
  step("ftp-adamw-rows", AdamW(), RowOrder::kRows, false);
  step("ftp-adamw-columns", AdamW(), RowOrder::kColumns, false);
  step("ftp-sgd-rows", SgdWithMomentum(), RowOrder::kRows, false);
  step("ftp-sgd-columns", SgdWithMomentum(), RowOrder::kColumns, false);
  step("adamw", AdamW(), RowOrder::kRows, true);
  return contenders;
}

// Seconds of one run, mean over `repeats`.
double Time(Contender* contender, int threads, int64_t repeats) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  for (int64_t i = 0; i < repeats; ++i) contender->Run(threads);
  return std::chrono::duration<double>(Clock::now() - start).count() / static_cast<double>(repeats);
}

// Every contender once a round, in an order that rotates and turns round, so that neither noise of
// the machine nor what ran before favours one of them.
std::vector<Measured> Interleave(const std::vector<std::unique_ptr<Contender>>& contenders,
                                 int threads, int rounds, double min_sample) {
  const size_t count = contenders.size();
  std::vector<Measured> measured(count);
  for (size_t i = 0; i < count; ++i) {
    Time(contenders[i].get(), threads, 2);  // pages, caches, threads
    const double once = Time(contenders[i].get(), threads, 1);
    measured[i].repeats = static_cast<int64_t>(std::ceil(min_sample / once));
    if (measured[i].repeats < 1) measured[i].repeats = 1;
  }
  for (int round = 0; round < rounds; ++round) {
    for (size_t k = 0; k < count; ++k) {
      const size_t turned = round % 2 == 0 ? k : count - 1 - k;
      const size_t i = (turned + static_cast<size_t>(round) / 2) % count;
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

Arguments ParseArguments(char** argv) {
  Arguments arguments;
  arguments.variables = argv[1];
  arguments.rounds = std::atoi(argv[2]);
  std::stringstream threads(argv[3]);
  for (std::string item; std::getline(threads, item, ',');) {
    arguments.threads.push_back(std::atoi(item.c_str()));
    if (arguments.threads.back() < 1) throw std::runtime_error("THREADS must be whole numbers > 0");
  }
  arguments.copy_bytes = static_cast<int64_t>(std::atoi(argv[4])) << 20;
  arguments.min_sample = std::atof(argv[5]) / 1000;
  if (arguments.rounds < 1 || arguments.threads.empty() || arguments.copy_bytes < 1 ||
      !(arguments.min_sample >= 0)) {
    throw std::runtime_error("ROUNDS and COPY_MEGABYTES must be > 0, MIN_SAMPLE_MS >= 0");
  }
  return arguments;
}

void PrintRun(const std::vector<std::unique_ptr<Contender>>& contenders,
              const std::vector<Measured>& measured, int threads) {
  std::printf("{\"threads\":%d,\"contenders\":[", threads);
  for (size_t i = 0; i < contenders.size(); ++i) {
    std::printf("%s{\"name\":\"%s\",\"repeats\":%lld,\"seconds\":[", i == 0 ? "" : ",",
                contenders[i]->name().c_str(), static_cast<long long>(measured[i].repeats));
    for (size_t k = 0; k < measured[i].seconds.size(); ++k) {
      std::printf("%s%.9g", k == 0 ? "" : ",", measured[i].seconds[k]);
    }
    std::printf("]}");
  }
  std::printf("]}");
}

void Bench(const Arguments& arguments) {
  SharedBuffers shared(ReadList(arguments.variables));
  CopyBuffers copied(arguments.copy_bytes);
  const auto contenders = MakeContenders(&shared, &copied);
  std::printf("{\"simd\":\"%s\",\"elements\":%lld,\"variables\":%zu,\"copyBytes\":%lld,\"runs\":[",
              CpuSimdName(), static_cast<long long>(shared.elements), shared.list.size(),
              static_cast<long long>(copied.bytes));
  for (size_t i = 0; i < arguments.threads.size(); ++i) {
    const int threads = arguments.threads[i];
    std::fprintf(stderr, "%d thread%s\n", threads, threads == 1 ? "" : "s");
    const auto measured = Interleave(contenders, threads, arguments.rounds, arguments.min_sample);
    if (i > 0) std::printf(",");
    PrintRun(contenders, measured, threads);
  }
  std::printf("]}\n");
  // The contenders share their output: each is checked after a run of its own.
  for (const auto& contender : contenders) {
    contender->Run(arguments.threads.back());
    const std::string wrong = contender->Check();
    if (!wrong.empty()) throw std::runtime_error(contender->name() + ": " + wrong);
  }
}

}  // namespace
}  // namespace tfjs_ftp

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(
        stderr,
        "kernel_bench VARIABLES ROUNDS THREADS[,THREADS...] COPY_MEGABYTES MIN_SAMPLE_MS\n");
    return EXIT_FAILURE;
  }
  try {
    tfjs_ftp::Bench(tfjs_ftp::ParseArguments(argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kernel_bench: %s\n", error.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
