import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import { choiceOption, numberOption, UNIT } from '../options.js';
import { ballReport } from './ball.js';
import { throughRows } from './cut.js';
import type { Ops, Rows, Rule, Slots } from './method.js';
import { stepScalar } from './scalar_adam.js';

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
  /**
   * What the constraint's hyper-gradient h counts. `'paper'` (default): every row, as in the paper and the authors' code.
   * `'exact'`: only the rows that the last step cut, gamma < n[r]; the others do not depend on gamma. Only `'exact'` is
   * the derivative of the loss by gamma; it is 0 in a step whose weights were assigned from outside.
   */
  hyperGradient?: 'paper' | 'exact';
  /**
   * In which unit the constraint moves. `'absolute'` (default): by about `constraintLearningRate` per step whatever the
   * size of the weights, as in the paper. `'relative'`: by about `constraintLearningRate * S`, where S is the mean over
   * the rows of sum_j |A[r, j]| of that variable, so that every variable may move by the same share of itself; rates to
   * try are 3e-4 to 1e-2. S is worked out when a variable starts, is loaded or is re-anchored, and is at least 1e-8. An
   * anchor of zero, such as a new bias, gets that 1e-8: the variable stays practically where it is. Exclude it if it is
   * to be trained.
   */
  constraintScale?: 'absolute' | 'relative';
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

/** h: of every row, or with `exact` of the rows that the last step cut, the only ones that depend on gamma. */
function hyperGradient(ops: Ops, perRow: Tensor, norms: Tensor, gamma: Scalar | null): Scalar {
  const { div, less, sum, where, zerosLike } = ops;
  const terms = div(perRow, norms);
  return sum(gamma === null ? terms : where(less(gamma, norms), terms, zerosLike(terms))) as Scalar;
}

/** gamma_t for t > 1: anneal, one Adam step, clip to [1e-8, max_r n_t[r]]. */
function nextConstraint(
  ops: Ops,
  { k, constraintLearningRate, constraintBeta1, constraintBeta2 }: Required<ConstraintOptions>,
  t: number,
  h: Scalar,
  previous: Tensor,
  maxNorm: Tensor,
): Tensor {
  const { greater, maximum, minimum, mul, stack, unstack, where } = ops;
  const adam = { learningRate: constraintLearningRate, beta1: constraintBeta1, beta2: constraintBeta2 };
  const annealed = where(greater(h, 0), mul(h, k), h) as Scalar;
  const moved = stepScalar<Scalar>(ops, adam, t, annealed, unstack(previous) as [Scalar, Scalar, Scalar]);
  const gamma = minimum(maximum(moved.x, EPSILON), maxNorm);
  return stack([gamma, moved.m, moved.v, h]);
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
 * Weights that were assigned from outside give C_{t-1} and n_{t-1} anew. With `hyperGradient: 'exact'` the sum for h runs
 * over the rows with gamma_{t-1} < n_{t-1}[r] alone, and is 0 after such an assignment.
 */
export const ftp: Rule<Required<ConstraintOptions>> = {
  name: 'ftp',
  code: 1,
  options: {
    k: numberOption(1, { min: 0, max: 1 }),
    constraintLearningRate: numberOption(1e-2, { min: 0 }),
    constraintBeta1: numberOption(0.9, UNIT),
    constraintBeta2: numberOption(0.999, UNIT),
    hyperGradient: choiceOption('paper', ['paper', 'exact']),
    constraintScale: choiceOption('absolute', ['absolute', 'relative']),
  },
  flags: ({ hyperGradient }) => (hyperGradient === 'exact' ? 1 : 0),
  slots: [
    { name: 'anchor', shape: 'variable' },
    { name: 'deviation', shape: 'variable' },
    { name: 'norms', shape: 'rows', restart: EPSILON },
    // gamma, its two moments, the last hyper-gradient
    { name: 'constraint', shape: 4, restart: [EPSILON, 0, 0, 0] },
  ],
  numbers: ['k', 'constraintLearningRate', 'constraintBeta1', 'constraintBeta2'],
  scaled: 'constraintLearningRate',
  anchorScale: ({ constraintScale }) =>
    constraintScale === 'relative' ? (anchorNorm) => Math.max(anchorNorm, EPSILON) : null,
  report(_options, { constraint, norms, anchorNorm }) {
    const gamma = constraint[0] as number;
    return { gamma, ...ballReport(gamma, norms, anchorNorm) };
  },

  step(ops, values, { w, g, slots, rows, t, fromWeights }, base) {
    const { add, max, mul, scalar, sub, tensor1d, unstack } = ops;
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
      const [last] = unstack(slots.constraint) as [Scalar];
      const exact = values.hyperGradient === 'exact';
      // Weights that were assigned from outside do not depend on gamma.
      const h =
        exact && fromWeights
          ? scalar(0)
          : hyperGradient(ops, rows.sum(mul(g, previous)), previousNorms, exact ? last : null);
      constraint = nextConstraint(ops, values, t, h, slots.constraint, max(norms));
    }
    const [gamma] = unstack(constraint) as [Scalar];
    const weights = add(anchor, projected(ops, rows, gamma, norms, deviation));
    return { weights, slots: { deviation, norms, constraint } };
  },

  last(ops, _values, { anchor, constraint, deviation, norms }, rows) {
    const [gamma] = ops.unstack(constraint) as [Scalar];
    return {
      unprojected: () => ops.add(anchor, deviation),
      through: (x) => throughRows(ops, rows, gamma, norms, deviation, x),
    };
  },

  left: (ops, _options, slots, rows) => ops.add(slots.anchor, heldDeviation(ops, slots, rows)),
};
