/**
 * Optimizers that hold every variable in a ball of a fixed radius around its anchor (MARS-SP).
 *
 * @module
 */

import type { Optimizer } from '@tensorflow/tfjs-core';
import type { AdamWUpdateOptions } from './methods/adamw.js';
import { type RadiusOptions, fixedRadius as rule } from './methods/fixed_radius.js';
import type { SgdUpdateOptions } from './methods/sgd.js';
import { scheduledClasses, wrapClass } from './optimizers/classes.js';
import type { OptimizerOptions } from './optimizers/options.js';
import type { ScheduledOptimizer } from './optimizers/scheduled.js';
import type { WrapOptimizer } from './optimizers/wrap.js';
import type { LearningRate } from './options.js';
import type { PerVariableOptions } from './variables/groups.js';

/** Options of `fixedRadius.wrap`. */
export interface FixedRadiusWrapOptions extends RadiusOptions, OptimizerOptions {}
/** Options of `fixedRadius.adamw`. */
export interface FixedRadiusAdamWOptions
  extends FixedRadiusWrapOptions,
    AdamWUpdateOptions,
    PerVariableOptions {}
/** Options of `fixedRadius.sgd`. */
export interface FixedRadiusSgdOptions extends FixedRadiusWrapOptions, SgdUpdateOptions, PerVariableOptions {}

const { AdamW, Sgd } = scheduledClasses<FixedRadiusWrapOptions>(rule, 'FixedRadius');
const Wrap = wrapClass<FixedRadiusWrapOptions>(rule, 'FixedRadius');

/**
 * AdamW whose every step is projected onto a ball of a fixed radius around the pre-trained value.
 *
 * With weights W, anchor A (the pre-trained value), gradient g, D = W - A, and U what plain AdamW would subtract (as in
 * `ftp.adamw`, weight decay included):
 *
 * ```
 * C      = W - U - A
 * n[r]   = sum_j |C[r, j]|                     norm of row r; with norm 'frobenius' n = sqrt(sum C^2) of the whole variable
 * W_t[r] = A[r] + min(1, radius / n[r]) C[r]
 * ```
 *
 * A row is one output unit, as in `ftp.adamw`; see the options `model` and `outputAxis`.
 *
 * @param learningRate finite number >= 0, or a function that maps the step (0 at the first) to one.
 * @param options see {@link FixedRadiusAdamWOptions}.
 * @returns a `tf.Optimizer`. Yours to `dispose()`.
 * @throws TypeError or RangeError for options of a wrong type or value.
 *
 * @example
 * ```ts
 * import * as tf from '@tensorflow/tfjs';
 * import { fixedRadius } from 'tfjs-ftp';
 *
 * const model = tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [3] })] });
 * const optimizer = fixedRadius.adamw(1e-3, { model, radius: 4 });
 * model.compile({ optimizer, loss: 'meanSquaredError' });
 * await model.fit(tf.ones([8, 3]), tf.zeros([8, 2]), { epochs: 2, verbose: 0 });
 * ```
 *
 * Source: Gouk, Hospedales, Pontil: Distance-Based Regularisation of Deep Networks for Fine-Tuning, ICLR 2021; authors' code
 * github.com/henrygouk/mars-finetuning, whose radii are 2 to 8, and 8 to 21 for a head with an anchor of zero. Deliberate
 * differences: every variable that is not excluded is held (there, kernels and the scale of batch normalisation, the
 * latter together with its variance): a `radius` of null leaves biases free. Rows follow the layer's output axis, also of
 * conv1d and depthwise kernels. An anchor of zero for a head is given in `anchors`. A variable that is on its anchor
 * stays (there, a radius of 0 gives NaN); a radius must be > 0.
 */
export function adamw(learningRate: LearningRate, options: FixedRadiusAdamWOptions): ScheduledOptimizer {
  return new AdamW(learningRate, options);
}

/**
 * SGD, with momentum if wanted, held near the anchor as in {@link adamw}. U is what SGD would subtract, as in `ftp.sgd`.
 *
 * @param learningRate finite number >= 0, or a function that maps the step (0 at the first) to one.
 * @param options see {@link FixedRadiusSgdOptions}.
 * @returns a `tf.Optimizer`. Yours to `dispose()`.
 * @throws TypeError or RangeError for options of a wrong type or value.
 *
 * Source: as {@link adamw}.
 */
export function sgd(learningRate: LearningRate, options: FixedRadiusSgdOptions): ScheduledOptimizer {
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
 * @param options see {@link FixedRadiusWrapOptions}.
 * @returns a `tf.Optimizer`; its `learningRate` is the base's.
 * @throws TypeError or RangeError for options of a wrong type or value.
 *
 * Source: as {@link adamw}.
 */
export function wrap(baseOptimizer: Optimizer, options: FixedRadiusWrapOptions): WrapOptimizer {
  return new Wrap(baseOptimizer, options);
}
