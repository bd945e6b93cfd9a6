/**
 * bfloat16, the upper half of a float32: a sign, 8 bits of exponent and 8 significant bits. Rounding is to nearest, ties to
 * even, as in native code; NaN stays NaN.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { Ops } from '../methods/method.js';

const HALF = 0x7fff;
const QUIET_NAN = 0x0040_0000;
const INFINITY = 0x7f80_0000;
const SIGN = 0x8000_0000;

/** The same memory as whole numbers: reading a NaN as a number could change its bits. */
function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** Floats of memory that so many numbers take as bfloat16. */
export function packedLength(count: number): number {
  return Math.ceil(count / 2);
}

/** `values` rounded, two per float of the result. */
export function packBfloat16(values: Float32Array): Float32Array {
  const packed = new Float32Array(packedLength(values.length));
  const upper = new Uint16Array(packed.buffer);
  const bits = bitsOf(values);
  for (let i = 0; i < bits.length; ++i) {
    const word = bits[i] as number;
    const isNan = (word & ~SIGN) >>> 0 > INFINITY;
    upper[i] = (isNan ? word | QUIET_NAN : word + HALF + ((word >>> 16) & 1)) >>> 16;
  }
  return packed;
}

/** The first `count` numbers of what {@link packBfloat16} gave. */
export function unpackBfloat16(packed: Float32Array, count: number): Float32Array {
  const values = new Float32Array(count);
  const bits = bitsOf(values);
  const upper = new Uint16Array(packed.buffer, packed.byteOffset, count);
  for (let i = 0; i < count; ++i) bits[i] = (upper[i] as number) << 16;
  return values;
}

/** Beyond these powers of two the products below could overflow, or their differences be subnormal. */
const [LARGE, SMALL] = [2 ** 60, 2 ** -60];
const SHIFT = 2 ** 64;

/** The number of so many significant bits that is nearest to each element (Veltkamp); of two as near, either. */
function nearest({ mul, sub }: Ops, x: Tensor, bits: number): Tensor {
  const product = mul(x, 2 ** (24 - bits) + 1);
  return sub(product, sub(product, x));
}

/**
 * `x` rounded to what bfloat16 holds, in operations that float32 carries out exactly. A number lies in the middle of two
 * neighbours where the one that is as far from it on the other side is a neighbour too; of the two, the even one has 7
 * significant bits.
 */
export function roundToBfloat16(ops: Ops, x: Tensor): Tensor {
  const { abs, add, div, equal, fill, greater, less, logicalAnd, mul, notEqual, sub, where } = ops;
  const size = abs(x);
  const constant = (value: number) => fill(x.shape, value);
  const scale = where(
    greater(size, LARGE),
    constant(1 / SHIFT),
    where(less(size, SMALL), constant(SHIFT), constant(1)),
  );
  const y = mul(x, scale);
  const near = nearest(ops, y, 8);
  const other = add(near, mul(sub(y, near), 2));
  const isMiddle = equal(nearest(ops, other, 8), other);
  const isOdd = notEqual(nearest(ops, near, 7), near);
  const rounded = div(where(logicalAnd(isMiddle, isOdd), other, near), scale);
  return where(ops.isFinite(x), rounded, x);
}
