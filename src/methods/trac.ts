import type { Tensor } from '@tensorflow/tfjs-core';
import { numberOption } from '../options.js';
import type { Ops, Rule, Slots, VariableView } from './method.js';

/** How the scale of the deviation is learnt. */
export interface TracOptions {
  /**
   * Size of the scale at the start, > 0; default 1e-8. In the first steps the model goes up to about ten times this share of
   * the way that the base optimizer alone would have gone. With the default the scale takes hundreds of steps to grow; for
   * short runs take 0.01 to 0.1.
   */
  sInit?: number;
}

/** Decay of each tuner's memory. */
const BETAS = [0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999];
const TUNERS = BETAS.length;
/** In the denominator, and each sigma before the first step. */
const EPSILON = 1e-8;
/** erfi(1 / sqrt 2) */
const ERFI_OF_ROOT_HALF = 0.9534382692512609;

/** Distance of the points at which {@link erfi} is summed up: its relative error is exp(-(pi / (2 SPACING))^2), 2e-10. */
const SPACING = 1 / 3;
/** Largest argument of erfi whose terms float32 holds. */
const LARGEST = 9.3;
/** Odd multiples of SPACING: up to 4 beyond LARGEST, where exp(-4^2) is next to nothing. */
const POINTS = Array.from({ length: 20 }, (_, i) => 2 * i + 1);

/**
 * erfi(x) = 2 / sqrt(pi) integral of exp(y^2) from 0 to x; `x` [k], held within [-9.3, 9.3]: beyond 9.4 float32 overflows.
 *
 *     erfi(x) = 4 / pi sum over n = 1, 3, 5, ... of exp(-(n H)^2) sinh(2 n H x) / n
 *
 * This is exp(x^2) times Rybicki's sum for Dawson's function (Computers in Physics 3, 1989), with the factor in the terms.
 */
export function erfi(ops: Ops, x: Tensor): Tensor {
  const { abs, add, clipByValue, div, exp, expm1, mul, neg, sign, sub, sum, tensor } = ops;
  const points = tensor(POINTS, [POINTS.length, 1]);
  const at = mul(points, SPACING);
  const size = clipByValue(abs(x), 0, LARGEST);
  // exp(-(n H)^2) 2 sinh(2 n H x), such that nothing overflows, nor is lost where x is small.
  const terms = mul(exp(mul(at, sub(mul(size, 2), at))), neg(expm1(mul(mul(at, size), -4))));
  const result = mul(mul(sign(x), 2 / Math.PI), sum(div(terms, points), 0));
  return add(result, sub(x, x)); // NaN, which clipByValue and sign lose on some backends
}

/** S, [] */
function scaleOf({ reshape, slice }: Ops, { constraint }: Pick<Slots, 'constraint'>): Tensor {
  return reshape(slice(constraint, [0], [1]), []);
}

/** Delta, as the last step left it; weights that were assigned from outside give it anew. */
function heldDelta(ops: Ops, { w, slots, fromWeights }: VariableView): Tensor {
  if (!fromWeights) return slots.deviation;
  return ops.divNoNan(ops.sub(w, slots.anchor), scaleOf(ops, slots));
}

/**
 * TRAC (Muppidi, Zhang, Yang: Fast TRAC: A Parameter-Free Optimizer for Lifelong Reinforcement Learning, NeurIPS 2024,
 * arXiv 2405.16642; authors' code github.com/ComputationalRobotics/TRAC, `trac.py`): one learnt scale S for the whole
 * model. With Delta, the sum of all base updates so far, and for each beta of six:
 *
 *     h     = sum g Delta                               over all variables, Delta before the step
 *     v     = beta^2 v + h^2
 *     sigma = beta sigma - h                            1e-8 before the first step
 *     s     = sInit / erfi(1 / sqrt 2) erfi(sigma / (sqrt 2 sqrt v + 1e-8))
 *     S     = max(0, sum of the six s)
 *     Delta = Delta - U
 *     W_t   = A + S Delta
 *
 * Every variable has S, sigma and v with its own state. They are the same for variables that had a gradient in the same steps.
 */
export const trac: Rule<Required<TracOptions>> = {
  name: 'trac',
  code: 6,
  options: { sInit: numberOption(1e-8, { above: 0 }) },
  flags: () => 0,
  slots: [
    { name: 'anchor', shape: 'variable' },
    // Delta
    { name: 'deviation', shape: 'variable' },
    // S, the six sigma, the six v
    { name: 'constraint', shape: 1 + 2 * TUNERS },
  ],
  numbers: ['sInit'],
  notNative: true,
  report: (_options, { constraint }) => ({ scale: constraint[0] as number }),

  gather: (ops, _values, view) => ops.reshape(ops.sum(ops.mul(view.g, heldDelta(ops, view))), [1]),

  step(ops, { sInit }, view, base) {
    const { add, concat, div, fill, maximum, mul, reshape, slice, sqrt, square, sub, sum, tensor1d, zeros } =
      ops;
    const { w, g, t, slots } = view;
    const first = t === 1;
    const sigma = first ? fill([TUNERS], EPSILON) : slice(slots.constraint, [1], [TUNERS]);
    const v = first ? zeros([TUNERS]) : slice(slots.constraint, [1 + TUNERS], [TUNERS]);
    const h = view.totals as Tensor;
    const betas = tensor1d(BETAS);
    const nextV = add(mul(square(betas), v), square(h));
    const nextSigma = sub(mul(betas, sigma), h);
    const x = div(nextSigma, add(mul(sqrt(nextV), Math.SQRT2), EPSILON));
    const scale = maximum(sum(mul(erfi(ops, x), sInit / ERFI_OF_ROOT_HALF)), 0);
    const delta = sub(heldDelta(ops, view), base(g, w).u());
    const deviation = view.stored?.('deviation', delta) ?? delta;
    const constraint = concat([reshape(scale, [1]), nextSigma, nextV]);
    return { weights: add(slots.anchor, mul(deviation, scale)), slots: { deviation, constraint } };
  },

  left: (ops, _options, slots) => ops.add(slots.anchor, ops.mul(slots.deviation, scaleOf(ops, slots))),
};
