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
