/** `tfjs-ftp doctor`: examines an installation and says which implementation each backend would get, and why. */

import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { missingBuildTool } from '../../scripts/lib/node_gyp.mjs';
import type { CudaInfo, NativeBuildInfo } from '../native/addon.js';
import { findNative, requireNative } from '../native/addon.js';
import { CORE, describePackage, findPackage, findTfjsCore, type PackageCopy } from './packages.js';
import type { BackendsProbe, Choice, TfjsNodeProbe } from './probe.js';

const execFileAsync = promisify(execFile);
const ownRoot = fileURLToPath(new URL('../..', import.meta.url));
const probeScript = fileURLToPath(new URL('./probe.js', import.meta.url));
const inClone = fs.existsSync(path.join(ownRoot, 'CMakeLists.txt'));

/** Builds the addon. An installation may have been told to run no install scripts. */
const REBUILD = inClone
  ? 'npm run build:addon'
  : `npm rebuild tfjs-ftp${process.env.npm_config_ignore_scripts === 'true' ? ' --ignore-scripts=false' : ''}`;

/** Builds it with CUDA kernels, under Linux. */
export const CUDA_ADVICE = `TFJS_FTP_CUDA=ON ${REBUILD} (needs nvcc)`;

/** As native/op/stream_order.cc, which reads it once a GPU is used. */
const STREAM_ORDERS = ['legacy', 'synchronize', 'events'];

export interface AddonReport {
  found: boolean;
  path: string | null;
  version?: string;
  build?: NativeBuildInfo;
  cuda?: CudaInfo;
  tried: Array<{ path: string; reason: string }>;
  /** Why no step can be taken though it was found: an environment variable that it cannot use. */
  error?: string;
}

export interface TfjsNodeReport extends PackageCopy {
  name: string;
  /** Whether it loads and runs an op, and what the ops' registration said. */
  probe: TfjsNodeProbe;
}

export interface DoctorReport {
  version: string;
  node: string;
  platform: string;
  addon: AddonReport;
  /** Every copy of tfjs-core that one process may load; more than one is a problem. */
  tfjsCore: PackageCopy[];
  tfjsNode: TfjsNodeReport[];
  gpus: Array<{ name: string; driver: string; memory: string }>;
  /** By tfjs backend. */
  implementations: Record<string, Choice>;
  /** What is broken, with what to do; an absent optional part is no problem. */
  problems: string[];
  /** What to know though it is not broken. */
  notes: string[];
}

/** Packages of the backends beside tfjs-node's that run under Node and that the addon works on. */
const BACKEND_PACKAGES = { wasm: '@tensorflow/tfjs-backend-wasm', cpu: '@tensorflow/tfjs-backend-cpu' };
const BROWSER_BACKENDS = ['webgl', 'webgpu'];

function examineAddon(): AddonReport {
  const report: AddonReport = { found: false, path: null, tried: [] };
  try {
    const { addon, path: file, tried } = findNative();
    report.tried = tried;
    if (addon === null) return report;
    Object.assign(report, { found: true, path: file, version: addon.version });
    report.build = addon.buildInfo();
    report.cuda = addon.cudaInfo();
    requireNative();
  } catch (error) {
    report.error = (error as Error).message;
  }
  return report;
}

/** Runs the probe; a library that cannot be loaded may end its process. Throws why there is no result. */
async function runProbe(kind: string, argument: string): Promise<unknown> {
  const env = { TF_CPP_MIN_LOG_LEVEL: '2', ...process.env };
  try {
    const { stdout } = await execFileAsync(process.execPath, [probeScript, kind, argument], {
      env,
      timeout: 120_000,
    });
    const line = stdout.split('\n').find((text) => text.startsWith('{"result"'));
    if (line !== undefined) return (JSON.parse(line) as { result: unknown }).result;
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const line = stderr?.split('\n').find((text) => /^\w*Error: /.test(text));
    throw new Error(line ?? message.split('\n')[0]);
  }
  throw new Error('the test process printed nothing');
}

async function probeTfjsNode(directory: string): Promise<TfjsNodeProbe> {
  try {
    return (await runProbe('tensorflow', directory)) as TfjsNodeProbe;
  } catch (error) {
    return { loads: false, reason: (error as Error).message };
  }
}

