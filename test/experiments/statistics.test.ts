import { describe, expect, it } from 'vitest';
import { accuracyOf, bootstrap, unitScores, verdict } from '../../experiments/statistics.js';
import type { Run } from '../../experiments/store.js';
import { Random } from '../../tools/random.js';
import { PROTOCOL } from './support.js';

const LISTS = [Array.from({ length: 40 }, (_, i) => i), [0, 1, 2, 3]];

/** A run whose scores are those given; the second shifted set has the first four units alone. */
function run(seed: number, id: string, shifted: string, small: string, spoilt: string[]): Run {
  const result = (scores: string, list = 0) => ({
    mean: Array.from(scores, Number).reduce((a, b) => a + b, 0) / scores.length,
    scores,
    list,
  });
  return {
    key: {
      ...{ task: 'toy', version: 1, method: 'ftp', seed, protocol: PROTOCOL },
      settings: { learningRate: 1, warmup: 0, headRate: 1 },
    },
    units: LISTS[0]?.map((i) => `unit ${i}`) ?? [],
    unitLists: LISTS,
    validation: { mean: 0, loss: 0 },
    inDistribution: result(id),
    domains: [
      { name: 'a', kind: 'shift', result: result(shifted) },
      { name: 'b', kind: 'shift', result: result(small, 1) },
      ...spoilt.map((scores, i) => ({ name: `c${i}`, kind: 'corruption' as const, result: result(scores) })),
    ],
    ...{ moved: {}, trainingLoss: 0, secondsPerStep: 0, leftOut: [] },
    environment: { node: '', implementation: '', date: '' },
  };
}

const all = (value: 0 | 1) => String(value).repeat(40);
const random = new Random(4);
const coin = (share: number) => Array.from({ length: 40 }, () => (random.chance(share) ? 1 : 0)).join('');

describe('accuracyOf', () => {
  it('counts each shifted set once, and all corruptions together once more', () => {
    const one = run(1, all(1), all(1), '1000', [all(0), all(1), all(0), all(0)]);
    expect(accuracyOf(one, 'id')).toBe(1);
    expect(accuracyOf(one, 'shift')).toBeCloseTo((1 + 0.25) / 2);
    expect(accuracyOf(one, 'corruption')).toBeCloseTo(0.25);
    expect(accuracyOf(one, 'ood')).toBeCloseTo((1 + 0.25 + 0.25) / 3);
    expect(accuracyOf(one, { domain: 'c1' })).toBe(1);
  });
});

describe('bootstrap', () => {
  const runs = [
    run(1, coin(0.6), coin(0.4), '1010', [coin(0.3)]),
    run(2, coin(0.6), coin(0.4), '0010', [coin(0.3)]),
  ];

  it('gives the mean over seeds, with the width of a binomial', () => {
    const { value, low, high } = bootstrap(unitScores(runs, 'id'));
    expect(value).toBeCloseTo((accuracyOf(runs[0] as Run, 'id') + accuracyOf(runs[1] as Run, 'id')) / 2);
    // 80 units: 1.96 sqrt(p (1 - p) / 80) to either side.
    const half = 1.96 * Math.sqrt((value * (1 - value)) / 80);
    expect((high - low) / 2 / half).toBeCloseTo(1, 0);
    expect(low).toBeLessThan(value);
    expect(high).toBeGreaterThan(value);
  });

  it('pairs: where one is right wherever the other is, and more, little is left to chance', () => {
    const scores = (runs[0] as Run).inDistribution.scores as string;
    const wrong = scores.indexOf('0');
    const better = run(1, scores.slice(0, wrong) + '1'.repeat(40 - wrong), all(0), '0000', []);
    const base = run(1, scores, all(0), '0000', []);
    const paired = bootstrap(unitScores([better], 'id'), unitScores([base], 'id'));
    expect(paired.low).toBeGreaterThan(0);
    expect(verdict(paired)).toBe('better');
    expect(bootstrap(unitScores([base], 'id'), unitScores([base], 'id'))).toEqual({
      value: 0,
      low: 0,
      high: 0,
    });
  });

  it('is the same each time, and refuses runs on other examples', () => {
    const scores = unitScores(runs, 'ood');
    expect(bootstrap(scores)).toEqual(bootstrap(scores));
    expect(() => bootstrap(scores, unitScores(runs.slice(1), 'ood'))).toThrow(
      'only runs on the same examples can be compared',
    );
  });
});

it.each([
  [{ value: 0.03, low: 0.01, high: 0.05 }, 'better'],
  [{ value: -0.03, low: -0.05, high: -0.01 }, 'worse'],
  [{ value: 0.03, low: -0.01, high: 0.07 }, 'level'],
  [{ value: 0.01, low: 0.005, high: 0.015 }, 'level'],
])('%o is %s', (interval, word) => {
  expect(verdict(interval)).toBe(word);
});
