/** Options of the optimizers. */

import type { NamedTensorMap } from '@tensorflow/tfjs-core';
import type { ImplementationChoice } from '../backends/types.js';
import { FtpError } from '../errors.js';
import { type LearnOptions, learnOption } from '../learn/options.js';
import type { AdamWUpdateOptions } from '../methods/adamw.js';
import type { ConstraintOptions } from '../methods/ftp.js';
import type { Method } from '../methods/method.js';
import { none } from '../methods/none.js';
import { proposal } from '../methods/proposal.js';
import type { SgdUpdateOptions } from '../methods/sgd.js';
import {
  choiceOption,
  type OptionTable,
  RUN_OPTIONS,
  type RunOptions,
  type RunSettings,
  resolveOptions,
} from '../options.js';
import { checkInteger, checkOptionKeys, describe } from '../validate.js';
import type { ExcludeOption } from '../variables/exclude.js';
import { PER_VARIABLE_OPTIONS, type PerVariableOptions, type VariableGroup } from '../variables/groups.js';
import type { ModelLike, OutputAxisOption } from '../variables/output_axis.js';
import { CLIP_OPTIONS, type ClipOptions, type ClipSettings, checkClip } from './clip.js';
import { type EmaOptions, type EmaSettings, emaOption } from './ema.js';

/**
 * Options of every optimizer of this package, plain ones too. In a step they act in this order: the mean of the
 * accumulated gradients, clipping, the method with the numbers of each variable, the average of the weights.
 */
export interface TrainingOptions extends RunOptions, ClipOptions {
  /**
   * Numbers and exclusion by groups of variables: see {@link VariableGroup}. A variable takes the first group that matches
   * it. Saved with the optimizer; of a predicate, the names that it matched. Default: none.
   *
   * The first step that brings variables throws `FtpError` with code `UNMATCHED_PATTERN` for a pattern that matches
   * nothing, as with `exclude`.
   *
   * @example
   * ```ts
   * const groups = [
   *   { match: { layer: 'head' }, learningRateScale: 10, exclude: true },
   *   { match: { rank: 1 }, weightDecay: 0 },
   * ];
   * const optimizer = ftp.adamw(1e-4, { weightDecay: 0.05, groups });
   * ```
   */
  groups?: readonly VariableGroup[];
  /**
   * Calls of `applyGradients` per step, a whole number >= 1; default 1. The step is taken at the last of them, with the
   * mean of their gradients; a variable without a gradient in some of the calls has zeros there, one without any in
   * all of them is left alone. Calls before the last change no weights and are not counted in `iterations`, so that a
   * schedule counts steps.
   *
   * Each call is checked as `nonFinite` says; a call that is left out with `'skip'` is not one of those of the mean. The
   * sums so far are saved with the optimizer.
   */
  accumulate?: number;
  /** An average of the weights over the steps; see {@link EmaOptions}. Default: none. One more slot per variable. */
  ema?: EmaOptions;
  /**
   * What computes the step. `'auto'` (default): the fused native step where it runs, else tfjs
   * operations; `optimizer.implementation` tells which. `'native'`: throws instead of falling back.
   * `'reference'`: tfjs operations.
   */
  implementation?: ImplementationChoice;
}

/** Options of the optimizers that hold variables near their anchors. */
export interface OptimizerOptions extends TrainingOptions {
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
   * wrappers are looked into. Or a GraphModel that `trainable` of `tfjs-ftp/models` made trainable. Default: last axis; rank 0 and 1 are one row. Without `model`, one warning names the
   * variables for which the last axis is likely wrong, going by their names.
   *
   * The first step that brings variables throws `FtpError` with code `MODEL_MISMATCH` if none of them is a weight of
   * the model.
   */
  model?: ModelLike;
  /**
   * Output axis of a variable (negative: from the end), an array of neighbouring axes whose elements are rows together, null
   * for a single row, undefined for the default.
   * Comes before `model`.
   */
  outputAxis?: OutputAxisOption;
}