async function findTfjsNode(project: string): Promise<TfjsNodeReport[]> {
  const found: TfjsNodeReport[] = [];
  for (const name of ['@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu']) {
    const directory = findPackage(name, project, ownRoot);
    if (directory !== null) {
      found.push({ name, ...describePackage(directory), probe: await probeTfjsNode(directory) });
    }
  }
  return found;
}

function chooseTensorflow(installed: TfjsNodeReport[]): Choice {
  if (installed.length === 0) {
    return { implementation: 'none', reason: '@tensorflow/tfjs-node is not installed' };
  }
  const choice = installed.find(({ probe }) => probe.loads)?.probe.choice;
  return choice ?? { implementation: 'none', reason: 'tfjs-node does not load' };
}

/** What the library chooses under each backend. */
async function findImplementations(
  project: string,
  addon: AddonReport,
  tfjsNode: TfjsNodeReport[],
): Promise<DoctorReport['implementations']> {
  const result: DoctorReport['implementations'] = { tensorflow: chooseTensorflow(tfjsNode) };
  const asked: Record<string, string | null> = {};
  for (const [backend, name] of Object.entries(BACKEND_PACKAGES)) {
    const directory = findPackage(name, project, ownRoot);
    result[backend] = { implementation: 'none', reason: `${name} is not installed` };
    if (directory !== null) asked[backend] = directory;
  }
  for (const backend of BROWSER_BACKENDS) asked[backend] = null;
  try {
    Object.assign(result, (await runProbe('others', JSON.stringify(asked))) as BackendsProbe);
  } catch (error) {
    const { message: reason } = error as Error;
    for (const backend of Object.keys(asked)) result[backend] = { implementation: 'none', reason };
  }
  if (addon.found) return result;
  // The paths that were tried stand in the report once.
  for (const [backend, { implementation }] of Object.entries(result)) {
    if (implementation === 'reference' && !BROWSER_BACKENDS.includes(backend)) {
      result[backend] = { implementation, reason: 'the addon was not found' };
    }
  }
  return result;
}

async function findGpus(): Promise<DoctorReport['gpus']> {
  try {
    const query = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'];
    const { stdout } = await execFileAsync('nvidia-smi', query, { timeout: 20_000 });
    return stdout
      .trim()
      .split('\n')
      .map((line) => {
        const [name = '', driver = '', memory = ''] = line.split(',').map((field) => field.trim());
        return { name, driver, memory };
      });
  } catch {
    return [];
  }
}

/** Files that are there but could not be used. */
function rejectedFiles({ tried }: AddonReport): AddonReport['tried'] {
  return tried.filter(({ path: file }) => fs.existsSync(file) && fs.statSync(file).isFile());
}

const SLOW = 'every step runs as the slower reference implementation';

async function addonProblems(addon: AddonReport, platform: string): Promise<string[]> {
  if (addon.error !== undefined) return [addon.error];
  const named = process.env.TFJS_FTP_ADDON;
  if (addon.found || named === 'none') return [];
  if (named) {
    const reasons = addon.tried.map(({ path: file, reason }) => `the addon ${file} does not load: ${reason}`);
    return reasons.map((reason) => `${reason}; TFJS_FTP_ADDON names it: correct that variable, or unset it`);
  }
  const rejected = rejectedFiles(addon);
  if (rejected.length > 0) {
    return rejected.map(
      ({ path: file, reason }) => `the addon ${file} does not load: ${reason}; rebuild it: ${REBUILD}`,
    );
  }
  const tool = await missingBuildTool();
  const first =
    tool === null ? 'build it' : `install Python 3, make and a C++17 compiler (${tool} was not found), then`;
  return [`there is no addon for ${platform}, ${SLOW}; ${first}: ${REBUILD}`];
}

function gpuProblems({ found, cuda }: AddonReport): string[] {
  const { TFJS_FTP_GPU: gpu, TFJS_FTP_STREAM_ORDER: order } = process.env;
  const problems: string[] = [];
  if (order && !STREAM_ORDERS.includes(order)) {
    problems.push(`TFJS_FTP_STREAM_ORDER must be legacy, synchronize or events, got '${order}'`);
  }
  if (gpu === '1' && found && cuda?.available === false) {
    const advice = cuda.built || process.platform !== 'linux' ? 'unset it' : CUDA_ADVICE;
    problems.push(`TFJS_FTP_GPU is 1, but no GPU can be used: ${cuda.reason}; ${advice}`);
  }
  return problems;
}

