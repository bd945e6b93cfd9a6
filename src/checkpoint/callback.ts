import { type FitCallback, makeCallback } from '../callbacks/fit_callback.js';
import { FtpError } from '../errors.js';
import { nodesOf, weightsIn } from '../recipes/model.js';
import { checkInteger, checkOptionKeys } from '../validate.js';
import {
  CHECKPOINTER_KEYS,
  Checkpointer,
  type CheckpointerOptions,
  type ResumedPosition,
  type ResumeOptions,
} from './checkpointer.js';
import { ResumableDataset } from './resumable.js';

/** Options of {@link checkpoint}. */
export interface CheckpointOptions extends CheckpointerOptions {
  /** The model that is trained. */
  model: NonNullable<CheckpointerOptions['model']>;
  /** The dataset that `fitDataset` trains on: what {@link resumable} gives. Not for `model.fit`. */
  data?: ResumableDataset<unknown>;
  /**
   * When a checkpoint is saved: `'epoch'` (default), at the end of each epoch, or a number of batches >= 1, which needs `data`.
   * One more is saved where training ends.
   */
  every?: 'epoch' | number;
}

/** A callback that saves checkpoints. */
export interface CheckpointCallback extends FitCallback {
  /** What writes and reads. */
  readonly checkpointer: Checkpointer;
  /**
   * Loads the newest checkpoint; before `fit`, which then needs its `epoch` as `initialEpoch`. See
   * {@link Checkpointer.resume}.
   */
  resume(options?: ResumeOptions): Promise<ResumedPosition>;
}

/**
 * Saves checkpoints during `model.fit` and `model.fitDataset`, from which a later process goes on with the same bits. What is
 * saved, and how it is kept whole, is said at {@link Checkpointer}.
 *
 * It must be the **last** of the callbacks, so that the others have done their part when it saves. Those with a state, such as
 * `earlyStopping` and `reduceOnPlateau`, are given as `state` too.
 *
 * With `fitDataset` and `data`, training goes on within an epoch. tfjs's means of losses and metrics of that epoch are then those
 * over the batches that were left, so let callbacks look at logs of validation. `model.fit` shuffles with `Math.random`: with
 * `shuffle: false` it goes on with the same bits, from the start of an epoch. If training is stopped within an
 * epoch (`model.stopTraining = true`), that place is saved where there are `data`.
 *
 * @param directory of this training's checkpoints alone; made when the first one is saved.
 * @param options see {@link CheckpointOptions}; `model` is required.
 * @returns a callback for `fit` and `fitDataset`. Nothing to dispose.
 * @throws TypeError or RangeError for options of a wrong type or value; FtpError TFJS_LAYERS_NOT_FOUND where no
 *   tfjs-layers is loaded. Of `fit`: what {@link Checkpointer.save} throws; RangeError for another `initialEpoch` than
 *   that of the checkpoint, for another model, or for another dataset than `data`; FtpError STATE_MISMATCH for going on within an
 *   epoch with `batchesPerEpoch`, of which tfjs would train all once more.
 *
 * @example
 * ```ts
 * const stopping = callbacks.earlyStopping({ patience: 3 });
 * const data = resumable(tfdata.array(examples).shuffle(100, 'seed').batch(32));
 * const saving = checkpoint('runs/flowers', { model, data, state: { stopping }, every: 100 });
 *
 * const { epoch, finished } = await saving.resume();
 * if (!finished) {
 *   await model.fitDataset(data, {
 *     initialEpoch: epoch,
 *     epochs: 10,
 *     validationData: held,
 *     callbacks: [stopping, saving],
 *   });
 * }
 * ```
 */
