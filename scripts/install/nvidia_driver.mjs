// Is there an NVIDIA driver on this machine, so that CUDA kernels could ever run here?
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';

/** The driver's kernel module, where a process can see it. */
const MODULE = '/proc/driver/nvidia/version';

/**
 * A library that can be loaded but is no addon makes Node complain of just that. In a process of its own: what a library
 * does when it is loaded is unknown.
 */
const LOAD = `
  try { process.dlopen({ exports: {} }, process.argv[1]); } catch (error) {
    process.exitCode = /self-register/.test(error.message) ? 0 : 1;
  }`;

/** Whether the dynamic linker finds a library. */
export function canLoad(library) {
  return (
    spawnSync(process.execPath, ['-e', LOAD, library], { stdio: 'ignore', timeout: 30_000 }).status === 0
  );
}

/**
 * What shows that there is a driver, or null. Containers and WSL may have only one of the three.
 * @param {NodeJS.ProcessEnv} env its PATH is searched
 */
export function findNvidiaDriver(env) {
  if (fs.existsSync(MODULE)) return MODULE;
  if (canLoad('libcuda.so.1')) return 'libcuda.so.1';
  const asked = spawnSync('nvidia-smi', ['-L'], { env, stdio: 'ignore', timeout: 30_000 });
  return asked.status === 0 ? 'nvidia-smi' : null;
}
