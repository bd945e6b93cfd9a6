/** What a roofline chart shows, in numbers: points of contenders, roofs of the machine. One panel a run. */

import { median } from 'simple-statistics';
import { bytesPerParameter, flopsPerParameter } from './counts.js';
import type { ReportFile } from './report_file.js';
import type { BenchReport, CudaDevice, CudaReport, CudaRun, KernelRun } from './schema.js';

export interface RooflinePoint {
  label: string;
  optimizer: string;
  /** `rows`, `columns`, or `any` where rows do not matter. */
  layout: string;
  /** FLOP per byte. */
  intensity: number;
  /** By the median; and from the fastest sample and the slowest one. */
  gigabytes: number;
  gigabytesBest: number;
  gigabytesWorst: number;
  gigaflops: number;
}

/** A limit of memory (GB/s at any intensity) or of arithmetic (GFLOP/s). */
export interface Roof {
  label: string;
  kind: 'memory' | 'arithmetic';
  /** GB/s or GFLOP/s. */
  value: number;
  measured: boolean;
}

export interface RooflinePanel {
  title: string;
  /** Host emulation: nothing of it is a measurement. */
  emulated: boolean;
  points: RooflinePoint[];
  roofs: Roof[];
}

const GIGA = 1e9;

/** Float32 operations a multiprocessor starts each clock (CUDA C++ Programming Guide, throughput of instructions). */
const FLOAT32_LANES: ReadonlyArray<readonly [pattern: RegExp, lanes: number]> = [
  [/^(6\.0|7\.\d|8\.0)$/, 64],
  [/^(6\.[12]|8\.[679]|9\.0|10\.\d|12\.\d)$/, 128],
];

/** Operations a second without fused multiply-add, which the kernels are built without; null: not known. */
export function peakFloat32(device: CudaDevice): number | null {
  const { computeCapability, multiprocessors, clockHz } = device;
  const lanes = FLOAT32_LANES.find(([pattern]) => pattern.test(computeCapability))?.[1];
  if (lanes === undefined || multiprocessors === null || clockHz === null) return null;
  return lanes * multiprocessors * clockHz;
}

/** Bytes a second by clock and width of the memory, two transfers a clock; null: not known. */
export function theoreticalBandwidth({ memoryClockHz, memoryBusBits }: CudaDevice): number | null {
  return memoryClockHz === null || memoryBusBits === null ? null : (2 * memoryClockHz * memoryBusBits) / 8;
}

function pointOf(
  label: string,
  optimizer: string,
  layout: string | null,
  bytes: number,
  parameters: number,
  samples: readonly number[],
): RooflinePoint | null {
  const flops = flopsPerParameter(optimizer);
  if (flops === null || flops === 0) return null;
  const rate = (seconds: number) => (bytes * parameters) / seconds / GIGA;
  const gigabytes = rate(median([...samples]));
  return {
    label,
    optimizer,
    layout: layout ?? 'any',
    intensity: flops / bytes,
    gigabytes,
    gigabytesBest: rate(Math.min(...samples)),
    gigabytesWorst: rate(Math.max(...samples)),
    gigaflops: (gigabytes * flops) / bytes,
  };
}

function present<T>(value: T | null): value is T {
  return value !== null;
}

/** The optimizer by its names in counts.ts, from the name that kernel_bench prints. */
function kernelOptimizer(name: string): { optimizer: string; layout: string | null } {
  const [, optimizer, layout] = /^(.*?)(?:-(rows|columns))?$/.exec(name) ?? [];
  return { optimizer: optimizer as string, layout: layout ?? null };
}

function kernelPanel({ list, threads, simd, copyBytes, contenders }: KernelRun, cpu: string): RooflinePanel {
  const points = contenders.map(({ name, label, samples, bytesPerParameter: bytes }) => {
    const { optimizer, layout } = kernelOptimizer(name);
    return bytes === null ? null : pointOf(label, optimizer, layout, bytes, list.parameters, samples);
  });
  const roofs = contenders
    .filter(({ name }) => name === 'copy' || name === 'stream-copy')
    .map(({ label, secondsPerStep }) => ({
      label,
      kind: 'memory' as const,
      value: (2 * copyBytes) / secondsPerStep.median / GIGA,
      measured: true,
    }));
  const title = `${list.label}, ${threads} thread${threads === 1 ? '' : 's'} of ${cpu} (${simd})`;
  return { title, emulated: false, points: points.filter(present), roofs };
}

function cudaPanel({ workload, contenders }: CudaRun, { device }: CudaReport): RooflinePanel {
  const points = contenders.map(({ name, optimizer, layout, bytesPerParameter: bytes, samples }) =>
    bytes === null ? null : pointOf(name, optimizer, layout, bytes, workload.parameters, samples),
  );
  const copy = contenders.find(({ optimizer }) => optimizer === 'copy');
  const roofs: Roof[] = [];
  const add = (label: string, kind: Roof['kind'], value: number | null, measured: boolean) => {
    if (value !== null) roofs.push({ label, kind, value: value / GIGA, measured });
  };
  if (copy?.bytes != null) add('copy', 'memory', copy.bytes / median(copy.samples), true);
  add('memory by its clock', 'memory', theoreticalBandwidth(device), false);
  add('float32 without FMA', 'arithmetic', peakFloat32(device), false);
  const emulated = device.emulated ? 'HOST EMULATION, no measurement: ' : '';
  return {
    title: `${emulated}${workload.label} on ${device.name}`,
    emulated: device.emulated,
    points: points.filter(present),
    roofs,
  };
}

function cudaPanels(report: CudaReport): RooflinePanel[] {
  return report.runs.map((run) => cudaPanel(run, report));
}

function benchPanels({ kernels, cuda, environment }: BenchReport): RooflinePanel[] {
  return [...kernels.map((run) => kernelPanel(run, environment.cpu)), ...cuda.flatMap(cudaPanels)];
}

/**
 * Panels with at least one point.
 *
 * @throws Error where the file holds none: no run of the suites `kernels` and `cuda`
 */
export function rooflinePanels(file: ReportFile): RooflinePanel[] {
  const all = file.kind === 'cuda' ? cudaPanels(file.report) : benchPanels(file.report);
  const panels = all.filter(({ points }) => points.length > 0);
  if (panels.length === 0) throw new Error(`${file.file} holds no run of the suites kernels and cuda`);
  return panels;
}

/** Bytes that a point's intensity is counted with; in the subtitle, since two ways of counting are in use. */
export const BYTES_NOTE = `FTP-AdamW: ${flopsPerParameter('ftp-adamw')} FLOP a parameter over ${bytesPerParameter(
  'ftp-adamw',
)} bytes on a CPU, 36 on a GPU`;
