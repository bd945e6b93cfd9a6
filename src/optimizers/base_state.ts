/**
 * State of a wrapped optimizer that its own getWeights does not tell, and its roll-back. tfjs's optimizers keep
 * `tf.Variable`s in properties (Adam's `accBeta1`), and per variable in arrays of `{originalName, variable}`.
 */

import { clone, keep, type Optimizer, type Tensor, Variable } from '@tensorflow/tfjs-core';
import type { NamedTensor } from '../variables/saved_state.js';

type Properties = { [name: string]: unknown };

function isVariable(value: unknown): value is Variable {
  return Object.prototype.isPrototypeOf.call(Variable.prototype, value as object);
}

function isPrimitive(value: unknown): boolean {
  return value === null || (typeof value !== 'object' && typeof value !== 'function');
}

/** The variable of an array's element, be it one itself or tfjs's `{originalName, variable}`. */
function variableOf(element: unknown): Variable | null {
  if (isVariable(element)) return element;
  const { variable } = (element ?? {}) as Properties;
  return isVariable(variable) ? variable : null;
}

/** All variables that an optimizer holds. */
function variablesOf(base: Optimizer): Variable[] {
  return Object.values(base)
    .flatMap((value: unknown) => (Array.isArray(value) ? value.map(variableOf) : [variableOf(value)]))
    .filter((variable) => variable !== null);
}

/**
 * Variables in properties of their own that `getWeights` leaves out, named by their property. tfjs's Adam
 * recomputes `accBeta1` on loading as a power, which differs from the product of the steps by rounding.
 */
function untoldVariables(base: Optimizer, told: readonly NamedTensor[]): NamedTensor[] {
  return Object.entries(base)
    .filter(([, value]) => isVariable(value) && !told.some(({ tensor }) => tensor === value))
    .map(([name, value]) => ({ name, tensor: value as Tensor }));
}

/** Copies of what {@link loadBase} loads: what the base's getWeights gives, and {@link untoldVariables}. */
export async function saveBase(base: Optimizer): Promise<NamedTensor[]> {
  const told = await base.getWeights();
  const weights = [...told, ...untoldVariables(base, told)].map(({ name, tensor }) => {
    return { name, tensor: keep(clone(tensor)) };
  });
  // tfjs's optimizers give their own variables, but a scalar of ours for the iterations.
  if (told[0]?.name === 'iter') told[0].tensor.dispose();
  return weights;
}

/**
 * Loads what {@link untoldVariables} and the base's getWeights gave. State saved without the former is fine. On
 * an error the base is as before; variables that were replaced are disposed.
 */
export async function loadBase(base: Optimizer, weights: NamedTensor[]): Promise<void> {
  const isUntold = ({ name }: NamedTensor) => isVariable((base as unknown as Properties)[name]);
  const before = new BaseSnapshot(base);
  try {
    await base.setWeights(weights.filter((weight) => !isUntold(weight)));
    for (const { name, tensor } of weights.filter(isUntold)) {
      ((base as unknown as Properties)[name] as Variable).assign(tensor);
    }
    before.disposeReplaced();
  } catch (error) {
    before.restore();
    throw error;
  } finally {
    before.release();
  }
}

/**
 * An optimizer's variables, arrays and plain values at one moment. Copies share memory with the variables until
 * those are assigned.
 */
export class BaseSnapshot {
  private readonly properties: Properties;
  private readonly values: Map<Variable, Tensor>;

  constructor(private readonly base: Optimizer) {
    this.properties = Object.fromEntries(
      Object.entries(base)
        .filter(([, value]) => isPrimitive(value) || Array.isArray(value) || isVariable(value))
        .map(([name, value]) => [name, Array.isArray(value) ? [...value] : value]),
    );
    this.values = new Map(variablesOf(base).map((variable) => [variable, keep(clone(variable))]));
  }

  /** Puts everything back; variables made since are disposed. */
  restore(): void {
    for (const variable of variablesOf(this.base)) if (!this.values.has(variable)) variable.dispose();
    Object.assign(this.base, this.properties);
    for (const [variable, value] of this.values) variable.assign(value);
  }

  /** Disposes the variables that the optimizer no longer holds. */
  disposeReplaced(): void {
    const held = new Set(variablesOf(this.base));
    for (const variable of this.values.keys()) if (!held.has(variable)) variable.dispose();
  }

  release(): void {
    for (const value of this.values.values()) value.dispose();
  }
}
