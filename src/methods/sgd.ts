import type { Tensor } from '@tensorflow/tfjs-core';
import { flagOption, numberOption, UNIT } from '../options.js';
import type { BaseUpdate } from './method.js';

/** The SGD update. */
export interface SgdUpdateOptions {
  /** Momentum, in [0, 1); default 0 (no momentum slot). */
  momentum?: number;
  /** Dampening of the momentum, in [0, 1]; default 0. */
  dampening?: number;
  /** Whether to look ahead (Nesterov); default false. Needs `momentum` > 0 and `dampening` 0. */
  nesterov?: boolean;
  /** Coupled weight decay (added to the gradient) towards zero, >= 0; default 0. */
  weightDecay?: number;
}

/**
 * SGD as the authors of FTP have it (github.com/GT-RIPL/FTP, `util/FTP.py`, class SGDP):
 *
 *     d   = g + weightDecay W
 *     buf = momentum buf + (1 - dampening) d         first update: buf = d
 *     U   = learningRate (d + momentum buf) with Nesterov, learningRate buf without, learningRate d without momentum
 */
export const sgd: BaseUpdate<Required<SgdUpdateOptions>> = {
  name: 'sgd',
  code: 1,
  options: {
    momentum: numberOption(0, UNIT),
    dampening: numberOption(0, { min: 0, max: 1 }),
    nesterov: flagOption(false),
    weightDecay: numberOption(0, { min: 0 }),
  },
  check({ momentum, dampening, nesterov }) {
    if (nesterov && (momentum === 0 || dampening !== 0)) {
      throw new RangeError(
        `nesterov needs momentum > 0 and dampening 0, got momentum ${momentum} and dampening ${dampening}`,
      );
    }
  },
  flags: ({ momentum, nesterov }) => (momentum > 0 ? 1 : 0) | (nesterov ? 2 : 0),
  slots: [{ name: 'momentum', shape: 'variable', when: ({ momentum }) => momentum > 0 }],
  numbers: ['learningRate', 'momentum', 'dampening', 'weightDecay'],

  update({ add, mul }, values, g, w, { n, slots }) {
    const { learningRate, momentum, dampening, nesterov, weightDecay } = values;
    const d = weightDecay === 0 ? g : add(g, mul(w, weightDecay));
    if (momentum === 0) return { u: mul(d, learningRate), slots: {} };
    const buffer = n === 1 ? mul(d, 1) : add(mul(slots.momentum, momentum), mul(d, 1 - dampening));
    const direction = nesterov ? add(d, mul(buffer, momentum)) : buffer;
    return { u: mul(direction, learningRate), slots: { momentum: buffer } };
  },

  learns: ({ momentum }) => ['learningRate', 'weightDecay', ...(momentum > 0 ? ['momentum' as const] : [])],

  /**
   * With buf' before the update, which is (buf - (1 - dampening) d) / momentum, and 0 before the first:
   *
   *     dU/dweightDecay = learningRate W, times 1 - dampening after the first update, or times 1 + momentum with Nesterov
   *     dU/dmomentum    = learningRate buf', or learningRate (buf + momentum buf') with Nesterov
   */
  last({ add, mul, sub, zerosLike }, values, slots, g, n) {
    const { learningRate, momentum, dampening, nesterov, weightDecay } = values;
    const share = n === 1 ? 1 : 1 - dampening;
    const decay = weightDecay + g.slope;
    if (momentum === 0) {
      return { direction: g.constant(), decay, by: { weightDecay: (w) => mul(w(), learningRate) } };
    }
    const buffer = slots.momentum;
    /** momentum buf' */
    const kept = (w: () => Tensor) => {
      if (n === 1) return zerosLike(buffer);
      const d = decay === 0 ? g.constant() : add(g.constant(), mul(w(), decay));
      return sub(buffer, mul(d, share));
    };
    const ofMomentum = (w: () => Tensor) => mul(kept(w), learningRate / momentum);
    if (!nesterov) {
      const by = { weightDecay: (w: () => Tensor) => mul(w(), learningRate * share), momentum: ofMomentum };
      return { direction: buffer, decay: 0, by };
    }
    return {
      direction: add(g.constant(), mul(buffer, momentum)),
      decay,
      by: {
        weightDecay: (w) => mul(w(), learningRate * (1 + momentum)),
        momentum: (w) => mul(add(buffer, kept(w)), learningRate),
      },
    };
  },
};
