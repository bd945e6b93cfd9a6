/**
 * What an experiment is about: data in splits and domains, a pre-trained model with a new head, a loss and a metric. Each task is
 * one file in tasks/ that has these parts; everything else is the same for all.
 */
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';

/** Examples that can be asked for one by one. */
export interface Examples {
  /**
   * What each example shows, such as an emoji's code: examples of one unit, in whatever domain, are drawn together when chance is
   * estimated.
   */
  readonly units: readonly string[];
  /** The inputs and targets of some examples, by index. The caller disposes both. */
  batch(indices: readonly number[]): { xs: Tensor; ys: Tensor };
}

/** Examples from elsewhere than the training set. */
export interface Domain {
  name: string;
  kind: 'shift' | 'corruption';
  examples: Examples;
}

/** What a model makes of some examples. */
export interface Results {
  /** The metric of each example, from 0 to 1; higher is better. */
  scores: number[];
  /** What was predicted, one whole number per example, where that says it all: the class. */
  predictions?: number[];
}

/** A task with the data of one seed. */
export interface OpenTask {
  /** From inputs to predictions, compiled or not. Weights are the pre-trained ones, the head's those of the seed. */
  model: LayersModel;
  /** Name of the layer that is new. */
  head: string;
  training: Examples;
  /** Like the training set; settings are chosen here, and nowhere else. */
  validation: Examples;
  /** Like the training set; for the tables alone. */
  inDistribution: Examples;
  domains: readonly Domain[];
  /** Parts that could not be had, and why. */
  leftOut: readonly { name: string; reason: string }[];
  /** Mean over the examples. */
  loss(ys: Tensor, predictions: Tensor): Scalar;
  /** One result per example of a batch. */
  judge(ys: Tensor, predictions: Tensor): Promise<Results>;
  dispose(): void;
}

/** How long and on what a run trains; a part of what names a run. */
export interface Protocol {
  steps: number;
  batchSize: number;
  /** Severities of the corruptions, from 1 to 5. */
  severities: readonly number[];
  /** Whatever else the task needs to know, such as the size of images. */
  [setting: string]: number | string | readonly number[];
}

/** A task. */
export interface Task {
  /** As on the command line. */
  name: string;
  /** Raised whenever the data or the model change: runs of another version are not used. */
  version: number;
  title: string;
  /** Name of the metric, such as `accuracy`. */
  metric: string;
  /** @param quick for a first look: fewer steps, fewer corruptions. */
  protocol(quick: boolean): Protocol;
  /**
   * @param seed of the split, of the head and of augmentation.
   * @param say tells what goes on.
   * @throws MissingData where there is nothing to train on.
   */
  open(seed: number, protocol: Protocol, say: (text: string) => void): Promise<OpenTask>;
}
