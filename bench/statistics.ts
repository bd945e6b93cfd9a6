/** Summaries of samples. */

import { max, median, medianAbsoluteDeviation, min } from 'simple-statistics';
import type { Summary } from './schema.js';

/** Median and spread of at least one sample. */
export function summarize(samples: number[]): Summary {
  return {
    median: median(samples),
    mad: medianAbsoluteDeviation(samples),
    min: min(samples),
    max: max(samples),
    count: samples.length,
  };
}

/**
 * Ratio of two contenders of one interleaved run: computed in each round, where both saw the same state of the
 * machine, then summarized.
 */
export function ratioByRound(times: readonly number[], baseline: readonly number[]): Summary {
  if (times.length !== baseline.length) {
    throw new RangeError(`rounds must be as many for both, got ${times.length} and ${baseline.length}`);
  }
  return summarize(times.map((time, round) => time / (baseline[round] as number)));
}

/** Ratio of the medians of two contenders that did not run in turns; the spread is that of both. */
export function ratioOfMedians(times: number[], baseline: number[]): Summary {
  const [a, b] = [summarize(times), summarize(baseline)];
  const ratio = a.median / b.median;
  return {
    median: ratio,
    mad: ratio * Math.hypot(a.mad / a.median, b.mad / b.median),
    min: a.min / b.max,
    max: a.max / b.min,
    count: Math.min(a.count, b.count),
  };
}
