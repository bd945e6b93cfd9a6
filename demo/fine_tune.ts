/** Fine-tunes one model with one method. */

import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import {
  type ImplementationOption,
  lossOf,
  type Method,
  type MethodSettings,
  pretrainedWeights,
} from './methods.js';
import type { Task } from './task.js';

export interface FineTuneOptions {
  steps: number;
  implementation: ImplementationOption;
  /** Called after every step; training waits for it, and ends with this step where it gives false. */
  onStep?: (step: number, loss: number) => unknown;
}

export interface FineTuneResult {
  /** What ran the optimizer's step. */
  implementation: string;
  /** Median time of a training step (forward, backward, update), in seconds; reading images is not in it. */
  secondsPerStep: number;
  /** Loss of the last step. */
  loss: number;
  /** Learnt constraints, by variable; empty for methods without projection. */
  constraints: { name: string; gamma: number | null; meanRatio: number | null }[];
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Puts the model back to its pre-trained weights, then trains it; every method sees the same batches. */
export async function fineTune(
  task: Task,
  method: Method,
  settings: MethodSettings,
  { steps, implementation, onStep }: FineTuneOptions,
): Promise<FineTuneResult> {
  const { model } = task.transfer;
  task.transfer.reset(method.trains);
  const anchors = tf.tidy(() => pretrainedWeights(model).map((weight: Tensor) => tf.clone(weight)));
  const optimizer = method.optimizer(model, settings, implementation);
  model.compile({ optimizer, loss: lossOf(model, anchors, settings.strength) });
  const seconds: number[] = [];
  let loss = Number.NaN;
  try {
    const batches = await (await task.training()).iterator();
    for (let step = 1; step <= steps; ++step) {
      const { value } = await batches.next();
      const start = performance.now();
      // trainOnBatch reads the loss, so the step is over when it returns.
      loss = (await model.trainOnBatch(value.xs, value.ys)) as number;
      seconds.push((performance.now() - start) / 1000);
      tf.dispose(value);
      if ((await onStep?.(step, loss)) === false) break;
    }
    const constraints = (await optimizer.constraints())
      .filter((constraint) => !constraint.excluded)
      .map(({ name, gamma, meanRatio }) => ({ name, gamma, meanRatio }));
    return { implementation: optimizer.implementation, secondsPerStep: median(seconds), loss, constraints };
  } finally {
    optimizer.dispose();
    tf.dispose(anchors);
  }
}
