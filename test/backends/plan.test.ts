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
    const settings = settingsOf(compose(sgd, ftp), options, { ema: true });
    const words = new PlanEncoder().encode(settings, [
      variable(2, 3, 4),
      {
        ...variable(1, 1, 9, true),
        values: { ...settings.values, learningRate: 0.75, weightDecay: 0 },
        gradientScale: 0.5,
        clipValue: 2,
        emaMomentum: 0.99,
      },
    ]);
    expect(words.length).toBe(10 + 2 * (16 + 2 * 8));
    expect([...words.subarray(0, 10)]).toEqual([0x46545033, 1, 1, 3, 0, 3, 2, 3, 4, 4]);
    expect([...words.subarray(10, 20)]).toEqual([2, 0, 2, 0, 3, 0, 4, 0, 7, 5]);
    expect(doubles(words, 20, 3)).toEqual([1, Number.POSITIVE_INFINITY, 0]);
    expect(doubles(words, 26, 8)).toEqual([1.5, 0.8, 0, 0.1, 0.5, 1e-2, 0.7, 0.6]);
    expect([...words.subarray(42, 52)]).toEqual([3, 0, 1, 0, 1, 0, 9, 0, 7, 5]);
    expect(doubles(words, 52, 3)).toEqual([0.5, 2, 0.99]);
    expect(doubles(words, 58, 8)).toEqual([0.75, 0.8, 0, 0, 0.5, 1e-2, 0.7, 0.6]);
  });

  it.each([
    [{}, 1],
    [{ checkFinite: false }, 0],
    [{ checkFinite: false, ema: true }, 2],
    [{ keepGradient: true }, 5],
    [{ ema: true, keepGradient: true }, 7],
  ])('step flags of %j', (others, flags) => {
    const words = new PlanEncoder().encode(settingsOf(compose(adamw, none), {}, others), []);
    expect(words[5]).toBe(flags);
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
    expect(doubles(words, 26, numbers.length)).toEqual(numbers);
    expect(words.length).toBe(10 + 16 + 2 * numbers.length);
  });

  it('follows what changes from step to step, in the same buffer', () => {
    const settings = settingsOf(compose(adamw, ftp), {});
    const [first, second] = [10, 10 + 16 + 2 * 9];
    const encoder = new PlanEncoder();
    const own = { ...settings.values, learningRate: 2, k: 0 };
    const [a, b] = [variable(2, 3, 4), { ...variable(5, 6, 7), values: own, clipValue: 3 }];
    const words = encoder.encode(settings, [a, b]);
    a.t = 8;
    a.fromWeights = false;
    const values = { ...settings.values, learningRate: 0.25 };
    expect(encoder.encode({ ...settings, values, checkFinite: false }, [b, a])).toBe(words);
    expect(words[5]).toBe(0);
    expect([...words.subarray(first, first + 10)]).toEqual([2, 0, 5, 0, 6, 0, 7, 0, 7, 5]);
    expect(doubles(words, first + 10, 4)).toEqual([1, 3, 0, 2]);
    expect(doubles(words, first + 26, 1)).toEqual([0]);
    expect([...words.subarray(second, second + 10)]).toEqual([0, 0, 2, 0, 3, 0, 4, 0, 8, 5]);
    expect(doubles(words, second + 10, 4)).toEqual([1, Number.POSITIVE_INFINITY, 0, 0.25]);
    expect(doubles(words, second + 26, 1)).toEqual([1]);
    const third = encoder.encode({ ...settings, values }, [a, { ...b, values: undefined }]);
    expect(doubles(third, second + 16, 9)).toEqual(doubles(third, first + 16, 9));
    expect(encoder.encode(settings, [a]).length).toBe(second);
  });

  it.each([0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 5e12])('%d as an int64', (value) => {
    const words = new Int32Array(2);
    putInt64(words, 0, value);
    expect(new BigInt64Array(words.buffer)[0]).toBe(BigInt(value));
  });
});
