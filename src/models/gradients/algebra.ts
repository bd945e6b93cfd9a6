/** Gradients of Einsum, Cumprod and operations whose operands are broadcast, and the zero gradients of comparisons. */

import * as tf from '@tensorflow/tfjs-core';
import { register, replace } from './register.js';

/** The labels of each operand and of the result; tfjs has refused a label twice in one operand. */
function labelsOf(equation: string): { operands: string[]; result: string } {
  const [left, result] = equation.replace(/\s/g, '').split('->') as [string, string];
  return { operands: left.split(','), result };
}

/** dy times the other operand, summed over what operand `i` has not, and repeated over what only operand `i` has. */
function einsumGradient(dy: tf.Tensor, saved: tf.Tensor[], equation: string, i: number): tf.Tensor {
  const { operands, result } = labelsOf(equation);
  const own = operands[i] as string;
  const { shape } = saved[i] as tf.Tensor;
  const other = operands[1 - i];
  const known = [...own].filter((label) => result.includes(label) || other?.includes(label)).join('');
  const terms = other === undefined ? [dy] : [dy, saved[1 - i] as tf.Tensor];
  const inputs = other === undefined ? result : `${result},${other}`;
  let gradient: tf.Tensor;
  if (result !== '') gradient = tf.einsum(`${inputs}->${known}`, ...terms);
  else if (other === undefined) gradient = dy;
  else gradient = tf.mul(dy, tf.einsum(`${other}->${known}`, saved[1 - i] as tf.Tensor));
  if (known === own) return gradient;
  const kept = shape.map((size, axis) => (known.includes(own[axis] as string) ? size : 1));
  return tf.broadcastTo(tf.reshape(gradient, kept), shape);
}

/**
 * Of y[k] = prod_{i <= k} x[i] (i < k where exclusive), without a division, so that zeros in x do no harm:
 *
 *     dx[j] = prod_{i < j} x[i] * s[j],   s[j] = dy[j] + x[j+1] s[j+1]    (exclusive: s[j] = dy[j+1] + x[j+1] s[j+1])
 */
function cumprodGradient(dy: tf.Tensor, x: tf.Tensor, axis: number, exclusive: boolean, reverse: boolean) {
  const turn = (tensor: tf.Tensor) => (reverse ? tf.reverse(tensor, axis) : tensor);
  const xs = tf.unstack(turn(x), axis);
  const dys = tf.unstack(turn(dy), axis);
  const later: tf.Tensor[] = [];
  let next: tf.Tensor | undefined;
  for (let j = xs.length - 1; j >= 0; --j) {
    const first = exclusive ? dys[j + 1] : (dys[j] as tf.Tensor);
    const rest: tf.Tensor | undefined = next === undefined ? undefined : tf.mul(xs[j + 1] as tf.Tensor, next);
    if (first === undefined) next = tf.zerosLike(dys[j] as tf.Tensor);
    else next = rest === undefined ? first : tf.add(first, rest);
    later.unshift(next);
  }
  return tf.mul(tf.cumprod(x, axis, true, reverse), turn(tf.stack(later, axis)));
}

/** Sums over the axes along which a tensor of `shape` was repeated. */
function sumTo(x: tf.Tensor, shape: number[]): tf.Tensor {
  if (tf.util.arraysEqual(x.shape, shape)) return x;
  const axes = tf.broadcast_util.getReductionAxes(shape, x.shape);
  return tf.reshape(tf.sum(x, axes), shape);
}

/** tfjs's own gradients of these have the shape of the result, which the engine refuses where an operand was broadcast. */
const BROADCAST = ['BatchMatMul', 'SquaredDifference', 'Maximum', 'Minimum'];

/** Kernels whose result is a truth value: it does not change with its inputs but at a jump. */
const OF_TWO = ['Greater', 'Less', 'LessEqual', 'Equal', 'NotEqual', 'LogicalAnd', 'LogicalOr'];
const OF_ONE = ['LogicalNot', 'Any', 'All'];

/** Registers them. */
export function registerAlgebra(): void {
  register({
    kernelName: 'Einsum',
    saveAllInputs: true,
    gradFunc: (dy, saved, attrs) => {
      const { equation } = attrs as { equation: string };
      return Object.fromEntries(
        saved.map((_, i) => [String(i), () => einsumGradient(dy as tf.Tensor, saved, equation, i)]),
      );
    },
  });
  register({
    kernelName: 'Cumprod',
    inputsToSave: ['x'],
    gradFunc: (dy, saved, attrs) => {
      const { axis, exclusive, reverse } = attrs as { axis: number; exclusive: boolean; reverse: boolean };
      return { x: () => cumprodGradient(dy as tf.Tensor, saved[0] as tf.Tensor, axis, exclusive, reverse) };
    },
  });
  for (const kernelName of BROADCAST) {
    replace(kernelName, (own) => (dy, saved, attrs) => {
      const gradients = own(dy, saved, attrs) as Record<'a' | 'b', () => tf.Tensor>;
      const [a, b] = saved as [tf.Tensor, tf.Tensor];
      return { a: () => sumTo(gradients.a(), a.shape), b: () => sumTo(gradients.b(), b.shape) };
    });
  }
  for (const kernelName of OF_TWO) {
    register({
      kernelName,
      inputsToSave: ['a', 'b'],
      gradFunc: (_dy, saved) => {
        const [a, b] = saved as [tf.Tensor, tf.Tensor];
        return { a: () => tf.zeros(a.shape), b: () => tf.zeros(b.shape) };
      },
    });
  }
  for (const kernelName of OF_ONE) {
    register({
      kernelName,
      inputsToSave: ['x'],
      gradFunc: (_dy, saved) => ({ x: () => tf.zeros((saved[0] as tf.Tensor).shape) }),
    });
  }
}
