/** `tfjs-ftp doctor`: examines an installation and says which implementation each backend would get, and why. */

import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { CudaInfo, NativeBuildInfo } from '../native.js';
import { findNative } from '../native.js';
import type { TfjsNodeProbe } from './probe.js';

const execFileAsync = promisify(execFile);
const ownRoot = fileURLToPath(new URL('../..', import.meta.url));
const probeScript = fileURLToPath(new URL('./probe.js', import.meta.url));

/** Packages that carry, or lead to, a copy of tfjs-core. */
const TFJS_PACKAGES = [
  '@tensorflow/tfjs',
  '@tensorflow/tfjs-layers',
  '@tensorflow/tfjs-data',
  '@tensorflow/tfjs-node',
  '@tensorflow/tfjs-node-gpu',
  '@tensorflow/tfjs-backend-cpu',
  '@tensorflow/tfjs-backend-wasm',
];

export interface PackageCopy {
  version: string;
  path: string;
}

export interface AddonReport {
  found: boolean;
  path: string | null;
  version?: string;
  build?: NativeBuildInfo;
  cuda?: CudaInfo;
  tried: Array<{ path: string; reason: string }>;
}

export interface TfjsNodeReport extends PackageCopy {
  name: string;
  /** Whether it loads and runs an op, and what the ops' registration said. */
  probe: TfjsNodeProbe;
}

export interface Choice {
  implementation: 'tensorflow-gpu' | 'tensorflow-cpu' | 'wasm' | 'cpu' | 'reference';
  reason: string;
}

