/** Values with tensors in them, as JSON and a list of tensors, and back. */

import { Tensor } from '@tensorflow/tfjs-core';
import { describe } from '../validate.js';

/** Keys of what stands in JSON for a tensor, and for a number that JSON does not have. */
const TENSOR = '$tensor';
const NUMBER = '$number';

/**
 * The JSON of a value; its tensors are added to `tensors`.
 *
 * @throws TypeError for what JSON would not give back as it was, naming where it is.
 */
export function pack(name: string, value: unknown, tensors: Tensor[]): unknown {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : { [NUMBER]: String(value) };
  if (value instanceof Tensor) return { [TENSOR]: tensors.push(value) - 1 };
  if (Array.isArray(value)) return value.map((item, i) => pack(`${name}[${i}]`, item, tensors));
  const prototype: unknown = typeof value === 'object' ? Object.getPrototypeOf(value) : undefined;
  const keys = Object.keys(value ?? {});
  if (
    (prototype !== Object.prototype && prototype !== null) ||
    keys.includes(TENSOR) ||
    keys.includes(NUMBER)
  ) {
    throw new TypeError(
      `${name} must be JSON with tensors: null, a boolean, number, string or tensor, an array or a plain object of them ` +
        `(without keys '${TENSOR}' and '${NUMBER}'), got ${describe(value)}`,
    );
  }
  return Object.fromEntries(
    Object.entries(value as object)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, pack(`${name}.${key}`, item, tensors)]),
  );
}

/** The inverse of {@link pack}. */
export function unpack(packed: unknown, tensors: readonly Tensor[]): unknown {
  if (packed === null || typeof packed !== 'object') return packed;
  if (Array.isArray(packed)) return packed.map((item) => unpack(item, tensors));
  const { [TENSOR]: index, [NUMBER]: number } = packed as { [key: string]: unknown };
  if (typeof index === 'number') return tensors[index];
  if (typeof number === 'string') return Number(number);
  return Object.fromEntries(Object.entries(packed).map(([key, item]) => [key, unpack(item, tensors)]));
}
