/**
 * An optimizer's state as named tensors, `<variable>/<slot>`, and back. What was loaded waits under its saved
 * names until a step brings the variables.
 */

import { clone, keep, type Tensor, type Variable } from '@tensorflow/tfjs-core';
import type { Implementation, StateSpec, VariableState } from '../backends/types.js';
import { FtpError } from '../errors.js';
import { type BoundMethod, SLOT_NAMES, type SlotSpec } from '../methods/method.js';
import { describe } from '../validate.js';
import { filledState } from './filled_state.js';
import { findByName } from './names.js';

/** As tfjs's own: a tensor with the name under which it is saved. */
export interface NamedTensor {
  name: string;
  tensor: Tensor;
}

/** The loaded state of one variable. */
export interface SavedVariable {
  name: string;
  /** Steps of the constraint; 0: not started. */
  t: number;
  /** Updates of the variable. */
  n: number;
  slots: Map<string, Tensor>;
}

/** Slots of any method, by options of the optimizer. */
export type OptionalSlot = 'ema' | 'gradient';

const EMA: SlotSpec = { name: 'ema', shape: 'variable' };
const GRADIENT: SlotSpec = { name: 'gradient', shape: 'variable' };
const SAVED_SLOTS: readonly string[] = [...SLOT_NAMES, 'steps'];

function mismatch(message: string): FtpError {
  return new FtpError('STATE_MISMATCH', message);
}

/** Splits `<variable>/<slot>` at the last slash. */
function splitName(name: string): { variable: string; slot: string } {
  const at = name.lastIndexOf('/');
  const slot = name.slice(at + 1);
  if (at < 0 || !SAVED_SLOTS.includes(slot)) {
    throw mismatch(
      `setWeights got '${name}', which is not part of an FTP optimizer's state ` +
        `(<variable>/${SAVED_SLOTS.join(', <variable>/')})`,
    );
  }
  return { variable: name.slice(0, at), slot };
}

/** Checks that the slots of one variable belong together and to this optimizer. */
function checkVariable(saved: SavedVariable, method: BoundMethod, ofAll: readonly OptionalSlot[]): void {
  const { name, slots, t, n } = saved;
  const names = (list: BoundMethod['slots']): string[] => list.map((slot) => slot.name);
  // Without the last gradient learning starts anew.
  const expected = [...names(method.plain.slots), ...ofAll.filter((slot) => slot !== 'gradient')];
  const surplus = [...slots.keys()].find((slot) => ![...names(method.slots), ...ofAll].includes(slot));
  const lacking = n > 0 ? expected.find((slot) => !slots.has(slot)) : undefined;
  if (surplus !== undefined || lacking !== undefined) {
    const what =
      surplus === undefined ? `lacks '${name}/${lacking}'` : `has '${name}/${surplus}', unused here`;
    throw mismatch(`saved state ${what}: it was saved by another optimizer or with other options`);
  }
  const ofRule = names(method.ruleSlots);
  const present = ofRule.filter((slot) => slots.has(slot));
  const anchorOnly = t === 0 && present.length === 1 && present[0] === 'anchor';
  if (present.length !== 0 && present.length !== ofRule.length && !anchorOnly) {
    throw mismatch(`saved state of '${name}' lacks ${ofRule.filter((slot) => !slots.has(slot)).join(', ')}`);
  }
  const shape = shapeOf(saved, method);
  const all = [...method.slots, ...[EMA, GRADIENT].filter(({ name }) => ofAll.some((slot) => slot === name))];
  for (const { name: slot, shape: kind } of all) {
    const tensor = slots.get(slot);
    if (tensor === undefined) continue;
    if (typeof kind === 'number' && tensor.size !== kind) {
      throw mismatch(`'${name}/${slot}' must have shape [${kind}], got [${tensor.shape}]`);
    }
    if (tensor.dtype !== 'float32') {
      throw mismatch(`'${name}/${slot}' must be float32, got ${tensor.dtype}`);
    }
    if (kind === 'variable' && String(tensor.shape) !== String(shape)) {
      throw mismatch(`'${name}/${slot}' has shape [${tensor.shape}], but others of '${name}' [${shape}]`);
    }
  }
}

/** Shape of the variable, null where no slot tells. */
function shapeOf({ slots }: SavedVariable, method: BoundMethod): number[] | null {
  const slot = [...method.slots, EMA, GRADIENT].find(
    ({ name, shape }) => shape === 'variable' && slots.has(name),
  );
  return slot === undefined ? null : (slots.get(slot.name) as Tensor).shape;
}

/**
 * Groups named tensors by variable and checks them. The slots of the result are the caller's own tensors:
 * {@link holdSaved} before keeping them. `ofAll`: which slots the optimizer has with any method.
 */
export async function parseSaved(
  weights: NamedTensor[],
  method: BoundMethod,
  ofAll: readonly OptionalSlot[],
): Promise<SavedVariable[]> {
  const byName = new Map<string, SavedVariable>();
  const steps = new Map<string, Tensor>();
  for (const { name, tensor } of weights) {
    const { variable, slot } = splitName(name);
    let saved = byName.get(variable);
    if (saved === undefined) {
      saved = { name: variable, t: 0, n: 0, slots: new Map() };
      byName.set(variable, saved);
    }
    const target = slot === 'steps' ? steps : saved.slots;
    const key = slot === 'steps' ? variable : slot;
    if (target.has(key)) throw mismatch(`setWeights got '${name}' twice`);
    target.set(key, tensor);
  }
  for (const saved of byName.values()) {
    const tensor = steps.get(saved.name);
    if (tensor === undefined || tensor.size !== 2) {
      const came = tensor === undefined ? 'none' : `shape [${tensor.shape}]`;
      throw mismatch(
        `saved state of '${saved.name}' must have '${saved.name}/steps' of shape [2], got ${came}`,
      );
    }
    const [t, n] = await tensor.data();
    saved.t = t as number;
    saved.n = n as number;
    checkVariable(saved, method, ofAll);
  }
  return [...byName.values()];
}

