/** What is compared on: a model with a new head, images to train on, and image sets to test on. */
import type { Tensor } from '@tensorflow/tfjs-core';
import type { EvaluationSet } from './evaluation.js';
import type { TransferModel } from './transfer.js';

/** Batches of images, [n, height, width, channels], with one-hot labels, [n, classes]; whoever takes them disposes them. */
export interface BatchSource {
  iterator(): Promise<{ next(): Promise<IteratorResult<{ xs: Tensor; ys: Tensor }>> }>;
}

export interface Task {
  /** One sentence for the header. */
  title: string;
  transfer: TransferModel;
  classNames: readonly string[];
  /** Number of training images. */
  trainingImages: number;
  /** A fresh pass over the training images that never ends, in the same order each time. */
  training(): Promise<BatchSource>;
  /** Images like those trained on, never trained on. */
  inDistribution: EvaluationSet;
  /** Shifted images, by the name of the column. */
  shifted: EvaluationSet[];
  /** The images whose corruptions are the last shifted column. */
  toCorrupt: EvaluationSet;
  /** Pixel values run from the first to the second number. */
  range: readonly [number, number];
}
