/** The report as text. */

import Table from 'cli-table3';
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

export function table(head: string[], rows: string[][]): string {
  const result = new Table({
    head,
    colAligns: ['left', ...head.slice(1).map(() => 'right' as const)],
    // Plain text, so that the table is the same in a terminal and in a file.
    style: { head: [], border: [], compact: true },
  });
  result.push(...rows);
  return result.toString();
}

const NONE = '';

export function milliseconds({ median, mad }: Summary): string {
  const digits = median < 1e-2 ? 3 : 1;
  return `${(1000 * median).toFixed(digits)} ± ${(1000 * mad).toFixed(digits)}`;
}

export function ratioText(summary: Summary | undefined): string {
  return summary === undefined ? NONE : `${summary.median.toFixed(3)} ± ${summary.mad.toFixed(3)}`;
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
    table(
      ['', 'ms a step', 'x tf adam', 'x tf sgd', 'x fused AdamW', 'x reference', 'B/parameter', 'GB/s'],
      rows,
    ),
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
      ['', 'ms', 'B/parameter', 'GB/s', 'of memcpy', 'of stream copy', 'x fused AdamW', 'x rows'],
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
      ['', 'ms a step', 'x tf adam', 'x fused AdamW', 'optimizer, % of the step'],
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
    `${atLeast ? 'at least' : 'at most'} ${limit}`,
    ratioText(measured ?? undefined),
    verdict(met, measured),
  ]);
  return `Targets (median of the rounds' ratios)${note}\n${table(['', 'target', 'measured', ''], rows)}`;
}

/** Targets and what was left out: the end of the report. */
export function formatClosing({ targets, leftOut, settings }: BenchReport): string {
  const lines = [formatTargets(targets, settings.quick ? '; a quick run is not judged' : '')];
  if (leftOut.length > 0) {
    lines.push('', 'Left out');
    for (const { what, reason, failed } of leftOut) {
      lines.push(`- ${what}: ${failed ? 'FAILED: ' : ''}${reason.trim().replaceAll('\n', '\n    ')}`);
    }
  }
  return lines.join('\n');
}
