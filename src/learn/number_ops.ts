import type { ScalarOps } from '../methods/scalar_adam.js';

/** The operations of numbers, for formulas that are written for tensors too. */
export const NUMBERS: ScalarOps<number> = {
  add: (a, b) => a + b,
  div: (a, b) => a / b,
  mul: (a, b) => a * b,
  sqrt: Math.sqrt,
  square: (a) => a * a,
  sub: (a, b) => a - b,
};
