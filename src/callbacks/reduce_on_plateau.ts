import type { Optimizer } from '@tensorflow/tfjs-core';
import { isScheduled, learningRateOf, setLearningRate } from '../optimizers/learning_rate.js';
import { checkInteger, checkNumber, checkOptionKeys } from '../validate.js';
import { type FitCallback, makeCallback } from './fit_callback.js';
import { MONITOR_KEYS, type MonitorOptions, resolveMonitor } from './monitor.js';
import type { Stateful } from './stateful.js';

/** Options of {@link reduceOnPlateau}; names and meanings are those of Keras, `minLearningRate` is its `min_lr`. */
export interface ReduceOnPlateauOptions extends MonitorOptions {
  /** What a change must exceed to count as better, >= 0, in units of the log (PyTorch: a fraction of it). Default: 1e-4. */
  minDelta?: number;
  /** What the learning rate is multiplied by: > 0 and < 1. Default: 0.1. */
  factor?: number;
  /** Epochs without a better value after which the rate is reduced; a whole number >= 1. Default: 10. */
  patience?: number;
  /** Epochs after a reduction in which none is counted; a whole number. Default: 0. */
  cooldown?: number;
  /** The rate does not fall below it, >= 0. Default: 0. */
  minLearningRate?: number;
}

const KEYS = [...MONITOR_KEYS, 'factor', 'patience', 'cooldown', 'minLearningRate'];
const MOST_EPOCHS = Number.MAX_SAFE_INTEGER;

/** A callback that reduces the learning rate; a checkpoint of `tfjs-ftp/checkpoint` can hold what it has counted. */
export interface ReduceOnPlateau extends FitCallback, Stateful {}

/** What the callback has counted, as JSON. */
interface PlateauState {
  best: number;
  wait: number;
  cooling: number;
  /** Whether training was going on. */
  training: boolean;
}

/**
 * Reduces the learning rate when a log has not got better for `patience` epochs. Works on the optimizers of this package
 * and on those of tfjs, `optimizer.learningRate`.
 *
 * An optimizer saves its reduced rate. What the callback counts is saved by a checkpoint of `tfjs-ftp/checkpoint` that
 * is given the callback as `state`; after loading by other means it starts anew.
 *
 * @returns a callback for `fit` and `fitDataset`. Nothing to dispose.
 * @throws TypeError or RangeError for options of a wrong type or value; FtpError TFJS_LAYERS_NOT_FOUND where no
 *   tfjs-layers is loaded. Of `fit`: RangeError at the end of the first epoch if there is no log `monitor`; TypeError
 *   before the first epoch if the optimizer's learning rate is no number that can be set, or is a function of the step.
 */
export function reduceOnPlateau(options: ReduceOnPlateauOptions = {}): ReduceOnPlateau {
  checkOptionKeys('options', options, KEYS);
  const monitor = resolveMonitor(options, 1e-4);
  const { factor = 0.1, patience = 10, cooldown = 0, minLearningRate = 0 } = options;
  checkNumber('factor', factor, { above: 0, below: 1 });
  checkInteger('patience', patience, 1, MOST_EPOCHS);
  checkInteger('cooldown', cooldown, 0, MOST_EPOCHS);
  checkNumber('minLearningRate', minLearningRate, { min: 0 });

  let best = monitor.worst;
  let wait = 0;
  let cooling = 0;
  let training = false;
  /** Whether the counts are those of a state that was set, which the next training goes on with. */
  let restored = false;
  const callback = makeCallback((model) => ({
    async onTrainBegin() {
      checkRate(model().optimizer);
      if (!restored) [best, wait, cooling] = [monitor.worst, 0, 0];
      [training, restored] = [true, false];
    },
    async onTrainEnd() {
      training = false;
    },
    async onEpochEnd(_, logs) {
      if (monitor.isCut(logs, model())) return;
      const value = await monitor.read(logs);
      if (cooling > 0) {
        --cooling;
        wait = 0;
      }
      if (monitor.isBetter(value, best)) {
        [best, wait] = [value, 0];
        return;
      }
      if (cooling > 0 || ++wait < patience) return;
      const { optimizer } = model();
      const rate = readRate(optimizer);
      if (rate <= minLearningRate) return;
      setLearningRate(optimizer, Math.max(rate * factor, minLearningRate));
      [wait, cooling] = [0, cooldown];
    },
  }));
  return Object.assign(callback, {
    getState: (): PlateauState => ({ best, wait, cooling, training }),
    setState(state: PlateauState) {
      ({ best, wait, cooling, training } = state);
      restored = training;
    },
  });
}

function checkRate(optimizer: Optimizer): void {
  readRate(optimizer);
  if (isScheduled(optimizer)) {
    throw new TypeError(
      `reduceOnPlateau needs a learning rate that is a number, but that of the ${optimizer.getClassName()} is a function of the step`,
    );
  }
}

function readRate(optimizer: Optimizer): number {
  const rate = learningRateOf(optimizer);
  if (rate !== null) return rate;
  throw new TypeError(
    `reduceOnPlateau needs an optimizer with a learningRate that is a number, got ${optimizer.getClassName()}`,
  );
}
