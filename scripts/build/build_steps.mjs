// The build of a clone: the native addon (build/Release/tfjs_ftp.node) and the TypeScript (dist/, cjs/, dist/tools).
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { examineAddon } from '../install/examine_addon.mjs';
import { run, tail } from '../lib/child.mjs';
import { BUILD_TOOLS_ADVICE, missingBuildTool, nodeGypRebuild } from '../lib/node_gyp.mjs';
import { SetupError, seconds } from '../lib/report.mjs';
import { root } from '../lib/root.mjs';
import { inputsDigest, isFresh, listFiles, writeRecord } from './freshness.mjs';

const require = createRequire(import.meta.url);

const ADDON = path.join(root, 'build', 'Release', 'tfjs_ftp.node');
const EMULATED_BUILD = 'build-emulated';
/** Whether a file is part of a native build. */
export const isSource = (file) => /\.(cc|h|cu|cuh|cmake|map|txt)$/.test(file);
const isNativeSource = (file) =>
  isSource(file) && !['test', 'bench'].some((folder) => file.startsWith(path.join('native', folder)));
/** Environment variables that the addon's build looks at. */
const BUILD_SETTINGS = ['CXX', 'CUDACXX', 'TFJS_FTP_CUDA', 'TFJS_FTP_CUDA_ARCHS'];
const isTypeScript = (file) => /\.[cm]?ts$/.test(file);

/** Fails with what to do where `npm ci` has not run. */
export function checkDependencies() {
  const expected = ['typescript', 'node-gyp-build', 'node-addon-api', '@tensorflow/tfjs-core'];
  const missing = expected.filter((name) => !fs.existsSync(path.join(root, 'node_modules', name)));
  if (missing.length > 0) {
    throw new SetupError(`node_modules lacks ${missing.join(', ')}`, 'Run this first: npm ci');
  }
}

/**
 * Builds the native addon if its sources changed, with cmake-js, or node-gyp where cmake is not installed.
 * Without a compiler it says so and returns false: the reference implementation works without the addon.
 */
export async function buildAddon(say, { force = false } = {}) {
  const record = path.join(root, 'build', '.tfjs_ftp_addon');
  const digest = addonDigest(isNativeSource);
  if (!force && isFresh(record, digest, [ADDON])) {
    say('addon: up to date');
    return true;
  }
  const missing = await missingBuildTool();
  if (missing) {
    say(`addon: not built, ${missing} was not found; the reference implementation will be used`);
    for (const line of BUILD_TOOLS_ADVICE.split('\n')) say(`  ${line}`);
    return false;
  }
  const start = performance.now();
  const { missing: noCmake } = await run('cmake', ['--version'], { timeout: 30_000 });
  const tool = noCmake ? 'node-gyp' : 'cmake-js';
  say(`addon: building with ${tool}`);
  fs.rmSync(record, { force: true });
  const { code, output, stopped } = noCmake ? await nodeGypRebuild(root) : await cmakeBuild();
  if (code !== 0 || !fs.existsSync(ADDON)) {
    throw new SetupError(
      `the addon could not be built with ${tool}${stopped ? `: ${stopped}` : ''}\n${tail(output, 40)}`,
    );
  }
  const { TFJS_FTP_ADDON: _, ...env } = process.env;
  const { problem, cuda } = await examineAddon(root, env);
  if (problem) throw new SetupError(`the addon was built but does not load: ${problem}`);
  writeRecord(record, digest);
  say(
    `addon: built ${path.relative(root, ADDON)} in ${seconds(start)}, with${cuda ? '' : 'out'} CUDA kernels`,
  );
  if (!cuda) say('addon: no nvcc was found, or TFJS_FTP_CUDA is OFF: it will not use a GPU');
  return true;
}

/** Of all that an addon, or the native tests, are built from; `accept` says which files of native/. */
export function addonDigest(accept) {
  const inputs = [
    ...listFiles(root, 'native', accept),
    ...listFiles(root, 'CMakeLists.txt'),
    ...listFiles(root, 'cmake', isSource),
    ...listFiles(root, 'binding.gyp'),
  ];
  const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
  const settings = BUILD_SETTINGS.map((name) => process.env[name] ?? '');
  return inputsDigest(root, inputs, `${version} ${settings}`);
}

/** Removes a build folder that came with a copied or moved checkout: CMake would go on building the sources it was made from. */
function dropForeignBuild(build) {
  const cache = path.join(build, 'CMakeCache.txt');
  if (!fs.existsSync(cache)) return;
  const [, home] = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(fs.readFileSync(cache, 'utf8')) ?? [];
  if (home === undefined || path.resolve(home) === path.resolve(root)) return;
  fs.rmSync(build, { recursive: true, force: true });
}

/**
 * Builds into a folder of the repository. Configures each time: CMake alone would keep the settings of its first run,
 * whatever the environment says now.
 */
