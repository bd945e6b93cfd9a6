/** What the tests of callbacks share: a small model, and logs that are what a test wants. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as layers from '@tensorflow/tfjs-layers';

export { layers, tf };

export function makeModel(optimizer: tf.Optimizer): layers.Sequential {
  const model = layers.sequential({
    layers: [
      layers.layers.dense({ units: 3, inputShape: [2], kernelInitializer: 'ones' }),
      layers.layers.batchNormalization(),
      layers.layers.dense({ units: 1, kernelInitializer: 'ones' }),
    ],
  });
  model.compile({ optimizer, loss: 'meanSquaredError' });
  return model;
}

/** Puts `values`, one an epoch, in place of `val_loss`; before the callbacks that look at it. */
export function scripted(values: number[], name = 'val_loss'): layers.Callback {
  class Scripted extends layers.Callback {
    override async onEpochEnd(epoch: number, logs?: Record<string, unknown>): Promise<void> {
      (logs as Record<string, unknown>)[name] = values[epoch];
    }
  }
  return new Scripted();
}

/** Runs `at` when an epoch has ended, after the callbacks before it. */
export function everyEpoch(at: (epoch: number) => void): layers.Callback {
  class Every extends layers.Callback {
    override async onEpochEnd(epoch: number): Promise<void> {
      at(epoch);
    }
  }
  return new Every();
}

export const weightsOf = (model: layers.Sequential): number[][] =>
  model.weights.map((weight) => Array.from(weight.read().dataSync()));

export async function train(
  model: layers.Sequential,
  epochs: number,
  callbacks: layers.CustomCallback | unknown,
  more: Partial<layers.ModelFitArgs> = {},
): Promise<layers.History> {
  const [xs, ys] = [tf.tensor2d([1, 2, 3, 4, 5, 6, 7, 9], [4, 2]), tf.tensor2d([1, 2, 3, 5], [4, 1])];
  try {
    const args = { epochs, batchSize: 2, shuffle: false, verbose: 0 as const, ...more };
    return await model.fit(xs, ys, { ...args, callbacks: callbacks as layers.Callback[] });
  } finally {
    tf.dispose([xs, ys]);
  }
}
