/** What the tests of recipes share: models, data, weights as numbers, and the stored tables. */
import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect } from 'vitest';
import { randomTensor } from '../optimizers/support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

export function fixture<T>(name: string): T {
  const url = new URL(`../fixtures/golden2/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as T;
}

export interface StoredParam {
  name: string;
  shape: number[];
  init: number[];
  anchor: number[];
}

let models = 0;

/** A layer that has variables of given names and shapes and no function: for tables that come without a model. */
class Weights extends tf.layers.Layer {
  static className = 'TestWeights';

  constructor(params: { name: string; shape: number[] }[]) {
    super({ name: `weights_${models++}` });
    for (const { name, shape } of params) {
      this.addWeight(name, shape, 'float32', tf.initializers.zeros());
    }
    this.built = true;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor | tf.Tensor[] {
    return inputs;
  }
}

/** A model of such a layer. */
export function weightsModel(params: { name: string; shape: number[] }[]): tf.LayersModel {
  const input = tf.input({ shape: [1] });
  return tf.model({ inputs: input, outputs: new Weights(params).apply(input) as tf.SymbolicTensor });
}

/** The name of a stored parameter in a {@link weightsModel}. */
export function nameIn(model: tf.LayersModel, param: string): string {
  const weight = model.weights.find(({ originalName }) => originalName.endsWith(param));
  if (weight === undefined) throw new Error(`no weight for ${param}`);
  return weight.name;
}

/** Stored values as tensors, by the names of a model's weights. */
export function named(
  model: tf.LayersModel,
  params: { name: string; shape: number[] }[],
  valuesOf: (name: string) => number[] | undefined,
): tf.NamedTensorMap {
  const entries = params.flatMap(({ name, shape }) => {
    const values = valuesOf(name);
    return values === undefined ? [] : [[nameIn(model, name), tf.tensor(values, shape, 'float32')] as const];
  });
  return Object.fromEntries(entries);
}

/** What a table has for every parameter under `key`, as {@link named}. */
export function stored(
  model: tf.LayersModel,
  params: StoredParam[],
  key: 'init' | 'anchor',
): tf.NamedTensorMap {
  return named(model, params, (name) => params.find((param) => param.name === name)?.[key]);
}

export function setWeights(model: tf.LayersModel, values: tf.NamedTensorMap): void {
  for (const weight of model.weights) weight.write(values[weight.name] as tf.Tensor);
}

/** |x - r| / |r| */
export function relative(x: ArrayLike<number>, r: readonly number[]): number {
  expect(x.length).toBe(r.length);
  let [difference, norm] = [0, 0];
  for (const [i, value] of r.entries()) {
    difference += ((x[i] as number) - value) ** 2;
    norm += value ** 2;
  }
  return norm === 0 ? Math.sqrt(difference) : Math.sqrt(difference / norm);
}

export function expectWeights(
  model: tf.LayersModel,
  expected: Record<string, number[]>,
  tolerance: number,
): void {
  for (const [name, values] of Object.entries(expected)) {
    const weight = model.weights.find((candidate) => candidate.name === nameIn(model, name));
    expect(relative(weight?.read().dataSync() ?? [], values), name).toBeLessThanOrEqual(tolerance);
  }
}

/** All weights of a model, by their names within it, bit for bit. */
export function values(model: tf.LayersModel): Record<string, number[]> {
  const weights = model.layers.flatMap((layer) => layer.weights);
  return Object.fromEntries(weights.map((weight) => [weight.originalName, [...weight.read().dataSync()]]));
}

export function changed(before: Record<string, number[]>, after: Record<string, number[]>): string[] {
  return Object.keys(before).filter((name) => String(before[name]) !== String(after[name]));
}

/** A net with normalization, a nested model, and a head. */
export function net(seed = 1): tf.LayersModel {
  const kernelInitializer = () => tf.initializers.glorotNormal({ seed });
  const inner = tf.sequential({
    name: `inner_${models}`,
    layers: [
      tf.layers.dense({ inputShape: [5], units: 5, name: 'inside', kernelInitializer: kernelInitializer() }),
      tf.layers.batchNormalization({ name: 'inside_norm' }),
    ],
  });
  models += 1;
  return tf.sequential({
    layers: [
      tf.layers.dense({
        ...{ inputShape: [4], units: 5, activation: 'tanh', name: 'body' },
        kernelInitializer: kernelInitializer(),
      }),
      tf.layers.batchNormalization({ name: 'norm' }),
      inner,
      tf.layers.dense({ units: 2, name: 'head', kernelInitializer: kernelInitializer() }),
    ],
  });
}

/** Inputs, and targets that a linear map of them gives. */
export function examples(count: number, seed: number): { xs: tf.Tensor; ys: tf.Tensor } {
  return tf.tidy(() => {
    const xs = randomTensor([count, 4], seed);
    return { xs, ys: tf.matMul(xs, randomTensor([4, 2], 7) as tf.Tensor2D) };
  });
}

/** The same as a dataset of batches. */
export function dataset(count: number, seed: number, batch: number): tf.data.Dataset<tf.TensorContainer> {
  const { xs, ys } = examples(count, seed);
  const [x, y] = [xs.arraySync(), ys.arraySync()] as [number[][], number[][]];
  tf.dispose([xs, ys]);
  return tf.data
    .zip({ xs: tf.data.array(x), ys: tf.data.array(y) })
    .batch(batch) as tf.data.Dataset<tf.TensorContainer>;
}

/** Runs `use`, and checks that it leaves as many tensors as there were. */
export async function withoutLeak<T>(use: () => Promise<T>): Promise<T> {
  const before = tf.memory().numTensors;
  const result = await use();
  expect(tf.memory().numTensors).toBe(before);
  return result;
}
