/**
 * Optimizers that take steps back where they lead too far from the anchor (Selective Projection Decay).
 *
 * @module
 */

import type { Optimizer } from '@tensorflow/tfjs-core';
import type { AdamWUpdateOptions } from './methods/adamw.js';
import type { SgdUpdateOptions } from './methods/sgd.js';
import { spd as rule, type SpdOptions } from './methods/spd.js';
import { scheduledClasses, wrapClass } from './optimizers/classes.js';
import type { OptimizerOptions } from './optimizers/options.js';
import type { ScheduledOptimizer } from './optimizers/scheduled.js';
import type { WrapOptimizer } from './optimizers/wrap.js';
import type { LearningRate } from './options.js';
import type { PerVariableOptions } from './variables/groups.js';

/** Options of `spd.wrap`. */
export interface SpdWrapOptions extends SpdOptions, OptimizerOptions {}
/** Options of `spd.adamw`. */
export interface SpdAdamWOptions extends SpdWrapOptions, AdamWUpdateOptions, PerVariableOptions {}
/** Options of `spd.sgd`. */
export interface SpdSgdOptions extends SpdWrapOptions, SgdUpdateOptions, PerVariableOptions {}

const { AdamW, Sgd } = scheduledClasses<SpdWrapOptions>(rule, 'Spd');
const Wrap = wrapClass<SpdWrapOptions>(rule, 'Spd');

/**
 * AdamW whose steps are shortened where the gradient leads back and momentum leads on outward.
 *
 * With weights W, anchor A (the pre-trained value), gradient g, D = W - A, and U what plain AdamW would subtract (as in
 * `ftp.adamw`, weight decay included):
 *
 * ```
 * C   = W - U - A
 * r   = clip((|C| - |D|) / |C|, 0, 1)          2-norms of the variable; 0 where C is 0
 * W_t = A + (1 - strength r) C                 where sum g D > 0
 *       A + C                                  elsewhere
 * ```
 *
 * With `rows`, every row has an r of its own, from the norms sum_j |.| + 1e-8; see `model` and `outputAxis` for rows. Whether
 * the rule acts is decided for the whole variable.
 *
 * @param learningRate finite number >= 0, or a function that maps the step (0 at the first) to one.
 * @param options see {@link SpdAdamWOptions}.
 * @returns a `tf.Optimizer`. Yours to `dispose()`.
 * @throws TypeError or RangeError for options of a wrong type or value.
 *
 * @example
 * ```ts
 * import * as tf from '@tensorflow/tfjs';
 * import { spd } from 'tfjs-ftp';
 *
 * const model = tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [3] })] });
 * const optimizer = spd.adamw(1e-3, { strength: 0.5 });
 * model.compile({ optimizer, loss: 'meanSquaredError' });
 * await model.fit(tf.ones([8, 3]), tf.zeros([8, 2]), { epochs: 2, verbose: 0 });
 * ```
 *
 * Source: Tian, Huang, Kira: Rethinking Weight Decay for Robust Fine-Tuning of Foundation Models, NeurIPS 2024, arXiv
 * 2411.01713; authors' code github.com/GT-RIPL/Selective-Projection-Decay, `adamSPD.py`, whose option `weight_decay` is
 * `strength` here. `strengthByDepth` is MAPS (arXiv 2511.19878). Deliberate differences: the anchor is the weights that a
 * variable starts with (there, zero where none is given: give zeros in `anchors`); `weightDecay` is AdamW's, which theirs
 * lacks; a gradient that is not finite throws.
 */
export function adamw(learningRate: LearningRate, options: SpdAdamWOptions = {}): ScheduledOptimizer {
  return new AdamW(learningRate, options);
}

/**
 * SGD, with momentum if wanted, held near the anchor as in {@link adamw}. U is what SGD would subtract, as in `ftp.sgd`.
 *
 * @param learningRate finite number >= 0, or a function that maps the step (0 at the first) to one.
 * @param options see {@link SpdSgdOptions}.
 * @returns a `tf.Optimizer`. Yours to `dispose()`.
 * @throws TypeError or RangeError for options of a wrong type or value.
 *
 * Source: as {@link adamw}.
 */
export function sgd(learningRate: LearningRate, options: SpdSgdOptions = {}): ScheduledOptimizer {
  return new Sgd(learningRate, options);
}

/**
 * Any `tf.Optimizer`, held near the anchor as in {@link adamw}. Excluded variables stay as the base optimizer left them.
 *
 * U is W minus what the base optimizer proposes. Its own operations run first, so this costs at least what the base
 * costs.
 *
 * If a step throws, everything is as before, as with `ftp.wrap`.
 *
 * @param baseOptimizer any optimizer but one of this package. It belongs to the result, which disposes it.
 * @param options see {@link SpdWrapOptions}.
 * @returns a `tf.Optimizer`; its `learningRate` is the base's.
 * @throws TypeError or RangeError for options of a wrong type or value.
 *
 * Source: as {@link adamw}.
 */
export function wrap(baseOptimizer: Optimizer, options: SpdWrapOptions = {}): WrapOptimizer {
  return new Wrap(baseOptimizer, options);
}
