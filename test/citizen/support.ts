/** What the citizen tests share: small models and data with fixed numbers, and bytewise snapshots. */
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import {
  digrap,
  FtpError,
  type FtpOptimizer,
  type FtpOptions,
  fixedRadius,
  ftp,
  l2sp,
  spd,
  trac,
} from '../../src/index.js';
import { numbers, randomTensor } from '../optimizers/support.js';

/** Options that every optimizer has, all at once. */
const TRAINING = {
  groups: [{ match: (_name: string, shape: number[]) => shape.length === 1, constraintLearningRate: 0.02 }],
  globalClipNorm: 0.3,
  ema: { momentum: 0.9, warmup: true },
};

/** Optimizers of every kind, excluding variables with `head` in their names unless told otherwise. */
export const MAKERS: Readonly<Record<string, (options: FtpOptions) => FtpOptimizer>> = {
  sgd: (options) => ftp.sgd(0.05, { momentum: 0.9, exclude: ['head'], ...options }),
  adamw: (options) => ftp.adamw(0.01, { weightDecay: 0.01, exclude: ['head'], ...options }),
  'adamw with amsgrad': (options) => ftp.adamw(0.01, { amsgrad: true, exclude: ['head'], ...options }),
  'wrap(adam)': (options) => ftp.wrap(tf.train.adam(0.01), { exclude: ['head'], ...options }),
  fixedRadius: (options) => fixedRadius.adamw(0.01, { radius: 0.02, exclude: ['head'], ...options }),
  l2sp: (options) => l2sp.adamw(0.01, { strength: 2, exclude: ['head'], ...options }),
  digrap: (options) => digrap.sgd(0.05, { momentum: 0.9, exclude: ['head'], ...options }),
  spd: (options) => spd.sgd(0.05, { momentum: 0.9, strength: 0.5, exclude: ['head'], ...options }),
  'adamw, grouped, clipped and averaged': (options) =>
    ftp.adamw(0.01, {
      weightDecay: 0.01,
      decayMatricesOnly: true,
      exclude: ['head'],
      ...TRAINING,
      ...options,
    }),
  'wrap(adam), grouped, clipped and averaged': (options) =>
    ftp.wrap(tf.train.adam(0.01), { exclude: ['head'], ...TRAINING, ...options }),
};

/** The same where there is no native step, and tfjs operations always: rules that change another optimizer's gradient, TRAC. */
export const REFERENCE_MAKERS: typeof MAKERS = {
  'digrap.wrap(adam)': (options) =>
    digrap.wrap(tf.train.adam(0.01), { exclude: ['head'], ...options, implementation: 'reference' }),
  'l2sp.wrap(adam)': (options) => {
    const own = { strength: 2, strengthByDepth: 'linear' } as const;
    return l2sp.wrap(tf.train.adam(0.01), {
      ...own,
      exclude: ['head'],
      ...options,
      implementation: 'reference',
    });
  },
  'l2sp.wrap(adam), coupled': (options) => {
    const own = { strength: 2, coupled: true, exclude: ['head'] };
    return l2sp.wrap(tf.train.adam(0.01), { ...own, ...options, implementation: 'reference' });
  },
  trac: (options) =>
    trac.adamw(0.01, { sInit: 0.05, exclude: ['head'], ...options, implementation: 'reference' }),
  'trac.wrap(adam)': (options) => {
    const own = { sInit: 0.05, exclude: ['head'] };
    return trac.wrap(tf.train.adam(0.01), { ...own, ...options, implementation: 'reference' });
  },
};

/** Values of weight `i` of a model: the same in every test and process. */
function initialWeights(shape: number[], i: number): tf.Tensor {
  const values = numbers(tf.util.sizeFromShape(shape), 100 + i).map((x) => 0.5 * x);
  return tf.tensor(values, shape);
}

/** Gives a model the weights that every test starts from. */
export function resetWeights(model: layers.LayersModel): void {
  const values = model.getWeights().map((weight, i) => initialWeights(weight.shape, i));
  model.setWeights(values);
  tf.dispose(values);
}

/** Two dense layers, `body` and `head`; 5 numbers in, 3 classes out. */
export function denseModel(): layers.Sequential {
  const model = layers.sequential();
  model.add(layers.layers.dense({ units: 7, inputShape: [5], activation: 'tanh', name: 'body' }));
  model.add(layers.layers.dense({ units: 3, activation: 'softmax', name: 'head' }));
  resetWeights(model);
  return model;
}

export type Batch = { xs: tf.Tensor2D; ys: tf.Tensor2D };

/** A batch of 4 examples for {@link denseModel}; the caller's to dispose. */
export function batch(seed: number): Batch {
  const xs = randomTensor([4, 5], 1000 + seed) as tf.Tensor2D;
  const ys = tf.tidy(() => tf.cast(tf.oneHot([0, 1, 2, seed % 3], 3), 'float32')) as tf.Tensor2D;
  return { xs, ys };
}

/** One `trainOnBatch` for each seed. */
export async function train(model: layers.LayersModel, seeds: Iterable<number>): Promise<void> {
  for (const seed of seeds) {
    const { xs, ys } = batch(seed);
    await model.trainOnBatch(xs, ys);
    tf.dispose([xs, ys]);
  }
}

/** 0, 1, ..., count - 1, from `start` on. */
export function range(count: number, start = 0): number[] {
  return Array.from({ length: count }, (_, i) => start + i);
}

/** The bytes of a tensor, as hexadecimal text. */
export function bytesOf(tensor: tf.Tensor): string {
  const { buffer, byteOffset, byteLength } = tensor.dataSync() as Float32Array;
  return Buffer.from(buffer, byteOffset, byteLength).toString('hex');
}

/** The bytes of all weights in the order of the layers; names are left out, since tfjs changes them. */
export function weightBytes(model: layers.LayersModel): string[] {
  return model.layers.flatMap((layer) => layer.getWeights()).map(bytesOf);
}

/** The bytes of an optimizer's whole state by name, and its counters. */
export async function stateBytes(optimizer: FtpOptimizer): Promise<Record<string, string | number>> {
  const result: Record<string, string | number> = {
    iterations: optimizer.iterations,
    skippedSteps: optimizer.skippedSteps,
  };
  for (const { name, tensor } of await optimizer.getWeights()) {
    result[name] = bytesOf(tensor);
    tensor.dispose();
  }
  return result;
}

/** Everything that a failed step must leave as it was, bytewise. */
export async function everything(optimizer: FtpOptimizer, variables: readonly tf.Variable[]) {
  return {
    weights: variables.map(({ name }, i) => [name, bytesOf(variables[i] as tf.Variable)]),
    state: await stateBytes(optimizer),
    tensors: tf.memory().numTensors,
  };
}

/** The code of the FtpError that `action` throws; other errors pass through. */
export function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof FtpError) return error.code;
    throw error;
  }
  return 'nothing was thrown';
}
