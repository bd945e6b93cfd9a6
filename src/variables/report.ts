/** What the constraints are now, and making the present weights the anchors. */

import { fill, keep, type Tensor, tensor1d, tidy } from '@tensorflow/tfjs-core';
import type { Implementation } from '../backends/types.js';
import type { BoundMethod, LastStep, SlotName } from '../methods/method.js';
import { anchorNorm } from './anchor_norm.js';
import { anchorNormOf, type ConstraintReport, excludedReport, reportOf } from './constraint_report.js';
import { registeredVariable } from './registered.js';
import { disposeSaved, type SavedVariable } from './saved_state.js';
import { restartRecord, type VariableRecord } from './variable_record.js';

/** Reports of all records, in the order in which they were first seen. */
export async function reportRecords(
  implementation: Implementation,
  records: Iterable<VariableRecord>,
): Promise<ConstraintReport[]> {
  const pending: Array<ConstraintReport | Promise<ConstraintReport>> = [];
  for (const { name, state, own, ruleScale } of records) {
    const { excluded, layout, method } = state.spec;
    if (excluded || !method.has('anchor')) {
      pending.push(excluded ? excludedReport(name, layout.rows) : reportOf(name, layout.rows, method, null));
      continue;
    }
    const anchor = anchorNorm(implementation, state);
    // Copies, taken at once: the report is of one moment even if steps follow before it is read.
    const read = (slot: SlotName) => (method.has(slot) ? keep(implementation.read(state, slot)) : null);
    const [constraint, norms] = [read('constraint'), read('norms')];
    const asOwn = { rule: method.rule, options: { ...method.options, ...own.numbers } };
    const report = readLast(constraint, norms, anchor, ruleScale)
      .then((last) => reportOf(name, layout.rows, asOwn, last))
      .finally(() => {
        constraint?.dispose();
        norms?.dispose();
      });
    pending.push(report);
  }
  return Promise.all(pending);
}

async function readLast(
  constraint: Tensor | null,
  norms: Tensor | null,
  anchorNorm: number,
  scale: number,
): Promise<LastStep> {
  const [numbers, perRow] = await Promise.all([constraint?.data() ?? [], norms?.data() ?? []]);
  return { constraint: numbers, norms: perRow, anchorNorm, scale };
}

/**
 * Reports of loaded variables that no step has brought yet and that had an anchor when saved, where their rows are
 * known.
 */
export async function reportSaved(
  pending: SavedVariable[],
  method: BoundMethod,
): Promise<ConstraintReport[]> {
  if (!method.slots.some(({ name, shape }) => name === 'norms' && shape === 'rows')) return [];
  const reports: Array<Promise<ConstraintReport>> = [];
  for (const { name, slots } of pending) {
    const constraint = slots.get('constraint');
    const norms = slots.get('norms');
    const anchor = slots.get('anchor');
    if (constraint !== undefined && norms !== undefined && anchor !== undefined) {
      const rows = norms.size;
      reports.push(
        readLast(constraint, norms, anchorNormOf(anchor.dataSync(), rows), 1).then((last) =>
          reportOf(name, rows, method, last),
        ),
      );
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
  record.dataId = null;
  tidy(() =>
    restartRecord(implementation, record, weights, (shape, restart) =>
      typeof restart === 'number' ? fill(shape, restart) : tensor1d([...restart]),
    ),
  );
}

/** The same for loaded state that waits for its variable: its first step will give the anchor. */
export function reanchorSaved(saved: SavedVariable, { ruleSlots }: BoundMethod): SavedVariable {
  const names: readonly string[] = ruleSlots.map(({ name }) => name);
  const dropped = new Map([...saved.slots].filter(([slot]) => names.includes(slot)));
  disposeSaved({ ...saved, slots: dropped });
  const slots = new Map([...saved.slots].filter(([slot]) => !dropped.has(slot)));
  return { ...saved, t: 0, slots };
}
