/**
 * The few operations of tfjs that the formulas of src/methods take, on arrays of float64: so that a formula can be held against
 * its own finite differences to more digits than float32 has.
 */
import type { Ops, Rows } from '../../src/methods/method.js';

export interface Array64 {
  shape: number[];
  data: number[];
}
type Operand = Array64 | number;

const sizeOf = (shape: number[]) => shape.reduce((a, b) => a * b, 1);
export const array64 = (data: ArrayLike<number>, shape: number[] = [data.length]): Array64 => ({
  shape,
  data: Array.from(data),
});
const lift = (x: Operand): Array64 => (typeof x === 'number' ? array64([x], []) : x);

/** Elementwise on equal shapes, or with one operand of one element. */
function binary(a: Operand, b: Operand, f: (x: number, y: number) => number): Array64 {
  const [p, q] = [lift(a), lift(b)];
  const [n, k] = [sizeOf(p.shape), sizeOf(q.shape)];
  if (n !== k && n !== 1 && k !== 1) throw new Error(`shapes [${p.shape}] and [${q.shape}]`);
  const shape = n > k || (n === k && p.shape.length >= q.shape.length) ? p.shape : q.shape;
  return array64(
    Array.from({ length: Math.max(n, k) }, (_, i) =>
      f(p.data[n === 1 ? 0 : i] as number, q.data[k === 1 ? 0 : i] as number),
    ),
    shape,
  );
}
const unary = (f: (x: number) => number) => (x: Operand) => ({ ...lift(x), data: lift(x).data.map(f) });
const two = (f: (x: number, y: number) => number) => (a: Operand, b: Operand) => binary(a, b, f);

const OPS = {
  abs: unary(Math.abs),
  neg: unary((x) => -x),
  sign: unary(Math.sign),
  sqrt: unary(Math.sqrt),
  square: unary((x) => x * x),
  onesLike: unary(() => 1),
  zerosLike: unary(() => 0),
  clone: unary((x) => x),
  add: two((x, y) => x + y),
  sub: two((x, y) => x - y),
  mul: two((x, y) => x * y),
  div: two((x, y) => x / y),
  divNoNan: two((x, y) => (y === 0 ? 0 : x / y)),
  maximum: two(Math.max),
  minimum: two(Math.min),
  equal: two((x, y) => (x === y ? 1 : 0)),
  greater: two((x, y) => (x > y ? 1 : 0)),
  less: two((x, y) => (x < y ? 1 : 0)),
  clipByValue: (x: Operand, low: number, high: number) => unary((v) => Math.min(high, Math.max(low, v)))(x),
  max: (x: Operand) => array64([Math.max(...lift(x).data)], []),
  sum: (x: Operand) => array64([lift(x).data.reduce((a, b) => a + b, 0)], []),
  where(condition: Operand, a: Operand, b: Operand) {
    const chosen = binary(condition, a, (c, x) => (c ? x : 0));
    const other = binary(condition, b, (c, x) => (c ? 0 : x));
    return binary(chosen, other, (x, y) => x + y);
  },
  reshape: (x: Operand, shape: number[]) => array64(lift(x).data, shape),
  scalar: (x: number) => array64([x], []),
  tensor1d: (x: number[]) => array64(x),
  stack: (list: Operand[]) => array64(list.map((x) => lift(x).data[0] as number)),
  unstack: (x: Array64) => x.data.map((value) => array64([value], [])),
};

export const float64Ops = OPS as unknown as Ops;

/** Rows along the last axis of [inner, rows]. */
export function rows64(count: number): Rows {
  return {
    count,
    sum(x: Array64) {
      const sums = new Array<number>(count).fill(0);
      x.data.forEach((value, i) => {
        sums[i % count] = (sums[i % count] as number) + value;
      });
      return array64(sums);
    },
    scale: (x: Array64, factors: Array64) => ({
      ...x,
      data: x.data.map((value, i) => value * (factors.data[i % count] as number)),
    }),
  } as unknown as Rows;
}
