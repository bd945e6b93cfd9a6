/**
 * Factories of the FTP optimizers: every one returns a `tf.Optimizer` that holds the variables near their anchors.
 *
 * @module
 */

import type { Optimizer } from '@tensorflow/tfjs-core';
import { FtpAdamWOptimizer } from './optimizers/adamw.js';
import type { FtpAdamWOptions, FtpSgdOptions, FtpWrapOptions } from './optimizers/options.js';
import { FtpSgdOptimizer } from './optimizers/sgd.js';
import { FtpWrapOptimizer } from './optimizers/wrap.js';
import type { LearningRate } from './options.js';

/**
 * AdamW whose every step is projected: each row of each variable stays in a ball around its pre-trained
 * value, and the radius of the balls is learnt.
 *
 * With weights W, anchor A (the pre-trained value), gradient G, step t = 1, 2, ... and n the number of
 * updates of the variable:
 *
 * ```
 * m      = beta1 m + (1 - beta1) G
 * v      = beta2 v + (1 - beta2) G^2
 * U_t    = learningRate / (1 - beta1^n) * m / (sqrt(v) / sqrt(1 - beta2^n) + epsilon)
 *          + learningRate * weightDecay * W_{t-1}
 * C_t    = W_{t-1} - U_t - A                                  deviation
 * n_t[r] = sum_j |C_t[r, j]| + 1e-8                           MARS norm of row r
 * h_t    = sum_r (1 / n_{t-1}[r]) sum_j G_t[r, j] C_{t-1}[r, j],  times k if positive     (t > 1)
 * gamma  = Adam step on gamma with h_t, clipped to [1e-8, max_r n_t[r]];  gamma_1 = 1e-8
 * W_t[r] = A[r] + clip(gamma / n_t[r], 0, 1) C_t[r]
 * ```
 *
 * A row is one output unit: sums over j run over all axes of the variable but its output axis, which is the last
 * one for kernels `[..., in, out]`, and the last but one for transposed convolutions `[..., out, in]`; see
 * {@link OptimizerOptions.model | model} and {@link OptimizerOptions.outputAxis | outputAxis}. Biases and other
 * variables of rank 0 and 1 are a single row. The first step puts every projected variable on its anchor (gamma_1 = 1e-8) while the
 * moments advance.
 *
 * @param learningRate finite number >= 0, or a function that maps the step (0 at the first, as in tfjs
 *   schedules) to one. Larger: longer steps, and the constraint is what holds the weights.
 * @param options see {@link FtpAdamWOptions}.
 * @returns a `tf.Optimizer`: for `model.compile`, `minimize`, `applyGradients`. Yours to `dispose()`.
 * @throws TypeError or RangeError for options of a wrong type or value.
 *
 * @example
 * ```ts
 * import * as tf from '@tensorflow/tfjs';
 * import { ftp } from 'tfjs-ftp';
 *
 * const model = tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [3] })] });
 * const optimizer = ftp.adamw(1e-3, { model });
 * model.compile({ optimizer, loss: 'meanSquaredError' });
 * await model.fit(tf.ones([8, 3]), tf.zeros([8, 2]), { epochs: 5, verbose: 0 });
 * for (const { name, gamma } of await optimizer.constraints()) console.log(name, gamma);
 * ```
 *
 * Source: Tian, Liu, Smith, Kira: Fast Trainable Projection for Robust Fine-Tuning, NeurIPS 2023, arXiv
 * 2310.19182; authors' code github.com/GT-RIPL/FTP, `util/FTP.py`, class AdamP. Deliberate differences: rows
 * follow the layer's output axis (the authors always take the first axis); state belongs to the variable's name, so
 * that a variable without a gradient keeps it (there, states get mixed up or the step fails); a gradient that
 * is not finite throws (there, NaN spreads); the constraint is saved with the optimizer (there, it starts
 * anew).
 */
export function adamw(learningRate: LearningRate, options: FtpAdamWOptions = {}): FtpAdamWOptimizer {
  return new FtpAdamWOptimizer(learningRate, options);
}

/**
 * SGD, with momentum if wanted, whose every step is projected as in {@link adamw}.
 *
 * ```
 * D   = G + weightDecay * W_{t-1}
 * buf = momentum * buf + (1 - dampening) * D       first update: buf = D
 * U_t = learningRate * (D + momentum * buf)        with nesterov
 *       learningRate * buf                         without
 *       learningRate * D                           without momentum
 * ```
 *
 * and then C_t, n_t, gamma and W_t as in {@link adamw}, with the same rows.
 *
 * @param learningRate finite number >= 0, or a function that maps the step (0 at the first) to one.
 * @param options see {@link FtpSgdOptions}.
 * @returns a `tf.Optimizer`. Yours to `dispose()`.
 * @throws TypeError or RangeError for options of a wrong type or value; RangeError for `nesterov` without
 *   momentum or with dampening.
 *
 * @example
 * ```ts
 * const optimizer = ftp.sgd((step) => 0.1 * 0.99 ** step, { momentum: 0.9, exclude: ['head/'] });
 * ```
 *
 * Source: as {@link adamw}; authors' class SGDP. The weight decay is coupled and pulls towards zero, as there.
 */
export function sgd(learningRate: LearningRate, options: FtpSgdOptions = {}): FtpSgdOptimizer {
  return new FtpSgdOptimizer(learningRate, options);
}

/**
 * Any `tf.Optimizer` whose every step is projected: the base optimizer proposes, FTP projects.
 *
 * ```
 * P_t = weights that the base optimizer proposes
 * C_t = P_t - A
 * ```
 *
 * and then n_t, gamma and W_t as in {@link adamw}. Excluded variables stay as the base optimizer left them.
 * The base's own operations run first, so this costs at least what the base costs: prefer {@link adamw} and
 * {@link sgd} where they will do.
 *
 * If a step throws, weights, projection and the base optimizer's variables and counters are as before; what a
 * base of your own keeps elsewhere than in its properties and arrays in them cannot be rolled back.
 *
 * @param baseOptimizer any optimizer but an FTP one. It belongs to the result, which disposes it.
 * @param options see {@link FtpOptions}.
 * @returns a `tf.Optimizer`; its `learningRate` is the base's.
 * @throws TypeError or RangeError for options of a wrong type or value.
 *
 * @example
 * ```ts
 * const optimizer = ftp.wrap(tf.train.rmsprop(1e-4), { model, exclude: ['head/'] });
 * ```
 *
 * Source: as {@link adamw}; the authors' code has no such wrapper.
 */
export function wrap(baseOptimizer: Optimizer, options: FtpWrapOptions = {}): FtpWrapOptimizer {
  return new FtpWrapOptimizer(baseOptimizer, options);
}
