import type { Tensor } from '@tensorflow/tfjs-core';
import { choiceOption, type OptionSpec } from '../options.js';
import { checkNumber, describe } from '../validate.js';
import { ballReport } from './ball.js';
import { throughRows, throughWhole } from './cut.js';
import { type DepthOptions, depthFactor, type StrengthByDepth, strengthByDepthOption } from './depth.js';
import type { Ops, Rows, Rule, Slots } from './method.js';

/** The radius of a variable by its name and shape; null: the variable is free. */
export type RadiusOf = (name: string, shape: number[]) => number | null;

/** How far a variable is from its anchor: per row, or as a whole. */
export type BallNorm = 'mars' | 'frobenius';

/** How far from its anchor a variable may go. */
export interface RadiusOptions extends DepthOptions {
  /**
   * Radius of the ball around the anchor, in the unit of `norm`: a number > 0, or a function of the variable's name and
   * shape that returns one, or null for a variable that is free. Smaller: the weights are held nearer to their anchor.
   * A function is asked once for each variable, at its first step; what it returned is saved with the optimizer.
   * `strengthByDepth` divides the radius; a factor of 0 leaves the variable free.
   */
  radius: number | RadiusOf;
  /**
   * `'mars'` (default): sum_j |W[r, j] - A[r, j]| of every row is at most the radius. `'frobenius'`: the root of the
   * squares' sum over the whole variable is.
   */
  norm?: BallNorm;
}

interface RadiusSettings {
  radius: number | RadiusOf;
  norm: BallNorm;
  strengthByDepth: StrengthByDepth | null;
}

const ACCEPTED = 'radius must be a finite number > 0 or a function of name and shape';

function checkRadius(name: string, value: unknown): number {
  const radius = checkNumber(name, value, { above: 0 });
  // Float32 must hold it: a smaller one would be zero in a step.
  if (Math.fround(radius) === 0) throw new RangeError(`${name} must be > 0 in float32, got ${radius}`);
  return radius;
}

const radiusOption: OptionSpec<number | RadiusOf> = {
  default: undefined as never,
  check(name, value) {
    if (typeof value === 'function') return value as RadiusOf;
    if (typeof value !== 'number') throw new TypeError(`${ACCEPTED}, got ${describe(value)}`);
    return checkRadius(name, value);
  },
  saved: (value) => (typeof value === 'function' ? 1 : value),
};

/** What the function gives, as the factor on a radius of 1. */
function radiusOf(radius: RadiusOf, name: string, shape: readonly number[]): number {
  const value: unknown = radius(name, [...shape]);
  return value === null ? Number.POSITIVE_INFINITY : checkRadius(`radius('${name}', [${shape}])`, value);
}

/** Norms of a deviation: `'mars'`, sum_j |C[r, j]| of every row, [rows]; `'frobenius'`, sqrt(sum C^2), [1]. */
export function ballNorms(
  { abs, reshape, sqrt, square, sum }: Ops,
  rows: Rows,
  norm: BallNorm,
  deviation: Tensor,
): Tensor {
  return norm === 'frobenius' ? reshape(sqrt(sum(square(deviation))), [1]) : rows.sum(abs(deviation));
}

/** s C, with s = min(1, radius / n) and the norms n of {@link ballNorms}. */
export function heldInBall(
  { div, minimum, mul, reshape }: Ops,
  rows: Rows,
  norm: BallNorm,
  radius: Tensor | number,
  deviation: Tensor,
  norms: Tensor,
): Tensor {
  const ratio = minimum(1, div(radius, norms));
  return norm === 'frobenius' ? mul(deviation, reshape(ratio, [])) : rows.scale(deviation, ratio);
}

/** What the last step left of W - A. */
function heldDeviation(
  ops: Ops,
  rows: Rows,
  norm: BallNorm,
  { constraint, deviation, norms }: Slots,
): Tensor {
  const radius = ops.unstack(constraint)[0] as Tensor;
  return heldInBall(ops, rows, norm, radius, deviation, norms);
}

/**
 * A ball of a fixed radius around the anchor: MARS-SP (Gouk, Hospedales, Pontil: Distance-Based Regularisation of Deep
 * Networks for Fine-Tuning, ICLR 2021; authors' code github.com/henrygouk/mars-finetuning).
 *
 *     C      = W - U - A
 *     n[r]   = sum_j |C[r, j]|             or over the whole tensor, with norm 'frobenius': n = sqrt(sum C^2)
 *     W_t[r] = A[r] + min(1, radius / n[r]) C[r]
 */
export const fixedRadius: Rule<RadiusSettings> = {
  name: 'fixedRadius',
  code: 2,
  options: {
    radius: radiusOption,
    norm: choiceOption('mars', ['mars', 'frobenius']),
    strengthByDepth: strengthByDepthOption,
  },
  check({ radius }) {
    if (radius === undefined) throw new TypeError(`${ACCEPTED}, got undefined`);
  },
  flags: ({ norm }) => (norm === 'frobenius' ? 1 : 0),
  slots: [
    { name: 'anchor', shape: 'variable' },
    { name: 'deviation', shape: 'variable' },
    { name: 'norms', shape: 'rows', when: ({ norm }) => norm === 'mars' },
    { name: 'norms', shape: 1, when: ({ norm }) => norm === 'frobenius' },
    // the radius of the last step
    { name: 'constraint', shape: 4 },
  ],
  numbers: ['radius'],
  scaled: 'radius',
  placeScale({ radius, strengthByDepth }) {
    const factor = depthFactor(strengthByDepth);
    if (typeof radius !== 'function' && factor === null) return null;
    return (place) => {
      const own = typeof radius === 'function' ? radiusOf(radius, place.name, place.shape) : 1;
      return factor === null ? own : own / factor(place);
    };
  },
  report(_options, { constraint, norms, anchorNorm }) {
    const radius = constraint[0] as number;
    return { radius, ...ballReport(radius, norms, anchorNorm) };
  },

  step(ops, values, { w, g, slots, rows, fromWeights }, base) {
    const { add, stack } = ops;
    const { anchor } = slots;
    const { norm } = values;
    const radius = values.radius as number;
    const held = fromWeights ? null : () => heldDeviation(ops, rows, norm, slots);
    const deviation = base(g, w).deviation(anchor, held);
    const norms = ballNorms(ops, rows, norm, deviation);
    const weights = add(anchor, heldInBall(ops, rows, norm, radius, deviation, norms));
    return { weights, slots: { deviation, norms, constraint: stack([radius, 0, 0, 0]) } };
  },

  last(ops, { norm }, { anchor, constraint, deviation, norms }, rows) {
    const [radius] = ops.unstack(constraint) as [Tensor];
    return {
      unprojected: () => ops.add(anchor, deviation),
      through: (x) =>
        norm === 'frobenius'
          ? throughWhole(ops, radius, ops.reshape(norms, []), deviation, x)
          : throughRows(ops, rows, radius, norms, deviation, x),
    };
  },

  left: (ops, { norm }, slots, rows) => ops.add(slots.anchor, heldDeviation(ops, rows, norm, slots)),
};
