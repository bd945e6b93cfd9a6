/** A small task: numbers in two classes, elsewhere shifted, with a net of two layers. */
import * as tf from '@tensorflow/tfjs';
import type { Examples, OpenTask, Protocol, Task } from '../../experiments/task.js';
import { Random } from '../../tools/random.js';

export const PROTOCOL: Protocol = { steps: 4, batchSize: 8, severities: [1] };

function examples(count: number, shift: number, seed: number): Examples {
  const random = new Random('toy', seed);
  const rows = Array.from({ length: count }, (_, i) => [
    random.normal((i % 2) * 2 - 1 + shift, 0.5),
    random.normal(),
    random.normal(),
  ]);
  return {
    units: rows.map((_, i) => `item ${i}`),
    batch: (indices) => ({
      xs: tf.tensor2d(indices.map((i) => rows[i] as number[])),
      ys: tf.oneHot(
        indices.map((i) => i % 2),
        2,
      ) as tf.Tensor,
    }),
  };
}

/** What was opened, by seed, in order. */
export interface ToyTask extends Task {
  opened: number[];
}

export function toyTask(): ToyTask {
  const opened: number[] = [];
  return {
    name: 'toy',
    version: 1,
    title: 'Toy',
    metric: 'accuracy',
    opened,
    protocol: () => PROTOCOL,
    async open(seed): Promise<OpenTask> {
      opened.push(seed);
      const initializer = (i: number) => tf.initializers.glorotNormal({ seed: 10 * i + seed });
      const model = tf.sequential({
        layers: [
          tf.layers.dense({
            inputShape: [3],
            units: 6,
            name: 'body',
            kernelInitializer: initializer(1),
            useBias: false,
          }),
          tf.layers.batchNormalization({ name: 'norm' }),
          tf.layers.dense({ units: 2, name: 'head', kernelInitializer: initializer(2) }),
        ],
      });
      return {
        model,
        head: 'head',
        training: examples(32, 0, seed),
        validation: examples(12, 0, 100 + seed),
        inDistribution: examples(12, 0, 200 + seed),
        domains: [
          { name: 'moved', kind: 'shift', examples: examples(12, 0.5, 300 + seed) },
          { name: 'further', kind: 'shift', examples: examples(10, 1, 400 + seed) },
          { name: 'noise', kind: 'corruption', examples: examples(12, 0.2, 500 + seed) },
        ],
        leftOut: [{ name: 'photographs', reason: 'there is no camera' }],
        loss: (ys, predictions) => tf.losses.softmaxCrossEntropy(ys, predictions) as tf.Scalar,
        async judge(ys, predictions) {
          const [found, expected] = [predictions.argMax(1), ys.argMax(1)];
          const [a, b] = [await found.array(), await expected.array()] as [number[], number[]];
          tf.dispose([found, expected]);
          return { predictions: a, scores: a.map((label, i) => (label === b[i] ? 1 : 0)) };
        },
        dispose: () => model.dispose(),
      };
    },
  };
}
