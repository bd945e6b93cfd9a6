import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import { numberOption, UNIT } from '../options.js';
import type { Ops, Rows, Rule, Slots } from './method.js';

/** How the constraint (the radius of the ball that holds a variable near its anchor) is learnt. */
export interface ConstraintOptions {
  /**
   * Annealing factor of the hyper-gradient, in [0, 1]; default 1. A positive hyper-gradient (one that
   * shrinks the constraint) is multiplied by `k`. Smaller values let the weights move further from
   * the anchor; with 0 the constraint is never shrunk by a gradient.
   */
  k?: number;
  /** Step size of the Adam update on the constraint, >= 0; default 1e-2. Larger: the radius moves faster. */
  constraintLearningRate?: number;
  /** Decay of the first moment of the constraint's update, in [0, 1); default 0.9. */
  constraintBeta1?: number;
  /** Decay of the second moment of the constraint's update, in [0, 1); default 0.999. */
  constraintBeta2?: number;
}

/** Added to every row norm; also the first value and the lower bound of gamma, and epsilon of its Adam step. */
const EPSILON = 1e-8;

/** n[r] = sum_j |C[r, j]| + 1e-8 */
function marsNorms({ abs, add }: Ops, rows: Rows, deviation: Tensor): Tensor {
  return add(rows.sum(abs(deviation)), EPSILON);
}

/** clip(gamma / n, 0, 1) C */
function projected(
  { clipByValue, div }: Ops,
  rows: Rows,
  gamma: Scalar,
  norms: Tensor,
  deviation: Tensor,
): Tensor {
  return rows.scale(deviation, clipByValue(div(gamma, norms), 0, 1));
}

/** W - A as the last step left it. */
function heldDeviation(ops: Ops, { constraint, norms, deviation }: Slots, rows: Rows): Tensor {
  const [gamma] = ops.unstack(constraint) as [Scalar];
  return projected(ops, rows, gamma, norms, deviation);
}

/** gamma_t for t > 1: anneal, one Adam step, clip to [1e-8, max_r n_t[r]]. */
function nextConstraint(
  ops: Ops,
  { k, constraintLearningRate, constraintBeta1: b1, constraintBeta2: b2 }: Required<ConstraintOptions>,
  t: number,
  h: Scalar,
  previous: Tensor,
  maxNorm: Tensor,
): Tensor {
  const { add, div, greater, maximum, minimum, mul, sqrt, square, stack, sub, unstack, where } = ops;
  const [gamma0, m0, v0] = unstack(previous) as [Scalar, Scalar, Scalar];
  const annealed = where(greater(h, 0), mul(h, k), h);
  const m = add(mul(m0, b1), mul(annealed, 1 - b1));
  const v = add(mul(v0, b2), mul(square(annealed), 1 - b2));
  const root = add(sqrt(div(v, 1 - b2 ** t)), EPSILON);
  const moved = sub(gamma0, mul(div(div(m, 1 - b1 ** t), root), constraintLearningRate));
  const gamma = minimum(maximum(moved, EPSILON), maxNorm);
  return stack([gamma, m, v, h]);
}

/**
 * Fast Trainable Projection (Tian, Liu, Smith, Kira, NeurIPS 2023, arXiv 2310.19182; authors' code
 * github.com/GT-RIPL/FTP, `util/FTP.py`): a ball around the anchor per variable, whose radius gamma is learnt.
 *
 *     C_t    = W - U - A
 *     n_t[r] = sum_j |C_t[r, j]| + 1e-8
 *     h_t    = sum_r (1 / n_{t-1}[r]) sum_j G_t[r, j] C_{t-1}[r, j],  times k if positive          (t > 1)
 *     gamma  = Adam step on gamma with h_t, clipped to [1e-8, max_r n_t[r]];  gamma_1 = 1e-8
 *     W_t[r] = A[r] + clip(gamma / n_t[r], 0, 1) C_t[r]
 *
 * Weights that were assigned from outside give C_{t-1} and n_{t-1} anew.
 */
export const ftp: Rule<Required<ConstraintOptions>> = {
  name: 'ftp',
  code: 1,
  options: {
    k: numberOption(1, { min: 0, max: 1 }),
    constraintLearningRate: numberOption(1e-2, { min: 0 }),
    constraintBeta1: numberOption(0.9, UNIT),
    constraintBeta2: numberOption(0.999, UNIT),
  },
  flags: () => 0,
  slots: [
    { name: 'anchor', shape: 'variable' },
    { name: 'deviation', shape: 'variable' },
    { name: 'norms', shape: 'rows', restart: EPSILON },
    // gamma, its two moments, the last hyper-gradient
    { name: 'constraint', shape: 4, restart: [EPSILON, 0, 0, 0] },
  ],
  numbers: ['k', 'constraintLearningRate', 'constraintBeta1', 'constraintBeta2'],
  scaled: 'constraintLearningRate',

  step(ops, values, { w, g, slots, rows, t, fromWeights }, base) {
    const { add, div, max, mul, sub, sum, tensor1d, unstack } = ops;
    const { anchor } = slots;
    const held = fromWeights ? null : () => heldDeviation(ops, slots, rows);
    const deviation = base(g, w).deviation(anchor, held);
    const norms = marsNorms(ops, rows, deviation);
    let constraint: Tensor;
    if (t === 1) {
      constraint = tensor1d([EPSILON, 0, 0, 0]);
    } else {
      const previous = fromWeights ? sub(w, anchor) : slots.deviation;
      const previousNorms = fromWeights ? marsNorms(ops, rows, previous) : slots.norms;
      const h = sum(div(rows.sum(mul(g, previous)), previousNorms)) as Scalar;
      constraint = nextConstraint(ops, values, t, h, slots.constraint, max(norms));
    }
    const [gamma] = unstack(constraint) as [Scalar];
    const weights = add(anchor, projected(ops, rows, gamma, norms, deviation));
    return { weights, slots: { deviation, norms, constraint } };
  },

  left: (ops, slots, rows) => ops.add(slots.anchor, heldDeviation(ops, slots, rows)),
};
