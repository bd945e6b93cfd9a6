import { flagOption, numberOption } from '../options.js';
import { type DepthOptions, depthFactor, type StrengthByDepth, strengthByDepthOption } from './depth.js';
import type { Rule } from './method.js';

/** How strongly the weights are pulled towards their anchor. */
export interface L2SpOptions extends DepthOptions {
  /** Strength of the pull, >= 0; default 0.1, which the authors have with SGD in the coupled form. */
  strength?: number;
  /**
   * Whether the pull is part of the gradient, and so of momentum and moments: the penalty strength / 2 sum (W - A)^2 of
   * the loss. Default false: the weights take it directly, times the learning rate, as AdamW's decay.
   */
  coupled?: boolean;
}

interface L2SpSettings {
  strength: number;
  coupled: boolean;
  strengthByDepth: StrengthByDepth | null;
}

/**
 * L2-SP (Li, Grandvalet, Davoine: Explicit Inductive Bias for Transfer Learning with Convolutional Networks, ICML 2018):
 * decay towards the anchor. With D = W - A:
 *
 *     coupled:      g + strength D takes the place of g
 *     decoupled:    W_t = W - learningRate strength D - U
 */
export const l2sp: Rule<L2SpSettings> = {
  name: 'l2sp',
  code: 4,
  options: {
    strength: numberOption(0.1, { min: 0 }),
    coupled: flagOption(false),
    strengthByDepth: strengthByDepthOption,
  },
  flags: ({ coupled }) => (coupled ? 1 : 0),
  slots: [{ name: 'anchor', shape: 'variable' }],
  numbers: ['strength'],
  scaled: 'strength',
  placeScale: ({ strengthByDepth }) => depthFactor(strengthByDepth),
  onePass: true,
  report: ({ strength }, { scale }) => ({ strength: strength * scale }),

  step({ add, mul, sub }, { learningRate, strength, coupled }, { w, g, slots }, base) {
    const d = sub(w, slots.anchor);
    if (coupled) return { weights: base(add(g, mul(d, strength)), w).weights(), slots: {} };
    return { weights: sub(sub(w, mul(d, learningRate * strength)), base(g, w).u()), slots: {} };
  },

  learns: ({ coupled }) => (coupled ? [] : ['strength']),
  last({ mul, sub }, { learningRate, strength, coupled }, { anchor }) {
    const pull = { constant: () => mul(anchor, -strength), slope: strength };
    if (coupled) return { gradient: pull };
    return { pull, byStrength: (w) => mul(sub(w(), anchor), -learningRate) };
  },
};
