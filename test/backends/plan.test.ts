import { describe, expect, it } from 'vitest';
import { PlanEncoder, type PlanVariable, putInt64, type StepSettings } from '../../src/backends/plan.js';
import { adamw } from '../../src/methods/adamw.js';
import { ftp } from '../../src/methods/ftp.js';
import { compose, type Method } from '../../src/methods/method.js';
import { none } from '../../src/methods/none.js';
import { proposal } from '../../src/methods/proposal.js';
import { sgd } from '../../src/methods/sgd.js';

const CONSTRAINT = { k: 0.5, constraintLearningRate: 1e-2, constraintBeta1: 0.7, constraintBeta2: 0.6 };

const settingsOf = (method: Method, options: object, others: Partial<StepSettings> = {}): StepSettings => {
  const bound = method.with(options);
  return { method: bound, values: bound.values(1.5), checkFinite: true, threads: 3, ...others };
};

const variable = (outer: number, rows: number, inner: number, excluded = false): PlanVariable => ({
  spec: { layout: { outer, rows, inner }, excluded },
  t: 7,
  n: 5,
  fromWeights: true,
});

/** `count` float64 from word `at` on. */
const doubles = (words: Int32Array, at: number, count: number) => [
  ...new Float64Array(words.slice(at, at + 2 * count).buffer),
];

describe('the plan', () => {
  it('has the words that native/kernels/plan.h reads', () => {
    const options = { momentum: 0.8, nesterov: true, weightDecay: 0.1, ...CONSTRAINT };
    const words = new PlanEncoder().encode(settingsOf(compose(sgd, ftp), options), [
      variable(2, 3, 4),
      { ...variable(1, 1, 9, true), scales: { learningRate: 0.5, weightDecay: 0, rule: 2 } },
    ]);
    expect(words.length).toBe(10 + 2 * 8 + 2 * 16);
    expect([...words.subarray(0, 10)]).toEqual([0x46545032, 1, 1, 3, 0, 1, 2, 3, 4, 4]);
    expect(doubles(words, 10, 8)).toEqual([1.5, 0.8, 0, 0.1, 0.5, 1e-2, 0.7, 0.6]);
    expect([...words.subarray(26, 36)]).toEqual([2, 0, 2, 0, 3, 0, 4, 0, 7, 5]);
    expect(doubles(words, 36, 3)).toEqual([1, 1, 1]);
    expect([...words.subarray(42, 52)]).toEqual([3, 0, 1, 0, 1, 0, 9, 0, 7, 5]);
    expect(doubles(words, 52, 3)).toEqual([0.5, 0, 2]);
  });

  it.each([
    [
      'AdamW',
      compose(adamw, ftp),
      { beta1: 0.8, epsilon: 1e-6, amsgrad: true, k: 0.5 },
      [0, 1, 1, 0],
      [1.5, 0.8, 0.999, 1e-6, 0, 0.5, 1e-2, 0.9, 0.999],
    ],
    [
      'AdamW without a rule',
      compose(adamw, none),
      { weightDecay: 0.1 },
      [0, 0, 0, 0],
      [1.5, 0.9, 0.999, 1e-8, 0.1],
    ],
    ['SGD without momentum', compose(sgd, none), {}, [1, 0, 0, 0], [1.5, 0, 0, 0]],
    ['a proposal', compose(proposal, ftp), {}, [2, 1, 0, 0], [1, 1e-2, 0.9, 0.999]],
  ])('%s: codes, flags and numbers', (_name, method, options, codes, numbers) => {
    const settings = settingsOf(method, options, { checkFinite: false, threads: null });
    const words = new PlanEncoder().encode(settings, [variable(2, 3, 4)]);
    expect([...words.subarray(1, 5)]).toEqual(codes);
    expect([...words.subarray(5, 8)]).toEqual([0, 1, 0]);
    expect((words[8] as number) + (words[9] as number)).toBe(numbers.length);
    expect(doubles(words, 10, numbers.length)).toEqual(numbers);
    expect(words.length).toBe(10 + 2 * numbers.length + 16);
  });

  it('follows what changes from step to step, in the same buffer', () => {
    const settings = settingsOf(compose(adamw, ftp), {});
    const first = 10 + 2 * 9;
    const encoder = new PlanEncoder();
    const [a, b] = [
      variable(2, 3, 4),
      { ...variable(5, 6, 7), scales: { learningRate: 2, weightDecay: 3, rule: 4 } },
    ];
    const words = encoder.encode(settings, [a, b]);
    a.t = 8;
    a.fromWeights = false;
    const values = { ...settings.values, learningRate: 0.25 };
    const second = encoder.encode({ ...settings, values, checkFinite: false }, [b, a]);
    expect(second).toBe(words);
    expect(second[5]).toBe(0);
    expect(doubles(second, 10, 1)).toEqual([0.25]);
    expect([...second.subarray(first, first + 10)]).toEqual([2, 0, 5, 0, 6, 0, 7, 0, 7, 5]);
    expect(doubles(second, first + 10, 3)).toEqual([2, 3, 4]);
    expect([...second.subarray(first + 16, first + 26)]).toEqual([0, 0, 2, 0, 3, 0, 4, 0, 8, 5]);
    expect(doubles(second, first + 26, 3)).toEqual([1, 1, 1]);
    expect(encoder.encode(settings, [a]).length).toBe(first + 16);
  });

  it.each([0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 5e12])('%d as an int64', (value) => {
    const words = new Int32Array(2);
    putInt64(words, 0, value);
    expect(new BigInt64Array(words.buffer)[0]).toBe(BigInt(value));
  });
});
