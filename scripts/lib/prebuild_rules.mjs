// What a prebuilt addon for Linux may need of the system that it is installed on, and what it shows to others.
import { compareVersions } from './versions.mjs';

/**
 * Newest symbol versions that an addon may need. A baseline's distributions have these or newer ones.
 * debian_12: what a build on Debian 12 needs, glibc 2.34 and the libstdc++ of GCC 12: Debian 12, Ubuntu 22.04, Fedora 36 and
 *   newer; not RHEL 9, whose libstdc++ is of GCC 11.
 * manylinux_2_28: glibc 2.28 and the libstdc++ of GCC 8: RHEL 8, Debian 10, Ubuntu 20.04 and newer. Node's own binaries need
 *   that glibc too.
 * any: no limits.
 */
export const BASELINES = {
  debian_12: { GLIBC: '2.34', GLIBCXX: '3.4.30', CXXABI: '1.3.13', GCC: '7.0.0' },
  manylinux_2_28: { GLIBC: '2.28', GLIBCXX: '3.4.25', CXXABI: '1.3.11', GCC: '7.0.0' },
  any: { GLIBC: '999', GLIBCXX: '999', CXXABI: '999', GCC: '999' },
};

/**
 * What Node's own binary needs; every system that Node runs on has them. libgcc_s comes with libstdc++, which needs it itself:
 * linking it statically would put a second unwinder into the process. librt is part of glibc (before 2.34 a file of its
 * own, which the CUDA runtime uses).
 */
const LIBRARIES = /^(libc|libm|libstdc\+\+|libdl|libpthread|libgcc_s|librt|ld-linux-[a-z0-9-]+)\.so\.\d+$/;

const EXPORTS = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];
const MACHINES = { x64: 'Advanced Micro Devices X86-64', arm64: 'AArch64' };

/**
 * Everything that is wrong with one addon.
 * @param {import('./elf.mjs').ElfFacts} facts
 * @param {string} arch of the folder that it lies in, in Node's words
 * @param {Record<string, string>} baseline
 * @returns {string[]}
 */
export function problemsOf(facts, arch, baseline) {
  const problems = [];
  if (facts.machine !== MACHINES[arch])
    problems.push(`built for ${facts.machine}, the folder is for ${arch}`);
  for (const library of facts.needed) {
    if (!LIBRARIES.test(library)) problems.push(`needs ${library}`);
  }
  for (const folder of facts.searchPaths) problems.push(`looks for libraries in ${folder}`);
  for (const [kind, version] of Object.entries(facts.versions)) {
    const limit = baseline[kind];
    if (limit === undefined)
      problems.push(`needs symbols of ${kind}_${version}, of which no version is allowed`);
    else if (compareVersions(version, limit) > 0)
      problems.push(`needs ${kind}_${version}, at most ${limit} is allowed`);
  }
  for (const name of facts.exported) {
    if (!EXPORTS.includes(name)) problems.push(`exports ${name}`);
  }
  for (const name of EXPORTS) {
    if (!facts.exported.includes(name)) problems.push(`does not export ${name}`);
  }
  return problems;
}