export interface DoctorReport {
  version: string;
  node: string;
  platform: string;
  addon: AddonReport;
  /** Every copy of tfjs-core that this project can reach; more than one is a problem. */
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

/** The package folder of `name` as seen from `folder`, or null. */
function packageDirectory(name: string, folder: string): string | null {
  for (const base of createRequire(path.join(folder, 'package.json')).resolve.paths(name) ?? []) {
    const manifest = path.join(base, name, 'package.json');
    if (fs.existsSync(manifest)) return path.dirname(fs.realpathSync(manifest));
  }
  return null;
}

function describePackage(directory: string): PackageCopy {
  const manifest = JSON.parse(fs.readFileSync(path.join(directory, 'package.json'), 'utf8')) as {
    version: string;
  };
  return { version: manifest.version, path: directory };
}

/** All copies of tfjs-core that the project, tfjs-ftp and the tfjs packages resolve to. */
function findTfjsCore(project: string): PackageCopy[] {
  const seen = new Set<string>();
  const visit = [project, ownRoot];
  const visited = new Set<string>();
  for (let folder = visit.pop(); folder !== undefined; folder = visit.pop()) {
    if (visited.has(folder)) continue;
    visited.add(folder);
    const core = packageDirectory('@tensorflow/tfjs-core', folder);
    if (core !== null) seen.add(core);
    for (const name of TFJS_PACKAGES) {
      const next = packageDirectory(name, folder);
      if (next !== null) visit.push(next);
    }
  }
  return [...seen].sort().map(describePackage);
}

function examineAddon(): AddonReport {
  const { addon, path: file, tried } = findNative();
  if (addon === null) return { found: false, path: null, tried };
  return {
    found: true,
    path: file,
    version: addon.version,
    build: addon.buildInfo(),
    cuda: addon.cudaInfo(),
    tried,
  };
}

/** What the addon's CUDA kernels find here, in one line. */
function describeCuda(cuda: CudaInfo): string {
  if (!cuda.built) return 'built without CUDA kernels';
  const driver = cuda.driver ? `driver for CUDA ${cuda.driver}` : 'no driver';
  const kernels = `CUDA kernels (runtime ${cuda.runtime}, ${driver})`;
  if (!cuda.available) return `${kernels} cannot run: ${cuda.reason}`;
  const devices = cuda.devices.map(({ name, capability }) => `${name} (${capability})`).join(', ');
  return `${kernels} see ${devices}; not verified yet, TFJS_FTP_GPU=1 lets TensorFlow use them`;
}

/** Loads tfjs-node in a process of its own: a library that cannot be loaded may end its process. */
async function probeTfjsNode(directory: string): Promise<TfjsNodeProbe> {
  const env = { TF_CPP_MIN_LOG_LEVEL: '2', ...process.env };
  try {
    const { stdout } = await execFileAsync(process.execPath, [probeScript, directory], {
      env,
      timeout: 120_000,
    });
    const line = stdout.split('\n').find((text) => text.startsWith('{"loads"'));
    if (line !== undefined) return JSON.parse(line) as TfjsNodeProbe;
    return { loads: false, reason: 'the test process printed nothing' };
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const reason =
      stderr?.split('\n').find((line) => /^\w*Error: /.test(line)) ?? message.split('\n')[0] ?? '';
    return { loads: false, reason };
  }
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

function chooseTensorflow(addon: AddonReport, installed: TfjsNodeReport[]): Choice {
  const usable = installed.find(({ probe }) => probe.loads);
  if (usable === undefined) {
    const reason =
      installed.length === 0 ? '@tensorflow/tfjs-node is not installed' : 'tfjs-node does not load';
    return { implementation: 'reference', reason };
  }
  if (!addon.found) return { implementation: 'reference', reason: 'the addon was not found' };
  const { ops, gpu } = usable.probe;
  if (ops?.registered !== true) {
    return { implementation: 'reference', reason: ops?.reason ?? 'the ops could not be registered' };
  }
  if (ops.gpu && gpu) return { implementation: 'tensorflow-gpu', reason: 'custom op with a GPU kernel' };
  return { implementation: 'tensorflow-cpu', reason: 'custom op with a CPU kernel' };
}

function chooseImplementations(addon: AddonReport, installed: TfjsNodeReport[]): Record<string, Choice> {
  const without: Choice = { implementation: 'reference', reason: 'the addon was not found' };
  const direct = (implementation: 'wasm' | 'cpu'): Choice =>
    addon.found ? { implementation, reason: "addon on the backend's own buffers" } : without;
  const foreign: Choice = {
    implementation: 'reference',
    reason: 'tfjs ops: buffers are not reachable from the CPU',
  };
  return {
    tensorflow: chooseTensorflow(addon, installed),
    wasm: direct('wasm'),
    cpu: direct('cpu'),
    webgl: foreign,
    webgpu: foreign,
  };
}

/** Files that are there but could not be used. */
function rejectedFiles({ tried }: AddonReport): AddonReport['tried'] {
  return tried.filter(({ path: file }) => fs.existsSync(file) && fs.statSync(file).isFile());
}

function findProblems({ addon, tfjsCore, tfjsNode }: Omit<DoctorReport, 'problems' | 'notes'>): string[] {
  const problems: string[] = [];
  if (!addon.found) {
    for (const { path: file, reason } of rejectedFiles(addon)) {
      problems.push(`the addon ${file} does not load: ${reason}; rebuild it: npm rebuild tfjs-ftp`);
    }
  }
  if (tfjsCore.length > 1) {
    const copies = tfjsCore.map(({ version, path: where }) => `${version} in ${where}`).join(', ');
    problems.push(`${tfjsCore.length} copies of @tensorflow/tfjs-core: ${copies}; make them one: npm dedupe`);
  }
  if (tfjsCore.length === 0)
    problems.push('@tensorflow/tfjs-core is not installed: npm install @tensorflow/tfjs');
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

/** 4.22.0 is the last release with the calls; what comes after it has them replaced. */
function isOlderThan423(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < 4 || (major === 4 && minor <= 22);
}

function findNotes({ addon, node, tfjsNode }: Pick<DoctorReport, 'addon' | 'node' | 'tfjsNode'>): string[] {
  const notes: string[] = [];
  if (addon.found) {
    for (const { path: file, reason } of rejectedFiles(addon)) {
      notes.push(`${file} was passed over: ${reason}`);
    }
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
  const tfjsNode: TfjsNodeReport[] = [];
  for (const name of ['@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu']) {
    const directory = packageDirectory(name, project) ?? packageDirectory(name, ownRoot);
    if (directory !== null) {
      tfjsNode.push({ name, ...describePackage(directory), probe: await probeTfjsNode(directory) });
    }
  }
  const addon = examineAddon();
  const facts = {
    version: describePackage(ownRoot).version,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    addon,
    tfjsCore: findTfjsCore(project),
    tfjsNode,
    gpus: await findGpus(),
    implementations: chooseImplementations(addon, tfjsNode),
  };
  return { ...facts, problems: findProblems(facts), notes: findNotes(facts) };
}

/** The report for people: one fact a line. */
export function formatReport(report: DoctorReport): string {
  const lines: Array<[string, string]> = [
    ['tfjs-ftp', `${report.version} under Node ${report.node}, ${report.platform}`],
  ];
  const { addon } = report;
  if (addon.found && addon.build) {
    const { simd, threads, compiler } = addon.build;
    lines.push(['addon', `${addon.path} (${addon.version}, ${compiler})`]);
    lines.push(['', `SIMD ${simd}, ${threads} threads`]);
    if (addon.cuda) lines.push(['', describeCuda(addon.cuda)]);
  } else {
    lines.push(['addon', 'not found; tried']);
    for (const { path: file, reason } of addon.tried) lines.push(['', `  ${file}: ${reason.split('\n')[0]}`]);
  }
  for (const { version, path: where } of report.tfjsCore) lines.push(['tfjs-core', `${version} in ${where}`]);
  if (report.tfjsNode.length === 0) lines.push(['tfjs-node', 'not installed']);
  for (const { name, version, path: where, probe } of report.tfjsNode) {
    lines.push([name.replace('@tensorflow/', ''), `${version} in ${where}`]);
    lines.push([
      '',
      probe.loads ? `TensorFlow ${probe.tensorflow}, loads and runs an op` : `does not load: ${probe.reason}`,
    ]);
    if (probe.ops) {
      const state = probe.ops.registered
        ? `registered${probe.ops.gpu ? ', with a GPU kernel' : ''}`
        : 'not registered';
      lines.push(['', `ops ${state}${probe.ops.reason ? `: ${probe.ops.reason}` : ''}`]);
    }
  }
  for (const { name, driver, memory } of report.gpus)
    lines.push(['GPU', `${name}, ${memory}, driver ${driver}`]);
  if (report.gpus.length === 0) lines.push(['GPU', 'none (nvidia-smi shows no NVIDIA GPU)']);
  lines.push(['backends', '']);
  for (const [backend, { implementation, reason }] of Object.entries(report.implementations)) {
    lines.push([`  ${backend}`, `${implementation} (${reason})`]);
  }
  for (const note of report.notes) lines.push(['note', note]);
  for (const problem of report.problems) lines.push(['problem', problem]);
  if (report.problems.length === 0) lines.push(['', 'Nothing is broken.']);
  return `${lines.map(([label, text]) => `${label.padEnd(14)}${text}`.trimEnd()).join('\n')}\n`;
}
