/** What a callback of `model.fit` is, and how one is made without tfjs-layers as a dependency. */

import type { Optimizer, Scalar, Tensor, Variable } from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import { loadedModules } from '../platform/node.js';
import { describe } from '../validate.js';

/** Losses and metrics by name, as tfjs-layers gives them to callbacks. */
export type FitLogs = { [name: string]: number | Scalar };

/** What `model.fit` tells its callbacks of itself. */
export type FitParams = { [name: string]: number | string | boolean | number[] | string[] | boolean[] };

/**
 * A `tf.Callback` for `callbacks` of `model.fit` and `model.fitDataset`. It can stand in one array with others, such as
 * `tf.callbacks.earlyStopping()`, but not with plain objects of functions: tfjs takes either kind alone.
 */
export interface FitCallback {
  validationData: Tensor | Tensor[];
  params: FitParams;
  setParams(params: FitParams): void;
  setModel(model: object): void;
  onTrainBegin(logs?: FitLogs): Promise<void>;
  onTrainEnd(logs?: FitLogs): Promise<void>;
  onEpochBegin(epoch: number, logs?: FitLogs): Promise<void>;
  onEpochEnd(epoch: number, logs?: FitLogs): Promise<void>;
  onBatchBegin(batch: number, logs?: FitLogs): Promise<void>;
  onBatchEnd(batch: number, logs?: FitLogs): Promise<void>;
}

/** What is needed of the model that is trained. */
export interface TrainedModel {
  optimizer: Optimizer;
  stopTraining: boolean;
  weights: ReadonlyArray<{ name: string; val: Variable }>;
}

/** What a callback does; hooks that it leaves out do nothing. */
export interface Hooks {
  onTrainBegin?(): Promise<void>;
  onTrainEnd?(): Promise<void>;
  onEpochBegin?(epoch: number): Promise<void>;
  onEpochEnd?(epoch: number, logs: FitLogs): Promise<void>;
  onBatchEnd?(batch: number, logs: FitLogs): Promise<void>;
}

type LoadedCallback = FitCallback & { model: TrainedModel | null };

/** `tf.Callback` of the tfjs-layers that is loaded. */
export interface Layers {
  Callback: new () => LoadedCallback;
}

let given: Layers | null = null;

/**
 * Says whose `fit` callbacks are made for. Needed in a browser, where this package cannot see what is loaded; in Node,
 * only for a tfjs-layers that was bundled into another file.
 *
 * @param layers `tf` of `@tensorflow/tfjs`, or `@tensorflow/tfjs-layers`.
 * @throws TypeError for an object without the class `Callback`.
 */
export function useLayers(layers: { Callback: unknown }): void {
  if (typeof layers?.Callback !== 'function') {
    throw new TypeError(`layers must be tf or @tensorflow/tfjs-layers, got ${describe(layers)}`);
  }
  given = layers as Layers;
}

/**
 * tfjs-layers as the process has loaded it. `fit` takes callbacks of that copy's own class alone; to import another
 * copy here, or to load it for users who never call `fit`, would both be wrong.
 */
function loadedLayers(): Layers {
  if (given !== null) return given;
  for (const exported of loadedModules(/[\\/]tfjs-layers[\\/]dist[\\/]/)) {
    if (typeof (exported as Partial<Layers> | undefined)?.Callback === 'function') return exported as Layers;
  }
  throw new FtpError(
    'TFJS_LAYERS_NOT_FOUND',
    'callbacks are for model.fit of tfjs-layers, which this process has not loaded: import @tensorflow/tfjs-node, ' +
      '@tensorflow/tfjs or @tensorflow/tfjs-layers before making one; in a browser call callbacks.useLayers(tf) first',
  );
}

/**
 * Makes a callback of hooks, which are given what the callback knows.
 *
 * @param hooks called with a function for the model, which `fit` sets before any hook, and one for its parameters.
 */
export function makeCallback(
  hooks: (model: () => TrainedModel, params: () => FitParams) => Hooks,
): FitCallback {
  const { Callback } = loadedLayers();
  const callback = new Callback();
  const model = () => {
    if (callback.model !== null) return callback.model;
    throw new FtpError(
      'DUPLICATE_TFJS',
      'model.fit has not told this callback its model: the process has loaded tfjs-layers twice, or the callback stands in ' +
        'an array after a plain object of functions, which tfjs does not take together',
    );
  };
  return Object.assign(
    callback,
    hooks(model, () => callback.params),
  );
}

/** Losses and metrics of `logs` that training has, in its order. */
export async function readMetrics(logs: FitLogs, { metrics }: FitParams): Promise<Array<[string, number]>> {
  const read: Array<[string, number]> = [];
  for (const name of Array.isArray(metrics) ? metrics.map(String) : []) {
    const value = logs[name];
    if (value !== undefined) read.push([name, await readLog(value)]);
  }
  return read;
}

/** The value of a log; it stays the caller's. */
export async function readLog(value: number | Scalar): Promise<number> {
  return typeof value === 'number' ? value : ((await value.data())[0] as number);
}