/** Options that all FTP optimizers share. */
export interface FtpOptions extends ConstraintOptions, OptimizerOptions {}

/** Options of `ftp.adamw`. */
export interface FtpAdamWOptions extends FtpOptions, AdamWUpdateOptions, PerVariableOptions {}

/** Options of `ftp.sgd`. */
export interface FtpSgdOptions extends FtpOptions, SgdUpdateOptions, PerVariableOptions {}

/** Options of `ftp.wrap`. */
export type FtpWrapOptions = FtpOptions;

/** The checked options that are plain values. */
export interface OptimizerSettings extends RunSettings, ClipSettings {
  accumulate: number;
  ema: EmaSettings | null;
  learn: LearnOptions | null;
  implementation: ImplementationChoice;
}

/** Step counts are int32, and a step may have as many calls. */
const MOST_CALLS = 2 ** 31 - 1;

export const OPTIMIZER_OPTIONS: OptionTable<OptimizerSettings> = {
  ...RUN_OPTIONS,
  ...CLIP_OPTIONS,
  accumulate: { default: 1, check: (name, value) => checkInteger(name, value, 1, MOST_CALLS) },
  ema: emaOption,
  learn: learnOption,
  implementation: choiceOption('auto', ['auto', 'native', 'reference']),
};

/** Options that are not plain values: checked, and saved in another form, by what uses them. */
const OBJECT_OPTIONS = ['groups', 'model'];
/** Those that say how variables are held near their anchors, which mean nothing to a method without. */
const ANCHOR_OPTIONS = ['exclude', 'anchors', 'outputAxis'];

/** All options of an optimizer: of any, and of its method. */
export type GivenOptions = OptimizerOptions & PerVariableOptions;

/** Key of a saved configuration in place of options, invisible to option checks. */
const SAVED = Symbol('saved');

type Config = { [key: string]: unknown };

/**
 * A saved configuration as the options of a constructor.
 *
 * @throws FtpError STATE_MISMATCH for what is no configuration.
 */
export function optionsFromConfig(config: Config): OptimizerOptions {
  if (config === null || typeof config !== 'object') {
    throw new FtpError(
      'STATE_MISMATCH',
      `an optimizer's configuration must be an object, got ${describe(config)}`,
    );
  }
  return { [SAVED]: config } as OptimizerOptions;
}

/** The saved configuration that {@link optionsFromConfig} was given; undefined for options. */
export function restoredConfig(options: OptimizerOptions): Config | undefined {
  return (options as { [SAVED]?: Config } | null)?.[SAVED];
}

/**
 * The options that a constructor was given, with those that are plain values of all optimizers checked; those of its
 * method are not.
 */
export function openOptions(options: OptimizerOptions, { optionNames, base, rule }: Method) {
  if (Array.isArray((options as Partial<ModelLike> | null)?.layers)) {
    throw new TypeError(
      `options must be an object of options, got ${describe(options)}; did you mean {model}?`,
    );
  }
  const objects = [
    ...OBJECT_OPTIONS,
    ...(rule === none ? [] : ANCHOR_OPTIONS),
    // The learning rate and the decay of another optimizer are its own.
    ...(base === proposal ? [] : PER_VARIABLE_OPTIONS),
  ];
  const settingNames = Object.keys(OPTIMIZER_OPTIONS).filter((name) => base !== proposal || name !== 'learn');
  const known = [...optionNames, ...settingNames, ...objects];
  checkOptionKeys('options', options, known);
  const restored = restoredConfig(options);
  const given: GivenOptions =
    restored === undefined
      ? options
      : Object.fromEntries(known.map((name) => [name, restored[name] ?? undefined]));
  const settings = resolveOptions(OPTIMIZER_OPTIONS, given);
  checkClip(settings);
  return { given, settings, restored };
}
