/**
 * Hyper-gradients of one variable: the derivative of the loss by the numbers of the update that led to the present weights,
 * as far as this variable carries it.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import { GATHERED, WANT_SQUARES } from '../backends/types.js';
import type { BoundMethod, HyperParameter, Ops, StepValues, VariableView } from '../methods/method.js';

/** The bits of `want` after that of the sum of squares are for these, in this order. */
const ORDER: ReadonlyArray<readonly HyperParameter[]> = [
  ['learningRate'],
  ['weightDecay'],
  ['beta1', 'momentum'],
  ['beta2'],
  ['strength'],
];

/** What `Implementation.gather` is to be asked for, to learn numbers of these names. */
export function wantOf(names: Iterable<HyperParameter>): number {
  return [...names].reduce((want, name) => want | (2 << placeOf(name)), WANT_SQUARES);
}

function placeOf(name: HyperParameter): number {
  return ORDER.findIndex((names) => names.includes(name));
}

/** The sums for a hyper-parameter in the result of `Implementation.gather`, of variable `index`. */
export function readSums(sums: Float64Array, index: number, name: HyperParameter) {
  const at = GATHERED * index;
  const own = at + 1 + 2 * placeOf(name);
  return { gg: sums[at] as number, h: sums[own] as number, xx: sums[own + 1] as number };
}

/** What the learning of these numbers must be able to read of the last update: whether its gradient is to be kept. */
export function needsGradient({ base, options }: BoundMethod, names: Iterable<HyperParameter>): boolean {
  // The direction of SGD is the gradient itself, or has it as a part.
  const ofDirection = base.name === 'sgd' && (options.momentum === 0 || options.nesterov === true);
  return [...names].some(
    (name) =>
      name === 'beta1' ||
      name === 'beta2' ||
      name === 'momentum' ||
      (ofDirection && (name === 'learningRate' || name === 'weightDecay' || name === 'strength')),
  );
}

/**
 * With G the gradient at the present weights, and X the derivative of the present weights by a number of the step that made
 * them, everything from before that step held: sum G X (the hyper-gradient h) and sum X^2 for every number.
 *
 * @param values the numbers of the variable's last step.
 * @param view the present weights and gradient with the state that the last step left, and that step's `t` and `n`;
 *   `fromWeights` says that the weights were assigned since, or that there was no step, which gives 0.
 * @returns scalars; 0 for what is not wanted or not defined.
 */
export function hyperGradientSums(
  ops: Ops,
  method: BoundMethod,
  values: StepValues,
  view: VariableView,
  want: number,
): Tensor[] {
  const { mul, scalar, square, sum } = ops;
  const { g } = view;
  const wanted = (name: HyperParameter) => (want & (2 << placeOf(name))) !== 0;
  const derivatives = view.fromWeights ? {} : derivativesOf(ops, method, values, view);
  return ORDER.flatMap((names) => {
    const name = names.find((candidate) => derivatives[candidate] !== undefined && wanted(candidate));
    if (name === undefined) return [scalar(0), scalar(0)];
    const x = (derivatives[name] as () => Tensor)();
    return [sum(mul(g, x)), sum(square(x))];
  });
}

type Derivatives = { [name in HyperParameter]?: () => Tensor };

/** dW/d(number) of the last step, for every number that has one. */
function derivativesOf(
  ops: Ops,
  { base, rule }: BoundMethod,
  values: StepValues,
  { w, slots, rows, n }: VariableView,
): Derivatives {
  const { add, mul, neg } = ops;
  const { learningRate } = values;
  const ofRule = rule.last?.(ops, values, slots, rows) ?? {};
  const { gradient, pull, through = (x: Tensor) => x, byStrength } = ofRule;
  const seen = {
    constant: () => (gradient === undefined ? slots.gradient : add(slots.gradient, gradient.constant())),
    slope: gradient?.slope ?? 0,
  };
  const ofBase = base.last?.(ops, values, slots, seen, n);
  if (ofBase === undefined) {
    const unknown = () => {
      throw new Error(`the weights before a step of ${base.name} are not known`);
    };
    return byStrength === undefined ? {} : { strength: () => byStrength(unknown) };
  }
  const direction = pull === undefined ? ofBase.direction : add(ofBase.direction, pull.constant());
  const decay = ofBase.decay + (pull?.slope ?? 0);
  // The step subtracted learningRate (direction + decay W).
  const recover = () => {
    const unprojected = ofRule.unprojected?.() ?? w;
    return mul(add(unprojected, mul(direction, learningRate)), 1 / (1 - learningRate * decay));
  };
  const before = ofRule.before ?? recover;
  const numbers = Object.entries(ofBase.by).map(([name, by]) => [name, () => through(neg(by(before)))]);
  return {
    learningRate: () => through(neg(decay === 0 ? direction : add(direction, mul(before(), decay)))),
    ...Object.fromEntries(numbers),
    ...(byStrength === undefined ? {} : { strength: () => byStrength(before) }),
  };
}
