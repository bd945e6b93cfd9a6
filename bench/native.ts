/** Builds and runs the programs of native/bench/. */

import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Unavailable } from './specs.js';

const BUILD_SCRIPT = fileURLToPath(new URL('../../../scripts/build/build_native_bench.mjs', import.meta.url));

/** With this code a program says that this machine lacks what it measures, and on stderr what that is. */
const EXIT_UNAVAILABLE = 77;

/**
 * Runs a program to its end.
 *
 * @returns what it printed on stdout
 * @throws Unavailable where it ends with code 77; Error, with what it printed on stderr, where it fails
 */
export function execute(command: string, args: readonly string[]): Promise<string> {
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

/** `--name value` for every option. */
export function optionList(options: Record<string, string | number>): string[] {
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
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
