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
};
