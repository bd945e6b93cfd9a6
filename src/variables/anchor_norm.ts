/** The scale of a variable: the mean over the rows of the MARS norm of its anchor. */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { StateImplementation, VariableState } from '../backends/types.js';
import { anchorNormOf } from './constraint_report.js';

/** Of states whose anchor was read already: it stays as it is until the state is reanchored. */
const known = new WeakMap<VariableState, number>();

/** Summed in JavaScript: in float64, and the same number whatever the backend. */
export function anchorNorm<A, V, W>(
  implementation: StateImplementation<A, V, W>,
  state: VariableState,
): number {
  let norm = known.get(state);
  if (norm === undefined) {
    const anchor = implementation.read(state, 'anchor') as Tensor | Float32Array;
    const { rows } = state.spec.layout;
    if (anchor instanceof Float32Array) {
      norm = anchorNormOf(anchor, rows);
    } else {
      norm = anchorNormOf(anchor.dataSync(), rows);
      anchor.dispose();
    }
    known.set(state, norm);
  }
  return norm;
}

/** To be called when the anchor has changed. */
export function forgetAnchorNorm(state: VariableState): void {
  known.delete(state);
}
