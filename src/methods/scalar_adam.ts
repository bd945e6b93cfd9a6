import type { Scalar } from '@tensorflow/tfjs-core';
import type { Ops } from './method.js';

/** Adam on one number. */
export interface ScalarAdam {
  learningRate: number;
  beta1: number;
  beta2: number;
}

/** Outside the square root; not an option, as in the authors' code of FTP. */
const EPSILON = 1e-8;

/** `x` after step `t` (from 1) with the gradient `h`, and the raw moments `m` and `v` after it. */
export function stepScalar(
  { add, div, mul, sqrt, square, sub }: Ops,
  { learningRate, beta1, beta2 }: ScalarAdam,
  t: number,
  h: Scalar,
  [x, m0, v0]: readonly [Scalar, Scalar, Scalar],
): { x: Scalar; m: Scalar; v: Scalar } {
  const m = add(mul(m0, beta1), mul(h, 1 - beta1)) as Scalar;
  const v = add(mul(v0, beta2), mul(square(h), 1 - beta2)) as Scalar;
  const root = add(sqrt(div(v, 1 - beta2 ** t)), EPSILON);
  return { x: sub(x, mul(div(div(m, 1 - beta1 ** t), root), learningRate)) as Scalar, m, v };
}
