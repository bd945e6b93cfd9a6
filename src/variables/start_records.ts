/** Makes the records of variables that a step sees for the first time. */

import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import * as ops from '@tensorflow/tfjs-core';
import type { Implementation, StateSpec } from '../backends/types.js';
import { FtpError } from '../errors.js';
import type { BoundMethod, Slots } from '../methods/method.js';
import type { StateFormat } from '../options.js';
import type { AnchorStore } from './anchors.js';
import { checkFiniteStart } from './finite_start.js';
import { rowsOf } from './rows.js';
import { matchSaved, restoreState, type SavedVariable } from './saved_state.js';
import { scaleRecord } from './scale_record.js';
import type { VariableOptions } from './variable_options.js';
import { countsAt, newRecord, type VariableRecord } from './variable_record.js';

/** A new record, and the loaded state that it was made from. */
export interface StartedRecord {
  record: VariableRecord;
  saved: SavedVariable | undefined;
}

/** Where records take their settings from. */
export interface RecordSources {
  implementation: Implementation;
  method: BoundMethod;
  variables: VariableOptions;
  anchors: AnchorStore;
  pending: SavedVariable[];
  /** Steps of the optimizer so far. */
  iterations: number;
  /** Whether there are records already. */
  started: boolean;
  /** Whether weights and anchors must be finite. */
  checkFinite: boolean;
  /** Whether the weights are averaged. */
  ema: boolean;
  /** Whether states keep the gradient of the last step. */
  keepGradient: boolean;
  /** Of the states. */
  format: StateFormat;
}

/** Smallest normal float32: backends may flush smaller numbers to zero. */
const SMALLEST_NORMAL = 1.1754943508222875e-38;

/** Records for `variables`; on an error none are left behind. `others`: variables of the step that other processes start. */
export function startRecords(
  sources: RecordSources,
  variables: Variable[],
  others: readonly Variable[] = [],
): StartedRecord[] {
  if (variables.length === 0) return [];
  const { pending } = sources;
  const matched = matchSaved(pending, variables, sources.method, !sources.started);
  if (pending.length > 0 && matched.size === 0 && !sources.started) {
    const names = (list: Array<{ name: string }>) =>
      list
        .slice(0, 4)
        .map(({ name }) => `'${name}'`)
        .join(', ') + (list.length > 4 ? ', ...' : '');
    throw new FtpError(
      'STATE_MISMATCH',
      `the loaded state is of ${names(pending)}, none of which is among the variables of this step: ${names(variables)}`,
    );
  }
  if (sources.checkFinite) {
    checkFiniteStart(
      variables.map((variable) => {
        const { name, shape } = variable;
        const anchor = matched.get(variable)?.slots.get('anchor') ?? sources.anchors.get(name, shape);
        return { variable, anchor: sources.variables.isExcluded(variable) ? undefined : anchor };
      }),
    );
  }
  const started: StartedRecord[] = [];
  try {
    seeLayers(sources, [...variables, ...others]);
    for (const variable of variables) {
      const saved = matched.get(variable);
      started.push({ record: startRecord(sources, variable, saved), saved });
    }
    for (const { record } of started) scaleRecord(sources.implementation, record);
    const loaded = started.filter(({ saved }) => saved !== undefined).map(({ record }) => record);
    continueFromState(sources.implementation, loaded);
    return started;
  } catch (error) {
    for (const { record } of started) sources.implementation.disposeState(record.state);
    throw error;
  }
}

/** The layers of the model come first, in its order. */
function seeLayers(sources: RecordSources, variables: Variable[]): void {
  const { axes, scales } = sources.variables;
  const all = [...axes.ofModel(), ...variables];
  scales.see(all.filter((variable) => !sources.variables.isExcluded(variable)).map(({ name }) => name));
}

function startRecord(
  sources: RecordSources,
  variable: Variable,
  saved: SavedVariable | undefined,
): VariableRecord {
  const { implementation, anchors, iterations, ema, keepGradient, format } = sources;
  const { axes, groups, scales } = sources.variables;
  const { name, shape } = variable;
  const excluded = sources.variables.isExcluded(variable);
  const method = excluded ? sources.method.plain : sources.method;
  const layout = axes.layoutOf(name, shape);
  const spec: StateSpec = { name, shape, layout, excluded, method, ema, keepGradient, format };
  const placeScale = excluded ? 1 : scales.of(name, shape);
  const own = groups.of(variable);
  const anchor = anchors.get(name, shape) ?? variable;
  const state =
    saved === undefined
      ? implementation.createState(spec, method.has('anchor') ? anchor : null)
      : restoreState(implementation, spec, saved, anchor);
  const record = { ...newRecord<Tensor>(variable, state, placeScale), own, variable, dataId: null };
  return saved === undefined ? record : { ...record, ...countsAt(iterations, saved) };
}

/**
 * Lets variables go on from their state where their weights are the ones that its last step left, by the method's rule:
 * so that loading and continuing gives the same bits as not having stopped. Weights that differ count as assigned from
 * outside.
 */
export function continueFromState(implementation: Implementation, records: readonly VariableRecord[]): void {
  const candidates = records.filter((record) => record.born !== null && hasLeft(record));
  if (candidates.length === 0) return;
  const unchanged = ops.tidy(() =>
    ops.stack(candidates.map((record) => isWhereLeft(implementation, record))).dataSync(),
  );
  for (const [i, record] of candidates.entries()) {
    if (unchanged[i] !== 0) record.dataId = record.variable.dataId;
  }
}

function hasLeft({ state }: VariableRecord): boolean {
  return state.spec.method.rule.left !== undefined;
}

function isWhereLeft(implementation: Implementation, { state, variable }: VariableRecord) {
  const { method, layout, shape } = state.spec;
  const slots = Object.fromEntries(
    method.ruleSlots.map(({ name }) => [name, implementation.read(state, name)]),
  );
  const left = method.rule.left?.(ops, method.options, slots as Slots, rowsOf(layout, shape)) as ops.Tensor;
  return ops.all(ops.lessEqual(ops.abs(ops.sub(variable, left)), SMALLEST_NORMAL));
}
