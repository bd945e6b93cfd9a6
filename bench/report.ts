/** The report as text. */

import { table } from '../tools/table.js';
import type {
  BenchReport,
  Environment,
  KernelRun,
  MemoryRun,
  StepRun,
  Summary,
  Target,
  Timed,
  TrainRun,
} from './schema.js';

const NONE = '';

/** Median, and the median absolute deviation in percent of it. */
function withSpread(value: string, { median, mad }: Summary): string {
  return `${value} ±${((100 * mad) / median).toFixed(0)}%`;
}

export function milliseconds(summary: Summary): string {
  const { median } = summary;
  return withSpread((1000 * median).toFixed(median < 1e-2 ? 3 : 1), summary);
}

export function ratioText(summary: Summary | undefined): string {
  return summary === undefined ? NONE : withSpread(summary.median.toFixed(3), summary);
}

export function fixed(value: number | null | undefined, digits: number): string {
  return value === null || value === undefined ? NONE : value.toFixed(digits);
}

export function millions(parameters: number): string {
  return `${(parameters / 1e6).toFixed(parameters < 1e6 ? 2 : 1)} M parameters`;
}

function find<T extends Timed>(contenders: readonly T[], name: string): T | undefined {
  return contenders.find((contender) => contender.name === name);
}

export function formatEnvironment(e: Environment): string {
  const commit =
    e.commit === null ? '' : `, commit ${e.commit.slice(0, 10)}${e.modified ? ' with changes' : ''}`;
  return [
    `tfjs-ftp ${e.version}${commit}, ${e.date.slice(0, 10)}`,
    `${e.cpu}, ${e.cores} cores, ${e.simd ?? 'no addon'}, ${(e.memory / 2 ** 30).toFixed(0)} GiB; ${e.platform}; ` +
      `load ${e.load.toFixed(1)}`,
    `Node ${e.node}, tfjs ${e.tfjs}`,
    ...(e.gpu === null ? [] : [`${e.gpu}, driver ${e.driver}, CUDA ${e.toolkit ?? 'toolkit not found'}`]),
  ].join('\n');
}

export function formatStep({ backend, tensorflow, list, contenders }: StepRun): string {
  const rows = contenders.map((contender) => [
    contender.label,
    milliseconds(contender.secondsPerStep),
    ratioText(contender.ratios['tf-adam']),
    ratioText(contender.ratios['tf-sgd']),
    ratioText(contender.ratios.adamw),
    ratioText(contender.ratios['reference-adamw']),
    fixed(contender.bytesPerParameter, 0),
    fixed(contender.gigabytesPerSecond, 1),
  ]);
  const check = find(contenders, 'ftp-adamw')?.ratios['ftp-adamw-ignore'];
  return [
    `Step of ${list.label} (${list.variables} variables, ${millions(list.parameters)}) on ${backend}` +
      (tensorflow === null ? '' : ` (TensorFlow ${tensorflow})`),
    table(['', 'ms per step', 'x tf adam', 'x tf sgd', 'x AdamW', 'x ref.', 'B/par.', 'GB/s'], rows),
    ...(check === undefined
      ? []
      : [`The check of the gradients (nonFinite: 'throw'): ${ratioText(check)} times the step without it.`]),
  ].join('\n');
}

export function formatMemory(runs: readonly MemoryRun[]): string {
  const [first] = runs;
  if (first === undefined) return '';
  return [
    `Memory beside weights and gradients, in words (4 bytes) a parameter, ${first.list.label}`,
    table(
      ['', 'backend', 'tensors kept', 'process at rest', 'process at most'],
      runs.map((run) => [
        run.label,
        run.backend,
        fixed(run.tensorWords, 2),
        fixed(run.restWords, 2),
        fixed(run.peakWords, 2),
      ]),
    ),
  ].join('\n');
}

export function formatKernels({ list, threads, simd, copyBytes, contenders }: KernelRun): string {
  return [
    `Kernels alone, ${list.label} (${millions(list.parameters)}), ${threads} thread${threads === 1 ? '' : 's'}, ` +
      `${simd}; copy of ${copyBytes / 2 ** 20} MiB`,
    table(
      ['', 'ms', 'B/par.', 'GB/s', 'of memcpy', 'of stream', 'x AdamW', 'x rows'],
      contenders.map((contender) => [
        contender.label,
        milliseconds(contender.secondsPerStep),
        fixed(contender.bytesPerParameter, 0),
        fixed(contender.gigabytesPerSecond, 1),
        ratioText(contender.shareOfCopy),
        ratioText(contender.shareOfStreamCopy ?? undefined),
        ratioText(contender.ratios.adamw),
        ratioText(
          contender.name.endsWith('-columns')
            ? contender.ratios[contender.name.replace('-columns', '-rows')]
            : undefined,
        ),
      ]),
    ),
  ].join('\n');
}

export function formatTrain({ tensorflow, parameters, batchSize, contenders }: TrainRun): string {
  return [
    `Training step of the demo's model (${millions(parameters)} trained, batches of ${batchSize}), ` +
      `TensorFlow ${tensorflow}`,
    table(
      ['', 'ms per step', 'x tf adam', 'x AdamW', 'optimizer, % of the step'],
      contenders.map((contender) => [
        contender.label,
        milliseconds(contender.secondsPerStep),
        ratioText(contender.ratios['tf-adam']),
        ratioText(contender.ratios.adamw),
        fixed(100 * contender.optimizerShare, 1),
      ]),
    ),
  ].join('\n');
}

/** @param note behind the title */
export function formatTargets(targets: readonly Target[], note: string): string {
  const verdict = (met: boolean | null, measured: Summary | null) => {
    if (met !== null) return met ? 'met' : 'NOT MET';
    return measured === null ? 'not measured' : 'not judged';
  };
  const rows = targets.map(({ what, limit, atLeast, measured, met }) => [
    what,
    `${atLeast ? '>=' : '<='} ${limit}`,
    ratioText(measured ?? undefined),
    verdict(met, measured),
  ]);
  return `Targets (median of the rounds' ratios)${note}\n${table(['', 'target', 'measured', ''], rows)}`;
}

/**
 * What was left out, and the targets: the end of the report.
 *
 * @param withTargets they are the project's own: shown to those who ask for them
 */
export function formatClosing({ targets, leftOut, settings }: BenchReport, withTargets: boolean): string {
  const lines: string[] = [];
  if (withTargets) {
    lines.push(formatTargets(targets, settings.quick ? '; a quick run is not judged' : ''));
  }
  if (leftOut.length > 0) {
    lines.push(...(withTargets ? [''] : []), 'Left out');
    for (const { what, reason, failed } of leftOut) {
      lines.push(`- ${what}: ${failed ? 'FAILED: ' : ''}${reason.trim().replaceAll('\n', '\n    ')}`);
    }
  }
  return lines.join('\n');
}