/** The iteration count that starts every list of optimizer weights. */
export async function parseIterations(weights: NamedTensor[]): Promise<number> {
  const first = weights[0];
  if (first === undefined || first.name !== 'iter' || first.tensor.size !== 1) {
    const came = first === undefined ? 'an empty list' : `'${first.name}' first`;
    throw mismatch(`optimizer weights must start with the scalar 'iter', got ${came}`);
  }
  const iterations = (await first.tensor.data())[0] as number;
  if (!Number.isInteger(iterations) || iterations < 0) {
    throw mismatch(`'iter' must be a whole number >= 0, got ${iterations}`);
  }
  return iterations;
}

/** Checks the argument of setWeights. */
export function checkNamedTensors(weights: unknown): NamedTensor[] {
  if (!Array.isArray(weights)) {
    throw new TypeError(`setWeights takes an array of {name, tensor}, got ${describe(weights)}`);
  }
  for (const [i, entry] of weights.entries()) {
    const { name, tensor } = (entry ?? {}) as Partial<NamedTensor>;
    if (typeof name !== 'string' || typeof tensor?.data !== 'function') {
      throw new TypeError(
        `setWeights takes an array of {name, tensor}, got ${describe(entry)} at position ${i}`,
      );
    }
  }
  return weights as NamedTensor[];
}

/** The same state on tensors of our own. */
export function holdSaved(variables: SavedVariable[]): SavedVariable[] {
  return variables.map((saved) => ({
    ...saved,
    slots: new Map([...saved.slots].map(([slot, tensor]) => [slot, keep(clone(tensor))])),
  }));
}

export function disposeSaved(saved: SavedVariable): void {
  for (const tensor of saved.slots.values()) tensor.dispose();
}

/**
 * Finds the loaded state for each of `variables`: equal names first, then names without tfjs's suffix, in
 * order and by shape.
 *
 * @param first whether this is the first step with the loaded state. Names that differ in the suffix are then taken for
 *   the same weight, even if their shapes differ; later they may be another weight's, whose own state waits for it.
 * @throws FtpError STATE_MISMATCH if a name is found with another shape only.
 */
export function matchSaved(
  pending: SavedVariable[],
  variables: Variable[],
  method: BoundMethod,
  first: boolean,
): Map<Variable, SavedVariable> {
  const matched = new Map<Variable, SavedVariable>();
  if (pending.length === 0) return matched;
  const taken = new Set<SavedVariable>();
  const fits = (saved: SavedVariable, shape: number[]) => {
    const savedShape = shapeOf(saved, method);
    return savedShape === null || String(savedShape) === String(shape);
  };
  const take = (variable: Variable, saved: SavedVariable | undefined) => {
    if (saved === undefined) return;
    matched.set(variable, saved);
    taken.add(saved);
  };
  for (const variable of variables) {
    take(
      variable,
      pending.find((saved) => saved.name === variable.name && fits(saved, variable.shape)),
    );
  }
  for (const variable of variables) {
    if (matched.has(variable)) continue;
    const accept = (saved: SavedVariable) => !taken.has(saved) && fits(saved, variable.shape);
    take(
      variable,
      findByName(pending, (saved) => saved.name, variable.name, accept),
    );
    const sameName = pending.find((saved) => saved.name === variable.name);
    if (!matched.has(variable) && sameName !== undefined) throw otherShape(sameName, variable, method);
  }
  if (!first) return matched;
  for (const variable of variables) {
    if (matched.has(variable)) continue;
    const untaken = pending.filter((saved) => !taken.has(saved));
    const changed = findByName(untaken, (saved) => saved.name, variable.name);
    if (changed !== undefined) throw otherShape(changed, variable, method);
  }
  return matched;
}

function otherShape(saved: SavedVariable, { name, shape }: Variable, method: BoundMethod): FtpError {
  const variable = saved.name === name ? 'the variable' : `the variable '${name}'`;
  return mismatch(
    `saved state of '${saved.name}' has shape [${shapeOf(saved, method)}], ${variable} [${shape}]. To start it anew, load the ` +
      `state without the tensors named '${saved.name}/...'`,
  );
}

/**
 * State made from loaded slots.
 *
 * @param fallback anchor where none was loaded.
 * @throws FtpError STATE_MISMATCH if it was saved with another exclusion or other rows.
 */
export function restoreState(
  implementation: Implementation,
  spec: StateSpec,
  saved: SavedVariable,
  fallback: Tensor,
): VariableState {
  const projected = saved.slots.has('anchor');
  if (spec.excluded && projected) {
    throw mismatch(`'${spec.name}' was projected when its state was saved, but is excluded now`);
  }
  const anchored = spec.method.has('anchor');
  if (anchored && !projected && saved.t > 0) {
    throw mismatch(`'${spec.name}' was excluded when its state was saved, but is projected now`);
  }
  const norms = saved.slots.get('norms');
  const perRow = spec.method.slots.some(({ name, shape }) => name === 'norms' && shape === 'rows');
  if (perRow && norms !== undefined && norms.size !== spec.layout.rows) {
    throw mismatch(
      `'${spec.name}' had ${norms.size} rows when its state was saved, and has ${spec.layout.rows} now: ` +
        'give the same model or outputAxis',
    );
  }
  return filledState(implementation, spec, saved.slots, anchored ? fallback : null);
}