export function checkpoint(directory: string, options: CheckpointOptions): CheckpointCallback {
  checkOptionKeys('options', options, [...CHECKPOINTER_KEYS, 'every']);
  const { every = 'epoch', ...what } = options;
  const { model: expected, data } = what;
  if (expected === undefined) throw new TypeError('model must be a tf.LayersModel, got undefined');
  if (data !== undefined && !(data instanceof ResumableDataset)) {
    throw new TypeError('data must be a dataset that resumable has made, got another object');
  }
  if (every !== 'epoch') {
    if (typeof every === 'string') throw new RangeError(`every must be 'epoch' or a number, got '${every}'`);
    checkInteger('every', every, 1, Number.MAX_SAFE_INTEGER);
    if (data === undefined) {
      throw new TypeError(
        "every must be 'epoch' without data, which tell where in an epoch training goes on, got a number",
      );
    }
  }
  const checkpointer = new Checkpointer(directory, what);

  let step = 0;
  /** Epochs that were trained to their ends. */
  let epochs = 0;
  /** Batches of the present epoch. */
  let batches = 0;
  /** The position that was loaded, until the first epoch after it begins. */
  let loaded: ResumedPosition | null = null;
  let given = 0;

  const callback = makeCallback((model, params) => {
    /** Whether fitDataset has batchesPerEpoch: then there is one pass over the data for all epochs. */
    const hasBatchesPerEpoch = () =>
      data !== undefined && isNumber(params().steps) && params().steps !== data.size;
    /** Whether an epoch has ended before its last batch. */
    const isCut = (): boolean => {
      const { steps, samples, batchSize } = params();
      if (data !== undefined && !hasBatchesPerEpoch()) return data.getState().batches > 0;
      if (isNumber(steps)) return batches < steps;
      return isNumber(samples) && isNumber(batchSize) && batches < Math.ceil(samples / batchSize);
    };
    const save = (finished: boolean) => checkpointer.save({ step, epoch: epochs, batch: batches, finished });
    let cut = false;
    return {
      async onTrainBegin() {
        // A tf.Sequential is trained by a model within it.
        const own = new Set(weightsIn(nodesOf(expected)).map((weight) => weight.read()));
        if (!model().weights.every(({ val }) => own.has(val))) {
          throw new RangeError('model must be the one that is trained, got another one');
        }
        if (loaded !== null && loaded.batch > 0 && hasBatchesPerEpoch()) {
          throw new FtpError(
            'STATE_MISMATCH',
            `the checkpoint is within an epoch, after ${loaded.batch} batches, and fitDataset has batchesPerEpoch ` +
              `${params().steps}, of which it would train all once more: save with every: 'epoch', or leave batchesPerEpoch out`,
          );
        }
        given = data?.given ?? 0;
        cut = false;
      },
      async onEpochBegin(epoch) {
        if (loaded !== null && loaded.path !== null && epoch !== loaded.epoch) {
          throw new RangeError(
            `initialEpoch must be ${loaded.epoch}, where the checkpoint goes on, got ${epoch}`,
          );
        }
        batches = loaded?.batch ?? 0;
        loaded = null;
        epochs = epoch;
      },
      async onBatchEnd() {
        ++step;
        ++batches;
        if (data !== undefined && data.given <= given) {
          throw new RangeError(
            'data must be the dataset that fitDataset trains on, got one of which no batch was taken',
          );
        }
        given = data?.given ?? 0;
        if (typeof every === 'number' && step % every === 0) await save(false);
      },
      async onEpochEnd(epoch) {
        cut = isCut();
        if (cut) return;
        [epochs, batches] = [epoch + 1, 0];
        if (every === 'epoch') await save(false);
      },
      async onTrainEnd() {
        // Without data there is no way back to a place within an epoch.
        if (!cut || data !== undefined) await save(!cut);
      },
    };
  });
  return Object.defineProperties(callback, {
    checkpointer: { value: checkpointer, enumerable: true },
    resume: {
      value: async (resumeOptions?: ResumeOptions) => {
        loaded = await checkpointer.resume(resumeOptions);
        ({ step, epoch: epochs, batch: batches } = loaded);
        return { ...loaded };
      },
    },
  }) as CheckpointCallback;
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
