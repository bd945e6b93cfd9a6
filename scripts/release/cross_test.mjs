// What can be tested of a cross build on the machine that made it: programs of the target under an emulator.
import fs from 'node:fs';
import path from 'node:path';
import { run, tail } from '../lib/child.mjs';
import { SetupError } from '../lib/report.mjs';
import { root } from '../lib/root.mjs';

/** The output of a command that must succeed. */
async function command(program, args) {
  const { code, output, stdout, missing, stopped } = await run(program, args, { cwd: root });
  if (missing) throw new SetupError(`${program} was not found`);
  if (code !== 0) {
    throw new SetupError(
      `${program} ${args.join(' ')} ${stopped ?? `ended with code ${code}`}\n${tail(output)}`,
    );
  }
  return stdout.trim();
}

/** Runs a program of the target. */
function emulate({ emulator, libraries }, args) {
  return command(emulator, ['-L', libraries, ...args]);
}

/** Builds native/test's kernel_test with CMake in `folder`; `options` choose the compiler. */
async function buildKernelTest(folder, options) {
  await command('cmake', [
    '-S',
    '.',
    '-B',
    folder,
    '-DTFJS_FTP_CUDA=OFF',
    '-DCMAKE_BUILD_TYPE=Release',
    ...options,
  ]);
  await command('cmake', ['--build', folder, '--target', 'kernel_test', '--parallel', '2']);
  return path.join(folder, 'kernel_test');
}

/**
 * Compares the bits of a few steps that the kernels compute for the target, under the emulator, with those that this
 * machine computes.
 * @param {import('./prebuild_targets.mjs').Cross} cross
 * @param {string} work folder for the builds
 * @param {{all: boolean}} options all: every check of kernel_test under the emulator besides (minutes)
 * @returns {Promise<string>} what was found, in words
 * @throws {SetupError} a test that fails, or other bits
 */
export async function compareKernelBits(cross, work, { all }) {
  const compiler = [
    '-DCMAKE_SYSTEM_NAME=Linux',
    `-DCMAKE_SYSTEM_PROCESSOR=${cross.processor}`,
    `-DCMAKE_CXX_COMPILER=${cross.prefix}g++`,
  ];
  const theirs = await buildKernelTest(path.join(work, `kernel_test-${cross.processor}`), compiler);
  const own = await buildKernelTest(path.join(work, 'kernel_test-host'), []);
  // Each line is the instruction set and the digest.
  const [ownSimd, expected] = (await command(own, ['--digest'])).split(' ');
  const [simd, digest] = (await emulate(cross, [theirs, '--digest'])).split(' ');
  if (digest === undefined || digest !== expected) {
    throw new SetupError(
      `the kernels give other bits: ${simd} ${digest}, on this machine ${ownSimd} ${expected}`,
    );
  }
  const same = `${simd} gives the bits of ${ownSimd} (digest ${digest})`;
  return all ? `${same}; kernel_test: ${await emulate(cross, [theirs])}` : same;
}

/**
 * Loads an addon of the target under the emulator, without a Node: its libraries are found and new enough, its
 * initialisers run, and it is a Node-API module.
 * @returns {Promise<string>} what was found, in words
 */
export async function loadUnderEmulator(cross, file, work) {
  fs.mkdirSync(work, { recursive: true });
  const loader = path.join(work, `load_addon-${cross.processor}`);
  await command(`${cross.prefix}g++`, ['-O1', 'native/test/load_addon.cc', '-o', loader, '-ldl']);
  return `loads under ${cross.emulator} (${await emulate(cross, [loader, file])})`;
}
