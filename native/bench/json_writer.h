// Writes JSON as it goes: no tree in memory, no library, so that the benches build wherever the
// kernels do.
#ifndef TFJS_FTP_BENCH_JSON_WRITER_H_
#define TFJS_FTP_BENCH_JSON_WRITER_H_

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace tfjs_ftp {

class JsonWriter {
 public:
  explicit JsonWriter(std::FILE* file) : file_(file) {}

  // In an object every value, and every object and array, comes behind Key().
  JsonWriter& Key(const char* name) {
    Separate();
    WriteString(name);
    std::fputc(':', file_);
    first_ = true;
    return *this;
  }
  void BeginObject() { Begin('{'); }
  void EndObject() { End('}'); }
  void BeginArray() { Begin('['); }
  void EndArray() { End(']'); }

  void Value(const std::string& text) {
    Separate();
    WriteString(text);
  }
  void Value(const char* text) { Value(std::string(text)); }
  void Value(bool value) { Raw(value ? "true" : "false"); }
  void Value(int value) { Value(static_cast<int64_t>(value)); }
  void Value(int64_t value) { Raw(std::to_string(value)); }
  // Not finite becomes null: JSON has no such numbers.
  void Value(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.12g", value);
    Raw(std::isfinite(value) ? text : "null");
  }
  void Value(const std::vector<double>& values) {
    BeginArray();
    for (const double value : values) Value(value);
    EndArray();
  }
  void Null() { Raw("null"); }

  template <class T>
  void Member(const char* name, const T& value) {
    Key(name).Value(value);
  }
  // Empty becomes null.
  void MemberOrNull(const char* name, const std::string& text) {
    Key(name);
    if (text.empty()) {
      Null();
    } else {
      Value(text);
    }
  }

 private:
  void Separate() {
    if (!first_) std::fputc(',', file_);
    first_ = false;
  }
  void Raw(const std::string& text) {
    Separate();
    std::fputs(text.c_str(), file_);
  }
  void Begin(char bracket) {
    Separate();
    std::fputc(bracket, file_);
    first_ = true;
  }
  void End(char bracket) {
    std::fputc(bracket, file_);
    first_ = false;
  }
  void WriteString(const std::string& text) {
    std::fputc('"', file_);
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        std::fprintf(file_, "\\%c", c);
      } else if (static_cast<unsigned char>(c) < 0x20) {
        std::fprintf(file_, "\\u%04x", static_cast<unsigned>(c));
      } else {
        std::fputc(c, file_);
      }
    }
    std::fputc('"', file_);
  }

  std::FILE* file_;
  bool first_ = true;
};

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_BENCH_JSON_WRITER_H_
