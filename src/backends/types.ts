/** The interface between the optimizers and what computes a step. */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { RowLayout } from '../projection/row_layout.js';
import type { BaseConfig, Hyper } from './plan.js';

export type { BaseConfig, Hyper } from './plan.js';

/** What computes the steps. */
export type ImplementationName = 'tensorflow-gpu' | 'tensorflow-cpu' | 'wasm' | 'cpu' | 'reference';

/** What the optimizer may be asked for. */
export type ImplementationChoice = 'auto' | 'native' | 'reference';

/** Everything that fixes the size and the meaning of a variable's state. */
export interface StateSpec {
  name: string;
  shape: number[];
  layout: RowLayout;
  excluded: boolean;
  config: BaseConfig;
}

/** A variable's state; what it holds besides the spec is known to its implementation only. */
export interface VariableState {
  readonly spec: StateSpec;
}

/** One variable of a step. */
export interface VariableUpdate {
  state: VariableState;
  /** Weights before the step; for base 'proposal': what the base optimizer proposes. */
  weights: Tensor;
  gradient: Tensor;
  /** Constraint step, from 1. */
  t: number;
  /** Update of this variable, from 1. */
  n: number;
  /** Whether to re-form the stored deviation from `weights` (first step, or assigned from outside). */
  fromWeights: boolean;
}

/** A part of a variable's state. */
export interface Slot {
  name: string;
  shape: number[];
}

/** Thrown by {@link Implementation.step}, before anything is written, for a gradient that is not finite. */
export class NonFiniteGradient extends Error {
  /** Position in `updates`. */
  readonly index: number;
  constructor(index: number) {
    super(`gradient ${index} is not finite`);
    this.index = index;
  }
}

export interface Implementation {
  readonly name: ImplementationName;
  /** New state, all zeros but the anchor, of which it takes a copy (null for excluded variables). */
  createState(spec: StateSpec, anchor: Tensor | null): VariableState;
  /**
   * One step: updates every state in place and returns fresh tensors with the new weights, which the
   * caller owns. Throws before anything is written.
   */
  step(config: BaseConfig, hyper: Hyper, updates: VariableUpdate[]): Tensor[];
  /** A fresh copy of a slot, owned by the caller. */
  read(state: VariableState, slot: string): Tensor;
  /** Copies `value` into a slot. */
  write(state: VariableState, slot: string, value: Tensor): void;
  disposeState(state: VariableState): void;
}

/** The slots of a state in the order in which they are saved. */
export function slotsOf({ config, excluded, shape, layout }: StateSpec): Slot[] {
  const slots: Slot[] = [];
  if (!excluded) slots.push({ name: 'anchor', shape }, { name: 'deviation', shape });
  if (config.base === 'adamw') {
    slots.push({ name: 'm', shape }, { name: 'v', shape });
    if (config.amsgrad) slots.push({ name: 'vmax', shape });
  }
  if (config.base === 'sgd' && config.momentum) slots.push({ name: 'momentum', shape });
  if (!excluded) {
    slots.push({ name: 'norms', shape: [layout.rows] }, { name: 'constraint', shape: [4] });
  }
  return slots;
}
