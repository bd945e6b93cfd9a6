/** The machine and the versions that stand beside every table. */

import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { cudaInfo, nativeInfo } from 'tfjs-ftp/native';
import type { Environment } from './schema.js';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('../../..', import.meta.url));

/** What a program prints on stdout; null where there is none, or it fails. */
function outputOf(command: string, ...args: string[]): string | null {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return null;
  }
}

/** Output of git in the checkout; null outside of one. */
function git(...args: string[]): string | null {
  return outputOf('git', '-C', root, ...args);
}

/** Of the NVIDIA kernel module, e.g. '580.65.06'; null where nvidia-smi does not tell. */
function driverVersion(): string | null {
  const listed = outputOf('nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader');
  return listed?.split('\n')[0] ?? null;
}

function versionOf(name: string): string {
  return (require(`${name}/package.json`) as { version: string }).version;
}

export function describeEnvironment(): Environment {
  const status = git('status', '--porcelain', '--untracked-files=no');
  const cuda = cudaInfo();
  return {
    date: new Date().toISOString(),
    commit: git('rev-parse', 'HEAD')?.trim() ?? null,
    modified: status === null ? null : status.trim() !== '',
    version: versionOf('tfjs-ftp'),
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    simd: nativeInfo().build?.simd ?? null,
    memory: os.totalmem(),
    load: os.loadavg()[0] as number,
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    node: process.version,
    tfjs: versionOf('@tensorflow/tfjs-core'),
    gpu: cuda.devices[0]?.name ?? null,
    driver: driverVersion(),
    toolkit: cuda.runtime ?? null,
  };
}
