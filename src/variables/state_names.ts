/** The names under which an optimizer's state leaves it. */

import { clone, scalar, type Tensor, tensor1d } from '@tensorflow/tfjs-core';
import type { NamedTensor, SavedVariable } from './saved_state.js';

export function nameIterations(iterations: number): NamedTensor {
  return { name: 'iter', tensor: scalar(iterations, 'int32') };
}

/** `t` steps of the constraint, `n` updates of the variable. */
function nameSteps(variable: string, t: number, n: number): NamedTensor {
  return { name: `${variable}/steps`, tensor: tensor1d([t, n], 'int32') };
}

/** The slots of a variable, which become the result's. */
export function nameRecord(
  variable: string,
  slots: ReadonlyArray<readonly [string, Tensor]>,
  t: number,
  n: number,
): NamedTensor[] {
  const named = slots.map(([slot, tensor]) => ({ name: `${variable}/${slot}`, tensor }));
  return [...named, nameSteps(variable, t, n)];
}

/** Loaded state as it was loaded. */
export function nameSaved({ name, slots, t, n }: SavedVariable): NamedTensor[] {
  const copies = [...slots].map(([slot, tensor]) => [slot, clone(tensor)] as const);
  return nameRecord(name, copies, t, n);
}

/** An anchor whose variable no step has brought yet. */
export function nameUnusedAnchor(variable: string, anchor: Tensor): NamedTensor[] {
  return nameRecord(variable, [['anchor', anchor]], 0, 0);
}
