/** What the optimizer tests share: variables with fresh names, gradients, snapshots of everything that a step may change. */
import * as tf from '@tensorflow/tfjs-core';
import type { FtpOptimizer } from '../../src/index.js';

/** Repeatable numbers in (-1, 1). */
export function numbers(size: number, seed: number): Float32Array {
  const result = new Float32Array(size);
  let state = (seed * 2654435761 + 12345) >>> 0;
  for (let i = 0; i < size; ++i) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    result[i] = state / 2 ** 31 - 1;
  }
  return result;
}

export function randomTensor(shape: number[], seed: number): tf.Tensor {
  return tf.tensor(numbers(tf.util.sizeFromShape(shape), seed), shape);
}

export function randomVariable(name: string, shape: number[], seed = 1): tf.Variable {
  const initial = randomTensor(shape, seed);
  const variable = tf.variable(initial, true, name);
  initial.dispose();
  return variable;
}

/** One step with gradients made from `seed`, for all of `variables`. */
export function stepOnce(optimizer: tf.Optimizer, variables: readonly tf.Variable[], seed: number): void {
  const gradients: tf.NamedTensorMap = {};
  for (const [i, { name, shape }] of variables.entries()) {
    gradients[name] = randomTensor(shape, seed * 31 + i);
  }
  try {
    optimizer.applyGradients(gradients);
  } finally {
    tf.dispose(gradients);
  }
}

export interface Snapshot {
  weights: Record<string, number[]>;
  state: Record<string, number[]>;
}

/** Weights of `variables` and the whole state of the optimizer, as numbers. */
export async function snapshot(
  optimizer: tf.Optimizer,
  variables: readonly tf.Variable[],
): Promise<Snapshot> {
  const result: Snapshot = { weights: {}, state: {} };
  for (const variable of variables) result.weights[variable.name] = Array.from(await variable.data());
  for (const { name, tensor } of await optimizer.getWeights()) {
    result.state[name] = Array.from(await tensor.data());
    tensor.dispose();
  }
  return result;
}

/** The state of `optimizer` as tensors that are disposed after `use`. */
export async function withWeights(
  optimizer: FtpOptimizer,
  use: (weights: Awaited<ReturnType<FtpOptimizer['getWeights']>>) => Promise<void>,
): Promise<void> {
  const weights = await optimizer.getWeights();
  await use(weights);
  for (const { tensor } of weights) tensor.dispose();
}

/** What saving and loading makes of an optimizer, which is disposed. */
export async function reloaded(optimizer: FtpOptimizer): Promise<FtpOptimizer> {
  const loaded = fromConfigOf(optimizer);
  await withWeights(optimizer, (weights) => loaded.setWeights(weights));
  optimizer.dispose();
  return loaded;
}

/** An optimizer of the same class from a configuration that went through JSON, as a file's does. */
export function fromConfigOf(
  optimizer: FtpOptimizer,
  config: tf.serialization.ConfigDict | null = optimizer.getConfig(),
): FtpOptimizer {
  const maker = optimizer.constructor as unknown as typeof FtpOptimizer &
    tf.serialization.SerializableConstructor<FtpOptimizer>;
  return maker.fromConfig(maker, JSON.parse(JSON.stringify(config)) as tf.serialization.ConfigDict);
}

/** A save handler that keeps what tfjs-layers would write, passed through JSON as a file would be. */
export function memoryHandler(): { handler: tf.io.IOHandler; artifacts: () => tf.io.ModelArtifacts } {
  let saved: tf.io.ModelArtifacts | undefined;
  const artifacts = () => {
    const { weightData, ...rest } = saved as tf.io.ModelArtifacts;
    return { ...(JSON.parse(JSON.stringify(rest)) as tf.io.ModelArtifacts), weightData };
  };
  const handler: tf.io.IOHandler = {
    save: async (model) => {
      saved = model;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    },
    load: async () => artifacts(),
  };
  return { handler, artifacts };
}
