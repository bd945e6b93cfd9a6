/** Options of the optimizers. */

import type { NamedTensorMap } from '@tensorflow/tfjs-core';
import type { ImplementationChoice } from '../backends/types.js';
import { FtpError } from '../errors.js';
import type { AdamWUpdateOptions, ConstraintOptions, SgdUpdateOptions } from '../options.js';
import type { ExcludeOption } from '../projection/exclude.js';
import type { ModelLike, OutputAxisOption } from '../projection/output_axis.js';
import {
  ADAMW_KEYS,
  CONSTRAINT_KEYS,
  type ConstraintSettings,
  checkChoice,
  checkOptionKeys,
  describe,
  resolveConstraintOptions,
  SGD_KEYS,
} from '../validate.js';

/** Options that all FTP optimizers share. */
export interface FtpOptions extends ConstraintOptions {
  /**
   * Variables that take the plain base update and are not held near an anchor, such as a new head: an
   * array of patterns, or a predicate on the variable's name. Default: none. Saved with the optimizer; of a
   * predicate, the names that it excluded.
   *
   * A pattern is one of
   *
   * - `{layer: 'head'}`: all variables of the layer of this name. With `model`: the weights of the layers that have
   *   the name, nested models included; a nested model is a layer too. Without: variables with the name as a
   *   segment of their path, such as `head/kernel`.
   * - a string: variables whose name has it as a substring. `'head'` also excludes
   *   `multi_head_attention/query/kernel`; `{layer: 'head'}` does not.
   * - a RegExp: variables whose name it matches.
   *
   * Names are tfjs's: a layer's weights are `<layer name>/kernel`, `<layer name>/bias` and so on, with a
   * suffix `_1`, `_2` where the same name existed already.
   *
   * The first step that brings variables throws `FtpError` with code `UNMATCHED_PATTERN` for a pattern that matches
   * nothing: no variable that tfjs has at that time, whether in the step or not, and no weight of `model`. A predicate
   * is not checked.
   */
  exclude?: ExcludeOption;
  /**
   * Pre-trained values by variable name. Default: the value that each variable has at its first step.
   * Copied here and now: the tensors stay yours to dispose. Names are checked at the first step.
   */
  anchors?: NamedTensorMap;
  /**
   * The `tf.LayersModel` that is trained. From the classes of its layers follows the output axis of every
   * variable: the last one for dense, convolution and recurrent kernels, the last but one for transposed
   * convolutions, the last two together for depthwise kernels, the first for embeddings. Nested models and
   * wrappers are looked into. Default: last axis; rank 0 and 1 are one row. Without `model`, one warning names the
   * variables for which the last axis is likely wrong, going by their names.
   *
   * The first step that brings variables throws `FtpError` with code `MODEL_MISMATCH` if none of them is a weight of
   * the model.
   */
  model?: ModelLike;
  /**
   * Output axis of a variable (negative: from the end), null for a single row, undefined for the default.
   * Comes before `model`.
   */
  outputAxis?: OutputAxisOption;
  /**
   * What computes the step. `'auto'` (default): the fused native step where it runs, else tfjs
   * operations; `optimizer.implementation` tells which. `'native'`: throws instead of falling back.
   * `'reference'`: tfjs operations.
   */
  implementation?: ImplementationChoice;
}

/** Options of `ftp.adamw`. */
export interface FtpAdamWOptions extends FtpOptions, AdamWUpdateOptions {}

/** Options of `ftp.sgd`. */
export interface FtpSgdOptions extends FtpOptions, SgdUpdateOptions {}

/** Options of `ftp.wrap`. */
export type FtpWrapOptions = FtpOptions;

/**
 * A learning rate, or a function of the step (0 at the first one). What a function of `schedules` made is saved with the
 * optimizer. Another function is not: set `optimizer.learningRate` to it again after loading.
 */
export type LearningRate = number | ((step: number) => number);

export const FTP_KEYS = [
  ...CONSTRAINT_KEYS,
  'exclude',
  'anchors',
  'model',
  'outputAxis',
  'implementation',
] as const;

export const FTP_ADAMW_KEYS = [...ADAMW_KEYS, ...FTP_KEYS];
export const FTP_SGD_KEYS = [...SGD_KEYS, ...FTP_KEYS];

/** The checked options that are plain values. */
export interface FtpSettings extends ConstraintSettings {
  implementation: ImplementationChoice;
}

export function resolveFtpOptions(options: FtpOptions, known: readonly string[]): FtpSettings {
  if (Array.isArray((options as Partial<ModelLike> | null)?.layers)) {
    throw new TypeError(
      `options must be an object of options, got ${describe(options)}; did you mean {model}?`,
    );
  }
  checkOptionKeys('options', options, known);
  const { implementation = 'auto' } = options;
  return {
    ...resolveConstraintOptions(options),
    implementation: checkChoice('implementation', implementation, ['auto', 'native', 'reference']),
  };
}

/** Key of what a saved configuration restores besides the options, invisible to option checks. */
export const RESTORED = Symbol('restored');

/** Parts of a saved configuration that are no options. */
export interface Restored {
  exclusion: unknown;
  layouts: unknown;
  schedule: unknown;
}

/**
 * The options part of a saved configuration, for the constructor.
 *
 * @throws FtpError STATE_MISMATCH for what is no configuration.
 */
export function optionsFromConfig(config: { [key: string]: unknown }, keys: readonly string[]): FtpOptions {
  if (config === null || typeof config !== 'object') {
    throw new FtpError(
      'STATE_MISMATCH',
      `an optimizer's configuration must be an object, got ${describe(config)}`,
    );
  }
  const options: { [key: string | symbol]: unknown } = {};
  for (const key of keys) {
    const value = config[key];
    if (value !== undefined && value !== null) options[key] = value;
  }
  const { exclusion, layouts, schedule } = config;
  options[RESTORED] = { exclusion, layouts, schedule };
  return options as FtpOptions;
}
