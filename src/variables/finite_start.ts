/** What a variable starts from must be finite: NaN in its weights or anchor would stay for good. */

import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import { findNonFinite } from '../backends/reference.js';
import { nonFiniteStart } from './non_finite_start.js';

/** A variable at its first step; `anchor` where it is not the weights themselves. */
export interface Start {
  variable: Variable;
  anchor: Tensor | undefined;
}

/**
 * Reads weights and anchors of all `starts` once.
 *
 * @throws FtpError NON_FINITE_WEIGHTS, naming the first variable with NaN or an infinity.
 */
export function checkFiniteStart(starts: readonly Start[]): void {
  const checked = starts.flatMap(({ variable, anchor }) => [
    { what: 'weights', name: variable.name, tensor: variable } as const,
    ...(anchor === undefined ? [] : [{ what: 'anchor', name: variable.name, tensor: anchor } as const]),
  ]);
  const found = checked[findNonFinite(checked.map(({ tensor }) => tensor))];
  if (found !== undefined) throw nonFiniteStart(found.what, found.name);
}
