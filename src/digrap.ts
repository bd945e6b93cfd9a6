/**
 * Optimizers that take out of the gradient what leads away from the anchor (DiGraP).
 *
 * @module
 */

import type { Optimizer } from '@tensorflow/tfjs-core';
import type { AdamWUpdateOptions } from './methods/adamw.js';
import { type DigrapOptions, digrap as rule } from './methods/digrap.js';
import type { SgdUpdateOptions } from './methods/sgd.js';
import { scheduledClasses, wrapClass } from './optimizers/classes.js';
import type { OptimizerOptions } from './optimizers/options.js';
import type { ScheduledOptimizer } from './optimizers/scheduled.js';
import type { WrapOptimizer } from './optimizers/wrap.js';
import type { LearningRate } from './options.js';
import type { PerVariableOptions } from './variables/groups.js';

/** Options of `digrap.wrap`. */
export interface DigrapWrapOptions extends DigrapOptions, OptimizerOptions {}
/** Options of `digrap.adamw`. */
export interface DigrapAdamWOptions extends DigrapWrapOptions, AdamWUpdateOptions, PerVariableOptions {}
/** Options of `digrap.sgd`. */
export interface DigrapSgdOptions extends DigrapWrapOptions, SgdUpdateOptions, PerVariableOptions {}

const { AdamW, Sgd } = scheduledClasses<DigrapWrapOptions>(rule, 'Digrap');
const Wrap = wrapClass<DigrapWrapOptions>(rule, 'Digrap');

/**
 * AdamW on a gradient without a learnt share of what leads away from the pre-trained value.
 *
 * With weights W, anchor A (the pre-trained value), gradient g, D = W - A, and U what plain AdamW would subtract (as in
 * `ftp.adamw`, weight decay included):
 *
 * ```
 * k_t     = sum g D / (sum D^2 + 1e-8)
 * h_t     = learningRate_{t-1} k_{t-1} sum g_t D_{t-1}                                       (t > 1)
 * omega_t = Adam step on omega with h_t, clipped to [0, 1];  omega_1 = 0
 * g~      = g - omega_t k_t D   where sum g D < 0: descent leads away from the anchor
 *           g                   elsewhere
 * W_t     = W - U               of g~, in the moments too
 * ```
 *
 * Sums run over the whole variable.
 *
 * @param learningRate finite number >= 0, or a function that maps the step (0 at the first) to one.
 * @param options see {@link DigrapAdamWOptions}.
 * @returns a `tf.Optimizer`. Yours to `dispose()`.
 * @throws TypeError or RangeError for options of a wrong type or value.
 *
 * @example
 * ```ts
 * import * as tf from '@tensorflow/tfjs';
 * import { digrap } from 'tfjs-ftp';
 *
 * const model = tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [3] })] });
 * const optimizer = digrap.adamw(1e-3, { model });
 * model.compile({ optimizer, loss: 'meanSquaredError' });
 * await model.fit(tf.ones([8, 3]), tf.zeros([8, 2]), { epochs: 2, verbose: 0 });
 * ```
 *
 * Source: Huang, Tian, Maneechotesuwan, Chopra, Kira: Directional Gradient Projection for Robust Fine-Tuning of Foundation
 * Models, ICLR 2025, arXiv 2502.15895. The code of the paper could not be had. The formulas are those of code by the same
 * authors, github.com/chengyuehuang511/vlm_robustness, `optimizer/pcgrad.py`, which agrees with the paper's first figure in
 * where the rule acts. Deliberate differences from it: its second term, a decay towards the anchor with a learnt strength
 * of its own, is left out, and `weightDecay` is AdamW's, towards zero; moments belong to the variable's name (there, a
 * missing gradient mixes them up).
 */
export function adamw(learningRate: LearningRate, options: DigrapAdamWOptions = {}): ScheduledOptimizer {
  return new AdamW(learningRate, options);
}

/**
 * SGD, with momentum if wanted, held near the anchor as in {@link adamw}. U is what SGD would subtract, as in `ftp.sgd`.
 *
 * @param learningRate finite number >= 0, or a function that maps the step (0 at the first) to one.
 * @param options see {@link DigrapSgdOptions}.
 * @returns a `tf.Optimizer`. Yours to `dispose()`.
 * @throws TypeError or RangeError for options of a wrong type or value.
 *
 * Source: as {@link adamw}.
 */
export function sgd(learningRate: LearningRate, options: DigrapSgdOptions = {}): ScheduledOptimizer {
  return new Sgd(learningRate, options);
}

/**
 * Any `tf.Optimizer`, held near the anchor as in {@link adamw}. Excluded variables stay as the base optimizer left them.
 *
 * There is no native step of this: it runs in tfjs operations, and `implementation` is `'reference'`. The base sees
 * the changed gradient. The base
 * must have a `learningRate` that is a number, as tfjs's optimizers do.
 *
 * If a step throws, everything is as before, as with `ftp.wrap`.
 *
 * @param baseOptimizer any optimizer but one of this package. It belongs to the result, which disposes it.
 * @param options see {@link DigrapWrapOptions}.
 * @returns a `tf.Optimizer`; its `learningRate` is the base's.
 * @throws TypeError or RangeError for options of a wrong type or value.
 *
 * Source: as {@link adamw}.
 */
export function wrap(baseOptimizer: Optimizer, options: DigrapWrapOptions = {}): WrapOptimizer {
  return new Wrap(baseOptimizer, options);
}
