/** The gradients of tfjs operations against differences of their values. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { numbers } from '../optimizers/support.js';

/** An operation of float32 tensors, and where to take its gradient. */
export interface Case {
  name: string;
  /** Shape of each argument. */
  shapes: number[][];
  f: (...args: tf.Tensor[]) => tf.Tensor;
  /** Values of the arguments, where random ones in (-1, 1) will not do. */
  values?: number[][];
  /** Half the distance of the two points: 0.5, or smaller for an operation that is not linear in each element. */
  h?: number;
}

/** Elements of an argument whose derivatives are compared, at most. */
const MOST = 24;

/**
 * Compares the gradient of sum(w * f(x)), w random in (-1, 1), with (F(x + h) - F(x - h)) / 2h, of single elements of each
 * argument.
 *
 * Operations that are linear in each single element are exact at any h, so h is large and only float32 rounding is left:
 * F is a sum of at most `terms` products below 1 in size, each value of f a sum of a few more, so that rounding is below
 * 2^-24 * terms * 8 on F, divided by h. Cubic terms of the others add h^2 times the third derivative (below 4 here).
 */
export function expectGradients({ name, shapes, f, values, h = 0.5 }: Case, seed = 1): void {
  tf.tidy(() => {
    const data = shapes.map((shape, i) =>
      Float32Array.from(values?.[i] ?? numbers(tf.util.sizeFromShape(shape), seed * 100 + i)),
    );
    const tensors = (changed: Float32Array[]) =>
      changed.map((array, i) => tf.tensor(array, shapes[i] as number[]));
    const y = f(...tensors(data));
    const weights = tf.tensor(numbers(y.size, seed * 100 + 99), y.shape);
    const F = (...args: tf.Tensor[]) => tf.sum(tf.mul(f(...args), weights)) as tf.Scalar;
    const gradients = tf
      .grads(F)(tensors(data))
      .map((gradient) => gradient.dataSync());
    const exact = h >= 0.5;
    const tolerance = (2 ** -24 * 8 * Math.max(16, y.size)) / h + (exact ? 0 : 4 * h * h);
    for (const [i, array] of data.entries()) {
      const stride = Math.max(1, Math.floor(array.length / MOST));
      for (let j = 0; j < array.length; j += stride) {
        const at = (offset: number) => {
          const changed = data.map((other) => Float32Array.from(other));
          (changed[i] as Float32Array)[j] = (array[j] as number) + offset;
          return tf.tidy(() => F(...tensors(changed)).dataSync()[0] as number);
        };
        const difference = (at(h) - at(-h)) / (2 * h);
        const gradient = gradients[i]?.[j] as number;
        const message = `${name}: argument ${i}, element ${j}: gradient ${gradient}, difference ${difference}`;
        expect(Math.abs(gradient - difference), message).toBeLessThan(tolerance);
      }
    }
  });
}
