/** The variables of a fused step: checks of what the user gives, and what the step keeps of each. */

import { sectionOf } from '../backends/native_state.js';
import type { PlanVariable } from '../backends/plan.js';
import { checkBoolean, checkInteger, checkOptionKeys, describe } from '../validate.js';
import { nonFiniteStart } from '../variables/non_finite_start.js';
import { layoutOfAxis, type RowLayout, rowLayoutByRank } from '../variables/row_layout.js';
import type { NativeStateLayout } from './addon.js';
import type { Extent, FusedArray, FusedStorage } from './storage.js';
import type { FusedVariable } from './types.js';

/** What stays the same of a variable. */
export interface CheckedVariable<A extends FusedArray> {
  name: string;
  weights: A;
  anchor: A;
  elements: number;
  excluded: boolean;
  rows: RowLayout;
}

/** A variable with its slab and counters. */
export interface Entry<A extends FusedArray> extends Omit<CheckedVariable<A>, 'anchor'> {
  layout: NativeStateLayout;
  slab: A;
  /** Number of the step that brought its first gradient. */
  born: number | null;
  updates: number;
  /** Whether the weights are not what the last step left. */
  fromWeights: boolean;
  /** Mean MARS norm of the anchor's rows; null: not asked for since the anchor was set. */
  anchorNorm: number | null;
  /** Factor on the rule's number. */
  ruleScale: number;
  plan: PlanVariable;
}

const VARIABLE_KEYS = ['name', 'weights', 'shape', 'outputAxis', 'anchor', 'excluded'];

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
  private readonly byMemory = new Map<unknown, Array<Extent & { entry: Entry<A> }>>();

  constructor(
    private readonly storage: FusedStorage<A>,
    entries: readonly Entry<A>[],
  ) {
    for (const entry of entries) {
      const extent = { ...storage.extentOf(entry.weights), entry };
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
    const now = this.storage.extentOf(found.entry.weights);
    if (now.start === now.end) return; // freed since: the memory is somebody else's
    throw new RangeError(
      `gradient of '${name}' must not share memory with the weights of '${found.entry.name}'`,
    );
  }
}

function checkVariable<A extends FusedArray>(
  storage: FusedStorage<A>,
  variable: FusedVariable<A>,
): CheckedVariable<A> {
  const { name, outputAxis } = variable;
  const shape = checkShape(name, variable.shape);
  const elements = shape.reduce((product, extent) => product * extent, 1);
  const weights = storage.checkArray(`weights of '${name}' [${shape}]`, variable.weights, elements);
  const excluded = checkBoolean(`excluded of '${name}'`, variable.excluded ?? false);
  const rows = outputAxis === undefined ? rowLayoutByRank(shape) : layoutOfAxis(name, shape, outputAxis);
  const anchor =
    variable.anchor === undefined
      ? weights
      : storage.checkArray(`anchor of '${name}' [${shape}]`, variable.anchor, elements);
  return { name, weights, anchor, elements, excluded, rows };
}

/** All variables, checked, their values too where `finite`; throws before anything is allocated. */
export function checkVariables<A extends FusedArray>(
  storage: FusedStorage<A>,
  variables: readonly FusedVariable<A>[],
  finite: boolean,
): CheckedVariable<A>[] {
  const names = new Set<string>();
  const checked = variables.map((variable, i) => {
    checkOptionKeys(`variables[${i}]`, variable, VARIABLE_KEYS);
    const { name } = variable;
    if (typeof name !== 'string') {
      throw new TypeError(`variables[${i}].name must be a string, got ${describe(name)}`);
    }
    if (names.has(name)) throw new RangeError(`variables has '${name}' twice`);
    names.add(name);
    return checkVariable(storage, variable);
  });
  checkOverlap(storage, checked);
  for (const { name, weights, anchor, excluded } of finite ? checked : []) {
    if (!storage.isFinite(weights)) throw nonFiniteStart('weights', name);
    if (anchor !== weights && !excluded && !storage.isFinite(anchor)) throw nonFiniteStart('anchor', name);
  }
  return checked;
}

/** A new slab for each variable, with its anchor; where one cannot be made, those made before are given up. */
export function makeEntries<A extends FusedArray>(
  storage: FusedStorage<A>,
  variables: readonly CheckedVariable<A>[],
  layoutOf: (excluded: boolean, rows: RowLayout) => NativeStateLayout,
): Entry<A>[] {
  const entries: Entry<A>[] = [];
  try {
    for (const { anchor, ...variable } of variables) {
      const { excluded, rows } = variable;
      const layout = layoutOf(excluded, rows);
      const slab = storage.newSlab(layout.length);
      const plan = { spec: { layout: rows, excluded }, t: 1, n: 1, fromWeights: true };
      entries.push({
        ...variable,
        layout,
        slab,
        plan,
        born: null,
        updates: 0,
        fromWeights: true,
        anchorNorm: null,
        ruleScale: 1,
      });
      if (!excluded) storage.copy(slab, sectionOf(layout, 'anchor'), anchor);
    }
    return entries;
  } catch (error) {
    for (const { slab } of entries) storage.freeSlab(slab);
    throw error;
  }
}
