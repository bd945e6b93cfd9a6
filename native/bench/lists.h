// Lists of variables as matrices of rows (output units) by length; the same models as in
// bench/lists.
#ifndef TFJS_FTP_BENCH_LISTS_H_
#define TFJS_FTP_BENCH_LISTS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace tfjs_ftp {

// A variable of a list: a matrix of `rows` output units, each of `length` weights.
struct ListedVariable {
  int64_t rows;
  int64_t length;
  int64_t size() const { return rows * length; }
};

// ViT-B/16: 152 variables, 86,567,656 parameters.
inline std::vector<ListedVariable> VitB16() {
  const int64_t width = 768;
  const auto vector = [](int64_t length) { return ListedVariable{1, length}; };
  std::vector<ListedVariable> list = {
      vector(width), {1, 197 * width}, {width, 16 * 16 * 3}, vector(width)};
  for (int block = 0; block < 12; ++block) {
    for (const ListedVariable& m :
         {vector(width), vector(width), ListedVariable{3 * width, width}, vector(3 * width),
          ListedVariable{width, width}, vector(width), vector(width), vector(width),
          ListedVariable{4 * width, width}, vector(4 * width), ListedVariable{width, 4 * width},
          vector(width)}) {
      list.push_back(m);
    }
  }
  for (const ListedVariable& m :
       {vector(width), vector(width), ListedVariable{1000, width}, vector(1000)}) {
    list.push_back(m);
  }
  return list;
}

// ResNet-50 with its batch normalizations: 161 variables, 25,557,032 parameters.
inline std::vector<ListedVariable> ResNet50() {
  std::vector<ListedVariable> list;
  const auto convolution = [&list](int64_t size, int64_t inputs, int64_t outputs) {
    list.push_back({outputs, size * size * inputs});
    list.push_back({1, outputs});
    list.push_back({1, outputs});
  };
  convolution(7, 3, 64);
  int64_t inputs = 64;
  const int blocks[] = {3, 4, 6, 3};
  for (int stage = 0; stage < 4; ++stage) {
    const int64_t width = int64_t{64} << stage;
    for (int block = 0; block < blocks[stage]; ++block) {
      convolution(1, inputs, width);
      convolution(3, width, width);
      convolution(1, width, 4 * width);
      if (block == 0) convolution(1, inputs, 4 * width);
      inputs = 4 * width;
    }
  }
  list.push_back({1000, inputs});
  list.push_back({1, 1000});
  return list;
}

// The lists that have names: ViT-B/16, ResNet-50, 16 matrices of 8192 x 8192, and 10,000 variables
// of 8 to 512 weights.
inline std::vector<std::string> ListNames() { return {"vit", "resnet", "billion", "tiny-10k"}; }

// Empty for a name that is not one of ListNames().
inline std::vector<ListedVariable> NamedList(const std::string& name) {
  if (name == "vit") return VitB16();
  if (name == "resnet") return ResNet50();
  if (name == "billion") return std::vector<ListedVariable>(16, ListedVariable{8192, 8192});
  std::vector<ListedVariable> list;
  if (name == "tiny-10k") {
    for (int64_t i = 0; i < 10000; ++i) list.push_back({1 + i % 8, 8 * (1 + i / 8 % 8)});
  }
  return list;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_BENCH_LISTS_H_
