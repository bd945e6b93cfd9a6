/** The interface between the optimizers and what computes a step. */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { BoundMethod, SlotName } from '../methods/method.js';
import type { StateFormat } from '../options.js';
import type { RowLayout } from '../variables/row_layout.js';
import type { PlanVariable, StepSettings } from './plan.js';

export type { StepSettings } from './plan.js';

/** What computes the steps. */
export type ImplementationName = 'tensorflow-gpu' | 'tensorflow-cpu' | 'wasm' | 'cpu' | 'reference';

/** What the optimizer may be asked for. */
export type ImplementationChoice = 'auto' | 'native' | 'reference';

/** Everything that fixes the size and the meaning of a variable's state. */
export interface StateSpec {
  name: string;
  shape: number[];
  layout: RowLayout;
  /** Whether the variable is left out of what the optimizer's method does beyond its base update. */
  excluded: boolean;
  /** What this variable takes: the optimizer's method, or for an excluded variable its `plain` one. */
  method: BoundMethod;
  /** Whether it has the slot `ema`, as in {@link StepSettings}; default false. */
  ema?: boolean | undefined;
  /** Whether it has the slot `gradient`, as in {@link StepSettings}; default false. */
  keepGradient?: boolean | undefined;
  /** How {@link FORMATTED_SLOTS} are stored; default float32. Slots are read and written as float32 numbers. */
  format?: StateFormat | undefined;
}

/** A variable's state; what it holds besides the spec is known to its implementation only. */
export interface VariableState {
  readonly spec: StateSpec;
}

/** One variable of a step, whose weights are an `A`. */
export interface VariableUpdate<A = Tensor> extends PlanVariable {
  readonly spec: StateSpec;
  state: VariableState;
  /** Weights before the step. */
  weights: A;
  gradient: A;
  /** With the base update `proposal`: the weights that another optimizer proposes; else null. */
  proposal: A | null;
}

/** A part of a variable's state. */
export interface Slot {
  name: SlotName;
  shape: number[];
}

/** Thrown by {@link Implementation.step}, before anything is written, for a gradient that is not finite. */
export class NonFiniteGradient extends Error {
  /** Position in `updates`. */
  readonly index: number;
  constructor(
    index: number,
    /** Its variable's name, where that is not among `updates`. */
    readonly variable: string | null = null,
  ) {
    super(`gradient ${index} is not finite`);
    this.index = index;
  }
}

/** What keeps states and computes steps, over weights that are an `A`. Slots are read as a `V`, and written as an `A` or `W`. */
export interface StateImplementation<A, V, W> {
  /** New state, all zeros but the anchor, of which it takes a copy (null where the method has none). */
  createState(spec: StateSpec, anchor: A | W | null): VariableState;
  /**
   * One step: updates every state in place and returns the new weights: fresh tensors, which the caller owns, or the
   * arrays that it was given. Throws before anything is written.
   */
  step(settings: StepSettings, updates: VariableUpdate<A>[]): A[];
  /**
   * Sums of the gradients before a step, {@link GATHERED} numbers per update: the first is sum G^2 of the raw gradient.
   * Changes nothing. With `settings.checkFinite` it checks the gradients in the same read, as the step would.
   *
   * @param updates to learn numbers: with `values`, `t` and `n` of each variable's last step; `fromWeights` where there was none
   *   or the weights are not what it left. Then h = dL/d(number) and sum X^2 follow for every number, X being dW/d(number).
   * @param want what is asked for, as bits; 1: sum G^2, 2 learningRate, 4 weightDecay, 8 beta1 or momentum, 16 beta2, 32 strength.
   */
  gather?(settings: StepSettings, updates: VariableUpdate<A>[], want: number): Float64Array;
  /** A fresh copy of a slot, owned by the caller. */
  read(state: VariableState, slot: string): V;
  /** Copies `value` into a slot. */
  write(state: VariableState, slot: string, value: A | W): void;
  disposeState(state: VariableState): void;
}

/** The same under tfjs. */
export interface Implementation extends StateImplementation<Tensor, Tensor, Tensor> {
  readonly name: ImplementationName;
}

/** Numbers that {@link Implementation.gather} gives per update. */
export const GATHERED = 11;

/** Bit of {@link Implementation.gather} that asks for sum G^2. */
export const WANT_SQUARES = 1;

/** The slots of a state in the order in which they are saved. */
export function slotsOf({ method, shape, layout, ema, keepGradient }: StateSpec): Slot[] {
  const slots: Slot[] = method.slots.map((slot) => ({
    name: slot.name,
    shape: slot.shape === 'variable' ? shape : [slot.shape === 'rows' ? layout.rows : slot.shape],
  }));
  if (ema) slots.push({ name: 'ema', shape });
  if (keepGradient) slots.push({ name: 'gradient', shape });
  return slots;
}
