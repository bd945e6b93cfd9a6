// Command lines of the benches: `--name VALUE`, lists with commas between. An error names the
// option, what it accepts and what came.
#ifndef TFJS_FTP_BENCH_OPTIONS_H_
#define TFJS_FTP_BENCH_OPTIONS_H_

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace tfjs_ftp {

// Exit codes of the benches, beside 0 and 1.
constexpr int kExitUsage = 2;   // wrong options
constexpr int kExitNoGpu = 77;  // nothing to measure on; what ctest and automake take for "skipped"

// What is wrong with the command line.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline std::vector<std::string> SplitCommas(const std::string& text) {
  std::vector<std::string> items;
  std::stringstream stream(text);
  for (std::string item; std::getline(stream, item, ',');) items.push_back(item);
  if (text.empty() || text.back() == ',') items.emplace_back();
  return items;
}

class Options {
 public:
  // `summary`: what --help prints above the options.
  Options(std::string program, std::string summary)
      : program_(std::move(program)), summary_(std::move(summary)) {}

  // A whole number from `least` on.
  void Whole(const std::string& name, const std::string& help, int64_t least, int64_t* value) {
    Add(name, "N", help, [name, least, value](const std::string& text) {
      if (!ParseWhole(text, least, value)) Refuse(name, "a whole number >= " + Text(least), text);
    });
  }

  // Whole numbers from `least` on with commas between.
  void Wholes(const std::string& name, const std::string& help, int64_t least,
              std::vector<int64_t>* values) {
    Add(name, "N[,N...]", help, [name, least, values](const std::string& text) {
      values->clear();
      for (const std::string& item : SplitCommas(text)) {
        int64_t value = 0;
        if (!ParseWhole(item, least, &value)) {
          Refuse(name, "whole numbers >= " + Text(least) + " with commas between", text);
        }
        values->push_back(value);
      }
    });
  }

  // A finite number >= 0.
  void Number(const std::string& name, const std::string& help, double* value) {
    Add(name, "X", help, [name, value](const std::string& text) {
      char* end = nullptr;
      *value = std::strtod(text.c_str(), &end);
      if (text.empty() || *end != '\0' || !std::isfinite(*value) || *value < 0) {
        Refuse(name, "a number >= 0", text);
      }
    });
  }

  // Some of `known` with commas between.
  void Words(const std::string& name, const std::string& help, std::vector<std::string> known,
             std::vector<std::string>* values) {
    const std::string accepted = Join(known);
    Add(name, "NAME[,NAME...]", help + ": " + accepted,
        [name, known = std::move(known), accepted, values](const std::string& text) {
          *values = SplitCommas(text);
          for (const std::string& word : *values) {
            if (std::find(known.begin(), known.end(), word) == known.end()) {
              Refuse(name, "some of " + accepted + " with commas between", text);
            }
          }
        });
  }

  void String(const std::string& name, const std::string& value_name, const std::string& help,
              std::string* value) {
    Add(name, value_name, help, [name, value](const std::string& text) {
      if (text.empty()) Refuse(name, "not empty", text);
      *value = text;
    });
  }

  // Sets what the command line names. False: it asked for help, which was printed.
  // Throws UsageError.
  bool Parse(int argc, char** argv) const {
    for (int i = 1; i < argc; ++i) {
      const std::string word = argv[i];
      if (word == "--help") {
        PrintHelp();
        return false;
      }
      const auto option = std::find_if(options_.begin(), options_.end(),
                                       [&word](const Option& o) { return o.name == word; });
      if (option == options_.end()) throw UsageError("unknown option '" + word + "'; see --help");
      if (++i == argc) throw UsageError(word + " needs a value: " + option->value);
      option->set(argv[i]);
    }
    return true;
  }

 private:
  struct Option {
    std::string name, value, help;
    std::function<void(const std::string&)> set;
  };

  void Add(const std::string& name, const std::string& value, const std::string& help,
           std::function<void(const std::string&)> set) {
    options_.push_back({name, value, help, std::move(set)});
  }

  [[noreturn]] static void Refuse(const std::string& name, const std::string& accepted,
                                  const std::string& got) {
    throw UsageError(name + " must be " + accepted + ", got '" + got + "'");
  }

  static bool ParseWhole(const std::string& text, int64_t least, int64_t* value) {
    char* end = nullptr;
    errno = 0;
    *value = std::strtoll(text.c_str(), &end, 10);
    return !text.empty() && *end == '\0' && errno == 0 && *value >= least;
  }

  static std::string Text(int64_t number) { return std::to_string(number); }

  static std::string Join(const std::vector<std::string>& words) {
    std::string joined;
    for (const std::string& word : words) joined += (joined.empty() ? "" : ", ") + word;
    return joined;
  }

  void PrintHelp() const {
    std::printf("%s [OPTIONS]\n%s\n\n", program_.c_str(), summary_.c_str());
    for (const Option& option : options_) {
      std::printf("  %s %s\n      %s\n", option.name.c_str(), option.value.c_str(),
                  option.help.c_str());
    }
  }

  std::string program_;
  std::string summary_;
  std::vector<Option> options_;
};

// The body of a bench's main: exceptions become a line on stderr and an exit code.
inline int RunMain(const char* program, const std::function<int()>& body) {
  try {
    return body();
  } catch (const UsageError& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return kExitUsage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return EXIT_FAILURE;
  }
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_BENCH_OPTIONS_H_
