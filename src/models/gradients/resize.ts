/**
 * Gradients of resizeBilinear and resizeNearestNeighbor with `halfPixelCenters`.
 *
 * tfjs's own leave that attribute out: they give the gradient of another operation, without an error. A resize is linear
 * and separable, y = R_h x R_w^T per channel, so its gradient is R_h^T dy R_w; R is made here from the sizes.
 */

import * as tf from '@tensorflow/tfjs-core';
import { extend } from './register.js';

/** R (output, input) of one axis: the weights by which each output is made of the inputs. */
function interpolation(input: number, output: number, bilinear: boolean): tf.Tensor2D {
  const values = new Float32Array(output * input);
  const scale = input / output;
  for (let o = 0; o < output; ++o) {
    if (bilinear) {
      const source = scale * (o + 0.5) - 0.5;
      const low = Math.max(0, Math.floor(source));
      const high = Math.min(input - 1, Math.ceil(source));
      const fraction = low === high ? 0 : source - low;
      values[o * input + low] = 1 - fraction;
      if (high !== low) values[o * input + high] = fraction;
    } else {
      values[o * input + Math.min(input - 1, Math.floor(scale * (o + 0.5)))] = 1;
    }
  }
  return tf.tensor2d(values, [output, input]);
}

/** R_h^T dy R_w of dy (N, oh, ow, C). */
function resizeGradient(dy: tf.Tensor4D, height: number, width: number, bilinear: boolean): tf.Tensor4D {
  const [n, oh, ow, channels] = dy.shape;
  const fromRows = tf.reshape(interpolation(height, oh, bilinear), [1, oh, height]);
  const rows = tf.matMul(fromRows, tf.reshape(dy, [n, oh, ow * channels]), true); // (N, H, ow C)
  const fromColumns = tf.reshape(interpolation(width, ow, bilinear), [1, ow, width]);
  const columns = tf.matMul(fromColumns, tf.reshape(rows, [n * height, ow, channels]), true); // (N H, W, C)
  return tf.reshape(columns, [n, height, width, channels]);
}

/** Registers both. */
export function registerResizes(): void {
  for (const [kernelName, bilinear] of [
    ['ResizeBilinear', true],
    ['ResizeNearestNeighbor', false],
  ] as const) {
    const isHalfPixel = (attrs: tf.NamedAttrMap) =>
      (attrs as { halfPixelCenters?: unknown }).halfPixelCenters === true;
    extend(kernelName, isHalfPixel, (dy, saved) => {
      const [, height, width] = (saved[0] as tf.Tensor4D).shape;
      return { images: () => resizeGradient(dy as tf.Tensor4D, height, width, bilinear) };
    });
  }
}
