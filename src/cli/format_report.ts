/** The report of `tfjs-ftp doctor` for people. */

import type { CudaInfo } from '../native/addon.js';
import { CUDA_ADVICE, type DoctorReport, type TfjsNodeReport } from './doctor.js';

/** A label, or none, and the fact. */
type Line = [string, string];

/** What the addon's CUDA kernels find here, in one line. */
function describeCuda(cuda: CudaInfo): string {
  if (!cuda.built) {
    return `built without CUDA kernels${process.platform === 'linux' ? `; with them: ${CUDA_ADVICE}` : ''}`;
  }
  const driver = cuda.driver ? `, driver for CUDA ${cuda.driver}` : '';
  const kernels = `CUDA kernels (runtime ${cuda.runtime}${driver})`;
  if (!cuda.available) return `${kernels} cannot run: ${cuda.reason}`;
  const devices = cuda.devices.map(({ name, capability }) => `${name} (${capability})`).join(', ');
  return `${kernels} see ${devices}; not verified yet, TFJS_FTP_GPU=1 lets TensorFlow use them`;
}

function describeAddon({ addon }: DoctorReport): Line[] {
  if (addon.found) {
    const lines: Line[] = [['addon', `${addon.path} (${addon.version}, ${addon.build?.compiler})`]];
    if (addon.build) lines.push(['', `SIMD ${addon.build.simd}, ${addon.build.threads} threads`]);
    if (addon.cuda) lines.push(['', describeCuda(addon.cuda)]);
    return lines;
  }
  const tried = addon.tried.map(({ path, reason }): Line => ['', `  ${path}: ${reason.split('\n')[0]}`]);
  return [['addon', 'not found; tried'], ...tried];
}

function describeTfjsNode({ name, version, path, probe }: TfjsNodeReport): Line[] {
  const lines: Line[] = [
    [name.replace('@tensorflow/', ''), `${version} in ${path}`],
    [
      '',
      probe.loads ? `TensorFlow ${probe.tensorflow}, loads and runs an op` : `does not load: ${probe.reason}`,
    ],
  ];
  if (probe.ops) {
    const state = probe.ops.registered
      ? `registered${probe.ops.gpu ? ', with a GPU kernel' : ''}`
      : 'not registered';
    lines.push(['', `ops ${state}${probe.ops.reason ? `: ${probe.ops.reason}` : ''}`]);
  }
  return lines;
}

/** One fact per line. */
export function formatReport(report: DoctorReport): string {
  const { tfjsCore, tfjsNode, gpus, implementations, notes, problems } = report;
  const lines: Line[] = [
    ['tfjs-ftp', `${report.version} under Node ${report.node}, ${report.platform}`],
    ...describeAddon(report),
    ...tfjsCore.map(({ version, path }): Line => ['tfjs-core', `${version} in ${path}`]),
    ...tfjsNode.flatMap(describeTfjsNode),
  ];
  if (tfjsNode.length === 0) lines.push(['tfjs-node', 'not installed']);
  for (const { name, driver, memory } of gpus) lines.push(['GPU', `${name}, ${memory}, driver ${driver}`]);
  if (gpus.length === 0) lines.push(['GPU', 'none (nvidia-smi shows no NVIDIA GPU)']);
  lines.push(['backends', '']);
  for (const [backend, { implementation, reason }] of Object.entries(implementations)) {
    lines.push([`  ${backend}`, `${implementation} (${reason})`]);
  }
  for (const note of notes) lines.push(['note', note]);
  for (const problem of problems) lines.push(['problem', problem]);
  if (problems.length === 0) lines.push(['', 'Nothing is broken.']);
  return `${lines.map(([label, text]) => `${label.padEnd(14)}${text}`.trimEnd()).join('\n')}\n`;
}
