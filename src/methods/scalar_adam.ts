/** Adam on one number. */
export interface ScalarAdam {
  learningRate: number;
  beta1: number;
  beta2: number;
}

/** The operations that it takes: tfjs's on scalars, or those of numbers. */
export interface ScalarOps<T> {
  add(a: T, b: T | number): T;
  div(a: T, b: T | number): T;
  mul(a: T, b: T | number): T;
  sqrt(a: T): T;
  square(a: T): T;
  sub(a: T, b: T | number): T;
}

/** The operations of numbers, in float64. */
export const NUMBERS: ScalarOps<number> = {
  add: (a, b) => a + b,
  div: (a, b) => a / b,
  mul: (a, b) => a * b,
  sqrt: Math.sqrt,
  square: (a) => a * a,
  sub: (a, b) => a - b,
};

/** Outside the square root; not an option, as in the authors' code of FTP. */
export const EPSILON = 1e-8;

/** `x` after step `t` (from 1) with the gradient `h`, and the raw moments `m` and `v` after it. */
export function stepScalar<T>(
  { add, div, mul, sqrt, square, sub }: ScalarOps<T>,
  { learningRate, beta1, beta2 }: ScalarAdam,
  t: number,
  h: T,
  [x, m0, v0]: readonly [T, T, T],
): { x: T; m: T; v: T } {
  const m = add(mul(m0, beta1), mul(h, 1 - beta1));
  const v = add(mul(v0, beta2), mul(square(h), 1 - beta2));
  const root = add(sqrt(div(v, 1 - beta2 ** t)), EPSILON);
  return { x: sub(x, mul(div(div(m, 1 - beta1 ** t), root), learningRate)), m, v };
}
