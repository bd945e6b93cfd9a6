/** The learning rate of any `tf.Optimizer`. */

import type { Optimizer } from '@tensorflow/tfjs-core';

/** What tfjs's own optimizers have without declaring it public. */
interface WithLearningRate {
  learningRate?: unknown;
  setLearningRate?: (value: number) => void;
}

/** The learning rate; undefined where the optimizer has none that is a number. */
export function learningRateOf(optimizer: Optimizer): number | undefined {
  const { learningRate } = optimizer as unknown as WithLearningRate;
  return typeof learningRate === 'number' ? learningRate : undefined;
}

export function setLearningRate(optimizer: Optimizer, rate: number): void {
  const settable = optimizer as unknown as WithLearningRate;
  if (typeof settable.setLearningRate === 'function') settable.setLearningRate(rate);
  else settable.learningRate = rate;
}

/** Whether the learning rate is a function of the step. */
export function isScheduled(optimizer: Optimizer): boolean {
  const { schedule = false } = (optimizer.getConfig() ?? {}) as { schedule?: unknown };
  return schedule !== false;
}
