/**
 * Four ways to spoil an image, each in three severities: noise, blur, low contrast and coarse pixels.
 * Lengths are those for images of 32 pixels and grow with the image. No model here was trained on any of
 * them.
 */
import * as tf from '@tensorflow/tfjs-core';
import { hashKeys } from '../tools/random.js';
import { changedSet, type EvaluationSet } from './evaluation.js';

export const CORRUPTIONS = ['noise', 'blur', 'contrast', 'pixelation'] as const;
export type Corruption = (typeof CORRUPTIONS)[number];

/**
 * Standard deviation, deviation in pixels of 32, share of contrast that is left, pixels of 32 that become
 * one.
 */
export const SEVERITIES: Record<Corruption, readonly [number, number, number]> = {
  noise: [0.1, 0.2, 0.3],
  blur: [0.8, 1.3, 1.8],
  contrast: [0.4, 0.2, 0.1],
  pixelation: [2, 3, 4],
};

/** Returns spoilt copies of images with values from 0 to 1, [n, height, width, channels]. */
export function corrupt(xs: tf.Tensor4D, kind: Corruption, amount: number, seed: number): tf.Tensor4D {
  const scale = Math.min(xs.shape[1], xs.shape[2]) / 32;
  switch (kind) {
    case 'noise':
      return tf.clipByValue(
        tf.add(xs, tf.randomNormal(xs.shape, 0, amount, 'float32', seed)) as tf.Tensor4D,
        0,
        1,
      );
    case 'blur':
      return blur(xs, amount * scale);
    case 'contrast': {
      const mean = tf.mean(xs, [1, 2, 3], true);
      return tf.add(tf.mul(tf.sub(xs, mean), amount), mean);
    }
    case 'pixelation': {
      const block = Math.max(1, Math.round(amount * scale));
      const coarse = tf.avgPool(xs, block, block, 'same');
      return tf.image.resizeNearestNeighbor(coarse, [xs.shape[1], xs.shape[2]], false, true);
    }
  }
}

/** Gaussian blur, rows and columns apart, with mirrored borders. */
function blur(xs: tf.Tensor4D, deviation: number): tf.Tensor4D {
  const [, height, width, channels] = xs.shape;
  const reach = Math.max(1, Math.min(Math.ceil(3 * deviation), height - 1, width - 1));
  const positions = tf.range(-reach, reach + 1);
  const weights = tf.exp(tf.div(tf.square(positions), -2 * deviation * deviation));
  const kernel = tf.div(weights, tf.sum(weights));
  const size = 2 * reach + 1;
  const filter = (shape: [number, number, number, number]) =>
    tf.tile(tf.reshape(kernel, shape), [1, 1, channels, 1]) as tf.Tensor4D;
  const padded = tf.mirrorPad(
    xs,
    [
      [0, 0],
      [reach, reach],
      [reach, reach],
      [0, 0],
    ],
    'reflect',
  );
  const rows = tf.depthwiseConv2d(padded, filter([size, 1, 1, 1]), 1, 'valid');
  return tf.depthwiseConv2d(rows, filter([1, size, 1, 1]), 1, 'valid');
}

/**
 * All twelve spoilt versions of a set, kind by kind.
 *
 * @param range the model's pixel values run from the first to the second number
 */
export function corruptedSets(
  base: EvaluationSet,
  seed: number,
  range: readonly [number, number],
): { kind: Corruption; severity: number; set: EvaluationSet }[] {
  const [low, high] = range;
  return CORRUPTIONS.flatMap((kind) =>
    SEVERITIES[kind].map((amount, severity) => ({
      kind,
      severity: severity + 1,
      set: changedSet(base, `${kind} ${severity + 1}`, (xs, batch) => {
        const unit = tf.div(tf.sub(xs, low), high - low) as tf.Tensor4D;
        const spoilt = corrupt(unit, kind, amount, hashKeys([seed, kind, severity, batch]));
        return tf.add(tf.mul(spoilt, high - low), low);
      }),
    })),
  );
}
