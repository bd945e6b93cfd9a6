import type { Optimizer } from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import { learningRateOf } from '../optimizers/learning_rate.js';
import { loadedModules } from '../platform/node.js';
import { checkBoolean, checkInteger, checkOptionKeys, describe } from '../validate.js';
import type { ConstraintReport } from '../variables/constraint_report.js';
import { type FitCallback, type FitLogs, makeCallback, readMetrics } from './fit_callback.js';

/** What writes the numbers: `tf.node.summaryFileWriter(logdir)` of tfjs-node, or anything alike. */
export interface SummaryWriter {
  scalar(name: string, value: number, step: number): void;
  flush(): void;
}

/** Options of {@link tensorBoard}. */
export interface TensorBoardOptions {
  /**
   * Batches between two writings of losses, learning rate and gradient norm, a whole number >= 1; 'epoch': only at the
   * end of each epoch. Keras calls it `update_freq`. Default: 'epoch'.
   */
  updateFrequency?: 'epoch' | number;
  /**
   * Whether each variable's constraint is written at the end of each epoch. It reads every anchor once and the norms of
   * every variable then. Default: true.
   */
  constraints?: boolean;
}

/** What is written of a constraint, under its name in TensorBoard. */
const CONSTRAINT_TAGS: ReadonlyArray<[tag: string, value: (report: ConstraintReport) => number | null]> = [
  ['gamma', ({ gamma }) => gamma],
  ['distance', ({ norm }) => norm],
  ['relative_distance', ({ norm, anchorNorm }) => (norm !== null && anchorNorm ? norm / anchorNorm : null)],
  ['mean_ratio', ({ meanRatio }) => meanRatio],
];

/** What an optimizer may have to tell beyond tfjs's own. */
interface Telling {
  lastGradientNorm?: unknown;
  constraints?: () => Promise<ConstraintReport[]>;
}

/**
 * Writes what training does for TensorBoard (`tensorboard --logdir DIR`): losses and metrics, the learning rate, the
 * gradient norm where the optimizer has it, and of every variable
 *
 * - `gamma/NAME`: the radius of its ball, a MARS norm;
 * - `distance/NAME`: how far the row that went furthest is from its anchor;
 * - `relative_distance/NAME`: the same as a fraction of the anchor's mean row norm;
 * - `mean_ratio/NAME`: what the rows keep of their deviation in the mean; below 1, rows are at the boundary.
 *
 * Batches are counted on over epochs; `epoch_` values are written against the epoch, from 0. Values that are no numbers
 * (NaN of a loss that diverged) are written as they are, and what does not exist is left out.
 *
 * @param target the folder for the event files, for which tfjs-node must be loaded; or a writer, which stays the caller's.
 * @returns a callback for `fit` and `fitDataset`, for any optimizer. Nothing to dispose: event files end with the process.
 * @throws TypeError or RangeError for options of a wrong type or value; FtpError TFJS_NODE_NOT_FOUND for a folder without
 *   tfjs-node, TFJS_LAYERS_NOT_FOUND where no tfjs-layers is loaded.
 */
export function tensorBoard(target: string | SummaryWriter, options: TensorBoardOptions = {}): FitCallback {
  checkOptionKeys('options', options, ['updateFrequency', 'constraints']);
  const { updateFrequency = 'epoch', constraints = true } = options;
  if (updateFrequency !== 'epoch') {
    if (typeof updateFrequency !== 'number') {
      throw new TypeError(
        `updateFrequency must be 'epoch' or a number of batches, got ${describe(updateFrequency)}`,
      );
    }
    checkInteger('updateFrequency', updateFrequency, 1, Number.MAX_SAFE_INTEGER);
  }
  checkBoolean('constraints', constraints);
  const writer = writerOf(target);
  let batches = 0;
  return makeCallback((model, params) => {
    const write = async (prefix: string, step: number, logs: FitLogs) => {
      for (const [name, value] of await readMetrics(logs, params())) {
        writer.scalar(`${prefix}${name}`, value, step);
      }
      const { optimizer } = model();
      const learningRate = learningRateOf(optimizer);
      if (learningRate !== null) writer.scalar(`${prefix}learning_rate`, learningRate, step);
      const { lastGradientNorm } = optimizer as unknown as Telling;
      if (typeof lastGradientNorm === 'number') {
        writer.scalar(`${prefix}gradient_norm`, lastGradientNorm, step);
      }
    };
    return {
      async onBatchEnd(_, logs) {
        ++batches;
        if (updateFrequency === 'epoch' || batches % updateFrequency !== 0) return;
        await write('batch_', batches, logs);
      },
      async onEpochEnd(epoch, logs) {
        await write('epoch_', epoch, logs);
        if (constraints) await writeConstraints(writer, epoch, model().optimizer);
        writer.flush();
      },
    };
  });
}

async function writeConstraints(writer: SummaryWriter, epoch: number, optimizer: Optimizer): Promise<void> {
  const reports = (await (optimizer as unknown as Telling).constraints?.()) ?? [];
  for (const report of reports) {
    for (const [tag, value] of CONSTRAINT_TAGS) {
      const number = value(report);
      if (number !== null) writer.scalar(`${tag}/${report.name}`, number, epoch);
    }
  }
}

function writerOf(target: string | SummaryWriter): SummaryWriter {
  if (typeof target !== 'string') {
    if (typeof target?.scalar === 'function' && typeof target.flush === 'function') return target;
    throw new TypeError(
      `target must be a folder or a writer with functions scalar and flush, got ${describe(target)}`,
    );
  }
  if (target === '') throw new RangeError("target must be the name of a folder, got ''");
  for (const exported of loadedModules(/[\\/]tfjs-node(-gpu)?[\\/]dist[\\/]tensorboard\.js$/)) {
    const { summaryFileWriter } = exported as { summaryFileWriter?: (logdir: string) => SummaryWriter };
    if (typeof summaryFileWriter === 'function') return summaryFileWriter(target);
  }
  throw new FtpError(
    'TFJS_NODE_NOT_FOUND',
    'tensorBoard writes its files with tfjs-node, which this process has not loaded: import @tensorflow/tfjs-node first, or ' +
      'give a writer of your own in place of a folder',
  );
}
