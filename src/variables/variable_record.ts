/** What is known of one variable from step to step. No tfjs here. */

import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import {
  type StateImplementation,
  slotsOf,
  type VariableState,
  type VariableUpdate,
} from '../backends/types.js';
import { FtpError } from '../errors.js';
import type { StepValues } from '../methods/method.js';
import { forgetAnchorNorm } from './anchor_norm.js';
import { effectiveValues } from './effective_values.js';
import { NOTHING_OWN, type OwnValues } from './groups.js';
import { scaleRecord } from './scale_record.js';

/** Of a variable whose weights are an `A`. */
export interface StepRecord<A> {
  readonly name: string;
  state: VariableState;
  /** Iteration of the first gradient since the constraint was started; null before that. */
  born: number | null;
  /** Updates of this variable so far. */
  updates: number;
  /** Factor on the rule's number that the variable has by its place in the model. */
  placeScale: number;
  /** Factor on the rule's number, `placeScale` included. */
  ruleScale: number;
  /** What the variable has of its own by its group and its layer. */
  own: OwnValues;
  /** Arguments of the next step, reused. */
  readonly update: VariableUpdate<A>;
}

/** What an optimizer knows of a variable. */
export interface VariableRecord extends StepRecord<Tensor> {
  /** The variable seen last under this name. */
  variable: Variable;
  /** Data id that the last step left in the variable; another one means that it was assigned from outside. */
  dataId: object | null;
}

export function newRecord<A>(weights: A, state: VariableState, placeScale = 1): StepRecord<A> {
  const { spec } = state;
  return {
    name: spec.name,
    state,
    born: null,
    updates: 0,
    placeScale,
    ruleScale: placeScale,
    own: NOTHING_OWN,
    update: { spec, state, weights, gradient: weights, proposal: null, t: 1, n: 1, fromWeights: true },
  };
}

/** Puts another state in place (after a change of backend); the old one is the caller's to dispose. */
export function replaceState<A>(record: StepRecord<A>, state: VariableState): void {
  record.state = state;
  record.update.state = state;
}

/** Steps of the constraint after `iterations` steps, gaps included; 0: not started. */
export function constraintSteps({ born }: { born: number | null }, iterations: number): number {
  return born === null ? 0 : iterations - born;
}

/** The counts of a record that has had `t` steps and `n` updates after `iterations` steps. */
export function countsAt(iterations: number, { t, n }: { t: number; n: number }) {
  return { born: t === 0 ? null : iterations - t, updates: n };
}

/**
 * The arguments of the step after `iterations` steps.
 *
 * @param values the step's numbers.
 * @param assigned whether the weights are not what the last step left.
 */
export function nextUpdate<A>(
  record: StepRecord<A>,
  iterations: number,
  values: StepValues,
  weights: A,
  gradient: A,
  assigned: boolean,
): VariableUpdate<A> {
  const { state, update } = record;
  update.weights = weights;
  update.gradient = gradient;
  update.t = constraintSteps(record, iterations) + 1;
  update.n = record.updates + 1;
  update.fromWeights = update.t === 1 || assigned;
  update.values = effectiveValues(state.spec.method, values, record);
  return update;
}

/** To be called when the step after `iterations` steps has updated the variable. */
export function countUpdate<A>(record: StepRecord<A>, iterations: number): void {
  record.born ??= iterations;
  ++record.updates;
}

/** The error for a gradient of `name` that is not finite. */
export function nonFiniteGradient(name: string | undefined, iterations: number): FtpError {
  return new FtpError(
    'NON_FINITE_GRADIENT',
    `gradient of '${name}' holds NaN or an infinity in step ${iterations} (counted from 0); nothing was ` +
      "changed. nonFinite: 'skip' leaves such steps out, 'ignore' skips this check",
  );
}

/**
 * Makes the present weights the anchor and starts the constraint anew; the base update's slots stay.
 *
 * @param filled a slot with what {@link SlotSpec.restart} says.
 */
export function restartRecord<A, V, W>(
  implementation: StateImplementation<A, V, W>,
  record: StepRecord<A>,
  weights: A,
  filled: (shape: number[], restart: number | readonly number[]) => W,
): void {
  const { state } = record;
  const { ruleSlots } = state.spec.method;
  const shapes = new Map(slotsOf(state.spec).map(({ name, shape }) => [name, shape]));
  record.born = null;
  forgetAnchorNorm(state);
  for (const { name, restart = 0 } of ruleSlots) {
    const value = name === 'anchor' ? weights : filled(shapes.get(name) as number[], restart);
    implementation.write(state, name, value);
  }
  scaleRecord(implementation, record);
}
