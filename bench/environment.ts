/** The machine and the versions that stand beside every table. */

import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { nativeInfo } from 'tfjs-ftp/native';
import type { Environment } from './schema.js';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Output of git in the checkout; null outside of one. */
function git(...args: string[]): string | null {
  try {
    return execFileSync('git', ['-C', root, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return null;
  }
}

function versionOf(name: string): string {
  return (require(`${name}/package.json`) as { version: string }).version;
}

export function describeEnvironment(): Environment {
  const status = git('status', '--porcelain', '--untracked-files=no');
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
  };
}
