/** What a report shows, as plain data. */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { LearnedNumber } from '../learn/learned_numbers.js';
import { checkOptionKeys, describe } from '../validate.js';
import type { ConstraintReport } from '../variables/constraint_report.js';

/** What a training did over time: an array of numbers per series, such as `loss`, `val_accuracy` or `learningRate`. */
export type ReportHistory = { readonly [series: string]: ArrayLike<number> };

/** Options of {@link report}. */
export interface ReportOptions {
  /** Heading of the page. Default: the class of the optimizer. */
  title?: string;
  /**
   * What `model.fit` returned, or series of your own, all of one length. A series called `step` or `epoch` has the places on
   * the axis; without one, they are counted from 1. Series are drawn by their names: with `loss` in it together, learning
   * rates (`learningRate`, `learning_rate`, `lr`) on a logarithmic axis, others together. A value that is no number is a gap.
   */
  history?: ReportHistory | { readonly history: object; readonly epoch: readonly number[] };
}

/** A history whose series are checked. */
export interface Series {
  axis: 'step' | 'epoch';
  at: number[];
  series: { [name: string]: Array<number | null> };
}

/** All that a page shows. */
export interface Contents {
  title: string;
  /** What is left undefined is not shown. */
  summary: { [what: string]: string | number | undefined };
  constraints: ConstraintReport[];
  learned: LearnedNumber[];
  history: Series | null;
  config: unknown;
}

/** Checks the options, and reads a history that has tensors. */
export async function checkOptions(
  options: ReportOptions,
): Promise<{ title: string | undefined; history: Series | null }> {
  checkOptionKeys('options', options, ['title', 'history']);
  const { title, history } = options;
  if (title !== undefined && typeof title !== 'string') {
    throw new TypeError(`title must be a string, got ${describe(title)}`);
  }
  return { title, history: history === undefined ? null : await readHistory(history) };
}

const isList = (value: unknown): value is ArrayLike<unknown> =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value);

async function readHistory(given: NonNullable<ReportOptions['history']>): Promise<Series> {
  if (given === null || typeof given !== 'object' || isList(given)) {
    throw new TypeError(
      `history must be what model.fit returned, or an object of arrays of numbers, got ${describe(given)}`,
    );
  }
  const { history, epoch } = given as { history?: object; epoch?: unknown };
  const ofFit = typeof history === 'object' && history !== null && !isList(history) && isList(epoch);
  // tfjs counts epochs from 0.
  const all: { [name: string]: unknown } = ofFit
    ? { epoch: Array.from(epoch, (at) => Number(at) + 1), ...history }
    : { ...given };
  const read: Array<[string, number[]]> = [];
  for (const [name, values] of Object.entries(all)) read.push([name, await readSeries(name, values)]);
  const [first] = read;
  if (first === undefined) throw new RangeError('history must have a series, got an object without any');
  const length = first[1].length;
  for (const [name, values] of read) {
    if (values.length === length) continue;
    throw new RangeError(
      `history.${name} must have ${length} values like history.${first[0]}, got ${values.length}`,
    );
  }
  const places = read.find(([name]) => name === 'step' || name === 'epoch');
  const series = read.filter((entry) => entry !== places);
  return {
    axis: places?.[0] === 'epoch' ? 'epoch' : 'step',
    at: places?.[1] ?? Array.from({ length }, (_, i) => i + 1),
    series: Object.fromEntries(
      series.map(([name, values]) => [name, values.map((value) => (Number.isFinite(value) ? value : null))]),
    ),
  };
}

async function readSeries(name: string, values: unknown): Promise<number[]> {
  const accepted = `history.${name} must be an array of numbers`;
  if (!isList(values)) throw new TypeError(`${accepted}, got ${describe(values)}`);
  return Promise.all(
    Array.from(values, async (value) => {
      if (typeof value === 'number') return value;
      // tfjs gives tensors for what it has not read yet.
      const tensor = value as Partial<Tensor> | null;
      if (typeof tensor?.data !== 'function') {
        throw new TypeError(`${accepted}, got ${describe(value)} in it`);
      }
      return (await tensor.data())[0] as number;
    }),
  );
}
