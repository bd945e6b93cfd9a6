/**
 * Experimental: optimizers with one learnt scale for how far the whole model goes from its anchor (TRAC).
 *
 * @module
 */

import type { Optimizer } from '@tensorflow/tfjs-core';
import type { AdamWUpdateOptions } from './methods/adamw.js';
import type { SgdUpdateOptions } from './methods/sgd.js';
import { trac as rule, type TracOptions } from './methods/trac.js';
import { scheduledClasses, wrapClass } from './optimizers/classes.js';
import type { OptimizerOptions } from './optimizers/options.js';
import type { ScheduledOptimizer } from './optimizers/scheduled.js';
import type { WrapOptimizer } from './optimizers/wrap.js';
import type { LearningRate } from './options.js';

/** Options of `trac.wrap`. */
export interface TracWrapOptions extends TracOptions, OptimizerOptions {}
/** Options of `trac.adamw`. */
export interface TracAdamWOptions extends TracWrapOptions, AdamWUpdateOptions {}
/** Options of `trac.sgd`. */
export interface TracSgdOptions extends TracWrapOptions, SgdUpdateOptions {}

const { AdamW, Sgd } = scheduledClasses<TracWrapOptions>(rule, 'Trac');
const Wrap = wrapClass<TracWrapOptions>(rule, 'Trac');

/**
 * AdamW whose whole way from the pre-trained value is shortened by one learnt scale, the same for all variables.
 *
 * **Experimental**: options and saved state may change in any release. There is no native step of it: it runs in tfjs
 * operations, and `implementation` is `'reference'`.
 *
 * With anchor A (the pre-trained value), gradient g, U what plain AdamW would subtract (as in `ftp.adamw`, weight decay
 * included), and Delta the sum of all -U so far:
 *
 * ```
 * h     = sum g Delta                                over all variables of the step, Delta before it
 * for each beta of 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999:
 *   v     = beta^2 v + h^2
 *   sigma = beta sigma - h                           1e-8 before the first step
 *   s     = sInit / erfi(1 / sqrt 2) erfi(sigma / (sqrt 2 sqrt v + 1e-8))
 * S     = max(0, sum of the six s)
 * Delta = Delta - U
 * W_t   = A + S Delta
 * ```
 *
 * S grows while steps keep on paying, and shrinks to 0 where they do not: the weights are back at their anchor then.
 * The first step puts every variable within about 10 sInit U of its anchor.
 *
 * All variables of the model belong into one call of `applyGradients`, as `minimize` and `model.fit` have it. Variables
 * that had gradients in the same steps have the same S; one that starts later, or that a step left out, has tuners that
 * know its own steps alone. Weights that were assigned from outside are kept, by Delta = (W - A) / S, unless S is 0.
 *
 * @param learningRate finite number >= 0, or a function that maps the step (0 at the first) to one.
 * @param options see {@link TracAdamWOptions}.
 * @returns a `tf.Optimizer`. Yours to `dispose()`.
 * @throws TypeError or RangeError for options of a wrong type or value. The first step, and reading `implementation`, throw
 *   FtpError with `implementation: 'native'`.
 *
 * @example
 * ```ts
 * import * as tf from '@tensorflow/tfjs';
 * import { trac } from 'tfjs-ftp';
 *
 * const model = tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [3] })] });
 * const optimizer = trac.adamw(1e-2, { sInit: 0.1 });
 * model.compile({ optimizer, loss: 'meanSquaredError' });
 * await model.fit(tf.ones([8, 3]), tf.zeros([8, 2]), { epochs: 5, verbose: 0 });
 * const [{ scale }] = await optimizer.constraints();
 * ```
 *
 * Source: Muppidi, Zhang, Yang: Fast TRAC: A Parameter-Free Optimizer for Lifelong Reinforcement Learning, NeurIPS 2024,
 * arXiv 2405.16642; authors' code github.com/ComputationalRobotics/TRAC, `trac.py`, whose `s_prev` is `sInit` here. Deliberate
 * differences: Delta is kept (there it is worked out anew as (W - A) / (S + 1e-8), which float32 weights lose while S is
 * small, and which starts anew after a step with S = 0); a variable's tuners know its own steps alone; erfi is held at its
 * value at 9.3, where float32 ends.
 */
export function adamw(learningRate: LearningRate, options: TracAdamWOptions = {}): ScheduledOptimizer {
  return new AdamW(learningRate, options);
}

/**
 * SGD, with momentum if wanted, under one learnt scale as in {@link adamw}. Experimental. U is what SGD would subtract, as in
 * `ftp.sgd`.
 *
 * @param learningRate finite number >= 0, or a function that maps the step (0 at the first) to one.
 * @param options see {@link TracSgdOptions}.
 * @returns a `tf.Optimizer`. Yours to `dispose()`.
 * @throws as {@link adamw}.
 *
 * Source: as {@link adamw}.
 */
export function sgd(learningRate: LearningRate, options: TracSgdOptions = {}): ScheduledOptimizer {
  return new Sgd(learningRate, options);
}

/**
 * Any `tf.Optimizer`, under one learnt scale as in {@link adamw}. Experimental. Excluded variables stay as the base optimizer
 * left them.
 *
 * U is W minus what the base optimizer proposes. If a step throws, everything is as before, as with `ftp.wrap`.
 *
 * @param baseOptimizer any optimizer but one of this package. It belongs to the result, which disposes it.
 * @param options see {@link TracWrapOptions}.
 * @returns a `tf.Optimizer`; its `learningRate` is the base's.
 * @throws as {@link adamw}.
 *
 * Source: as {@link adamw}.
 */
export function wrap(baseOptimizer: Optimizer, options: TracWrapOptions = {}): WrapOptimizer {
  return new Wrap(baseOptimizer, options);
}
