/**
 * Training as the recipes do it: some epochs on a dataset or on tensors, with validation. The model's own
 * `trainOnBatch` and `evaluate` do the work, so losses, metrics and optimizers are those of tfjs-layers.
 */

import {
  dispose,
  gather,
  Optimizer,
  type Scalar,
  type serialization,
  slice,
  Tensor,
  type TensorContainer,
  tidy,
  util,
  type Variable,
} from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkNumber, describe } from '../validate.js';
import type { ModelLike } from '../variables/output_axis.js';

/** Inputs or targets of a model: one tensor, one per input, or tensors by the names of inputs. */
export type ModelTensors = Tensor | Tensor[] | { [name: string]: Tensor };

/** Examples along the first axis of every tensor. They stay the caller's. */
export interface TensorData {
  xs: ModelTensors;
  ys: ModelTensors;
}

/**
 * What is needed of a `tf.data.Dataset`: batches `{xs, ys}`, the same ones or others in every epoch. The tensors of a batch
 * are disposed after use, as `fitDataset` does.
 */
export interface BatchDataset {
  // biome-ignore lint/suspicious/noExplicitAny: a dataset's element type says what its map function gave
  iterator(): Promise<{ next(): Promise<IteratorResult<any>> }>;
}

export type TrainingData = BatchDataset | TensorData;

/** A loss or a metric as `model.compile` takes it: a name, or a function of targets and predictions. */
// biome-ignore lint/suspicious/noExplicitAny: tfjs-layers' own types, which this package does not load
export type CompileValue = any;

/** Values of an epoch by name: `loss`, the metrics, and both of the validation data with `val_` in front. */
export interface EpochLogs {
  [name: string]: number;
}

/** How a stage of training is done. */
export interface StageOptions {
  /** Any `tf.Optimizer`. It stays yours to dispose, and keeps the state that it has after the stage. */
  optimizer: Optimizer;
  /** The most epochs, from 1. */
  epochs: number;
  /**
   * Stops after so many epochs in a row without a smaller `val_loss`, from 1, and puts back the weights of the epoch with the
   * smallest one. Needs `validation`. Default: all epochs are run, and the last weights are kept.
   */
  patience?: number;
  /** By how much `val_loss` must fall to count as smaller, >= 0; default 0. */
  minDelta?: number;
  /** Called after each epoch (from 0), and awaited. If it throws, so does the recipe. */
  onEpochEnd?: (epoch: number, logs: EpochLogs) => unknown;
}

/** What the stages of a recipe share. */
export interface TrainingOptions {
  /**
   * A `tf.data.Dataset` of batches `{xs, ys}`, or tensors `{xs, ys}`, which stay yours. Tensors are cut into batches of
   * `batchSize`, in an order that is drawn anew for each epoch.
   */
  dataset: TrainingData;
  /** Held-out data for `val_loss` and the metrics, of the same form. */
  validation?: TrainingData;
  /** Examples per batch where `dataset` or `validation` are tensors, from 1; default 32. */
  batchSize?: number;
  /** Whether tensors are shuffled; default true. */
  shuffle?: boolean;
  /** As in `model.compile`; default: what the model was compiled with. */
  loss?: CompileValue;
  /** As in `model.compile`; default: what the model was compiled with, if any. */
  metrics?: CompileValue;
}

export const TRAINING_KEYS = ['dataset', 'validation', 'batchSize', 'shuffle', 'loss', 'metrics'] as const;
export const STAGE_KEYS = ['optimizer', 'epochs', 'patience', 'minDelta', 'onEpochEnd'] as const;

/** What a stage of training did. */
export interface StageResult {
  /** Epochs that were run. */
  epochs: number;
  /** The epoch (from 0) whose weights the model has now. */
  epoch: number;
  /** The values of each epoch. */
  history: EpochLogs[];
}

/** The part of tfjs-layers' model that is called. */
interface Trainable {
  loss?: CompileValue;
  metrics?: CompileValue;
  metricsNames: string[];
  compile(args: { optimizer: Optimizer; loss: CompileValue; metrics: CompileValue }): void;
  trainOnBatch(xs: ModelTensors, ys: ModelTensors): Promise<number | number[]>;
  evaluate(xs: ModelTensors, ys: ModelTensors, args: { batchSize: number }): Scalar | Scalar[];
}

const DATA = 'a tf.data.Dataset of batches {xs, ys} or tensors {xs, ys}';

function isDataset(data: TrainingData): data is BatchDataset {
  return typeof (data as Partial<BatchDataset>).iterator === 'function';
}

function tensorsOf(tensors: ModelTensors): Tensor[] {
  return tensors instanceof Tensor ? [tensors] : Object.values(tensors);
}

