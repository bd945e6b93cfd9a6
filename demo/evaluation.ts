/** Image sets to test on, and the accuracy of a model on them. */
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { ImageFolderDataset } from 'tfjs-ftp/data';

/** A batch of images, [n, height, width, 3], and the class of each. Whoever takes it disposes `xs`. */
export interface LabelledBatch {
  xs: tf.Tensor4D;
  labels: Int32Array;
}

/** Images with labels under a name; each call of `batches` starts from the first one. */
export interface EvaluationSet {
  name: string;
  batches(): AsyncIterable<LabelledBatch>;
}

export interface Score {
  /** Share of the images whose class has the largest logit, 0 to 1. */
  accuracy: number;
  /** Mean cross entropy. */
  loss: number;
  images: number;
}

const BATCH_SIZE = 256;

/** A set of images held in memory as bytes, all of one size. */
export function setInMemory(
  name: string,
  images: readonly Uint8Array[],
  labels: readonly number[],
  shape: readonly [height: number, width: number, channels: number],
): EvaluationSet {
  const length = shape[0] * shape[1] * shape[2];
  return {
    name,
    async *batches() {
      for (let start = 0; start < images.length; start += BATCH_SIZE) {
        const some = images.slice(start, start + BATCH_SIZE);
        const values = new Float32Array(some.length * length);
        some.forEach((image, index) => {
          for (let i = 0; i < length; ++i) values[index * length + i] = (image[i] as number) / 255;
        });
        yield {
          xs: tf.tensor4d(values, [some.length, ...shape]),
          labels: Int32Array.from(labels.slice(start, start + BATCH_SIZE)),
        };
      }
    },
  };
}

/** A set read from an image folder that was opened with `labels: 'index'`, batched, without shuffling. */
export function setFromFolder(name: string, folder: ImageFolderDataset): EvaluationSet {
  return {
    name,
    async *batches() {
      const iterator = await folder.iterator();
      for (let item = await iterator.next(); !item.done; item = await iterator.next()) {
        const { xs, ys } = item.value;
        const labels = (await ys.data()) as Int32Array;
        ys.dispose();
        yield { xs: xs as tf.Tensor4D, labels };
      }
    },
  };
}

/**
 * The same images and labels, changed by `change`, which returns a new tensor and leaves its argument
 * alone.
 */
export function changedSet(
  base: EvaluationSet,
  name: string,
  change: (xs: tf.Tensor4D, batch: number) => tf.Tensor4D,
): EvaluationSet {
  return {
    name,
    async *batches() {
      let batch = 0;
      for await (const { xs, labels } of base.batches()) {
        const changed = tf.tidy(() => change(xs, batch));
        xs.dispose();
        batch += 1;
        yield { xs: changed, labels };
      }
    },
  };
}

/** Accuracy and loss of a model that gives logits. */
export async function evaluate(model: LayersModel, set: EvaluationSet): Promise<Score> {
  let correct = 0;
  let loss = 0;
  let images = 0;
  for await (const { xs, labels } of set.batches()) {
    const [hits, lost] = tf.tidy(() => {
      const logits = model.apply(xs, { training: false }) as tf.Tensor2D;
      const targets = tf.tensor1d(labels, 'int32');
      const logProbabilities = tf.logSoftmax(logits);
      const hot = tf.oneHot(targets, logits.shape[1]);
      return [
        tf.sum(tf.cast(tf.equal(tf.argMax(logits, 1), targets), 'int32')),
        tf.neg(tf.sum(tf.mul(hot, logProbabilities))),
      ] as const;
    });
    correct += (await hits.data())[0] as number;
    loss += (await lost.data())[0] as number;
    images += labels.length;
    tf.dispose([xs, hits, lost]);
  }
  return { accuracy: correct / images, loss: loss / images, images };
}
