import { mul, reshape, sum } from '@tensorflow/tfjs-core';
import type { Rows } from '../methods/method.js';
import type { RowLayout } from './row_layout.js';

/** The rows of a variable of shape `shape`, in tfjs operations. */
export function rowsOf({ outer, rows, inner }: RowLayout, shape: number[]): Rows {
  return {
    count: rows,
    sum: (x) => sum(reshape(x, [outer, rows, inner]), [0, 2]),
    scale: (x, factors) => {
      const scaled = mul(reshape(factors, [1, rows, 1]), reshape(x, [outer, rows, inner]));
      return reshape(scaled, shape);
    },
  };
}
