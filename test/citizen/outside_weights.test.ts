/**
 * Weights that the user sets between steps are where the next step starts, whichever way they were set: compared
 * with the float64 oracle, which forms the deviation anew from the weights that it finds.
 */
import * as tf from '@tensorflow/tfjs-core';
import type * as layers from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { type FtpOptimizer, ftp } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { numbers, randomTensor, randomVariable } from '../optimizers/support.js';
import { layoutOf, ORACLE_DEFAULTS, type OracleOptions, OracleVariable } from '../reference/ftp_float64.js';
import { bytesOf, denseModel, MAKERS, range, resetWeights, train, weightBytes } from './support.js';

const SHAPE: [number, number] = [6, 5];
const RATE = 0.02;

const makers = {
  sgd: {
    oracle: { base: 'sgd', momentum: 0.9 },
    make: (options: object) => ftp.sgd(RATE, { ...options, momentum: 0.9 }),
  },
  adamw: {
    oracle: { base: 'adamw', weightDecay: 0.1 },
    make: (options: object) => ftp.adamw(RATE, { ...options, weightDecay: 0.1 }),
  },
  'adamw with amsgrad': {
    oracle: { base: 'adamw', amsgrad: true },
    make: (options: object) => ftp.adamw(RATE, { ...options, amsgrad: true }),
  },
} satisfies Record<string, { oracle: Partial<OracleOptions>; make: (options: object) => FtpOptimizer }>;

/** Weights near the anchor, so that the projection has something to do. */
const near = (anchor: Float32Array, seed: number) =>
  anchor.map((a, i) => a + 0.03 * (numbers(anchor.length, seed)[i] as number));

/** Every way of setting weights from outside; steps 0, 1, ... come before and after. */
const ways: Record<string, (variable: tf.Variable, values: Float32Array) => void> = {
  assign: (variable, values) => tf.tidy(() => variable.assign(tf.tensor(values, variable.shape))),
  'assign of a computed value': (variable, values) =>
    tf.tidy(() => variable.assign(tf.add(tf.mul(variable, 0), tf.tensor(values, variable.shape)))),
  'assign twice': (variable, values) =>
    tf.tidy(() => {
      variable.assign(tf.zerosLike(variable));
      variable.assign(tf.tensor(values, variable.shape));
    }),
  'a step of another optimizer': (variable, values) =>
    tf.tidy(() => {
      const sgd = tf.train.sgd(1);
      sgd.applyGradients({ [variable.name]: tf.sub(variable, tf.tensor(values, variable.shape)) });
      sgd.dispose();
    }),
};

describeImplementations('weights set from outside', (implementation) => {
  const options = { implementation: implementation.implementation } as const;

  beforeAll(() => useBackend(implementation));
  afterEach(() => tf.disposeVariables());

  const cases = Object.entries(makers).flatMap(([name, { oracle, make }]) =>
    Object.entries(ways).map(([way, set]) => ({ name, way, oracle, make, set })),
  );

  it.each(cases)('$name, by $way: as the float64 oracle', ({ oracle, make, set }) => {
    const variable = randomVariable('w', SHAPE, 5);
    const anchor = variable.dataSync().slice() as Float32Array;
    const reference = new OracleVariable(
      { ...ORACLE_DEFAULTS, ...oracle },
      { layout: layoutOf(SHAPE, 1), weights: anchor },
    );
    const ignorant = new OracleVariable(
      { ...ORACLE_DEFAULTS, ...oracle },
      { layout: layoutOf(SHAPE, 1), weights: anchor, form: 'state' },
    );
    const optimizer = make(options);
    let ignoredAlike = true;
    for (const step of range(8)) {
      if (step === 3 || step === 6) {
        const values = near(anchor, 50 + step);
        set(variable, values);
        reference.assign(variable.dataSync());
      }
      // A direction that holds, so that the radius grows, and some noise.
      const gradient = tf.tidy(() =>
        tf.add(randomTensor(SHAPE, 9), tf.mul(randomTensor(SHAPE, 20 + step), 0.3)),
      );
      optimizer.applyGradients({ w: gradient });
      reference.step(RATE, gradient.dataSync());
      ignorant.step(RATE, gradient.dataSync());
      gradient.dispose();
      const weights = variable.dataSync();
      const differences = (oracle: OracleVariable) =>
        Math.max(...oracle.weights.map((w, i) => Math.abs(w - (weights[i] as number))));
      expect(differences(reference), `after step ${step}`).toBeLessThan(2e-6);
      ignoredAlike &&= differences(ignorant) < 2e-6;
    }
    expect(ignoredAlike).toBe(false); // the tolerance tells respected from ignored
    optimizer.dispose();
  });

  /** Sets all weights of a model through tfjs-layers. */
  const modelWays: Record<string, (model: layers.LayersModel, values: tf.Tensor[]) => void> = {
    setWeights: (model, values) => model.setWeights(values),
    loadWeights: (model, values) => {
      const named = Object.fromEntries(model.weights.map(({ originalName }, i) => [originalName, values[i]]));
      model.loadWeights(named as tf.NamedTensorMap);
    },
    'layer.setWeights': (model, values) => {
      for (const [i, layer] of model.layers.entries()) layer.setWeights(values.slice(2 * i, 2 * i + 2));
    },
  };

  it.each(Object.entries(modelWays))(
    'model %s between steps is variable.assign, to the bit',
    async (_, set) => {
      for (const name of ['adamw', 'wrap(adam)']) {
        const make = MAKERS[name] as (typeof MAKERS)[string];
        const run = async (assign?: (model: layers.LayersModel, values: tf.Tensor[]) => void) => {
          const model = denseModel();
          const optimizer = make(options);
          model.compile({ optimizer, loss: 'categoricalCrossentropy' });
          await train(model, range(3));
          const values = model
            .getWeights()
            .map((weight, i) =>
              tf.tidy(() => tf.add(weight, tf.mul(randomTensor(weight.shape, 60 + i), 0.02))),
            );
          assign?.(model, values);
          expect(String(weightBytes(model)) === String(values.map(bytesOf))).toBe(assign !== undefined);
          await train(model, range(3, 3));
          const result = weightBytes(model);
          expect(result).not.toEqual(values.map(bytesOf));
          tf.dispose(values);
          optimizer.dispose();
          model.dispose();
          return result;
        };
        const assigned = await run((model, values) => {
          for (const [i, weight] of model.weights.entries()) {
            (weight.read() as tf.Variable).assign(values[i] as tf.Tensor);
          }
        });
        expect(await run(set)).toEqual(assigned);
        expect(await run()).not.toEqual(assigned);
      }
    },
  );

  it('setWeights back to the anchor, as in early stopping, starts from the anchor and keeps the moments', async () => {
    const model = denseModel();
    const optimizer = MAKERS.adamw?.(options) as FtpOptimizer;
    model.compile({ optimizer, loss: 'categoricalCrossentropy' });
    await train(model, range(4));
    resetWeights(model);
    await train(model, [4]);
    const [report] = await optimizer.constraints();
    expect(report?.maxNorm).toBeGreaterThan(1e-8);
    expect(optimizer.iterations).toBe(5);
    const distance = tf.tidy(() => {
      const moved = model.getWeights()[0] as tf.Tensor;
      const start = denseModel().getWeights()[0] as tf.Tensor;
      return tf.max(tf.abs(tf.sub(moved, start))).dataSync()[0] as number;
    });
    expect(distance).toBeLessThan(0.02); // one step of Adam away at most, not five
    expect(distance).toBeGreaterThan(0);
    optimizer.dispose();
    model.dispose();
  });
});
