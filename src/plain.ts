/** The base updates alone, without an anchor. */

import type { AdamWUpdateOptions } from './methods/adamw.js';
import { none } from './methods/none.js';
import type { SgdUpdateOptions } from './methods/sgd.js';
import { scheduledClasses } from './optimizers/classes.js';
import type { TrainingOptions } from './optimizers/options.js';
import type { ScheduledOptimizer } from './optimizers/scheduled.js';
import type { LearningRate } from './options.js';
import type { PerVariableOptions } from './variables/groups.js';
import type { ModelLike } from './variables/output_axis.js';

interface PlainOptions extends TrainingOptions {
  /** The `tf.LayersModel` that is trained: for `layerDecay`, and for `{layer}` in `groups`. */
  model?: ModelLike;
}

/** Options of `adamw`. */
export interface AdamWOptions extends PlainOptions, AdamWUpdateOptions, PerVariableOptions {}
/** Options of `sgd`. */
export interface SgdOptions extends PlainOptions, SgdUpdateOptions, PerVariableOptions {}

const { AdamW, Sgd } = scheduledClasses<PlainOptions>(none, '');

/**
 * Plain AdamW, with the same fused native step as `ftp.adamw` and nothing that holds the weights: what the other methods
 * are to be compared with.
 *
 * ```
 * m   = beta1 m + (1 - beta1) g
 * v   = beta2 v + (1 - beta2) g^2              vmax = max(vmax, v) with amsgrad, in place of v below
 * W_t = W - learningRate / (1 - beta1^n) * m / (sqrt(v) / sqrt(1 - beta2^n) + epsilon) - learningRate weightDecay W
 * ```
 *
 * @param learningRate finite number >= 0, or a function that maps the step (0 at the first) to one.
 * @param options see {@link AdamWOptions}.
 * @returns a `tf.Optimizer`. Yours to `dispose()`.
 * @throws TypeError or RangeError for options of a wrong type or value.
 *
 * Source: Loshchilov, Hutter: Decoupled Weight Decay Regularization, ICLR 2019, as `torch.optim.AdamW` has it; there the
 * decay comes before the update, which is the same but for rounding.
 */
export function adamw(learningRate: LearningRate, options: AdamWOptions = {}): ScheduledOptimizer {
  return new AdamW(learningRate, options);
}

/**
 * Plain SGD, with momentum if wanted; as {@link adamw}, nothing holds the weights.
 *
 * ```
 * d   = g + weightDecay W
 * buf = momentum buf + (1 - dampening) d       first update: buf = d
 * W_t = W - learningRate (d + momentum buf)    with nesterov; learningRate buf without, learningRate d without momentum
 * ```
 *
 * @param learningRate finite number >= 0, or a function that maps the step (0 at the first) to one.
 * @param options see {@link SgdOptions}.
 * @returns a `tf.Optimizer`. Yours to `dispose()`.
 * @throws TypeError or RangeError for options of a wrong type or value; RangeError for `nesterov` without momentum or with
 *   dampening.
 *
 * Source: as `torch.optim.SGD`.
 */
export function sgd(learningRate: LearningRate, options: SgdOptions = {}): ScheduledOptimizer {
  return new Sgd(learningRate, options);
}
