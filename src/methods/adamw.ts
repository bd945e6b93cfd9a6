import type { Tensor } from '@tensorflow/tfjs-core';
import { flagOption, numberOption, UNIT } from '../options.js';
import { checkNumber } from '../validate.js';
import type { BaseUpdate, NextSlots } from './method.js';

/** The AdamW update. */
export interface AdamWUpdateOptions {
  /** Decay of the first moment, in [0, 1); default 0.9. */
  beta1?: number;
  /** Decay of the second moment, in [0, 1); default 0.999. */
  beta2?: number;
  /** Added to the root of the second moment, > 0; default 1e-8. */
  epsilon?: number;
  /** Decoupled weight decay towards zero (not towards the anchor), >= 0; default 0. */
  weightDecay?: number;
  /** Whether to divide by the largest second moment so far (AMSGrad); default false. One more slot a variable. */
  amsgrad?: boolean;
}

/** Float32 must hold it: a smaller one would be zero in a step. */
function checkEpsilon(name: string, value: unknown): number {
  const epsilon = checkNumber(name, value, { above: 0 });
  if (Math.fround(epsilon) === 0) {
    throw new RangeError(`${name} must be > 0 in float32 (at least 1e-45), got ${epsilon}`);
  }
  return epsilon;
}

/**
 * AdamW as the authors of FTP have it (github.com/GT-RIPL/FTP, `util/FTP.py`, class AdamP), n updates so far:
 *
 *     m = beta1 m + (1 - beta1) g
 *     v = beta2 v + (1 - beta2) g^2                  vmax = max(vmax, v) under AMSGrad, in place of v below
 *     U = learningRate / (1 - beta1^n) * m / (sqrt(v) / sqrt(1 - beta2^n) + epsilon) + learningRate weightDecay W
 */
export const adamw: BaseUpdate<Required<AdamWUpdateOptions>> = {
  name: 'adamw',
  code: 0,
  options: {
    beta1: numberOption(0.9, UNIT),
    beta2: numberOption(0.999, UNIT),
    epsilon: { default: 1e-8, check: checkEpsilon },
    weightDecay: numberOption(0, { min: 0 }),
    amsgrad: flagOption(false),
  },
  flags: ({ amsgrad }) => (amsgrad ? 1 : 0),
  slots: [
    { name: 'm', shape: 'variable' },
    { name: 'v', shape: 'variable' },
    { name: 'vmax', shape: 'variable', when: ({ amsgrad }) => amsgrad },
  ],
  numbers: ['learningRate', 'beta1', 'beta2', 'epsilon', 'weightDecay'],

  update({ add, div, maximum, mul, sqrt }, values, g, w, { n, slots }) {
    const { learningRate, beta1, beta2, epsilon, weightDecay, amsgrad } = values;
    const m = add(mul(slots.m, beta1), mul(g, 1 - beta1));
    const v = add(mul(slots.v, beta2), mul(mul(g, 1 - beta2), g));
    const next: NextSlots = amsgrad ? { m, v, vmax: maximum(slots.vmax, v) } : { m, v };
    const root = add(mul(sqrt(next.vmax ?? v), 1 / Math.sqrt(1 - beta2 ** n)), epsilon);
    const u = div(mul(m, learningRate / (1 - beta1 ** n)), root);
    return { u: weightDecay === 0 ? u : add(u, mul(w, learningRate * weightDecay)), slots: next };
  },

  learns: () => ['learningRate', 'weightDecay', 'beta1', 'beta2'],

  /**
   * With c = 1 - beta^n, M = m / c1, V = (vmax or v) / c2, D = sqrt(V) + epsilon, and m', v' before the update:
   *
   *     dU/dbeta1 = learningRate / D [(m' - g) / c1 + m n beta1^(n-1) / c1^2]                     m' - g   = (m - g) / beta1
   *     dU/dbeta2 = -learningRate M / D^2 / (2 sqrt V) [(v' - g^2) / c2 + V n beta2^(n-1) / c2]   v' - g^2 = (v - g^2) / beta2
   *
   * Under AMSGrad v' - g^2 counts where vmax is v. Where V is 0 the second one is 0.
   */
  last(ops, { learningRate, beta1, beta2, epsilon, weightDecay, amsgrad }, slots, g, n) {
    const { add, div, divNoNan, equal, mul, neg, sqrt, square, sub, where, zerosLike } = ops;
    const [c1, c2] = [1 - beta1 ** n, 1 - beta2 ** n];
    const second = amsgrad ? slots.vmax : slots.v;
    const root = mul(sqrt(second), 1 / Math.sqrt(c2));
    const denominator = add(root, epsilon);
    const direction = div(mul(slots.m, 1 / c1), denominator);
    const seen = (w: () => Tensor) => (g.slope === 0 ? g.constant() : add(g.constant(), mul(w(), g.slope)));
    return {
      direction,
      decay: weightDecay,
      by: {
        weightDecay: (w) => mul(w(), learningRate),
        beta1(w) {
          const first = mul(sub(slots.m, seen(w)), 1 / (beta1 * c1));
          const rest = mul(slots.m, (n * beta1 ** (n - 1)) / c1 ** 2);
          return mul(div(add(first, rest), denominator), learningRate);
        },
        beta2(w) {
          const change = mul(sub(slots.v, square(seen(w))), 1 / (beta2 * c2));
          const first = amsgrad ? where(equal(second, slots.v), change, zerosLike(change)) : change;
          const rest = mul(second, (n * beta2 ** (n - 1)) / c2 ** 2);
          const ofRoot = divNoNan(add(first, rest), mul(root, 2));
          return neg(mul(div(mul(direction, ofRoot), denominator), learningRate));
        },
      },
    };
  },
};
