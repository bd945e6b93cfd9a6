/** Moves state from one implementation to another when the tfjs backend was changed between steps. */

import type { Tensor } from '@tensorflow/tfjs-core';
import { type Implementation, slotsOf, type VariableState } from '../backends/types.js';
import { replaceState, type VariableRecord } from './variable_record.js';

function moveState(state: VariableState, from: Implementation, to: Implementation): VariableState {
  const slots = new Map<string, Tensor>();
  let moved: VariableState | undefined;
  try {
    for (const { name } of slotsOf(state.spec)) slots.set(name, from.read(state, name));
    moved = to.createState(state.spec, slots.get('anchor') ?? null);
    for (const [slot, value] of slots) {
      if (slot !== 'anchor') to.write(moved, slot, value);
    }
    return moved;
  } catch (error) {
    if (moved !== undefined) to.disposeState(moved);
    throw error;
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
