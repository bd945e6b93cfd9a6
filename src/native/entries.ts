/** Checks of the variables that a fused step is given, and of the memory that they may share. */

import type { StateSpec } from '../backends/types.js';
import type { BoundMethod } from '../methods/method.js';
import type { RunSettings, StateFormat } from '../options.js';
import { checkBoolean, checkInteger, checkOptionKeys, describe } from '../validate.js';
import { nonFiniteStart } from '../variables/non_finite_start.js';
import { layoutOfAxis, product, rowLayoutByRank } from '../variables/row_layout.js';
import type { StepRecord } from '../variables/variable_record.js';
import type { Extent, FusedArray, FusedStorage } from './storage.js';
import type { FusedVariable } from './types.js';

/** A variable that was checked. */
export interface CheckedVariable<A extends FusedArray> {
  spec: StateSpec;
  weights: A;
  anchor: A;
  elements: number;
}

/** What a fused step knows of a variable. */
export interface FusedRecord<A extends FusedArray> extends StepRecord<A> {
  readonly elements: number;
  /** Whether the weights were assigned from outside since the last step. */
  assigned: boolean;
}

const VARIABLE_KEYS = ['name', 'weights', 'shape'];
/** They say how a variable is held, and mean nothing to a method without an anchor. */
const HOLDING_KEYS = ['outputAxis', 'anchor', 'excluded'];

function checkShape(name: string, shape: unknown): number[] {
  if (!Array.isArray(shape))
    throw new TypeError(`shape of '${name}' must be an array, got ${describe(shape)}`);
  return shape.map((extent, i) => checkInteger(`shape[${i}] of '${name}'`, extent, 0, 2 ** 40));
}

/** The same weights in two variables would be updated twice, in an order that nobody asked for. */
export function checkOverlap<A extends FusedArray>(
  storage: FusedStorage<A>,
  variables: ReadonlyArray<{ name: string; weights: A }>,
): void {
  const sorted = variables
    .map(({ name, weights }) => ({ name, ...storage.extentOf(weights) }))
    .filter(({ start, end }) => start < end)
    .sort((a, b) => a.start - b.start);
  const last = new Map<unknown, Extent & { name: string }>();
  for (const next of sorted) {
    const previous = last.get(next.memory);
    if (previous !== undefined && previous.end > next.start) {
      throw new RangeError(`weights of '${previous.name}' and '${next.name}' must not share memory`);
    }
    last.set(next.memory, next);
  }
}

/** Finds weights that share memory with an array, of all variables at once. */
export class WeightsMemory<A extends FusedArray> {
  /** By memory: the weights in it, in ascending order; they do not overlap. */
  private readonly byMemory = new Map<unknown, Array<Extent & { record: StepRecord<A> }>>();

  constructor(
    private readonly storage: FusedStorage<A>,
    records: readonly StepRecord<A>[],
  ) {
    for (const record of records) {
      const extent = { ...storage.extentOf(record.update.weights), record };
      if (extent.start === extent.end) continue;
      const list = this.byMemory.get(extent.memory);
      if (list === undefined) this.byMemory.set(extent.memory, [extent]);
      else list.push(extent);
    }
    for (const list of this.byMemory.values()) list.sort((a, b) => a.start - b.start);
  }

  /** @throws RangeError for a gradient of `name` that shares memory with weights. */
  checkGradient(name: string, gradient: A): void {
    const { memory, start, end } = this.storage.extentOf(gradient);
    const list = this.byMemory.get(memory);
    if (list === undefined) return;
    // The first weights that end behind the gradient's start.
    let [low, high] = [0, list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((list[middle] as Extent).end > start) high = middle;
      else low = middle + 1;
    }
    const found = list[low];
    if (found === undefined || found.start >= end) return;
    const { name: owner, update } = found.record;
    const now = this.storage.extentOf(update.weights);
    if (now.start === now.end) return; // freed since: the memory is somebody else's
    throw new RangeError(`gradient of '${name}' must not share memory with the weights of '${owner}'`);
  }
}

function checkVariable<A extends FusedArray>(
  storage: FusedStorage<A>,
  variable: FusedVariable<A>,
  all: BoundMethod,
  format: StateFormat,
): CheckedVariable<A> {
  const { name, outputAxis } = variable;
  const shape = checkShape(name, variable.shape);
  const elements = product(shape);
  const weights = storage.checkArray(`weights of '${name}' [${shape}]`, variable.weights, elements);
  const excluded = checkBoolean(`excluded of '${name}'`, variable.excluded ?? false);
  const layout = outputAxis === undefined ? rowLayoutByRank(shape) : layoutOfAxis(name, shape, outputAxis);
  const anchor =
    variable.anchor === undefined
      ? weights
      : storage.checkArray(`anchor of '${name}' [${shape}]`, variable.anchor, elements);
  const method = excluded ? all.plain : all;
  return { spec: { name, shape, layout, excluded, method, format }, weights, anchor, elements };
}

/** All variables, checked, their values too unless they are ignored; throws before anything is allocated. */
export function checkVariables<A extends FusedArray>(
  storage: FusedStorage<A>,
  variables: readonly FusedVariable<A>[],
  method: BoundMethod,
  { nonFinite, stateFormat }: RunSettings,
): CheckedVariable<A>[] {
  const names = new Set<string>();
  const keys = method.has('anchor') ? [...VARIABLE_KEYS, ...HOLDING_KEYS] : VARIABLE_KEYS;
  const checked = variables.map((variable, i) => {
    checkOptionKeys(`variables[${i}]`, variable, keys);
    const { name } = variable;
    if (typeof name !== 'string') {
      throw new TypeError(`variables[${i}].name must be a string, got ${describe(name)}`);
    }
    if (names.has(name)) throw new RangeError(`variables has '${name}' twice`);
    names.add(name);
    return checkVariable(storage, variable, method, stateFormat);
  });
  checkOverlap(
    storage,
    checked.map(({ spec: { name }, weights }) => ({ name, weights })),
  );
  for (const { spec, weights, anchor } of nonFinite === 'ignore' ? [] : checked) {
    const { name, excluded } = spec;
    if (!storage.isFinite(weights)) throw nonFiniteStart('weights', name);
    if (anchor !== weights && !excluded && !storage.isFinite(anchor)) throw nonFiniteStart('anchor', name);
  }
  return checked;
}
