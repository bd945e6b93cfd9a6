import type { Tensor } from '@tensorflow/tfjs-core';
import { flagOption, numberOption } from '../options.js';
import { type DepthOptions, depthFactor, type StrengthByDepth, strengthByDepthOption } from './depth.js';
import type { Ops, Rows, Rule, Slots } from './method.js';

/** How strongly a step that leads too far from the anchor is taken back. */
export interface SpdOptions extends DepthOptions {
  /**
   * Factor on the share of the deviation that is taken back, >= 0; default 1: the new deviation is as long as the old one.
   * It has no part of the learning rate, and may be above 1.
   */
  strength?: number;
  /** Whether every row has a ratio of its own, from its sum of absolute values; default false: one for the variable. */
  rows?: boolean;
}

interface SpdSettings {
  strength: number;
  rows: boolean;
  strengthByDepth: StrengthByDepth | null;
}

/** It acts where sum g D is above; DiGraP acts on the other side. */
const ACTS_ABOVE = 0;
/** Added to the norms of rows. */
const ROW_EPSILON = 1e-8;

/** Norm of the tensor, [1], or of every row, [rows]. */
function norms(
  { abs, add, reshape, sqrt, square, sum }: Ops,
  rows: Rows,
  perRow: boolean,
  x: Tensor,
): Tensor {
  return perRow ? add(rows.sum(abs(x)), ROW_EPSILON) : reshape(sqrt(sum(square(x))), [1]);
}

/** (1 - strength r) C, by the strength that acts and the ratios r in the slots. */
function shortened({ mul, reshape, sub, unstack }: Ops, rows: Rows, perRow: boolean, slots: Slots): Tensor {
  const [strength] = unstack(slots.constraint);
  const factor = sub(1, mul(strength as Tensor, slots.norms));
  return perRow ? rows.scale(slots.deviation, factor) : mul(slots.deviation, reshape(factor, []));
}

/**
 * Selective Projection Decay (Tian, Huang, Kira: Rethinking Weight Decay for Robust Fine-Tuning of Foundation Models,
 * NeurIPS 2024, arXiv 2411.01713; authors' code github.com/GT-RIPL/Selective-Projection-Decay, `adamSPD.py`). With
 * D = W - A:
 *
 *     C   = W - U - A
 *     r   = clip((|C| - |D|) / |C|, 0, 1)        2-norms of the variable; 0 where C is 0
 *     W_t = A + (1 - strength r) C               where sum g D > 0: the gradient step leads back, momentum leads on outward
 *           A + C                                elsewhere
 */
export const spd: Rule<SpdSettings> = {
  name: 'spd',
  code: 3,
  options: {
    strength: numberOption(1, { min: 0 }),
    rows: flagOption(false),
    strengthByDepth: strengthByDepthOption,
  },
  flags: ({ rows }) => (rows ? 1 : 0),
  slots: [
    { name: 'anchor', shape: 'variable' },
    { name: 'deviation', shape: 'variable' },
    // r
    { name: 'norms', shape: 'rows', when: ({ rows }) => rows },
    { name: 'norms', shape: 1, when: ({ rows }) => !rows },
    // the strength that acted, sum g D
    { name: 'constraint', shape: 4 },
  ],
  numbers: ['strength'],
  scaled: 'strength',
  placeScale: ({ strengthByDepth }) => depthFactor(strengthByDepth),
  report(_options, { constraint, norms: ratios }) {
    const strength = constraint[0] as number;
    let sum = 0;
    for (let r = 0; r < ratios.length; ++r) sum += 1 - strength * (ratios[r] as number);
    return { strength, meanRatio: ratios.length > 0 ? sum / ratios.length : 1 };
  },

  step(ops, { strength, rows: perRow }, { w, g, slots, rows, fromWeights }, base) {
    const { add, divNoNan, greater, maximum, mul, stack, sub, sum, where } = ops;
    const { anchor } = slots;
    const d = fromWeights ? sub(w, anchor) : shortened(ops, rows, perRow, slots);
    const deviation = base(g, w).deviation(anchor, fromWeights ? null : () => d);
    const norm = norms(ops, rows, perRow, deviation);
    const ratios = divNoNan(maximum(sub(norm, norms(ops, rows, perRow, d)), 0), norm);
    const dot = sum(mul(g, d));
    const constraint = stack([where(greater(dot, ACTS_ABOVE), strength, 0), dot, 0, 0]);
    const next = { deviation, norms: ratios, constraint };
    return { weights: add(anchor, shortened(ops, rows, perRow, { ...slots, ...next })), slots: next };
  },

  learns: () => ['strength'],

  /** The share that is taken back does not depend on the strength; for the base's numbers it is held. */
  last(ops, { rows: perRow }, slots, rows) {
    const { add, greater, mul, neg, reshape, unstack, where } = ops;
    return {
      unprojected: () => add(slots.anchor, slots.deviation),
      through: (x) => shortened(ops, rows, perRow, { ...slots, deviation: x }),
      byStrength() {
        const [strength] = unstack(slots.constraint) as [Tensor];
        const acted = where(greater(strength, 0), neg(slots.norms), 0);
        return perRow ? rows.scale(slots.deviation, acted) : mul(slots.deviation, reshape(acted, []));
      },
    };
  },

  left: (ops, { rows: perRow }, slots, rows) => ops.add(slots.anchor, shortened(ops, rows, perRow, slots)),
};
