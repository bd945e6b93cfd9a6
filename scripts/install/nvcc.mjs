// nvcc for gyp's build: is there one, what it is told, how a kernel is compiled. CMake's build has the same rules in
// cmake/cuda.cmake; options and architectures of both stand in native/kernels/cuda/nvcc.txt.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupError } from '../lib/report.mjs';
import { compareVersions } from '../lib/versions.mjs';
import { findNvidiaDriver } from './nvidia_driver.mjs';

const NVCC_FILE = fileURLToPath(new URL('../../native/kernels/cuda/nvcc.txt', import.meta.url));
const SETTINGS = ['AUTO', 'ON', 'OFF'];
/** Where toolkits lie that are not on the PATH. */
const USUAL_PLACE = '/usr/local/cuda';
const OPTIONS = { encoding: 'utf8', timeout: 60_000 };

/**
 * @typedef {object} Toolkit
 * @property {string} nvcc program
 * @property {string} version e.g. '13.0'
 * @property {string[]} include folders of the toolkit's headers
 * @property {string[]} library folders of its libraries
 */

/**
 * What nvcc.txt says.
 * @returns {{oldest: string, options: string[], archs: Array<{from: string, names: string[]}>}}
 */
export function readNvccFile(file = NVCC_FILE) {
  const result = { oldest: '', options: [], archs: [] };
  for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
    const [kind, ...words] = line.trim().split(/ +/);
    if (kind === '' || kind.startsWith('#')) continue;
    if (kind === 'oldest') [result.oldest] = words;
    else if (kind === 'option') result.options.push(...words);
    else if (kind === 'archs') result.archs.push({ from: words[0], names: words.slice(1) });
    else throw new Error(`${file}: a line starts with oldest, option or archs, got '${line}'`);
  }
  return result;
}

/** What `nvcc --dryrun` says of itself: it may be a link or a wrapper, its folder tells nothing. */
function examine(nvcc) {
  const asked = spawnSync(nvcc, ['--version'], OPTIONS);
  const version = asked.stdout?.match(/release (\d+\.\d+)/)?.[1];
  if (asked.status !== 0 || version === undefined) return null;
  const dry = spawnSync(nvcc, ['--dryrun', '-c', '-x', 'cu', os.devNull], OPTIONS);
  const folders = (name, flag) => {
    const line = dry.stderr?.split('\n').find((text) => text.startsWith(`#$ ${name}=`)) ?? '';
    return [...line.matchAll(new RegExp(`"${flag}([^"]+)"`, 'g'))].map(([, folder]) => path.resolve(folder));
  };
  const library = folders('LIBRARIES', '-L').filter((folder) => path.basename(folder) !== 'stubs');
  return { nvcc, version, include: folders('INCLUDES', '-I'), library };
}

/** The first toolkit found: CUDACXX (then nothing else is tried), the PATH, CUDA_HOME, CUDA_PATH, the usual place. */
function findToolkit(env) {
  if (env.CUDACXX) return examine(env.CUDACXX);
  const homes = [env.CUDA_HOME, env.CUDA_PATH, USUAL_PLACE].filter(Boolean);
  for (const nvcc of ['nvcc', ...homes.map((home) => path.join(home, 'bin', 'nvcc'))]) {
    const toolkit = examine(nvcc);
    if (toolkit !== null) return toolkit;
  }
  return null;
}

/**
 * What TFJS_FTP_CUDA says: AUTO (the default), ON or OFF.
 * @throws {SetupError} where it says anything else
 */
export function cudaSetting(env) {
  const setting = env.TFJS_FTP_CUDA || 'AUTO';
  if (SETTINGS.includes(setting)) return setting;
  throw new SetupError(`TFJS_FTP_CUDA must be ${SETTINGS.join(', ')}, got '${setting}'`);
}

