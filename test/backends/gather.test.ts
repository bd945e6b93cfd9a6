/** Sums of the gradients before a step. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { selectImplementation } from '../../src/backends/select.js';
import {
  GATHERED,
  type Implementation,
  NonFiniteGradient,
  type StateSpec,
  type StepSettings,
  slotsOf,
  type VariableUpdate,
  WANT_SQUARES,
} from '../../src/backends/types.js';
import { hyperGradientSums, wantOf } from '../../src/learn/hyper_gradients.js';
import { adamw } from '../../src/methods/adamw.js';
import { ftp } from '../../src/methods/ftp.js';
import { type BoundMethod, compose, type VariableView } from '../../src/methods/method.js';
import { BASES, RULES } from '../learn/hyper_methods.js';
import { randomArray } from '../optimizers/scenario.js';
import { type Array64, array64, float64Ops, rows64 } from '../reference/float64_ops.js';
import { describeImplementations, useBackend } from './implementations.js';

const SIZES = [5, 33, 140_001];
const METHOD = compose(adamw, ftp).with({});

/** Calls `body` with one update of each size, whose gradients are `gradients`. */
function withUpdates(
  implementation: Implementation,
  gradients: Float32Array[],
  body: (updates: VariableUpdate[]) => void,
): void {
  tf.tidy(() => {
    const updates = gradients.map((values, i): VariableUpdate => {
      const layout = { outer: 1, rows: 1, inner: values.length };
      const spec: StateSpec = {
        name: `v${i}`,
        shape: [values.length],
        layout,
        excluded: false,
        method: METHOD,
      };
      const weights = tf.tensor1d(randomArray(values.length, 1, i));
      const state = implementation.createState(spec, weights);
      const gradient = tf.tensor1d(values);
      return { spec, state, weights, gradient, proposal: null, t: 1, n: 1, fromWeights: true };
    });
    try {
      body(updates);
    } finally {
      for (const { state } of updates) implementation.disposeState(state);
    }
  });
}

const settingsOf = (checkFinite: boolean): StepSettings => {
  return { method: METHOD, values: METHOD.values(1e-2), checkFinite, threads: 2 };
};

/** Four steps, each of which is asked for its hyper-gradients, by the formulas of tfjs on the state that it left. */
function compareWithFloat64(implementation: Implementation, all: BoundMethod, excluded: boolean): void {
  const shape = [7, 5];
  const layout = { outer: 7, rows: 5, inner: 1 };
  const method = excluded ? all.plain : all;
  const spec: StateSpec = { name: 'v', shape, layout, excluded, method, keepGradient: true };
  const want = wantOf(['learningRate', 'weightDecay', 'beta1', 'beta2', 'strength']);
  const values = all.values(0.02);
  const settings = { method: all, values, checkFinite: true, threads: 1, keepGradient: true };
  const anchor = randomArray(35, 1, 1);
  let weights: tf.Tensor = tf.tensor(
    anchor.map((a, i) => a + 0.1 * Math.sin(i)),
    shape,
  );
  const given = method.has('anchor') ? tf.tensor(anchor, shape) : null;
  const state = implementation.createState(spec, given);
  given?.dispose();
  const read = (slot: string) => {
    const tensor = implementation.read(state, slot);
    return array64(tensor.dataSync(), tensor.shape);
  };
  const base = { spec, state, proposal: null };
  for (let t = 1; t <= 4; ++t) {
    tf.tidy(() => {
      const last: { t: number; n: number; fromWeights: boolean } = { t, n: t, fromWeights: t === 1 };
      // Outwards, or back, so that SPD and DiGraP act.
      const sign = all.rule.name === 'digrap' ? -1.5 : 1;
      const now = weights.dataSync();
      const gradient = tf.tensor(
        randomArray(35, 1, 10 + t).map((g, i) => g + sign * ((now[i] as number) - (anchor[i] as number))),
        shape,
      );
      const [after] = implementation.step(settings, [{ ...base, weights, gradient, ...last }]) as [tf.Tensor];
      weights.dispose();
      weights = tf.keep(after);
      const next = tf.tensor(randomArray(35, 1, 50 + t), shape);
      const update = { ...base, weights, gradient: next, ...last, fromWeights: false };
      const sums = implementation.gather?.(settings, [update], want) as Float64Array;
      const slots = Object.fromEntries(slotsOf(spec).map(({ name }) => [name, read(name)]));
      const g = array64(next.dataSync(), shape);
      const view = {
        w: array64(weights.dataSync(), shape),
        g,
        proposal: null,
        slots,
        rows: rows64(5),
        ...last,
        fromWeights: false,
        totals: null,
      } as unknown as VariableView;
      const expected = hyperGradientSums(float64Ops, method, values, view, want) as unknown as Array64[];
      const gg = g.data.reduce((sum, x) => sum + x * x, 0);
      expect(Math.abs((sums[0] as number) / gg - 1)).toBeLessThan(1e-12);
      for (let i = 1; i < GATHERED; i += 2) {
        const [h, xx] = [expected[i - 1]?.data[0] as number, expected[i]?.data[0] as number];
        expect(Math.abs((sums[i] as number) - h), `h ${i} of step ${t}`).toBeLessThanOrEqual(
          1e-5 * Math.sqrt(gg * xx) + 1e-6,
        );
        expect(Math.abs((sums[i + 1] as number) - xx), `sum X^2 ${i} of step ${t}`).toBeLessThanOrEqual(
          1e-5 * xx + 1e-9,
        );
      }
      const assigned = { ...update, fromWeights: true };
      const without = implementation.gather?.(settings, [assigned], want) as Float64Array;
      // Added up in another order: no row matters.
      expect(Math.abs((without[0] as number) / gg - 1)).toBeLessThan(1e-12);
      expect([...without.subarray(1)]).toEqual(new Array(GATHERED - 1).fill(0));
    });
  }
  weights.dispose();
  implementation.disposeState(state);
}

