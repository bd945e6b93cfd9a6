/** The learning rate of any `tf.Optimizer`. */

import type { Optimizer } from '@tensorflow/tfjs-core';

/** What tfjs's own optimizers have without declaring it public. */
interface WithLearningRate {
  learningRate?: unknown;
  setLearningRate?: (value: number) => void;
}

/** The learning rate; null where the optimizer has none that is a number. */
export function learningRateOf(optimizer: Optimizer): number | null {
  const { learningRate } = optimizer as unknown as WithLearningRate;
  return typeof learningRate === 'number' ? learningRate : null;
}

/** Sets the learning rate of an optimizer that has one. */
export function setLearningRate(optimizer: Optimizer, value: number): void {
  const settable = optimizer as unknown as WithLearningRate;
  if (typeof settable.setLearningRate === 'function') settable.setLearningRate(value);
  else settable.learningRate = value;
}

/** Whether the learning rate is a function of the step. */
export function isScheduled(optimizer: Optimizer): boolean {
  const { schedule = false } = (optimizer.getConfig() ?? {}) as { schedule?: unknown };
  return schedule !== false;
}