/** Examples in xs and ys; @throws TypeError or RangeError unless they are tensors of equally many. */
function countExamples(name: string, { xs, ys }: TensorData): number {
  const counts = Object.entries({ xs, ys }).flatMap(([key, value]: [string, unknown]) => {
    const list =
      value !== null && typeof value === 'object' ? tensorsOf(value as ModelTensors) : [value as Tensor];
    return list.map((tensor: unknown) => {
      if (!(tensor instanceof Tensor)) {
        throw new TypeError(`${name} must be ${DATA}, got ${describe(tensor)} in ${key}`);
      }
      if (tensor.isDisposed) throw new RangeError(`${name} has a disposed tensor in ${key}`);
      if (tensor.rank === 0)
        throw new RangeError(`${name} must have examples along the first axis, got a scalar in ${key}`);
      return tensor.shape[0] as number;
    });
  });
  const [count = 0] = counts;
  if (count === 0 || counts.some((other) => other !== count)) {
    throw new RangeError(
      `${name} must have the same number of examples in all of xs and ys, got ${counts.join(', ') || 'none'}`,
    );
  }
  return count;
}

export function checkData(name: string, data: unknown): TrainingData {
  if (data === null || typeof data !== 'object' || Array.isArray(data)) {
    throw new TypeError(`${name} must be ${DATA}, got ${describe(data)}`);
  }
  if (!isDataset(data as TrainingData)) countExamples(name, data as TensorData);
  return data as TrainingData;
}

export function mapTensors(tensors: ModelTensors, map: (tensor: Tensor) => Tensor): ModelTensors {
  if (tensors instanceof Tensor) return map(tensors);
  if (Array.isArray(tensors)) return tensors.map(map);
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, map(tensor)]));
}

/** One batch, disposed when the next one is asked for. */
export interface Batch extends TensorData {
  size: number;
}

/** The batches of one epoch. A batch is disposed when the loop goes on or is left. */
export async function* batchesOf(
  name: string,
  data: TrainingData,
  batchSize: number,
  shuffle: boolean,
): AsyncGenerator<Batch, void> {
  if (isDataset(data)) {
    const iterator = await data.iterator();
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
      const value = next.value as TensorData;
      try {
        yield { xs: value?.xs, ys: value?.ys, size: countExamples(name, value ?? {}) };
      } finally {
        dispose(value as unknown as TensorContainer);
      }
    }
    return;
  }
  const count = countExamples(name, data);
  const order = shuffle ? util.createShuffledIndices(count) : null;
  for (let start = 0; start < count; start += batchSize) {
    const size = Math.min(batchSize, count - start);
    const cut = (x: Tensor) =>
      order === null
        ? slice(x, start, size)
        : tidy(() => gather(x, new Int32Array(order.subarray(start, start + size))));
    const batch: Partial<TensorData> = {};
    try {
      batch.xs = mapTensors(data.xs, cut);
      batch.ys = mapTensors(data.ys, cut);
      yield { xs: batch.xs, ys: batch.ys, size };
    } finally {
      dispose(batch as TensorContainer);
    }
  }
}

/** Mean of values over examples. */
class Mean {
  private readonly sums: number[] = [];
  private examples = 0;

  add(values: readonly number[], size: number): void {
    for (const [i, value] of values.entries()) this.sums[i] = (this.sums[i] ?? 0) + value * size;
    this.examples += size;
  }

  logs(name: string, names: readonly string[], prefix: string): EpochLogs {
    if (this.examples === 0) throw new RangeError(`${name} must have batches, got none`);
    return Object.fromEntries(this.sums.map((sum, i) => [`${prefix}${names[i]}`, sum / this.examples]));
  }
}

export interface CheckedTraining {
  dataset: TrainingData;
  validation: TrainingData | undefined;
  batchSize: number;
  shuffle: boolean;
  loss: CompileValue;
  metrics: CompileValue;
}

export function checkTraining(model: ModelLike, options: TrainingOptions): CheckedTraining {
  const { dataset, validation, batchSize = 32, shuffle = true } = options;
  const { loss = (model as Partial<Trainable>).loss, metrics = (model as Partial<Trainable>).metrics } =
    options;
  if (loss === undefined || loss === null) {
    throw new TypeError('loss must be given, since the model was not compiled with one, got undefined');
  }
  return {
    dataset: checkData('dataset', dataset),
    validation: validation === undefined ? undefined : checkData('validation', validation),
    batchSize: checkInteger('batchSize', batchSize, 1, 2 ** 31 - 1),
    shuffle: checkBoolean('shuffle', shuffle),
    loss,
    metrics,
  };
}

/** `prefix` stands before the parameters' names in messages. */
export function checkStage(prefix: string, options: StageOptions, validation: unknown): void {
  const { optimizer, epochs, patience, minDelta = 0, onEpochEnd } = options;
  const { applyGradients } = ((optimizer as Optimizer | null | undefined) ?? {}) as Partial<Optimizer>;
  if (typeof applyGradients !== 'function') {
    throw new TypeError(`${prefix}optimizer must be a tf.Optimizer, got ${describe(optimizer)}`);
  }
  checkInteger(`${prefix}epochs`, epochs, 1, 2 ** 31 - 1);
  checkNumber(`${prefix}minDelta`, minDelta, { min: 0 });
  if (patience !== undefined) {
    checkInteger(`${prefix}patience`, patience, 1, 2 ** 31 - 1);
    if (validation === undefined) throw new TypeError(`${prefix}patience needs validation, got undefined`);
  }
  if (onEpochEnd !== undefined && typeof onEpochEnd !== 'function') {
    throw new TypeError(`${prefix}onEpochEnd must be a function, got ${describe(onEpochEnd)}`);
  }
}