/**
 * The toolkit that a build uses, or why it goes without. TFJS_FTP_CUDA=AUTO: with CUDA where there is an nvcc. The
 * toolkit compiles for this machine's architecture and under Linux alone.
 * @param {NodeJS.ProcessEnv} env
 * @param {object} [target]
 * @param {string} [target.arch] of the addon, in Node's words
 * @param {string} [target.platform]
 * @param {boolean} [target.needsDriver] AUTO goes without CUDA where there is no NVIDIA driver: the addon is for this
 *   machine alone. A clone and a prebuild compile the kernels all the same.
 * @returns {{toolkit: Toolkit, reason: null} | {toolkit: null, reason: string}}
 * @throws {SetupError} a setting that is none of these; ON where it cannot be had
 */
export function chooseCuda(
  env,
  { arch = process.arch, platform = process.platform, needsDriver = false } = {},
) {
  const setting = cudaSetting(env);
  if (setting === 'OFF') return { toolkit: null, reason: 'TFJS_FTP_CUDA is OFF' };
  const without = (reason, advice) => {
    if (setting === 'ON') throw new SetupError(`TFJS_FTP_CUDA is ON, but ${reason}`, advice);
    return { toolkit: null, reason };
  };
  if (platform !== 'linux') return without('this build has CUDA kernels under Linux only');
  if (arch !== process.arch) return without(`nvcc is not used to build for ${arch} on ${process.arch}`);
  if (setting === 'AUTO' && needsDriver && findNvidiaDriver(env) === null) {
    return without('there is no NVIDIA driver here (TFJS_FTP_CUDA=ON compiles them all the same)');
  }
  const toolkit = findToolkit(env);
  if (toolkit === null)
    return without('no nvcc was found', 'Put nvcc on the PATH, or its folder into CUDA_HOME.');
  const { oldest } = readNvccFile();
  if (compareVersions(toolkit.version, oldest) < 0) {
    return without(`nvcc is of CUDA ${toolkit.version}, and CUDA ${oldest} or newer is needed`);
  }
  return { toolkit, reason: null };
}

/** `-gencode` options of one architecture: 90 is machine code and PTX, 90-real and 90-virtual one of them. */
function gencode(name) {
  const match = /^(\d+[a-z]?)(?:-(real|virtual))?$/.exec(name);
  if (match === null) {
    throw new SetupError(
      `TFJS_FTP_CUDA_ARCHS must be architectures like 90, 90-real or 90-virtual, separated by ';', got '${name}'`,
    );
  }
  const [, number, kind] = match;
  const machine = `arch=compute_${number},code=sm_${number}`;
  const ptx = `arch=compute_${number},code=compute_${number}`;
  const wanted = { real: [machine], virtual: [ptx] }[kind] ?? [machine, ptx];
  return wanted.map((value) => `-gencode=${value}`);
}

/**
 * Arguments that compile one kernel file to an object for a shared library.
 * @param {string} version of the toolkit
 * @param {NodeJS.ProcessEnv} env TFJS_FTP_CUDA_ARCHS names architectures, or is AUTO; CUDAHOSTCXX the C++ compiler behind nvcc
 */
export function compileArguments(version, source, object, env) {
  const { options, archs } = readNvccFile();
  const chosen = (env.TFJS_FTP_CUDA_ARCHS ?? '').split(/[;, ]+/).filter((name) => name && name !== 'AUTO');
  const names =
    chosen.length > 0 ? chosen : archs.find(({ from }) => compareVersions(version, from) >= 0)?.names;
  return [
    ...(env.CUDAHOSTCXX ? [`-ccbin=${env.CUDAHOSTCXX}`] : []),
    '-std=c++17',
    '-O3',
    '-DNDEBUG',
    '-DTFJS_FTP_HAVE_CUDA',
    ...options,
    '-Xcompiler=-fPIC,-fvisibility=hidden',
    ...names.flatMap(gencode),
    '-c',
    source,
    '-o',
    object,
  ];
}
