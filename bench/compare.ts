/**
 * Compares two reports case by case. A case is called slower or faster only where the ratio of the two medians lies
 * outside of the noise: where its 99% bootstrap interval lies wholly beyond the tolerance around 1. Fewer than five
 * samples on a side are never judged: among five on each side, all of one above all of the other still comes about by
 * chance in 2 of 252 cases.
 */

import { median, quantile, sampleWithReplacement } from 'simple-statistics';
import { groupBy } from '../tools/group.js';
import { Random } from '../tools/random.js';
import { table } from '../tools/table.js';
import { casesOf, type MeasuredCase, originOf } from './cases.js';
import { milliseconds, ratioText } from './format.js';
import type { ReportFile } from './report_file.js';
import type { Summary } from './schema.js';
import { summarize } from './statistics.js';

export const CONFIDENCE = 0.99;
export const MIN_SAMPLES = 5;
/** What two runs of one program may differ by although nothing changed; the samples of neither run show it. */
export const TOLERANCE = 0.02;
const RESAMPLES = 4000;

export interface CompareOptions {
  /** Share of 1 by which the whole interval must be off. */
  tolerance?: number;
  /** Compare times over those of this contender of the same group, taken by round, in place of times. */
  relativeTo?: string;
}

export type Verdict = 'slower' | 'faster' | 'noise' | 'not judged';

export interface ComparedCase {
  group: string;
  name: string;
  label: string;
  /** Of `samples`, or of ratios to the contender that all are relative to. */
  a: Summary;
  b: Summary;
  /** `words`, `s`, or `ratio` where relative. */
  unit: 's' | 'words' | 'ratio';
  /** Median of b over median of a. */
  ratio: number;
  /** Of that ratio; null: too few samples. */
  interval: { low: number; high: number } | null;
  verdict: Verdict;
  /** Why not judged. */
  reason: string | null;
}

export interface Comparison {
  cases: ComparedCase[];
  /** Cases that only one of the files has. */
  onlyA: string[];
  onlyB: string[];
  warnings: string[];
}

function titleOf({ group, label }: MeasuredCase): string {
  return `${group}: ${label}`;
}

function keyOf({ group, name }: MeasuredCase): string {
  return `${group}\n${name}`;
}

/** Cases by key, as they are or relative to a contender, which itself drops out with all that it did not run beside. */
function casesByKey(file: ReportFile, relativeTo: string | undefined): Map<string, MeasuredCase> {
  const cases = casesOf(file);
  if (relativeTo === undefined) return new Map(cases.map((measured) => [keyOf(measured), measured]));
  const baselines = new Map(
    cases.filter(({ name }) => name === relativeTo).map((measured) => [measured.group, measured.samples]),
  );
  if (baselines.size === 0) throw new Error(`${file.file} has no contender '${relativeTo}'`);
  const relative = new Map<string, MeasuredCase>();
  for (const measured of cases) {
    const baseline = baselines.get(measured.group);
    if (measured.name === relativeTo || baseline?.length !== measured.samples.length) continue;
    const samples = measured.samples.map((time, round) => time / (baseline[round] as number));
    relative.set(keyOf(measured), { ...measured, samples });
  }
  return relative;
}

/** Bootstrap interval of the ratio of medians; the same for the same samples. */
export function ratioInterval(a: readonly number[], b: readonly number[]): { low: number; high: number } {
  const random = new Random('ratio interval', a.length, b.length);
  const source = () => random.uniform();
  const draw = (samples: readonly number[]) =>
    median(sampleWithReplacement([...samples], samples.length, source));
  const ratios = Array.from({ length: RESAMPLES }, () => draw(b) / draw(a));
  return {
    low: quantile(ratios, (1 - CONFIDENCE) / 2),
    high: quantile(ratios, (1 + CONFIDENCE) / 2),
  };
}

function compareCase(
  a: MeasuredCase,
  b: MeasuredCase,
  { tolerance = TOLERANCE, relativeTo }: CompareOptions,
): ComparedCase {
  const [summaryA, summaryB] = [summarize([...a.samples]), summarize([...b.samples])];
  const samples = Math.min(summaryA.count, summaryB.count);
  const interval = samples < MIN_SAMPLES ? null : ratioInterval(a.samples, b.samples);
  const reason =
    a.emulated || b.emulated
      ? 'host emulation'
      : interval === null
        ? `${samples} sample${samples === 1 ? '' : 's'}, ${MIN_SAMPLES} needed`
        : null;
  const judged = (): Verdict => {
    if (interval === null || reason !== null) return 'not judged';
    if (interval.low > 1 + tolerance) return 'slower';
    return interval.high < 1 / (1 + tolerance) ? 'faster' : 'noise';
  };
  return {
    group: a.group,
    name: a.name,
    label: a.label,
    a: summaryA,
    b: summaryB,
    unit: relativeTo === undefined ? a.unit : 'ratio',
    ratio: summaryB.median / summaryA.median,
    interval,
    verdict: judged(),
    reason,
  };
}

