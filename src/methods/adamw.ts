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
};
