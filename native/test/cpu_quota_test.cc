// CpuQuota on made-up trees of /proc and /sys/fs/cgroup, and the default number of threads.
#include "../kernels/cpu/cpu_quota.h"

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>

#include "../kernels/cpu/thread_pool.h"
#include "../kernels/step.h"
#include "driven.h"

namespace tfjs_ftp {
namespace {

using Files = std::map<std::string, std::string>;

void MakeFolders(const std::string& file) {
  for (size_t at = file.find('/', 1); at != std::string::npos; at = file.find('/', at + 1)) {
    mkdir(file.substr(0, at).c_str(), 0755);
  }
}

// CpuQuota of a system with these files.
int QuotaWith(const std::string& cgroup, const Files& files) {
  char root[] = "/tmp/tfjs-ftp-quota-XXXXXX";
  if (mkdtemp(root) == nullptr) return -1;
  const std::string base = root;
  Files all;
  for (const auto& file : files) all["/sys/fs/cgroup" + file.first] = file.second;
  all["/proc/self/cgroup"] = cgroup;
  for (const auto& file : all) {
    MakeFolders(base + file.first);
    std::ofstream(base + file.first) << file.second;
  }
  const int quota = CpuQuota(base);
  if (std::system(("rm -r " + base).c_str()) != 0) return -1;
  return quota;
}

void Expect(const char* what, int quota, const std::string& cgroup, const Files& files) {
  const int found = QuotaWith(cgroup, files);
  CHECK(found == quota, "%s: %d processors, not %d", what, found, quota);
}

void TestV2() {
  const std::string group = "0::/user.slice/job.service\n";
  Expect("no files", 0, group, {});
  Expect("no quota", 0, group, {{"/user.slice/job.service/cpu.max", "max 100000\n"}});
  Expect("two", 2, group, {{"/user.slice/job.service/cpu.max", "200000 100000\n"}});
  Expect("rounded up", 2, group, {{"/user.slice/job.service/cpu.max", "110000 100000\n"}});
  Expect("less than one", 1, group, {{"/user.slice/job.service/cpu.max", "5000 100000\n"}});
  Expect("another period", 4, group, {{"/user.slice/job.service/cpu.max", "80000 20000\n"}});
  Expect("a group above is smaller", 3, group,
         {{"/user.slice/job.service/cpu.max", "800000 100000\n"},
          {"/user.slice/cpu.max", "300000 100000\n"}});
  Expect("a group above is larger", 3, group,
         {{"/user.slice/job.service/cpu.max", "300000 100000\n"},
          {"/user.slice/cpu.max", "800000 100000\n"}});
  Expect("a group beside is not ours", 0, group,
         {{"/user.slice/other/cpu.max", "100000 100000\n"}});
  Expect("a container: its group is the root", 5, "0::/\n", {{"/cpu.max", "500000 100000\n"}});
  Expect("outside of the namespace", 5, "0::/../other\n", {{"/cpu.max", "500000 100000\n"}});
  Expect("not what it should be", 0, "0::/\n", {{"/cpu.max", "many\n"}});
}

void TestV1() {
  const std::string group = "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n";
  const auto files = [](const std::string& folder, const char* quota) {
    return Files{{folder + "/cpu.cfs_quota_us", quota},
                 {folder + "/cpu.cfs_period_us", "100000\n"}};
  };
  Expect("no quota", 0, group, files("/cpu,cpuacct/docker/abc", "-1\n"));
  Expect("two and a half", 3, group, files("/cpu,cpuacct/docker/abc", "250000\n"));
  Expect("under the short name", 3, group, files("/cpu/docker/abc", "250000\n"));
  Expect("the host's path in a container", 2, group, files("/cpu,cpuacct", "200000\n"));
  Expect("no cpu controller", 0, "2:cpuacct:/\n5:cpuset:/\n", files("/cpuacct", "200000\n"));
  Files both = files("/cpu/a", "400000\n");
  both["/cpu.max"] = "max 100000\n";
  Expect("beside v2 without a quota", 4, "4:cpu:/a\n0::/\n", both);
}

void TestLines() {
  Expect("no lines", 0, "", {{"/cpu.max", "100000 100000\n"}});
  Expect("broken lines", 1, "x\n0:\n0::\n0::/\n", {{"/cpu.max", "100000 100000\n"}});
}

void TestThreads() {
  const int quota = CpuQuota();
  const int threads = CpuDefaultThreads();
  CHECK(threads >= 1 && threads <= kMaxThreads, "%d threads", threads);
  if (std::getenv("TFJS_FTP_THREADS") == nullptr) {
    CHECK(quota == 0 || threads <= quota, "%d threads with a quota of %d", threads, quota);
  }
}

}  // namespace
}  // namespace tfjs_ftp

int main() {
  using namespace tfjs_ftp;
  TestV2();
  TestV1();
  TestLines();
  TestThreads();
  std::printf("quota %d, %d threads: %d checks, %d failures\n", CpuQuota(), CpuDefaultThreads(),
              g_checks, g_failures);
  return g_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
