/** Builds and runs the programs of native/bench/, and says what this machine has for them. */

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Unavailable } from './suite.js';

const BUILD_SCRIPT = fileURLToPath(new URL('../../../scripts/build/build_native_bench.mjs', import.meta.url));

/** With this code a program says that this machine lacks what it measures, and on stderr what that is. */
const EXIT_UNAVAILABLE = 77;

/**
 * Runs a program to its end.
 *
 * @returns what it printed on stdout
 * @throws Unavailable where it ends with code 77; Error, with what it printed on stderr, where it fails
 */
function execute(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const said = stderr.trim();
      if (code === 0) resolve(stdout);
      else if (code === EXIT_UNAVAILABLE) reject(new Unavailable(said));
      else reject(new Error(`${path.basename(command)} ended with ${signal ?? `code ${code}`}\n${said}`));
    });
  });
}

/** Runs a program with `--name value` for every option; returns what it printed on stdout. @throws as execute */
export function runNative(program: string, options: Record<string, string | number>): Promise<string> {
  return execute(
    program,
    Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]),
  );
}

/** Calls `use` with a new folder, which is removed when its promise is settled. */
export async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tfjs-ftp-bench-'));
  try {
    return await use(folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @returns path of the program
 * @throws Unavailable without cmake, a compiler (`cuda_bench`: nvcc) or the sources
 */
export async function buildNativeBench(program: 'kernel_bench' | 'cuda_bench'): Promise<string> {
  try {
    const output = await execute(process.execPath, [BUILD_SCRIPT, program]);
    return output.trimEnd().split('\n').at(-1) as string;
  } catch (error) {
    throw new Unavailable((error as Error).message);
  }
}

/** Bytes that can be allocated without pushing anything out. */
export function availableBytes(): number {
  try {
    const [, kilobytes] = /^MemAvailable:\s+(\d+) kB/m.exec(fs.readFileSync('/proc/meminfo', 'utf8')) ?? [];
    if (kilobytes !== undefined) return 1024 * Number(kilobytes);
  } catch {
    // Not Linux.
  }
  return os.freemem();
}

export function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
