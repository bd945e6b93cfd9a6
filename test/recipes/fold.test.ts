// Batch normalization computed within the layer before it: the same function and gradients as when it is frozen.
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { recipes } from '../../src/index.js';
import { randomTensor } from '../optimizers/support.js';
import { changed, values } from './support.js';

const { layers } = tf;

/** Sets all weights to random values, variances to positive ones. */
function randomize(model: tf.LayersModel): void {
  for (const [i, weight] of model.weights.entries()) {
    const value = randomTensor(weight.shape as number[], 70 + i);
    const positive = weight.originalName.includes('variance');
    weight.write(tf.tidy(() => (positive ? value.abs().add(0.2) : value.clone())));
    value.dispose();
  }
}

/** Outputs on `xs`, and the gradients of their squared mean, by variable. */
function results(model: tf.LayersModel, xs: tf.Tensor): Record<string, number[]> {
  return tf.tidy(() => {
    const { value, grads } = tf.variableGrads(() =>
      (model.apply(xs, { training: true }) as tf.Tensor).square().mean<tf.Scalar>(),
    );
    const all = { ...grads, loss: value, predicted: model.predict(xs) as tf.Tensor };
    return Object.fromEntries(Object.entries(all).map(([name, tensor]) => [name, [...tensor.dataSync()]]));
  });
}

/** The kernels that one prediction runs. */
async function kernels(model: tf.LayersModel, xs: tf.Tensor): Promise<string[]> {
  const { kernelNames } = await tf.profile(() => model.predict(xs) as tf.Tensor);
  return kernelNames;
}

function expectClose(actual: Record<string, number[]>, expected: Record<string, number[]>): void {
  expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, values] of Object.entries(expected)) {
    const scale = Math.max(...values.map(Math.abs), 1e-3);
    const error = Math.max(...values.map((value, i) => Math.abs(value - (actual[name]?.[i] as number))));
    expect(error / scale, name).toBeLessThan(2e-5);
  }
}

const norm = (args = {}) => layers.batchNormalization(args);
const MODELS: [string, number[], () => tf.layers.Layer[]][] = [
  [
    'a convolution',
    [6, 5, 2],
    () => [
      layers.conv2d({ inputShape: [6, 5, 2], filters: 3, kernelSize: 3, strides: 2, useBias: false }),
      norm({ epsilon: 1e-2 }),
    ],
  ],
  [
    'one with a bias, before an activation of its own layer',
    [6, 5, 2],
    () => [layers.conv2d({ inputShape: [6, 5, 2], filters: 3, kernelSize: 2 }), norm(), layers.reLU()],
  ],
  [
    'a depthwise convolution with a multiplier',
    [5, 5, 3],
    () => [
      layers.depthwiseConv2d({ inputShape: [5, 5, 3], kernelSize: 3, depthMultiplier: 2, useBias: false }),
      norm({ axis: 3 }),
    ],
  ],
  [
    'a convolution along one axis',
    [7, 2],
    () => [layers.conv1d({ inputShape: [7, 2], filters: 4, kernelSize: 3 }), norm()],
  ],
  ['a dense layer', [4], () => [layers.dense({ inputShape: [4], units: 3 }), norm()]],
];

