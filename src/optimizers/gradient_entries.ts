/** The gradients of a step, with their variables, checked before anything is touched. */

import { engine, type NamedTensorMap, Tensor, util, Variable } from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import { describe } from '../validate.js';
import { registeredVariable } from '../variables/registered.js';
import type { NamedTensor } from '../variables/saved_state.js';
import type { VariableRecord } from '../variables/variable_record.js';

/** A variable with its gradient; variables without a gradient have no entry. */
export interface GradientEntry {
  variable: Variable;
  gradient: Tensor;
  /** What is known of the variable from earlier steps. */
  record: VariableRecord | undefined;
}

/** Looks up and checks a variable that is not the one of the last step. */
function checkVariable(name: string, record: VariableRecord | undefined): Variable {
  const variable = registeredVariable(name);
  if (variable === undefined) {
    if (record !== undefined) throw disposed(name);
    throw new FtpError(
      'UNKNOWN_VARIABLE',
      `there is no variable '${name}' (it was never created, or disposed)`,
    );
  }
  if (variable.isDisposed) throw disposed(name);
  // `instanceof` only looks for methods in tfjs; another copy's variables would pass it.
  if (!Object.prototype.isPrototypeOf.call(Variable.prototype, variable)) {
    throw new FtpError(
      'DUPLICATE_TFJS',
      `variable '${name}' was made by another copy of @tensorflow/tfjs-core than the one that tfjs-ftp uses. ` +
        '`npm ls @tensorflow/tfjs-core` shows them; `npm dedupe`, or one version for all tfjs packages ' +
        '("overrides" in package.json), leaves one',
    );
  }
  if (variable.dtype !== 'float32') {
    throw new FtpError('UNSUPPORTED_DTYPE', `variable '${name}' must be float32, got ${variable.dtype}`);
  }
  if (record !== undefined && !util.arraysEqual(record.variable.shape, variable.shape)) {
    throw new FtpError(
      'STATE_MISMATCH',
      `variable '${name}' has shape [${variable.shape}] now, but had [${record.variable.shape}] in earlier steps`,
    );
  }
  return variable;
}

function disposed(name: string): FtpError {
  return new FtpError(
    'VARIABLE_DISPOSED',
    `variable '${name}' was disposed, but a gradient for it was given`,
  );
}

function checkGradient(variable: Variable, gradient: unknown): Tensor {
  if (!(gradient instanceof Tensor)) {
    throw new TypeError(`gradient of '${variable.name}' must be a tensor, got ${describeGiven(gradient)}`);
  }
  if (gradient.isDisposed) throw new RangeError(`gradient of '${variable.name}' is disposed`);
  if (gradient.dtype !== 'float32') {
    throw new TypeError(`gradient of '${variable.name}' must be float32, got ${gradient.dtype}`);
  }
  if (!util.arraysEqual(gradient.shape, variable.shape)) {
    throw new RangeError(
      `gradient of '${variable.name}' must have the variable's shape [${variable.shape}], got [${gradient.shape}]`,
    );
  }
  return gradient;
}

function describeGiven(value: unknown): string {
  const { then } = (value ?? {}) as { then?: unknown };
  return typeof then === 'function' ? 'a promise; did you forget await?' : describe(value);
}

/**
 * Whether `gradients` is an array, a plain object (of any realm), or another object that holds tensors. A promise or a
 * `Map` has no keys of its own: it would pass for a step without gradients.
 */
function holdsGradients(gradients: unknown): boolean {
  if (gradients === null || typeof gradients !== 'object') return false;
  const prototype: unknown = Object.getPrototypeOf(gradients);
  if (Array.isArray(gradients) || prototype === null || Object.getPrototypeOf(prototype) === null)
    return true;
  const values = Object.values(gradients);
  return values.length > 0 && values.every((value) => (value ?? null) === null || value instanceof Tensor);
}

/**
 * The entries of a step, in the order given. Entries that are null or undefined, and variables without
 * elements, are left out.
 */
export function collectEntries(
  gradients: NamedTensorMap | NamedTensor[],
  records: ReadonlyMap<string, VariableRecord>,
): GradientEntry[] {
  if (!holdsGradients(gradients)) {
    throw new TypeError(
      `applyGradients takes a map of tensors or an array of {name, tensor}, got ${describeGiven(gradients)}`,
    );
  }
  const registered = engine().registeredVariables;
  const entries: GradientEntry[] = [];
  const add = (name: string, gradient: Tensor | null | undefined): void => {
    if (gradient === null || gradient === undefined) return;
    const record = records.get(name);
    const known = record?.variable;
    const variable =
      known !== undefined && registered[name] === known && !known.isDisposed
        ? known
        : checkVariable(name, record);
    checkGradient(variable, gradient);
    if (variable.size > 0) entries.push({ variable, gradient, record });
  };
  if (!Array.isArray(gradients)) {
    for (const name of Object.keys(gradients)) add(name, gradients[name]);
    return entries;
  }
  const seen = new Set<string>();
  for (const [i, entry] of gradients.entries()) {
    const name: unknown = entry?.name;
    if (typeof name !== 'string') {
      throw new TypeError(`gradients must be {name, tensor}, got ${describe(entry)} at position ${i}`);
    }
    if (seen.has(name)) throw new RangeError(`gradients has variable '${name}' twice`);
    seen.add(name);
    add(name, entry.tensor);
  }
  return entries;
}
