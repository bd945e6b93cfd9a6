/** The ways into a step that tfjs has: they are one and the same step. */
import * as tf from '@tensorflow/tfjs-core';
import * as data from '@tensorflow/tfjs-data';
import type * as layers from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { type FtpOptimizer, ftp } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import {
  batch,
  bytesOf,
  denseModel,
  MAKERS,
  range,
  resetWeights,
  stateBytes,
  weightBytes,
} from './support.js';

const STEPS = 5;
const LOSS = 'categoricalCrossentropy';

/** The same batches as a data set. */
function dataset() {
  return data.generator(function* () {
    for (const step of range(STEPS)) yield batch(step);
  });
}

/** The loss that `LOSS` stands for, written by hand. */
function loss(model: layers.LayersModel, step: number): () => tf.Scalar {
  return () => {
    const { xs, ys } = batch(step);
    const predicted = model.apply(xs) as tf.Tensor2D;
    const clipped = tf.clipByValue(predicted, 1e-7, 1 - 1e-7);
    return tf.mean(tf.neg(tf.sum(tf.mul(ys, tf.log(clipped)), 1))) as tf.Scalar;
  };
}

describeImplementations('the tfjs interface', (implementation) => {
  const options = { implementation: implementation.implementation } as const;

  beforeAll(() => useBackend(implementation));
  afterEach(() => tf.disposeVariables());

  /** Trains from the same start; the bytes of weights and state after that. */
  async function outcome(
    make: (typeof MAKERS)[string],
    run: (model: layers.Sequential, optimizer: FtpOptimizer) => unknown,
  ) {
    const model = denseModel();
    const optimizer = make(options);
    model.compile({ optimizer, loss: LOSS });
    await run(model, optimizer);
    expect(optimizer.implementation).toBe(implementation.runs);
    const state = Object.values(await stateBytes(optimizer));
    const result = { weights: weightBytes(model), state };
    optimizer.dispose();
    model.dispose();
    return result;
  }

  it.each(Object.entries(MAKERS))(
    '%s: fit, fitDataset and trainOnBatch agree to the bit',
    async (_, make) => {
      const single = await outcome(make, async (model) => {
        for (const step of range(STEPS)) {
          const { xs, ys } = batch(step);
          await model.trainOnBatch(xs, ys);
          tf.dispose([xs, ys]);
        }
      });
      const fit = await outcome(make, async (model) => {
        const batches = range(STEPS).map(batch);
        const xs = tf.concat(batches.map((one) => one.xs));
        const ys = tf.concat(batches.map((one) => one.ys));
        const history = await model.fit(xs, ys, { batchSize: 4, epochs: 1, shuffle: false, verbose: 0 });
        expect(history.history.loss).toHaveLength(1);
        tf.dispose([batches, xs, ys]);
      });
      const fitDataset = await outcome(make, (model) =>
        model.fitDataset(dataset(), { epochs: 1, batchesPerEpoch: STEPS, verbose: 0 }),
      );
      expect(fit).toEqual(single);
      expect(fitDataset).toEqual(single);
      expect(single.weights).not.toEqual(weightBytes(denseModel()));
    },
  );

  it.each(Object.entries(MAKERS))(
    '%s: minimize, applyGradients with a map and with an array agree to the bit',
    async (_, make) => {
      const trainable = (model: layers.LayersModel) =>
        model.trainableWeights.map((weight) => weight.read() as tf.Variable);
      const minimize = await outcome(make, (model, optimizer) => {
        for (const step of range(STEPS)) {
          const cost = optimizer.minimize(loss(model, step), true, trainable(model));
          expect(Number.isFinite(cost?.dataSync()[0])).toBe(true);
          cost?.dispose();
        }
      });
      const map = await outcome(make, (model, optimizer) => {
        for (const step of range(STEPS)) {
          const { value, grads } = tf.variableGrads(loss(model, step), trainable(model));
          optimizer.applyGradients(grads);
          tf.dispose([value, grads]);
        }
      });
      const array = await outcome(make, (model, optimizer) => {
        for (const step of range(STEPS)) {
          const { value, grads } = tf.variableGrads(loss(model, step), trainable(model));
          const named = Object.entries(grads).map(([name, tensor]) => ({ name, tensor }));
          optimizer.applyGradients(step % 2 === 0 ? named : named.reverse());
          tf.dispose([value, grads]);
        }
      });
      expect(map).toEqual(minimize);
      expect(array).toEqual(minimize);
    },
  );

  it('minimize without a list of variables takes all trainable ones, and gives no cost unless asked', () => {
    const model = denseModel();
    const optimizer = MAKERS.adamw?.(options) as FtpOptimizer;
    expect(optimizer.minimize(loss(model, 0))).toBeNull();
    expect(optimizer.minimize(loss(model, 1), false)).toBeNull();
    expect(optimizer.iterations).toBe(2);
    expect(bytesOf(model.getWeights()[2] as tf.Tensor)).not.toBe(
      bytesOf(denseModel().getWeights()[2] as tf.Tensor),
    );
    optimizer.dispose();
    model.dispose();
  });

  it('steps inside of tf.tidy are the same steps, and the state outlives the tidy', async () => {
    const steps = (model: layers.LayersModel, optimizer: FtpOptimizer, wrapped: boolean) => {
      for (const step of range(STEPS)) {
        const work = () => {
          const { value, grads } = tf.variableGrads(loss(model, step));
          optimizer.applyGradients(grads);
          return value;
        };
        tf.dispose(wrapped ? tf.tidy(work) : work());
      }
    };
    for (const make of Object.values(MAKERS)) {
      const plain = await outcome(make, (model, optimizer) => steps(model, optimizer, false));
      const tidied = await outcome(make, (model, optimizer) => steps(model, optimizer, true));
      expect(tidied).toEqual(plain);
    }
  });

  it('a learning rate function is asked once a step, and is the same as setting the rate', async () => {
    const rate = (step: number) => 0.02 / (1 + step);
    const asked: number[] = [];
    const scheduled = ftp.adamw(
      (step) => {
        asked.push(step);
        return rate(step);
      },
      { ...options, exclude: ['head'] },
    );
    const set = ftp.adamw(1, { ...options, exclude: ['head'] });
    const model = denseModel();
    model.compile({ optimizer: scheduled, loss: LOSS });
    await model.fitDataset(dataset(), { epochs: 1, batchesPerEpoch: STEPS, verbose: 0 });
    expect(asked).toEqual(range(STEPS));
    const expected = weightBytes(model);
    resetWeights(model);
    model.compile({ optimizer: set, loss: LOSS });
    for (const step of range(STEPS)) {
      const { xs, ys } = batch(step);
      set.learningRate = rate(step);
      await model.trainOnBatch(xs, ys);
      tf.dispose([xs, ys]);
    }
    expect(weightBytes(model)).toEqual(expected);
    scheduled.dispose();
    set.dispose();
    model.dispose();
  });
});