function compareOrigins(a: ReportFile, b: ReportFile): string[] {
  const [originA, originB] = [originOf(a), originOf(b)];
  const warnings: string[] = [];
  for (const name of new Set([...Object.keys(originA), ...Object.keys(originB)])) {
    const [left, right] = [originA[name], originB[name]];
    if (name !== 'modified' && left !== undefined && right !== undefined && left !== right) {
      warnings.push(`different ${name}: ${left} and ${right}`);
    }
  }
  for (const [{ file }, origin] of [
    [a, originA],
    [b, originB],
  ] as const) {
    if (origin.modified === true) warnings.push(`${file} was measured with changes that are not committed`);
  }
  return warnings;
}

/** @throws Error where the files have no case in common, or one has no contender `relativeTo` */
export function compareReports(a: ReportFile, b: ReportFile, options: CompareOptions = {}): Comparison {
  const [casesA, casesB] = [casesByKey(a, options.relativeTo), casesByKey(b, options.relativeTo)];
  const cases: ComparedCase[] = [];
  for (const [key, measured] of casesA) {
    const other = casesB.get(key);
    if (other !== undefined) cases.push(compareCase(measured, other, options));
  }
  if (cases.length === 0) throw new Error(`${a.file} and ${b.file} have no case in common`);
  const only = (own: Map<string, MeasuredCase>, others: Map<string, MeasuredCase>) =>
    [...own].filter(([key]) => !others.has(key)).map(([, measured]) => titleOf(measured));
  const warnings = compareOrigins(a, b);
  if (cases.some(({ reason }) => reason === 'host emulation')) {
    warnings.push('host emulation of a GPU: its times are of no GPU and are not judged');
  }
  return { cases, onlyA: only(casesA, casesB), onlyB: only(casesB, casesA), warnings };
}

/** Cases that are slower beyond the noise, and by more than the limit. @throws Error where no case could be judged */
export function casesAbove({ cases }: Comparison, limit: number): ComparedCase[] {
  if (cases.every(({ verdict }) => verdict === 'not judged')) {
    const reasons = [...new Set(cases.map(({ reason }) => reason))].join('; ');
    throw new Error(`no case could be judged (${reasons})`);
  }
  return cases.filter(({ verdict, ratio }) => verdict === 'slower' && ratio > limit);
}

const MARKS = { slower: 'SLOWER', faster: 'faster', noise: 'within noise', 'not judged': 'not judged' };

const HEADS = { s: ['a, ms', 'b, ms'], words: ['a, words', 'b, words'], ratio: ['a', 'b'] } as const;

function cellsOf({ label, a, b, unit, ratio, interval, verdict, reason }: ComparedCase): string[] {
  const value = (summary: Summary) => (unit === 's' ? milliseconds(summary) : ratioText(summary));
  return [
    label,
    value(a),
    value(b),
    ratio.toFixed(3),
    interval === null ? '' : `${interval.low.toFixed(3)} to ${interval.high.toFixed(3)}`,
    reason === null ? MARKS[verdict] : `${MARKS[verdict]}: ${reason}`,
  ];
}

/** One table a group of cases, then what was left over, then how cases were judged. */
export function formatComparison(
  { cases, onlyA, onlyB, warnings }: Comparison,
  { tolerance = TOLERANCE }: CompareOptions = {},
): string {
  const groups = groupBy(cases, ({ group }) => group);
  const parts = [...groups].map(([group, members]) => {
    const [first] = members;
    const head = ['', ...HEADS[first?.unit ?? 's'], 'b / a', `${100 * CONFIDENCE}% interval`, ''];
    return `${group}\n${table(head, members.map(cellsOf))}`;
  });
  const listed = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : [[title, ...lines.map((line) => `- ${line}`)].join('\n')];
  return [
    ...listed('Warnings', warnings),
    ...parts,
    ...listed('Only in a', onlyA),
    ...listed('Only in b', onlyB),
    `Slower or faster: the ${100 * CONFIDENCE}% bootstrap interval of the ratio of medians lies wholly beyond ` +
      `${(100 * tolerance).toFixed(1)}% around 1, from at least ${MIN_SAMPLES} samples on each side.`,
  ].join('\n\n');
}
