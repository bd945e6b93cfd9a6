/** Parts of the tables that all suites share, and what stands around them. */

import { table } from '../tools/table.js';
import type { BenchReport, Environment, Summary, Target } from './schema.js';

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