describe('foldBatchNorm', () => {
  it.each(MODELS)('leaves the function and the gradients of %s as they are', async (_, shape, build) => {
    const model = tf.sequential({ layers: build() });
    randomize(model);
    const xs = randomTensor([3, ...shape], 5);
    const unfreeze = recipes.freezeBatchNorm(model);
    const frozen = results(model, xs);
    expect(await kernels(model, xs)).toContain('FusedBatchNorm');
    unfreeze();
    const before = tf.memory().numTensors;
    const unfold = recipes.foldBatchNorm(model);
    expect(await kernels(model, xs)).not.toContain('FusedBatchNorm');
    expectClose(results(model, xs), frozen);
    unfold();
    expect(await kernels(model, xs)).toContain('FusedBatchNorm');
    expect(tf.memory().numTensors - before).toBeLessThanOrEqual(2); // the two predictions of `kernels`
  });

  // Frozen alone, such layers cannot be trained: tfjs has no gradient for them.
  it.each([{ scale: false }, { center: false }])('does so with %j', (args) => {
    const model = tf.sequential({
      layers: [layers.conv1d({ inputShape: [5, 2], filters: 3, kernelSize: 2 }), norm(args)],
    });
    randomize(model);
    const xs = randomTensor([2, 5, 2], 9);
    const predicted = () => [...(model.predict(xs) as tf.Tensor).dataSync()];
    const frozen = predicted();
    recipes.foldBatchNorm(model);
    expectClose({ predicted: predicted() }, { predicted: frozen });
    expect(Object.values(results(model, xs)).flat().every(Number.isFinite)).toBe(true);
  });

  it('freezes alone what cannot be folded', async () => {
    const input = tf.input({ shape: [6, 6, 2] });
    const conv = layers
      .conv2d({ filters: 2, kernelSize: 3, padding: 'same' })
      .apply(input) as tf.SymbolicTensor;
    const twice = norm({ name: 'after_two_uses' }).apply(conv) as tf.SymbolicTensor;
    const activated = layers
      .conv2d({ filters: 2, kernelSize: 1, activation: 'relu' })
      .apply(twice) as tf.SymbolicTensor;
    const sum = layers
      .add()
      .apply([norm({ name: 'after_an_activation' }).apply(activated) as tf.SymbolicTensor, conv]);
    const model = tf.model({ inputs: input, outputs: sum as tf.SymbolicTensor });
    randomize(model);
    const xs = randomTensor([2, 6, 6, 2], 6);
    recipes.freezeBatchNorm(model);
    const frozen = results(model, xs);
    recipes.foldBatchNorm(model);
    expect(await kernels(model, xs)).toContain('FusedBatchNorm');
    expectClose(results(model, xs), frozen);
  });

  it('is undone once per call, and in any order with freezing', async () => {
    const model = tf.sequential({
      layers: [layers.dense({ inputShape: [3], units: 2 }), norm(), layers.dense({ units: 1 })],
    });
    const xs = randomTensor([4, 3], 7);
    const [first, second] = [recipes.foldBatchNorm(model), recipes.foldBatchNorm(model)];
    const unfreeze = recipes.freezeBatchNorm(model);
    first();
    first();
    expect(await kernels(model, xs)).not.toContain('FusedBatchNorm');
    second();
    expect(await kernels(model, xs)).toContain('FusedBatchNorm');
    const before = values(model);
    model.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' });
    const ys = tf.ones([4, 1]);
    await model.trainOnBatch(xs, ys);
    expect(changed(before, values(model)).filter((name) => name.includes('moving_'))).toEqual([]);
    unfreeze();
    await model.trainOnBatch(xs, ys);
    expect(changed(before, values(model)).filter((name) => name.includes('moving_'))).toHaveLength(2);
    for (const layer of model.layers) expect(Object.hasOwn(layer, 'call')).toBe(false);
  });

  it('finds pairs in a nested model, and takes the values that weights have when it runs', async () => {
    const inner = tf.sequential({
      layers: [layers.conv2d({ inputShape: [4, 4, 1], filters: 2, kernelSize: 3 }), norm()],
    });
    const model = tf.sequential({ layers: [inner, layers.flatten(), layers.dense({ units: 1 })] });
    recipes.foldBatchNorm(model);
    randomize(model);
    const xs = randomTensor([2, 4, 4, 1], 8);
    expect(await kernels(model, xs)).not.toContain('FusedBatchNorm');
    const folded = results(model, xs);
    const copy = tf.sequential({
      layers: [
        layers.conv2d({ inputShape: [4, 4, 1], filters: 2, kernelSize: 3 }),
        norm(),
        layers.flatten(),
        layers.dense({ units: 1 }),
      ],
    });
    copy.setWeights(model.getWeights());
    const predicted = [...(copy.predict(xs) as tf.Tensor).dataSync()];
    expectClose({ predicted: folded.predicted as number[] }, { predicted });
  });

  it('refuses what is no model', () => {
    expect(() => recipes.foldBatchNorm(3 as never)).toThrow('model must be a tf.LayersModel, got 3');
  });
});
