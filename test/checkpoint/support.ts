/** What the tests of checkpoints share: a model whose training is reproducible, and its bits. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as tfdata from '@tensorflow/tfjs-data';
import * as layers from '@tensorflow/tfjs-layers';
import type { BatchSource } from '../../src/checkpoint/index.js';

export { layers, tf, tfdata };

let models = 0;

/** The same start every time; names differ by tfjs's suffixes alone. */
export function makeModel(optimizer: tf.Optimizer | null, units = 4): layers.Sequential {
  const kernelInitializer = () => layers.initializers.glorotUniform({ seed: 3 });
  const model = layers.sequential({
    name: `model${++models}`,
    layers: [
      layers.layers.dense({ name: 'one', units, inputShape: [2], kernelInitializer: kernelInitializer() }),
      layers.layers.batchNormalization({ name: 'norm' }),
      layers.layers.dense({ name: 'two', units: 1, kernelInitializer: kernelInitializer() }),
    ],
  });
  if (optimizer !== null) model.compile({ optimizer, loss: 'meanSquaredError' });
  return model;
}

/** Ten examples in batches of 3: four batches per pass, the last of one example. */
export const examples = Array.from({ length: 10 }, (_, i) => ({
  xs: [Math.sin(i), Math.cos(i)],
  ys: [i / 10],
}));

export type Batch = { xs: tf.Tensor; ys: tf.Tensor };

export const shuffled = (): BatchSource<Batch> =>
  tfdata.array(examples).shuffle(10, 'seed').batch(3) as unknown as BatchSource<Batch>;

export const bits = (tensor: tf.Tensor): string =>
  tensor.dtype === 'string'
    ? JSON.stringify(tensor.dataSync()).replace(/_\d+\\":/g, '\\":') // tfjs numbers names that are taken
    : Buffer.from((tensor.dataSync() as Float32Array).slice().buffer).toString('hex');

export const weightBits = (model: layers.LayersModel): string[] =>
  model.weights.map((weight) => bits(weight.read()));

export async function optimizerBits(optimizer: tf.Optimizer): Promise<string[]> {
  const weights = await optimizer.getWeights();
  const all = weights.map(({ tensor }) => bits(tensor));
  // tfjs's optimizers give their own variables, this package's give copies.
  for (const { tensor } of weights) if (!(tensor instanceof tf.Variable)) tensor.dispose();
  return all;
}
