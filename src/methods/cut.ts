import type { Tensor } from '@tensorflow/tfjs-core';
import type { Ops, Rows } from './method.js';

/**
 * What the projection of C onto a ball of radius `radius`, held, makes of a change `x` of C. A row that was not cut passes
 * it on; a row that was, by the sum n of its absolute values, moves along the ball:
 *
 *     (radius / n) (X - C sum(sign(C) X) / n)
 */
export function throughRows(
  ops: Ops,
  rows: Rows,
  radius: Tensor,
  norms: Tensor,
  c: Tensor,
  x: Tensor,
): Tensor {
  const { div, less, mul, onesLike, sign, sub, where, zerosLike } = ops;
  const cut = less(radius, norms);
  const scale = where(cut, div(radius, norms), onesLike(norms));
  const along = where(cut, div(rows.sum(mul(sign(c), x)), norms), zerosLike(norms));
  return rows.scale(sub(x, rows.scale(c, along)), scale);
}

/** The same for one ball for the whole of C, by n = sqrt(sum C^2): (radius / n) (X - C sum(C X) / n^2). */
export function throughWhole(ops: Ops, radius: Tensor, norm: Tensor, c: Tensor, x: Tensor): Tensor {
  const { div, less, mul, onesLike, square, sub, sum, where, zerosLike } = ops;
  const cut = less(radius, norm);
  const scale = where(cut, div(radius, norm), onesLike(norm));
  const along = where(cut, div(sum(mul(c, x)), square(norm)), zerosLike(norm));
  return mul(sub(x, mul(c, along)), scale);
}
