// Trains a small model with checkpoints in the folder of the first argument, going on where the last process was. Prints
// `ready` before it trains, and a hash of all that it ends with. The second argument: batches between checkpoints, or 'epoch'.
import { createHash } from 'node:crypto';
import '../../compat.cjs';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as tfdata from '@tensorflow/tfjs-data';
import * as layers from '@tensorflow/tfjs-layers';
import { callbacks, ftp } from 'tfjs-ftp';
import { checkpoint, resumable } from 'tfjs-ftp/checkpoint';

const [directory, every] = process.argv.slice(2);
await tf.setBackend('cpu');

const kernelInitializer = (seed) => layers.initializers.glorotUniform({ seed });
const model = layers.sequential({
  layers: [
    layers.layers.dense({
      units: 6,
      inputShape: [3],
      activation: 'tanh',
      kernelInitializer: kernelInitializer(1),
    }),
    layers.layers.batchNormalization(),
    layers.layers.dense({ units: 1, kernelInitializer: kernelInitializer(2) }),
  ],
});
const optimizer = ftp.adamw(0.05, { model, weightDecay: 0.01 });
model.compile({ optimizer, loss: 'meanSquaredError' });

const examples = Array.from({ length: 22 }, (_, i) => ({
  xs: [Math.sin(i), Math.cos(3 * i), (i % 5) / 5],
  ys: [Math.sin(7 * i)],
}));
const data = resumable(tfdata.array(examples).shuffle(22, 'seed').batch(4));
const stopping = callbacks.earlyStopping({ patience: 9 });
const plateau = callbacks.reduceOnPlateau({ patience: 1, factor: 0.7 });
const saving = checkpoint(directory, {
  model,
  data,
  state: { stopping, plateau },
  every: every === 'epoch' ? every : Number(every),
});

const { epoch, step, finished } = await saving.resume();
console.log(`ready ${step}`);
if (!finished) {
  // Time for a signal to come between two writes, too.
  class Pause extends layers.Callback {
    onBatchEnd() {
      return new Promise((resolve) => setTimeout(resolve, 4));
    }
  }
  const held = {
    xs: tf.tensor2d([0.1, 0.2, 0.3, 0.9, -0.5, 0.2], [2, 3]),
    ys: tf.tensor2d([0.5, -0.5], [2, 1]),
  };
  await model.fitDataset(data, {
    initialEpoch: epoch,
    epochs: 6,
    verbose: 0,
    validationData: [held.xs, held.ys],
    callbacks: [new Pause(), stopping, plateau, saving],
  });
}
const hash = createHash('sha256');
for (const weight of model.weights) hash.update(weight.read().dataSync());
const state = await optimizer.getWeights();
for (const { name, tensor } of state) hash.update(name).update(new Uint8Array(tensor.dataSync().buffer));
const { bestWeights, ...found } = stopping.getState();
hash.update(JSON.stringify([optimizer.learningRate, found, plateau.getState(), data.getState()]));
console.log(`result ${optimizer.iterations} ${optimizer.learningRate} ${hash.digest('hex')}`);