describeImplementations(
  'sums of the gradients',
  (which) => {
    let implementation: Implementation;
    const gather = (updates: VariableUpdate[], checkFinite = true, want = WANT_SQUARES) =>
      (implementation.gather as NonNullable<Implementation['gather']>)(
        settingsOf(checkFinite),
        updates,
        want,
      );
    beforeAll(async () => {
      await useBackend(which);
      ({ implementation } = selectImplementation('native', METHOD));
    });

    it('are those of float64, squares that float32 does not hold too', () => {
      const gradients = SIZES.map((size, i) => randomArray(size, 1, 7 + i));
      (gradients[1] as Float32Array)[3] = 3e25;
      withUpdates(implementation, gradients, (updates) => {
        const before = tf.memory().numTensors;
        const numbers = gather(updates);
        expect(tf.memory().numTensors).toBe(before);
        expect(numbers.length).toBe(GATHERED * SIZES.length);
        for (const [i, values] of gradients.entries()) {
          const expected = values.reduce((sum, g) => sum + g * g, 0);
          const [squares, ...others] = numbers.subarray(GATHERED * i, GATHERED * (i + 1));
          expect(Math.abs((squares as number) / expected - 1)).toBeLessThan(1e-12);
          expect(others).toEqual(new Array(GATHERED - 1).fill(0));
        }
      });
    });

    it('come with the check where it is asked for', () => {
      const gradients = SIZES.map((size, i) => randomArray(size, 1, 7 + i));
      (gradients[2] as Float32Array)[139_999] = Number.NaN;
      withUpdates(implementation, gradients, (updates) => {
        expect(() => gather(updates)).toThrow(NonFiniteGradient);
        expect(() => gather(updates)).toThrow('gradient 2 ');
        expect(gather(updates, false)[2 * GATHERED]).toBeNaN();
      });
    });

    it('are refused where the states lack what they need', () => {
      withUpdates(implementation, [randomArray(3, 1, 1)], (updates) => {
        expect(() => gather(updates, true, 8)).toThrow(/needs the slot 'gradient'/);
        expect(() => gather(updates, true, 64)).toThrow(/what is wanted must be bits of 63/);
        expect([...gather(updates, true, 63 & ~24)].slice(1)).toEqual(new Array(GATHERED - 1).fill(0));
      });
    });

    describe.each(RULES)('of hyper-gradients, %s', (_rule, rule, ruleOptions) => {
      it.each(BASES)('around %s, are those of float64', (_base, base, baseOptions) => {
        const method = compose(base, rule).with({ ...baseOptions, ...ruleOptions });
        for (const excluded of [false, true]) compareWithFloat64(implementation, method, excluded);
      });
    });
  },
  ({ implementation }) => implementation === 'native',
);
