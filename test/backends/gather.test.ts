/** Sums of the gradients before a step. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';
import { selectImplementation } from '../../src/backends/select.js';
import {
  GATHERED,
  type Implementation,
  NonFiniteGradient,
  type StateSpec,
  type StepSettings,
  type VariableUpdate,
  WANT_SQUARES,
} from '../../src/backends/types.js';
import { adamw } from '../../src/methods/adamw.js';
import { ftp } from '../../src/methods/ftp.js';
import { compose } from '../../src/methods/method.js';
import { randomArray } from '../optimizers/scenario.js';
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

    it('are refused where they are not compiled', () => {
      withUpdates(implementation, [randomArray(3, 1, 1)], (updates) => {
        expect(() => gather(updates, true, 2)).toThrow(/only 1, the sum of squares/);
      });
    });
  },
  ({ runs, implementation }) => implementation === 'native' && runs !== 'tensorflow-gpu',
);
