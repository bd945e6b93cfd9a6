/** Moves state from one implementation to another when the tfjs backend was changed between steps. */

import type { Tensor } from '@tensorflow/tfjs-core';
import { type Implementation, slotsOf, type VariableState } from '../backends/types.js';
import { filledState } from './filled_state.js';
import { replaceState, type VariableRecord } from './variable_record.js';

function moveState(state: VariableState, from: Implementation, to: Implementation): VariableState {
  const slots = new Map<string, Tensor>();
  try {
    for (const { name } of slotsOf(state.spec)) slots.set(name, from.read(state, name));
    return filledState(to, state.spec, slots, null);
  } finally {
    for (const tensor of slots.values()) tensor.dispose();
  }
}

/** All records or, on an error, none. */
export function migrateRecords(records: VariableRecord[], from: Implementation, to: Implementation): void {
  const moved: VariableState[] = [];
  try {
    for (const { state } of records) moved.push(moveState(state, from, to));
  } catch (error) {
    for (const state of moved) to.disposeState(state);
    throw error;
  }
  for (const [i, record] of records.entries()) {
    from.disposeState(record.state);
    replaceState(record, moved[i] as VariableState);
  }
}
