/** What the constraints are now, and making the present weights the anchors. */

import { fill, keep, type Tensor, tensor1d, tidy } from '@tensorflow/tfjs-core';
import { type Implementation, slotsOf, type VariableState } from '../backends/types.js';
import type { BoundMethod } from '../methods/method.js';
import { anchorNormOf, type ConstraintReport, excludedReport, reportOf } from './constraint_report.js';
import { registeredVariable } from './registered.js';
import { disposeSaved, type SavedVariable } from './saved_state.js';
import type { VariableRecord } from './variable_record.js';

async function readReport(
  name: string,
  constraint: Tensor,
  norms: Tensor,
  anchorNorm: number,
): Promise<ConstraintReport> {
  const [gammas, values] = await Promise.all([constraint.data(), norms.data()]);
  return reportOf(name, gammas[0] as number, values, anchorNorm);
}

/** Of states whose anchor was read already: it stays as it is until the state is reanchored. */
const anchorNorms = new WeakMap<VariableState, number>();

/** Summed in JavaScript: in float64, and the same number whatever the backend. */
function anchorNorm(implementation: Implementation, state: VariableState): number {
  let norm = anchorNorms.get(state);
  if (norm === undefined) {
    const anchor = implementation.read(state, 'anchor');
    norm = anchorNormOf(anchor.dataSync(), state.spec.layout.rows);
    anchor.dispose();
    anchorNorms.set(state, norm);
  }
  return norm;
}

/** Reports of all records, in the order in which they were first seen. */
export async function reportRecords(
  implementation: Implementation,
  records: Iterable<VariableRecord>,
): Promise<ConstraintReport[]> {
  const pending: Array<ConstraintReport | Promise<ConstraintReport>> = [];
  for (const { name, state } of records) {
    if (state.spec.excluded) {
      pending.push(excludedReport(name, state.spec.layout.rows));
      continue;
    }
    const scale = anchorNorm(implementation, state);
    // Copies, taken at once: the report is of one moment even if steps follow before it is read.
    const constraint = keep(implementation.read(state, 'constraint'));
    const norms = keep(implementation.read(state, 'norms'));
    const report = readReport(name, constraint, norms, scale).finally(() => {
      constraint.dispose();
      norms.dispose();
    });
    pending.push(report);
  }
  return Promise.all(pending);
}

/** Reports of loaded variables that no step has brought yet and that were projected when saved. */
export async function reportSaved(pending: SavedVariable[]): Promise<ConstraintReport[]> {
  const reports: Array<Promise<ConstraintReport>> = [];
  for (const { name, slots } of pending) {
    const constraint = slots.get('constraint');
    const norms = slots.get('norms');
    const anchor = slots.get('anchor');
    if (constraint !== undefined && norms !== undefined && anchor !== undefined) {
      reports.push(readReport(name, constraint, norms, anchorNormOf(anchor.dataSync(), norms.size)));
    }
  }
  return Promise.all(reports);
}

/** Whether the record's variable still exists: the object seen last, or another registered under its name. */
export function presentVariable(record: VariableRecord) {
  const variable = registeredVariable(record.name);
  const usable = variable !== undefined && !variable.isDisposed;
  return usable && String(variable.shape) === String(record.variable.shape) ? variable : null;
}

/**
 * Makes the present weights the anchor of a record and starts its constraint anew; the base update's slots
 * stay.
 */
export function reanchorRecord(
  implementation: Implementation,
  record: VariableRecord,
  weights: Tensor,
): void {
  const { state } = record;
  record.born = null;
  record.dataId = null;
  anchorNorms.delete(state);
  const { ruleSlots } = state.spec.method;
  const shapes = new Map(slotsOf(state.spec).map(({ name, shape }) => [name, shape]));
  tidy(() => {
    for (const { name, restart = 0 } of ruleSlots) {
      const value =
        typeof restart === 'number' ? fill(shapes.get(name) as number[], restart) : tensor1d([...restart]);
      implementation.write(state, name, name === 'anchor' ? weights : value);
    }
  });
}

/** The same for loaded state that waits for its variable: its first step will give the anchor. */
export function reanchorSaved(saved: SavedVariable, { ruleSlots }: BoundMethod): SavedVariable {
  const names: readonly string[] = ruleSlots.map(({ name }) => name);
  const dropped = new Map([...saved.slots].filter(([slot]) => names.includes(slot)));
  disposeSaved({ ...saved, slots: dropped });
  const slots = new Map([...saved.slots].filter(([slot]) => !dropped.has(slot)));
  return { ...saved, t: 0, slots };
}
