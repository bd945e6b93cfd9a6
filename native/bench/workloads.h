// What cuda_bench runs over: named lists of variables, and the points of a sweep over elements,
// rows and number of variables.
#ifndef TFJS_FTP_BENCH_WORKLOADS_H_
#define TFJS_FTP_BENCH_WORKLOADS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "lists.h"

namespace tfjs_ftp {

struct Workload {
  std::string name;
  std::string label;
  std::vector<ListedVariable> variables;
  int64_t rows = 0;  // of every variable of a sweep's point; 0 for a list

  int64_t elements() const {
    int64_t total = 0;
    for (const ListedVariable& variable : variables) total += variable.size();
    return total;
  }
};

// Something that was asked for and not measured.
struct LeftOut {
  std::string what;
  std::string reason;
};

struct SweepAxes {
  std::vector<int64_t> elements;   // of all variables together
  std::vector<int64_t> rows;       // of each variable
  std::vector<int64_t> variables;  // how many
};

inline Workload ListWorkload(const std::string& name) {
  const std::string label = name == "vit"       ? "ViT-B/16"
                            : name == "resnet"  ? "ResNet-50"
                            : name == "billion" ? "16 of 8192 x 8192"
                                                : "10,000 tiny";
  return {name, label, NamedList(name), 0};
}

// Every combination of the axes; one in which a row would be shorter than one element is left out.
// Rows are as long as comes nearest to the elements asked for; a workload is named after those that
// it has.
inline std::vector<Workload> SweepWorkloads(const SweepAxes& axes, std::vector<LeftOut>* left_out) {
  std::vector<Workload> workloads;
  for (const int64_t elements : axes.elements) {
    for (const int64_t rows : axes.rows) {
      for (const int64_t count : axes.variables) {
        const int64_t all_rows = rows * count;
        const std::string shape = std::to_string(count) + " x " + std::to_string(rows) + " rows";
        if (elements < all_rows) {
          left_out->push_back({std::to_string(elements) + " elements as " + shape,
                               "a row would have less than one element"});
          continue;
        }
        const int64_t length = (elements + all_rows / 2) / all_rows;
        Workload workload;
        workload.variables.assign(static_cast<size_t>(count), ListedVariable{rows, length});
        workload.rows = rows;
        workload.name = std::to_string(workload.elements()) + "-" + std::to_string(rows) + "-" +
                        std::to_string(count);
        workload.label = shape + " of " + std::to_string(length);
        workloads.push_back(workload);
      }
    }
  }
  return workloads;
}

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_BENCH_WORKLOADS_H_