function tfjsCoreProblems(copies: PackageCopy[]): string[] {
  if (copies.length === 0) return [`${CORE} is not installed: npm install @tensorflow/tfjs`];
  if (copies.length === 1) return [];
  const places = copies.map(({ version, path: where }) => `${version} in ${where}`).join(', ');
  return [`${copies.length} copies of ${CORE}: ${places}; make them one: npm dedupe`];
}

function tfjsNodeProblems(addon: AddonReport, tfjsNode: TfjsNodeReport[]): string[] {
  const problems: string[] = [];
  for (const { name, probe } of tfjsNode) {
    if (!probe.loads) {
      problems.push(`${name} does not load (${probe.reason}): npx tfjs-ftp setup-tensorflow`);
    } else if (addon.found && probe.ops?.registered !== true) {
      const missing = probe.ops?.missing?.length ? `; missing: ${probe.ops.missing.join(', ')}` : '';
      problems.push(`the ops cannot be registered with ${name}: ${probe.ops?.reason ?? 'unknown'}${missing}`);
    }
  }
  return problems;
}

type Facts = Omit<DoctorReport, 'problems' | 'notes'>;

/** Backends that are there and get nothing, or the slow path though the addon is there, where nothing above says why. */
function backendProblems({ addon, implementations }: Facts): string[] {
  const broken = Object.entries(implementations).filter(([backend, { implementation, reason }]) => {
    if (BROWSER_BACKENDS.includes(backend)) return false;
    if (implementation === 'none') return !/is not installed$|^tfjs-node does not load$/.test(reason);
    return implementation === 'reference' && addon.found && backend !== 'tensorflow';
  });
  return broken.map(([backend, { implementation, reason }]) =>
    implementation === 'none'
      ? `under the ${backend} backend no step can be taken: ${reason}`
      : `under the ${backend} backend ${SLOW}: ${reason}`,
  );
}

async function findProblems(facts: Facts): Promise<string[]> {
  const { addon, tfjsCore, tfjsNode } = facts;
  const problems = [
    ...(await addonProblems(addon, facts.platform)),
    ...gpuProblems(addon),
    ...tfjsCoreProblems(tfjsCore),
    ...tfjsNodeProblems(addon, tfjsNode),
  ];
  // An unusable environment, or no tfjs-core, shows under every backend.
  if (addon.error === undefined && tfjsCore.length > 0) problems.push(...backendProblems(facts));
  return problems;
}

/** 4.22.0 is the last release with the calls; what comes after it has them replaced. */
function isOlderThan423(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < 4 || (major === 4 && minor <= 22);
}

function findNotes({ addon, node, tfjsNode, gpus }: Facts): string[] {
  const notes: string[] = [];
  if (addon.found) {
    for (const { path: file, reason } of rejectedFiles(addon)) {
      notes.push(`${file} was passed over: ${reason}`);
    }
  } else if (process.env.TFJS_FTP_ADDON === 'none') {
    notes.push(`TFJS_FTP_ADDON=none switches the addon off: ${SLOW}; unset it to have the addon back`);
  }
  if (gpus.length > 0 && addon.cuda?.built === false && process.platform === 'linux') {
    notes.push(`there is a GPU, and the addon has no CUDA kernels; with them: ${CUDA_ADVICE}`);
  }
  const affected = tfjsNode.find(({ version }) => isOlderThan423(version));
  if (affected !== undefined && Number.parseInt(node, 10) >= 23) {
    notes.push(
      `${affected.name} ${affected.version} calls functions that Node 23 removed: import 'tfjs-ftp/compat' beside it`,
    );
  }
  return notes;
}

/** Examines the installation that code in `project` would use. Nothing is changed. */
export async function examine(project: string): Promise<DoctorReport> {
  const addon = examineAddon();
  const tfjsNode = await findTfjsNode(project);
  const facts: Facts = {
    version: describePackage(ownRoot).version,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    addon,
    tfjsCore: findTfjsCore(project, ownRoot),
    tfjsNode,
    gpus: await findGpus(),
    implementations: await findImplementations(project, addon, tfjsNode),
  };
  return { ...facts, problems: await findProblems(facts), notes: findNotes(facts) };
}
