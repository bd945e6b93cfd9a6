// What a prebuilt addon for Linux may need of the system that it is installed on, and what it shows to others.
import { compareVersions } from '../lib/versions.mjs';

/**
 * Newest symbol versions of glibc that an addon may need. A baseline's distributions have these or newer ones.
 * debian_12: what a build on Debian 12 needs (its libgcc, linked in, asks for glibc 2.35): Debian 12, Ubuntu 22.04, Fedora 36
 *   and newer; not RHEL 9, which has 2.34.
 * manylinux_2_28: RHEL 8, Debian 10, Ubuntu 20.04 and newer. Node's own binaries need that glibc too.
 * any: no limit.
 */
export const BASELINES = {
  debian_12: { GLIBC: '2.35' },
  manylinux_2_28: { GLIBC: '2.28' },
  any: { GLIBC: '999' },
};

/**
 * Parts of glibc alone: libstdc++ and libgcc are linked in (binding.gyp), so their versions on a system do not matter.
 * libdl, libpthread and librt, which the CUDA runtime uses, are files of their own before 2.34.
 */
const LIBRARIES = /^(libc|libm|libdl|libpthread|librt|ld-linux-[a-z0-9-]+)\.so\.\d+$/;

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