async function cmakeBuild(folder = 'build', more = []) {
  dropForeignBuild(path.join(root, folder));
  // cmake-js drops a definition without a value.
  const settings = ['TFJS_FTP_CUDA', 'TFJS_FTP_CUDA_ARCHS'].map(
    (name) => `--CD${name}=${process.env[name] || 'AUTO'}`,
  );
  const configured = await cmakeJs(folder, ['configure', ...settings, ...more]);
  if (configured.code !== 0) return configured;
  return cmakeJs(folder, ['compile', '--parallel', String(os.availableParallelism())]);
}

function cmakeJs(folder, args) {
  const script = path.join(path.dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js');
  return run(process.execPath, [script, ...args, '-O', folder, '--log-level', 'error'], { cwd: root });
}

/**
 * Builds the addon of the tests in test/device, whose CUDA device is emulated on the host, if its sources changed. Needs
 * cmake and CUDA's headers; without them it says so and returns false: those tests then need a GPU.
 */
export async function buildEmulatedAddon(say, { force = false } = {}) {
  const record = path.join(root, EMULATED_BUILD, '.tfjs_ftp_addon');
  const digest = addonDigest(isSource);
  if (!force && isFresh(record, digest, [path.join(root, EMULATED_BUILD, 'Release', 'tfjs_ftp.node')])) {
    say('emulation: up to date');
    return true;
  }
  const { missing: noCmake } = await run('cmake', ['--version'], { timeout: 30_000 });
  const missing = noCmake ? 'cmake' : await missingBuildTool();
  if (missing || process.env.TFJS_FTP_CUDA === 'OFF') {
    say(`emulation: not built, ${missing ? `${missing} was not found` : 'TFJS_FTP_CUDA is OFF'}`);
    return false;
  }
  const start = performance.now();
  say('emulation: building an addon whose CUDA device is emulated, for tests');
  fs.rmSync(record, { force: true });
  const { code, output } = await cmakeBuild(EMULATED_BUILD, ['--CDTFJS_FTP_EMULATE_CUDA=ON']);
  if (/no CUDA compiler was found/.test(output)) {
    say('emulation: not built, nvcc (for its headers) was not found');
    return false;
  }
  if (code !== 0) throw new SetupError(`the emulating addon could not be built\n${tail(output, 40)}`);
  writeRecord(record, digest);
  say(`emulation: built in ${seconds(start)}`);
  return true;
}

/** Compiles src/ twice, and bench/, demo/, experiments/ and tools/ if they are there, if a source changed. */
export async function buildTypeScript(say, { force = false } = {}) {
  const projects = [
    { config: 'tsconfig.json', folders: ['src'], output: 'dist', result: 'dist/index.js' },
    { config: 'tsconfig.cjs.json', folders: ['src'], output: 'cjs', result: 'cjs/index.js' },
    {
      config: 'tsconfig.tools.json',
      folders: ['bench', 'demo', 'experiments', 'tools'],
      output: 'dist/tools',
      result: 'dist/tools',
    },
  ];
  const start = performance.now();
  const common = ['package.json', 'tsconfig.json', 'load_addon.d.cts'];
  const sources = listFiles(root, 'src', isTypeScript);
  let built = 0;
  for (const { config, folders, output, result } of projects) {
    const own = folders.flatMap((folder) => listFiles(root, folder, isTypeScript));
    if (own.length === 0) continue;
    const record = path.join(root, output, '.tfjs_ftp_build');
    // The tools compile against dist/, so they depend on src/ too.
    const digest = inputsDigest(root, [...new Set([...common, config, ...sources, ...own])]);
    if (!force && isFresh(record, digest, [path.join(root, result)])) continue;
    if (built === 0) say('typescript: compiling');
    built += 1;
    // Only a forced build takes the files of sources that are gone with it: a usual one would lose its increments.
    if (force) fs.rmSync(path.join(root, output), { recursive: true, force: true });
    await compile(config);
    if (output === 'cjs') writeCommonJsManifest();
    if (output === 'dist') makeExecutable(path.join(root, 'dist', 'cli', 'main.js'));
    writeRecord(record, digest);
  }
  say(built > 0 ? `typescript: compiled in ${seconds(start)}` : 'typescript: up to date');
}

/** webpack looks for the field `browser` in the nearest manifest alone. */
function writeCommonJsManifest() {
  const manifest = { type: 'commonjs', browser: { './platform/node.js': './platform/browser.js' } };
  fs.writeFileSync(path.join(root, 'cjs', 'package.json'), `${JSON.stringify(manifest)}\n`);
}

async function compile(config) {
  const tsc = require.resolve('typescript/bin/tsc');
  const { code, output } = await run(process.execPath, [tsc, '-p', config, '--pretty', 'false'], {
    cwd: root,
  });
  if (code !== 0) throw new SetupError(`tsc -p ${config} failed\n${tail(output, 40)}`);
}

function makeExecutable(file) {
  if (fs.existsSync(file)) fs.chmodSync(file, 0o755);
}
