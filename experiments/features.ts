/** What frozen layers make of images, computed once and kept in memory. */
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Examples } from './task.js';

const BATCH_SIZE = 64;

export interface Features {
  values: Float32Array;
  /** Of one image. */
  shape: number[];
}

/**
 * The outputs of a model on images.
 *
 * @param images bytes, given to the model as numbers from 0 to 1.
 * @param shape of one image.
 */
export function featuresOf(
  model: LayersModel,
  images: readonly Uint8Array[],
  shape: readonly [number, number, number],
): Features {
  const outShape = (model.outputs[0]?.shape ?? []).slice(1) as number[];
  const length = tf.util.sizeFromShape(outShape);
  const size = tf.util.sizeFromShape([...shape]);
  const values = new Float32Array(images.length * length);
  for (let start = 0; start < images.length; start += BATCH_SIZE) {
    const some = images.slice(start, start + BATCH_SIZE);
    const pixels = new Float32Array(some.length * size);
    for (const [i, image] of some.entries()) {
      for (let j = 0; j < size; ++j) pixels[i * size + j] = (image[j] as number) / 255;
    }
    const part = tf.tidy(() =>
      (model.predict(tf.tensor(pixels, [some.length, ...shape])) as tf.Tensor).dataSync(),
    );
    values.set(part, start * length);
  }
  return { values, shape: outShape };
}

/** Features with classes. */
export class FeatureExamples implements Examples {
  /**
   * @param units what each example shows; see {@link Examples}.
   * @param labels classes from 0.
   */
  constructor(
    private readonly features: Features,
    readonly units: readonly string[],
    private readonly labels: readonly number[],
    private readonly classes: number,
  ) {}

  /** Features, [n, ...shape], and classes one-hot, [n, classes]. */
  batch(indices: readonly number[]): { xs: tf.Tensor; ys: tf.Tensor } {
    const { values, shape } = this.features;
    const length = tf.util.sizeFromShape(shape);
    const chosen = new Float32Array(indices.length * length);
    const targets = new Float32Array(indices.length * this.classes);
    for (const [i, index] of indices.entries()) {
      chosen.set(values.subarray(index * length, (index + 1) * length), i * length);
      targets[i * this.classes + (this.labels[index] as number)] = 1;
    }
    return {
      xs: tf.tensor(chosen, [indices.length, ...shape]),
      ys: tf.tensor(targets, [indices.length, this.classes]),
    };
  }
}
