import { clone, keep, type Tensor } from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkNumber, checkOptionKeys } from '../validate.js';
import { type FitCallback, makeCallback } from './fit_callback.js';
import { MONITOR_KEYS, type MonitorOptions, resolveMonitor } from './monitor.js';
import type { Stateful } from './stateful.js';

/** Options of {@link earlyStopping}; names and meanings are those of Keras. */
export interface EarlyStoppingOptions extends MonitorOptions {
  /** What a change must exceed to count as better, >= 0, in units of the log. Default: 0. */
  minDelta?: number;
  /** Epochs without a better value after which training stops; a whole number. 0 (default): the first such epoch stops it. */
  patience?: number;
  /** Value that must be beaten for an epoch to count as better when patience is counted. Default: null, none. */
  baseline?: number | null;
  /** Epochs at the start that are left out; a whole number. Default: 0. */
  startFromEpoch?: number;
  /** Whether the model gets the weights of its best epoch back when training ends, stopped or not. Default: true. */
  restoreBestWeights?: boolean;
}

/** What the callback has found, as JSON with tensors. */
interface StoppingState {
  best: number | null;
  bestEpoch: number | null;
  stoppedEpoch: number | null;
  lastEpoch: number | null;
  wait: number;
  bestWeights: Tensor[];
  /** Whether training was going on. */
  training: boolean;
}

/**
 * A callback that stops training, with what it found. A checkpoint of `tfjs-ftp/checkpoint` can hold that, the best weights
 * too.
 */
export interface EarlyStopping extends FitCallback, Stateful {
  /** The best value so far, or of the last training; null before the first epoch. */
  readonly best: number | null;
  /** The epoch that had it, counted from 0 as in `fit`; null before the first epoch. */
  readonly bestEpoch: number | null;
  /** The epoch after which training was stopped; null if it was not. */
  readonly stoppedEpoch: number | null;
  /**
   * Frees the copies of the best weights. Needed only after a `fit` that threw: one that ends frees them itself, and the
   * next one with the same callback frees those of the last.
   */
  dispose(): void;
}

const KEYS = [...MONITOR_KEYS, 'patience', 'baseline', 'startFromEpoch', 'restoreBestWeights'];
const MOST_EPOCHS = Number.MAX_SAFE_INTEGER;

/**
 * Stops training when a log has not got better for `patience` epochs, and gives the model the weights of its best epoch
 * back.
 *
 * What `tf.callbacks.earlyStopping` does not do: it throws for `restoreBestWeights`, and only warns of a monitor that does
 * not exist.
 *
 * The best weights are copies of all weights of the model, statistics of batch normalization included: once more its
 * memory during training. The optimizer's state is not restored; training that goes on after it begins at the best
 * weights with the last epoch's moments.
 *
 * @returns a callback for `fit` and `fitDataset`, one model at a time. Nothing to dispose unless `fit` throws; see
 *   {@link EarlyStopping.dispose | dispose}.
 * @throws TypeError or RangeError for options of a wrong type or value; FtpError TFJS_LAYERS_NOT_FOUND where no
 *   tfjs-layers is loaded. Of `fit`: RangeError at the end of the first epoch if there is no log `monitor`.
 */
export function earlyStopping(options: EarlyStoppingOptions = {}): EarlyStopping {
  checkOptionKeys('options', options, KEYS);
  const monitor = resolveMonitor(options, 0);
  const { patience = 0, baseline = null, startFromEpoch = 0, restoreBestWeights = true } = options;
  checkInteger('patience', patience, 0, MOST_EPOCHS);
  if (baseline !== null) checkNumber('baseline', baseline);
  checkInteger('startFromEpoch', startFromEpoch, 0, MOST_EPOCHS);
  checkBoolean('restoreBestWeights', restoreBestWeights);

  let best: number | null = null;
  let bestEpoch: number | null = null;
  let stoppedEpoch: number | null = null;
  let lastEpoch: number | null = null;
  let wait = 0;
  let bestWeights: Tensor[] = [];
  let training = false;
  /** Whether this is a state that was set, which the next training goes on with. */
  let restored = false;
  const dispose = () => {
    for (const tensor of bestWeights) tensor.dispose();
    bestWeights = [];
  };

  const callback = makeCallback((model) => ({
    async onTrainBegin() {
      if (!restored) {
        dispose();
        [best, bestEpoch, stoppedEpoch, lastEpoch, wait] = [null, null, null, null, 0];
      }
      [training, restored] = [true, false];
    },
    async onEpochEnd(epoch, logs) {
      if (monitor.isCut(logs, model())) return;
      const value = await monitor.read(logs);
      lastEpoch = epoch;
      if (epoch < startFromEpoch) return;
      ++wait;
      if (monitor.isBetter(value, best ?? monitor.worst)) {
        [best, bestEpoch] = [value, epoch];
        if (restoreBestWeights) {
          dispose();
          bestWeights = model().weights.map(({ val }) => clone(val));
        }
        if (baseline === null || monitor.isBetter(value, baseline)) wait = 0;
      } else if (wait >= patience) {
        stoppedEpoch = epoch;
        model().stopTraining = true;
      }
    },
    async onTrainEnd() {
      // Weights of the last epoch stay as they are: to an optimizer an assignment is a change from outside.
      if (bestEpoch !== lastEpoch) {
        for (const [i, tensor] of bestWeights.entries()) model().weights[i]?.val.assign(tensor);
      }
      training = false;
      dispose();
    },
  }));
  return Object.defineProperties(callback, {
    best: { get: () => best, enumerable: true },
    bestEpoch: { get: () => bestEpoch, enumerable: true },
    stoppedEpoch: { get: () => stoppedEpoch, enumerable: true },
    dispose: { value: dispose },
    getState: {
      value: (): StoppingState => {
        return { best, bestEpoch, stoppedEpoch, lastEpoch, wait, bestWeights, training };
      },
    },
    setState: {
      value: (state: StoppingState) => {
        const copies = state.bestWeights.map((tensor) => keep(clone(tensor)));
        dispose();
        ({ best, bestEpoch, stoppedEpoch, lastEpoch, wait, training } = state);
        bestWeights = copies;
        restored = training;
      },
    },
  }) as EarlyStopping;
}
