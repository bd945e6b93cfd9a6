/** What chance has to do with it: bootstrap over what the examples show. */
import { mean, quantile } from 'simple-statistics';
import { Random } from '../tools/random.js';
import { type Run, type SetResult, scoresOf } from './store.js';

/** NaN of nothing. */
export function meanOf(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : mean([...values]);
}

/** Sums and counts of the scores by unit: one row per set. */
export interface UnitScores {
  /** Names of the units; the same unit of another seed has another name. */
  units: string[];
  /** [set][unit] */
  sums: Float64Array[];
  counts: Float64Array[];
  /** By how much the mean of each set counts; together 1. */
  shares: number[];
}

/**
 * Which sets of a run are looked at: of each kind all, or one. `ood`: each shifted set, and all corruptions together as one
 * more.
 */
export type Selection = 'id' | 'shift' | 'corruption' | 'ood' | { domain: string };

interface Share {
  result: SetResult;
  share: number;
}

/** The sets of a selection, with what each one's mean counts. */
export function setsOf({ inDistribution, domains }: Run, selection: Selection): Share[] {
  if (selection === 'id') return [{ result: inDistribution, share: 1 }];
  const evenly = (chosen: Run['domains'], whole = 1) =>
    chosen.map(({ result }) => ({ result, share: whole / chosen.length }));
  if (typeof selection === 'object') return evenly(domains.filter(({ name }) => name === selection.domain));
  const [shifted, spoilt] = (['shift', 'corruption'] as const).map((kind) =>
    domains.filter((domain) => domain.kind === kind),
  ) as [Run['domains'], Run['domains']];
  if (selection === 'shift') return evenly(shifted);
  if (selection === 'corruption') return evenly(spoilt);
  if (spoilt.length === 0) return evenly(shifted);
  const together = 1 / (shifted.length + 1);
  return [...evenly(shifted, 1 - together), ...evenly(spoilt, together)];
}

/** The mean over the sets of a selection. */
export function accuracyOf(run: Run, selection: Selection): number {
  return setsOf(run, selection).reduce((sum, { result, share }) => sum + share * result.mean, 0);
}

/** The scores of the runs of one method, one per seed, by seed and unit. */
export function unitScores(runs: readonly Run[], selection: Selection): UnitScores {
  const index = new Map<string, number>();
  const cells: { set: number; unit: number; score: number }[] = [];
  for (const run of runs) {
    for (const [set, { result }] of setsOf(run, selection).entries()) {
      const of = run.unitLists[result.list] as number[];
      for (const [i, score] of scoresOf(result).entries()) {
        const name = `${run.key.seed} ${run.units[of[i] as number]}`;
        if (!index.has(name)) index.set(name, index.size);
        cells.push({ set, unit: index.get(name) as number, score });
      }
    }
  }
  const shares = runs[0] === undefined ? [] : setsOf(runs[0], selection).map(({ share }) => share);
  const rows = () => shares.map(() => new Float64Array(index.size));
  const found: UnitScores = { units: [...index.keys()], sums: rows(), counts: rows(), shares };
  for (const { set, unit, score } of cells) {
    const [sums, counts] = [found.sums[set] as Float64Array, found.counts[set] as Float64Array];
    sums[unit] = (sums[unit] as number) + score;
    counts[unit] = (counts[unit] as number) + 1;
  }
  return found;
}

/** The mean over sets of the mean over examples, each unit counting `weights` times. */
function weighted({ sums, counts, shares }: UnitScores, weights: Float64Array): number {
  let total = 0;
  for (const [set, row] of sums.entries()) {
    const count = counts[set] as Float64Array;
    let [sum, number] = [0, 0];
    for (let unit = 0; unit < row.length; ++unit) {
      const weight = weights[unit] as number;
      sum += weight * (row[unit] as number);
      number += weight * (count[unit] as number);
    }
    total += ((shares[set] as number) * sum) / number;
  }
  return total;
}

export interface Interval {
  value: number;
  low: number;
  high: number;
}

const RESAMPLES = 2000;
/** Two-sided, 95%. */
const TAILS = [0.025, 0.975] as const;

/**
 * Resamples units, each with all its examples in all sets, and gives the interval that 95% of the results lie in.
 *
 * @param minus subtracted, resample by resample, from the same units: a paired difference.
 */
export function bootstrap(scores: UnitScores, minus?: UnitScores, resamples = RESAMPLES): Interval {
  const { units } = scores;
  if (minus !== undefined && minus.units.join('\n') !== units.join('\n')) {
    throw new RangeError('only runs on the same examples can be compared');
  }
  const statistic = (weights: Float64Array) =>
    weighted(scores, weights) - (minus === undefined ? 0 : weighted(minus, weights));
  const random = new Random('bootstrap');
  const drawn = Array.from({ length: resamples }, () => {
    const weights = new Float64Array(units.length);
    for (let i = 0; i < units.length; ++i) {
      const unit = random.integer(0, units.length - 1);
      weights[unit] = (weights[unit] as number) + 1;
    }
    return statistic(weights);
  });
  const [low, high] = TAILS.map((tail) => quantile(drawn, tail)) as [number, number];
  return { value: statistic(new Float64Array(units.length).fill(1)), low, high };
}

/** Differences of less than this are called level whatever their interval. */
export const LEVEL = 0.015;

/** What a paired difference says. */
export function verdict({ value, low, high }: Interval): 'better' | 'worse' | 'level' {
  if (Math.abs(value) < LEVEL || (low <= 0 && high >= 0)) return 'level';
  return value > 0 ? 'better' : 'worse';
}
