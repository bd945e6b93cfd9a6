/** TRAC: erfi, the steps against the float64 oracle, one scale for all variables, and where it runs. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type FtpOptimizer, trac } from '../../src/index.js';
import { erfi } from '../../src/methods/trac.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { readWeights } from '../backends/tfjs_replay.js';
import { numbers, randomTensor, randomVariable, reloaded, stepOnce } from '../optimizers/support.js';
import { distance2, norm2 } from '../reference/measures.js';
import type { BaseSpec } from '../reference/rules_float64.js';
import { AuthorsTrac, erfi64, TracOracle } from '../reference/trac_float64.js';

afterEach(() => tf.disposeVariables());

/** scipy.special.erfi 1.17 */
const KNOWN: ReadonlyArray<readonly [number, number]> = [
  [0, 0],
  [1e-4, 1.1283791708567764e-4],
  [0.1, 0.11321517416959982],
  [0.5, 0.6149520946965109],
  [Math.SQRT1_2, 0.9534382692512609],
  [1, 1.6504257587975428],
  [1.5, 4.5847332572844275],
  [2, 18.564802414575553],
  [3, 1629.9946226015657],
  [4.5, 80197458.9012175],
  [6, 411275145582823.94],
  [8, 4.432449746002334e26],
  [9.3, 2.2264855631430878e36],
];

const BASES: { [name: string]: BaseSpec } = {
  adamw: { kind: 'adamw', weightDecay: 0.02, amsgrad: true },
  sgd: { kind: 'sgd', momentum: 0.8, dampening: 0.1, weightDecay: 0.02 },
};
const SHAPES = [[7, 5], [3, 3, 2, 4], [17], []];

/** Gradients that go on for a while, turn round, and go on again. */
function gradientOf(step: number, i: number, size: number): Float32Array {
  const along = numbers(size, 300 + i);
  const across = numbers(size, 400 + 17 * step + i);
  const turned = step === 8 || step === 9 ? -3 : 1;
  return along.map((x, j) => turned * x + 0.3 * (across[j] as number));
}

it('the oracle has erfi', () => {
  for (const [x, value] of KNOWN) expect(Math.abs(erfi64(x) - value)).toBeLessThanOrEqual(1e-13 * value);
});

it("the oracle agrees with the authors' form while the scale is far above their epsilon", () => {
  const weights = SHAPES.map((shape, i) => numbers(tf.util.sizeFromShape(shape), i));
  for (const spec of Object.values(BASES)) {
    const [oracle, authors] = [new TracOracle(spec, 0.1, weights), new AuthorsTrac(spec, 0.1, weights)];
    for (let step = 0; step < 8; ++step) {
      const gradients = weights.map(({ length }, i) => gradientOf(step, i, length));
      oracle.step(0.01, gradients);
      authors.step(0.01, gradients);
      expect(oracle.constraint(0)[0]).toBeGreaterThan(0.3);
      for (const [i, { base }] of authors.variables.entries()) {
        expect(distance2(oracle.weights(i), base.weights)).toBeLessThan(1e-6 * norm2(base.weights));
      }
    }
  }
});

/** TRAC has no native step: native implementations stand for their backends, once each. */
describeImplementations(
  'TRAC',
  ({ backend, ...rest }) => {
    beforeAll(() => useBackend({ backend, ...rest }));

    it('erfi: known values of both signs, held at the ends, NaN through', () => {
      const xs = KNOWN.map(([x]) => x);
      const [plus, minus, ends] = tf.tidy(() =>
        [xs, xs.map((x) => -x), [10, 1e30, -1e30, NaN]].map((list) => [
          ...erfi(tf, tf.tensor1d(list)).dataSync(),
        ]),
      ) as [number[], number[], number[]];
      for (const [i, [x, value]] of KNOWN.entries()) {
        // exp(x^2) takes the rounding of x^2 with it.
        const tolerance = value * (1e-6 + 4e-7 * x * x);
        expect(Math.abs((plus[i] as number) - value), `${x}`).toBeLessThanOrEqual(tolerance);
        expect(minus[i], `${-x}`).toBeCloseTo(-(plus[i] as number), 10);
      }
      const largest = plus.at(-1) as number;
      expect(ends.slice(0, 3)).toEqual([largest, largest, -largest]);
      expect(ends[3]).toBeNaN();
    });

    it.each(Object.entries(BASES))(
      '%s: as the oracle, with gaps, weights from outside, saving',
      async (_, spec) => {
        const tensors = tf.memory().numTensors;
        const variables = SHAPES.map((shape, i) => randomVariable(`v${i}`, shape, i));
        const oracle = new TracOracle(
          spec,
          0.05,
          variables.map((variable) => variable.dataSync<'float32'>().slice()),
        );
        const { kind, ...base } = spec;
        let optimizer: FtpOptimizer = trac[kind](0.01, { ...base, sInit: 0.05 });
        const scales: number[] = [];
        for (let step = 0; step < 24; ++step) {
          optimizer.learningRate = 0.01 + 0.005 * (step % 3);
          const gradients = variables.map(({ size }, i) =>
            step === 4 && i === 1 ? null : gradientOf(step, i, size),
          );
          oracle.step(optimizer.learningRate, gradients);
          const given = Object.fromEntries(
            variables.flatMap(({ name, shape }, i) => {
              const gradient = gradients[i];
              return gradient ? [[name, tf.tensor(gradient, shape)]] : [];
            }),
          );
          optimizer.applyGradients(given);
          tf.dispose(given);
          if (step === 5) {
            for (const [i, variable] of variables.entries()) {
              const other = tf.tidy(() => tf.mul(variable, 1.01));
              variable.assign(other);
              oracle.assign(i, other.dataSync());
              other.dispose();
            }
          }
          if (step === 6) optimizer = await reloaded(optimizer);
          const state = await readWeights(optimizer);
          for (const [i, variable] of variables.entries()) {
            const what = `${variable.name} after step ${step}`;
            const weights = oracle.weights(i);
            expect(distance2(variable.dataSync(), weights), what).toBeLessThan(5e-6 * norm2(weights) + 1e-7);
            const constraint = state.get(`${variable.name}/constraint`) ?? [];
            for (const [at, value] of oracle.constraint(i).entries()) {
              const limit = 2e-4 * Math.abs(value) + 1e-6;
              expect(Math.abs((constraint[at] as number) - value), `${what}: ${at}`).toBeLessThan(limit);
            }
          }
          scales.push(state.get('v0/constraint')?.[0] as number);
        }
        expect(Math.max(...scales)).toBeGreaterThan(1);
        expect(scales.filter((scale) => scale === 0).length).toBeGreaterThan(0);
        expect(scales.at(-1)).toBeGreaterThan(0);
        const reports = await optimizer.constraints();
        expect(reports[0]).toMatchObject({ name: 'v0', scale: scales.at(-1), gamma: null, excluded: false });
        optimizer.dispose();
        for (const variable of variables) variable.dispose();
        expect(tf.memory().numTensors).toBe(tensors);
      },
    );
  },
  ({ backend, implementation }) => implementation === 'reference' || backend === 'wasm',
);

