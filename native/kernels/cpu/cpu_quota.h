// How much processor time the control groups of this process allow it.
#ifndef TFJS_FTP_KERNELS_CPU_CPU_QUOTA_H_
#define TFJS_FTP_KERNELS_CPU_CPU_QUOTA_H_

#include <string>

namespace tfjs_ftp {

// Processors that the process may keep busy, rounded up, as a container's `--cpus` sets it: the
// smallest quota of its control group and of the groups above it, of cgroup v2 (cpu.max) and v1
// (cpu.cfs_quota_us, cpu.cfs_period_us). 0: no quota, or none that can be read. `root` stands
// before the paths /proc and /sys/fs/cgroup (for tests).
int CpuQuota(const std::string& root = "");

}  // namespace tfjs_ftp

#endif  // TFJS_FTP_KERNELS_CPU_CPU_QUOTA_H_