/**
 * What `compile` and training leave in a model's properties, to be put back. A `tf.Sequential` hands most calls on to a model
 * within it.
 */
function compiledState(model: ModelLike): () => void {
  const inner = (model as { model?: object }).model;
  const parts = inner === undefined ? [model] : [model, inner];
  const before = parts.map((part) => ({ part: part as Record<string, unknown>, own: { ...part } as object }));
  return () => {
    for (const { part, own } of before) {
      for (const key of Object.keys(part)) if (!(key in own)) delete part[key];
      Object.assign(part, own);
    }
  };
}

/**
 * Another optimizer in a tidy: where a step throws, tfjs keeps the gradients, and the tensors of the loss, that it had made.
 */
class TidyOptimizer extends Optimizer {
  constructor(private readonly inner: Optimizer) {
    super();
  }

  override minimize(f: () => Scalar, returnCost?: boolean, varList?: Variable[]): Scalar | null {
    return tidy(() => this.inner.minimize(f, returnCost, varList) as Scalar);
  }

  override applyGradients(gradients: Parameters<Optimizer['applyGradients']>[0]): void {
    this.inner.applyGradients(gradients);
  }

  getConfig(): serialization.ConfigDict {
    return this.inner.getConfig();
  }
}

async function trainEpoch(model: Trainable, training: CheckedTraining): Promise<EpochLogs> {
  const { dataset, validation, batchSize, shuffle } = training;
  const list = <T>(value: T | T[]) => (Array.isArray(value) ? value : [value]);
  const trained = new Mean();
  for await (const { xs, ys, size } of batchesOf('dataset', dataset, batchSize, shuffle)) {
    trained.add(list(await model.trainOnBatch(xs, ys)), size);
  }
  const names = model.metricsNames;
  const logs = trained.logs('dataset', names, '');
  if (validation === undefined) return logs;
  const validated = new Mean();
  for await (const { xs, ys, size } of batchesOf('validation', validation, batchSize, false)) {
    const results = list(model.evaluate(xs, ys, { batchSize: size }));
    try {
      const values = await Promise.all(results.map((result) => result.data()));
      validated.add(
        values.map((value) => value[0] as number),
        size,
      );
    } finally {
      dispose(results);
    }
  }
  return { ...logs, ...validated.logs('validation', names, 'val_') };
}

/** The weights of the best epoch so far, by `val_loss`. */
class Best<S extends { restore(): void; dispose(): void }> {
  epoch = -1;
  private loss = Number.POSITIVE_INFINITY;
  private weights: S | undefined;

  constructor(
    private readonly minDelta: number,
    private readonly snapshot: () => S,
  ) {}

  see(epoch: number, loss: number): void {
    if (!(loss < this.loss - this.minDelta)) return;
    this.loss = loss;
    this.epoch = epoch;
    this.weights?.dispose();
    this.weights = this.snapshot();
  }

  restore(): void {
    this.weights?.restore();
  }

  dispose(): void {
    this.weights?.dispose();
  }
}

/**
 * One stage. What is trainable is the caller's to set before. How the model was compiled is as before afterwards, also if the
 * stage throws; weights are the caller's to put back.
 *
 * @param snapshot takes the weights of an epoch, to go back to them.
 */
export async function trainStage(
  model: ModelLike,
  training: CheckedTraining,
  stage: StageOptions,
  snapshot: () => { restore(): void; dispose(): void },
): Promise<StageResult> {
  const { optimizer, epochs, patience, minDelta = 0, onEpochEnd } = stage;
  const { loss, metrics } = training;
  const restoreCompiled = compiledState(model);
  const best = new Best(minDelta, snapshot);
  const history: EpochLogs[] = [];
  try {
    const trainable = model as unknown as Trainable;
    trainable.compile({ optimizer: new TidyOptimizer(optimizer), loss, metrics });
    for (let epoch = 0; epoch < epochs; ++epoch) {
      const logs = await trainEpoch(trainable, training);
      history.push(logs);
      if (patience !== undefined) best.see(epoch, logs.val_loss as number);
      await onEpochEnd?.(epoch, { ...logs });
      if (patience !== undefined && epoch - best.epoch >= patience) break;
    }
    if (best.epoch >= 0) best.restore();
    return { epochs: history.length, epoch: best.epoch >= 0 ? best.epoch : history.length - 1, history };
  } finally {
    best.dispose();
    restoreCompiled();
  }
}