describe('TRAC on the cpu backend', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it('has one scale, from the sums over all variables that are not excluded', async () => {
    const run = async (names: string[], options: { exclude?: string[] } = {}) => {
      const variables = names.map((name) => randomVariable(name, [3, 2], name.length));
      const optimizer = trac.sgd(0.1, { sInit: 0.1, ...options });
      for (let step = 0; step < 6; ++step) {
        const gradients = Object.fromEntries(
          names.map((name) => [name, randomTensor([3, 2], 10 * name.length + (step % 3))]),
        );
        optimizer.applyGradients(gradients);
        tf.dispose(gradients);
      }
      const scales = (await optimizer.constraints()).map(({ scale }) => scale);
      const weights = variables.map((variable) => [...variable.dataSync()]);
      optimizer.dispose();
      for (const variable of variables) variable.dispose();
      return { scales, weights };
    };
    const both = await run(['a', 'bbbb']);
    expect(both.scales[0]).toBe(both.scales[1]);
    const alone = await run(['a']);
    expect(alone.scales[0]).not.toBe(both.scales[0]);
    const excluded = await run(['a', 'bbbb'], { exclude: ['bbbb'] });
    expect(excluded.scales).toEqual([alone.scales[0], undefined]);
    expect(excluded.weights[0]).toEqual(alone.weights[0]);
  });

  it('starts anew where reanchor is called, at the weights of then', async () => {
    const variable = randomVariable('w', [3, 2]);
    const optimizer = trac.sgd(0.1, { sInit: 0.1 });
    for (let step = 0; step < 4; ++step) stepOnce(optimizer, [variable], 1);
    const before = [...variable.dataSync()];
    optimizer.reanchor();
    expect((await optimizer.constraints())[0]?.scale).toBe(0);
    stepOnce(optimizer, [variable], 2);
    const state = await readWeights(optimizer);
    expect([...(state.get('w/anchor') ?? [])]).toEqual(before);
    const constraint = state.get('w/constraint') ?? [];
    const betas = [0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999];
    const sum = betas.reduce((total, beta) => total + erfi64(beta), 0);
    expect(constraint[0]).toBeCloseTo((0.1 * sum) / erfi64(Math.SQRT1_2), 5);
    expect(constraint[6]).toBeCloseTo(1e-8, 13);
    expect([...constraint.slice(7)]).toEqual([0, 0, 0, 0, 0, 0]);
    optimizer.dispose();
  });

  it('around another optimizer: the same weights as with the base update of its own', () => {
    const finish = (optimizer: FtpOptimizer) => {
      const variables = [randomVariable('a', [4, 3], 1), randomVariable('b', [5], 2)];
      for (let step = 0; step < 8; ++step) stepOnce(optimizer, variables, step % 3);
      const result = variables.flatMap((variable) => [...variable.dataSync()]);
      optimizer.dispose();
      for (const variable of variables) variable.dispose();
      return result;
    };
    const here = finish(trac.wrap(tf.train.momentum(0.1, 0.9), { sInit: 0.1 }));
    const there = finish(trac.sgd(0.1, { momentum: 0.9, sInit: 0.1 }));
    for (const [i, value] of here.entries()) expect(value).toBeCloseTo(there[i] as number, 4);
  });

  it('runs in tfjs operations alone, and says why', () => {
    const makers = [
      (implementation: 'auto' | 'native') => trac.adamw(0.1, { implementation }),
      (implementation: 'auto' | 'native') => trac.wrap(tf.train.sgd(0.1), { implementation }),
    ];
    const variable = randomVariable('w', [3]);
    for (const make of makers) {
      const auto = make('auto');
      expect([auto.implementation, auto.fallbackReason]).toEqual([
        'reference',
        "there is no native step of the rule 'trac'",
      ]);
      auto.dispose();
      const native = make('native');
      expect(() => stepOnce(native, [variable], 1)).toThrow("no native step of the rule 'trac'");
      native.dispose();
    }
  });
});
