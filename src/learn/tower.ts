/**
 * Scalar optimizers on top of each other (Chandra, Xie, Ragan-Kelley, Meijer: Gradient Descent: The Ultimate Optimizer,
 * NeurIPS 2022, arXiv 1909.13371): each steps the numbers below it, and its own numbers are stepped by those above it.
 */

import { adam } from './adam.js';
import { normalized } from './normalized.js';
import type { HyperGradient, Memory, Numbers, ScalarMethod } from './scalar_method.js';
import { LINEAR, LOG, LOGIT, type NumberScale, TANH } from './scale.js';
import { sgd } from './sgd.js';

export type TowerMethod = 'normalized' | 'sgd' | 'adam';

const METHODS: { readonly [name in TowerMethod]: ScalarMethod } = { normalized, sgd, adam };

export function scalarMethod(method: TowerMethod): ScalarMethod {
  return METHODS[method];
}

/** A scalar optimizer. */
export interface Tower {
  method: TowerMethod;
  /** Its own numbers, complete; the learned ones start there. */
  numbers: Numbers;
  /** What steps its own numbers. One that steps several has the same numbers for all of them. */
  above: readonly Above[];
}

/** What steps some numbers of a tower. */
export interface Above {
  tower: Tower;
  /** Where each number may go; the names are those that are learned. */
  bounds: { readonly [name: string]: Bounds };
}

/** Lowest and highest value. */
export type Bounds = readonly [number, number];

/** What a tower knows after some steps: JSON. */
export interface TowerState {
  readonly numbers: Numbers;
  /** Of every number that it steps. */
  readonly memories: { readonly [element: string]: Memory };
  readonly above: readonly TowerState[];
}

/** A number below, before a step. */
export interface Element {
  name: string;
  value: number;
  bounds: Bounds;
  scale: NumberScale;
  /** Gradient of the loss by the number itself, not on its scale. */
  gradient: HyperGradient;
}

/** Whether a number of this name lies between 0 and 1. */
export function isUnit(name: string): boolean {
  return name === 'beta1' || name === 'beta2' || name === 'momentum';
}

/** The scale on which `method` learns a number of this name. */
export function scaleOf(method: TowerMethod, name: string): NumberScale {
  if (method === 'normalized') return isUnit(name) ? LOGIT : LOG;
  return isUnit(name) && name !== 'momentum' ? TANH : LINEAR;
}

export function startTower({ numbers, above }: Tower): TowerState {
  return { numbers, memories: {}, above: above.map(({ tower }) => startTower(tower)) };
}

/**
 * One step of the numbers below. The gradients of all levels come first, from the last changes; then each level steps the
 * one below it, so that a number is used as soon as it is known. Numbers with a gradient that is not finite stay as they
 * are.
 *
 * @returns the new values in the order of `elements`, and the new state; the old one is as before.
 */
export function stepTower(
  tower: Tower,
  state: TowerState,
  elements: readonly Element[],
): { values: number[]; state: TowerState } {
  const method = METHODS[tower.method];
  const given = elements.map(({ value, scale, gradient }) => gradientOf(method, value, scale, gradient));
  const above = tower.above.map((level, i) =>
    stepAbove(level, state, state.above[i] as TowerState, elements, given),
  );
  const numbers = Object.assign({}, state.numbers, ...above.map(({ values }) => values)) as Numbers;
  const memories = { ...state.memories };
  const values = elements.map(({ name, value, scale, bounds: [low, high] }, i) => {
    const g = given[i] as number | null;
    if (g === null) return value;
    const last = state.memories[name];
    const steps = (last?.steps ?? 0) + 1;
    const { change, moments, derivatives } = method.step(numbers, steps, g, last?.moments ?? method.start);
    const moved = change === 0 ? value : scale.from(scale.to(value) + change);
    const next = Math.min(high, Math.max(low, moved));
    if (![next, ...moments].every(Number.isFinite)) return value;
    const inside = next === moved;
    memories[name] = { steps, moments, derivatives: inside ? derivatives : zeros(derivatives) };
    return next;
  });
  return { values, state: { numbers, memories, above: above.map((level) => level.state) } };
}

function zeros(numbers: Numbers): Numbers {
  return Object.fromEntries(Object.keys(numbers).map((name) => [name, 0]));
}

/** The gradient on the number's scale, as the method takes it; null: none. */
function gradientOf(
  method: ScalarMethod,
  value: number,
  scale: NumberScale,
  { h, gg, xx }: HyperGradient,
): number | null {
  const slope = scale.slope(value);
  const g = method.gradient({ h: h * slope, gg, xx: xx * slope ** 2 });
  return g !== null && Number.isFinite(g) ? g : null;
}

/** Steps those numbers of a level that `above` learns: each depends on the last changes of all elements. */
function stepAbove(
  { tower, bounds }: Above,
  below: TowerState,
  state: TowerState,
  elements: readonly Element[],
  given: ReadonlyArray<number | null>,
): { values: Numbers; state: TowerState } {
  const names = Object.keys(bounds);
  const learned = names.map((name): Element => {
    const gradient = { h: 0, gg: 0, xx: 0 };
    for (const [i, element] of elements.entries()) {
      const g = given[i] as number | null;
      const x = below.memories[element.name]?.derivatives[name] ?? 0;
      if (g === null) continue;
      gradient.h += g * x;
      gradient.gg += g * g;
      gradient.xx += x * x;
    }
    const value = below.numbers[name] as number;
    const scale = scaleOf(tower.method, name);
    return { name, value, bounds: bounds[name] as Bounds, scale, gradient };
  });
  const stepped = stepTower(tower, state, learned);
  const values = Object.fromEntries(names.map((name, i) => [name, stepped.values[i] as number]));
  return { values, state: stepped.state };
}
