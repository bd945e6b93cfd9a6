#include "cpu_quota.h"

#include <cmath>
#include <fstream>
#include <sstream>

namespace tfjs_ftp {
namespace {

// Processors of one group; 0: no quota.
using QuotaOf = int (*)(const std::string& folder);

int Processors(double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return 0;
  const double processors = std::ceil(quota / period);
  return processors < 1e6 ? static_cast<int>(processors) : 0;
}

// "max 100000" or "150000 100000"; "max" is read as no number.
int QuotaV2(const std::string& folder) {
  double quota = 0;
  double period = 0;
  std::ifstream(folder + "/cpu.max") >> quota >> period;
  return Processors(quota, period);
}

// -1: no quota.
int QuotaV1(const std::string& folder) {
  double quota = 0;
  double period = 0;
  std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
  std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  return Processors(quota, period);
}

int Smaller(int a, int b) {
  if (a == 0 || b == 0) return a + b;
  return a < b ? a : b;
}

// From the group up to the root of the mount: every group above limits those below. Inside a
// container the path may be the host's, whose folders do not exist here; the root is the
// container's own group then.
int SmallestUpwards(const std::string& mount, std::string group, QuotaOf quota_of) {
  if (group.find("/..") != std::string::npos) group.clear();  // outside of this namespace
  int smallest = quota_of(mount);
  while (group.size() > 1) {
    smallest = Smaller(smallest, quota_of(mount + group));
    group.resize(group.rfind('/'));
  }
  return smallest;
}

bool HasCpu(const std::string& controllers) {
  std::istringstream list(controllers);
  for (std::string name; std::getline(list, name, ',');) {
    if (name == "cpu") return true;
  }
  return false;
}

}  // namespace

int CpuQuota(const std::string& root) {
  const std::string mounts = root + "/sys/fs/cgroup";
  std::ifstream groups(root + "/proc/self/cgroup");
  int smallest = 0;
  // Lines "0::/group" (v2) and "4:cpu,cpuacct:/group" (v1).
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (group.empty() || group[0] != '/') continue;
    if (controllers.empty()) {
      smallest = Smaller(smallest, SmallestUpwards(mounts, group, QuotaV2));
    } else if (HasCpu(controllers)) {
      // The folder has the name of the list; some systems have a link `cpu` alone.
      smallest = Smaller(smallest, SmallestUpwards(mounts + "/" + controllers, group, QuotaV1));
      smallest = Smaller(smallest, SmallestUpwards(mounts + "/cpu", group, QuotaV1));
    }
  }
  return smallest;
}

}  // namespace tfjs_ftp
