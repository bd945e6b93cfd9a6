/**
 * Optimizers whose weights decay towards their anchor (L2-SP).
 *
 * @module
 */

import type { Optimizer } from '@tensorflow/tfjs-core';
import type { AdamWUpdateOptions } from './methods/adamw.js';
import { type L2SpOptions, l2sp as rule } from './methods/l2_sp.js';
import type { SgdUpdateOptions } from './methods/sgd.js';
import { scheduledClasses, wrapClass } from './optimizers/classes.js';
import type { OptimizerOptions } from './optimizers/options.js';
import type { ScheduledOptimizer } from './optimizers/scheduled.js';
import type { WrapOptimizer } from './optimizers/wrap.js';
import type { LearningRate } from './options.js';
import type { PerVariableOptions } from './variables/groups.js';

/** Options of `l2sp.wrap`. */
export interface L2SpWrapOptions extends L2SpOptions, OptimizerOptions {}
/** Options of `l2sp.adamw`. */
export interface L2SpAdamWOptions extends L2SpWrapOptions, AdamWUpdateOptions, PerVariableOptions {}
/** Options of `l2sp.sgd`. */
export interface L2SpSgdOptions extends L2SpWrapOptions, SgdUpdateOptions, PerVariableOptions {}

const { AdamW, Sgd } = scheduledClasses<L2SpWrapOptions>(rule, 'L2Sp');
const Wrap = wrapClass<L2SpWrapOptions>(rule, 'L2Sp');

/**
 * AdamW whose weights decay towards their pre-trained value.
 *
 * With weights W, anchor A (the pre-trained value), gradient g, D = W - A, and U what plain AdamW would subtract (as in
 * `ftp.adamw`, weight decay included):
 *
 * ```
 * W_t = W - learningRate strength D - U        decoupled, the default
 * g + strength D in place of g                 with `coupled`: the penalty strength / 2 sum D^2 of the loss
 * ```
 *
 * @param learningRate finite number >= 0, or a function that maps the step (0 at the first) to one.
 * @param options see {@link L2SpAdamWOptions}.
 * @returns a `tf.Optimizer`. Yours to `dispose()`.
 * @throws TypeError or RangeError for options of a wrong type or value.
 *
 * @example
 * ```ts
 * import * as tf from '@tensorflow/tfjs';
 * import { l2sp } from 'tfjs-ftp';
 *
 * const model = tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [3] })] });
 * const optimizer = l2sp.adamw(1e-3, { strength: 1 });
 * model.compile({ optimizer, loss: 'meanSquaredError' });
 * await model.fit(tf.ones([8, 3]), tf.zeros([8, 2]), { epochs: 2, verbose: 0 });
 * ```
 *
 * Source: Li, Grandvalet, Davoine: Explicit Inductive Bias for Transfer Learning with Convolutional Networks, ICML 2018;
 * authors' code github.com/holyseven/TransferLearningClassification, with strength 0.1 for SGD at a rate of 0.01.
 * Deliberate differences: the decoupled form, which is AdamW's way and not theirs, is the default; biases are held too;
 * the authors' decay of new layers towards zero is an anchor of zero in `anchors`, or `weightDecay`. The 1/2 of the penalty
 * is theirs; others leave it out, and their strength is half of this one.
 */
export function adamw(learningRate: LearningRate, options: L2SpAdamWOptions = {}): ScheduledOptimizer {
  return new AdamW(learningRate, options);
}

/**
 * SGD, with momentum if wanted, held near the anchor as in {@link adamw}. U is what SGD would subtract, as in `ftp.sgd`.
 *
 * @param learningRate finite number >= 0, or a function that maps the step (0 at the first) to one.
 * @param options see {@link L2SpSgdOptions}.
 * @returns a `tf.Optimizer`. Yours to `dispose()`.
 * @throws TypeError or RangeError for options of a wrong type or value.
 *
 * Source: as {@link adamw}.
 */
export function sgd(learningRate: LearningRate, options: L2SpSgdOptions = {}): ScheduledOptimizer {
  return new Sgd(learningRate, options);
}

/**
 * Any `tf.Optimizer`, held near the anchor as in {@link adamw}. Excluded variables stay as the base optimizer left them.
 *
 * There is no native step of this: it runs in tfjs operations, and `implementation` is `'reference'`. Coupled, the
 * base sees the changed gradient; decoupled, the decay follows the base's own update. The base
 * must have a `learningRate` that is a number, as tfjs's optimizers do.
 *
 * If a step throws, everything is as before, as with `ftp.wrap`.
 *
 * @param baseOptimizer any optimizer but one of this package. It belongs to the result, which disposes it.
 * @param options see {@link L2SpWrapOptions}.
 * @returns a `tf.Optimizer`; its `learningRate` is the base's.
 * @throws TypeError or RangeError for options of a wrong type or value.
 *
 * Source: as {@link adamw}.
 */
export function wrap(baseOptimizer: Optimizer, options: L2SpWrapOptions = {}): WrapOptimizer {
  return new Wrap(baseOptimizer, options);
}
