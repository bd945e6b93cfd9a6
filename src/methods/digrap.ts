import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import { numberOption, UNIT } from '../options.js';
import type { Rule } from './method.js';
import { stepScalar } from './scalar_adam.js';

/** How the strength of the projection, omega, is learnt. */
export interface DigrapOptions {
  /** Step size of the Adam update on omega, >= 0; default 1e-2. Larger: omega moves faster. */
  strengthLearningRate?: number;
  /** Decay of the first moment of omega's update, in [0, 1); default 0.9. */
  strengthBeta1?: number;
  /** Decay of the second moment of omega's update, in [0, 1); default 0.999. */
  strengthBeta2?: number;
}

/** It acts where sum g D is below; SPD acts on the other side. */
const ACTS_BELOW = 0;
/** Added to sum D^2. */
const EPSILON = 1e-8;

/**
 * DiGraP, Directional Gradient Projection (Huang, Tian, Maneechotesuwan, Chopra, Kira: Directional Gradient Projection for
 * Robust Fine-Tuning of Foundation Models, ICLR 2025, arXiv 2502.15895), without its second term. With D = W - A before
 * the step, sums over the variable:
 *
 *     k_t     = sum g D / (sum D^2 + 1e-8)
 *     h_t     = learningRate_{t-1} k_{t-1} sum g_t D_{t-1}                                        (t > 1)
 *     omega_t = Adam step on omega with h_t, clipped to [0, 1];  omega_1 = 0
 *     g~      = g - omega_t k_t D   where sum g D < 0: descent leads away from the anchor
 *               g                   elsewhere
 *
 * and then the base update with g~, in its moments too.
 */
export const digrap: Rule<Required<DigrapOptions>> = {
  name: 'digrap',
  code: 5,
  options: {
    strengthLearningRate: numberOption(1e-2, { min: 0 }),
    strengthBeta1: numberOption(0.9, UNIT),
    strengthBeta2: numberOption(0.999, UNIT),
  },
  flags: () => 0,
  slots: [
    { name: 'anchor', shape: 'variable' },
    // D before the last step
    { name: 'deviation', shape: 'variable' },
    // learningRate k of the last step
    { name: 'norms', shape: 1 },
    // omega, its two moments, the last h
    { name: 'constraint', shape: 4 },
  ],
  numbers: ['strengthLearningRate', 'strengthBeta1', 'strengthBeta2'],
  onePass: true,
  report: (_options, { constraint }) => ({ omega: constraint[0] as number }),

  step(ops, values, { w, g, slots, t }, base) {
    const {
      add,
      clipByValue,
      div,
      less,
      mul,
      neg,
      reshape,
      scalar,
      square,
      stack,
      sub,
      sum,
      unstack,
      where,
    } = ops;
    const d = sub(w, slots.anchor);
    const dot = sum(mul(g, d));
    const k = div(dot, add(sum(square(d)), EPSILON));
    let [omega, m, v, h] = [scalar(0), scalar(0), scalar(0), scalar(0)] as Scalar[];
    if (t > 1) {
      const adam = {
        learningRate: values.strengthLearningRate,
        beta1: values.strengthBeta1,
        beta2: values.strengthBeta2,
      };
      h = mul(reshape(slots.norms, []), sum(mul(g, slots.deviation))) as Scalar;
      const last = unstack(slots.constraint) as [Scalar, Scalar, Scalar];
      const moved = stepScalar<Scalar>(ops, adam, t, h, last);
      [omega, m, v] = [clipByValue(moved.x, 0, 1) as Scalar, moved.m, moved.v];
    }
    const factor = where(less(dot, ACTS_BELOW), neg(mul(omega as Tensor, k)), 0);
    return {
      weights: base(add(g, mul(d, factor)), w).weights(),
      slots: {
        deviation: d,
        norms: reshape(mul(k, values.learningRate), [1]),
        constraint: stack([omega, m, v, h] as Scalar[]),
      },
    };
  },

  last({ add, minimum, mul, reshape, unstack }, { learningRate }, { anchor, constraint, deviation, norms }) {
    const [omega] = unstack(constraint) as [Scalar];
    // -k where it acts. A learning rate of 0 leaves no k.
    const k = mul(minimum(reshape(norms, []), 0), learningRate === 0 ? 0 : -1 / learningRate);
    return {
      gradient: { constant: () => mul(deviation, mul(omega, k)), slope: 0 },
      before: () => add(deviation, anchor),
    };
  },
};
