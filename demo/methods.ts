/** The five ways to fine-tune that the demo compares, and their settings. */
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { type FtpOptimizer, ftp } from 'tfjs-ftp';
import { type MethodName, type MethodSettings, SETTINGS } from './settings.js';
import { HEAD } from './transfer.js';

export { METHOD_NAMES, type MethodName, type MethodSettings } from './settings.js';

export type ImplementationOption = 'auto' | 'native' | 'reference';

export interface Method {
  name: MethodName;
  label: string;
  /** One line for the closing text. */
  about: string;
  trains: 'backbone' | 'head';
  settings: MethodSettings;
  optimizer(model: LayersModel, settings: MethodSettings, implementation: ImplementationOption): FtpOptimizer;
}

/** Everything excluded from projection: the native step then is plain AdamW, the same bits. */
const EVERYTHING = [/./];
const MOMENTUM = 0.9;

const adamw: Method['optimizer'] = (model, { learningRate }, implementation) =>
  ftp.adamw(learningRate, { model, implementation, exclude: EVERYTHING });

/** The methods with the settings that were chosen for them. */
export const METHODS: Record<MethodName, Method> = {
  adamw: {
    name: 'adamw',
    label: 'AdamW',
    about: 'plain AdamW on all layers that are not frozen',
    trains: 'backbone',
    settings: SETTINGS.adamw,
    optimizer: adamw,
  },
  l2sp: {
    name: 'l2sp',
    label: 'AdamW, L2-SP',
    about: 'AdamW with the squared distance to the pre-trained weights added to the loss',
    trains: 'backbone',
    settings: SETTINGS.l2sp,
    optimizer: adamw,
  },
  probe: {
    name: 'probe',
    label: 'Linear probe',
    about: 'AdamW on the new head alone',
    trains: 'head',
    settings: SETTINGS.probe,
    optimizer: adamw,
  },
  ftp: {
    name: 'ftp',
    label: 'FTP (AdamW)',
    about: 'AdamW, each layer projected into a ball around its pre-trained value whose radius is learnt',
    trains: 'backbone',
    settings: SETTINGS.ftp,
    optimizer: (model, { learningRate }, implementation) =>
      ftp.adamw(learningRate, { model, implementation, exclude: [`${HEAD}/`] }),
  },
  'ftp-sgd': {
    name: 'ftp-sgd',
    label: 'FTP (SGD)',
    about: 'the same with SGD and momentum',
    trains: 'backbone',
    settings: SETTINGS['ftp-sgd'],
    optimizer: (model, { learningRate }, implementation) =>
      ftp.sgd(learningRate, { model, implementation, momentum: MOMENTUM, exclude: [`${HEAD}/`] }),
  },
};

/**
 * Cross entropy of logits, mean over the batch; for L2-SP plus strength times the squared distance to the
 * anchors.
 */
export function lossOf(
  model: LayersModel,
  anchors: readonly Tensor[],
  strength: number | undefined,
): (targets: Tensor, logits: Tensor) => Tensor {
  return (targets, logits) => {
    const crossEntropy = tf.losses.softmaxCrossEntropy(targets, logits);
    if (strength === undefined) return crossEntropy;
    const distances = pretrainedWeights(model).map((weight, index) =>
      tf.sum(tf.square(tf.sub(weight, anchors[index] as Tensor))),
    );
    return tf.add(crossEntropy, tf.mul(tf.addN(distances), strength));
  };
}

/** The variables that are trained and were pre-trained: all trainable ones but the head's. */
export function pretrainedWeights(model: LayersModel): Tensor[] {
  return model.layers
    .filter((layer) => layer.name !== HEAD)
    .flatMap((layer) => layer.trainableWeights.map((weight) => weight.read()));
}
