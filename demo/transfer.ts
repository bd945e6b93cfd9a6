/** Turns a pre-trained LayersModel into one with a new head, with the stem and all normalization frozen. */

import { dispose } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-layers';
import { freezeBatchNorm } from '../src/recipes/freeze.js';

/** Name of the new last layer; its variables are `new_head/kernel` and `new_head/bias`. */
export const HEAD = 'new_head';

/** The layer type as models hold it; tfjs-layers does not export its own. */
type Layer = tf.LayersModel['layers'][number];

/** A pre-trained model made ready for another task. */
export interface TransferModel {
  /** Image in, logits out. */
  model: tf.LayersModel;
  /** Names of the layers that no method trains. */
  frozen: string[];
  /** Puts the pre-trained weights, and the head's first random ones, back, and sets what is trained. */
  reset(trains: 'backbone' | 'head'): void;
  dispose(): void;
}

/** Whether a layer's name contains one of the texts or matches one of the patterns. */
function matches(name: string, patterns: readonly (string | RegExp)[]): boolean {
  return patterns.some((pattern) =>
    typeof pattern === 'string' ? name.includes(pattern) : pattern.test(name),
  );
}

/**
 * The output of the layer before the old head. The head is the last layer with weights: softmax and
 * reshapes after it go as well.
 */
function featuresOf(model: tf.LayersModel): tf.SymbolicTensor {
  const head = model.layers.filter((layer) => layer.weights.length > 0).at(-1);
  if (head === undefined) throw new Error(`the model ${model.name} has no layer with weights`);
  if (Array.isArray(head.input))
    throw new Error(`the last layer with weights, ${head.name}, has several inputs`);
  let features = head.input as tf.SymbolicTensor;
  if (features.shape.length === 4) {
    features = tf.layers
      .globalAveragePooling2d({ name: 'new_features', dataFormat: 'channelsLast' })
      .apply(features) as tf.SymbolicTensor;
  } else if (features.shape.length > 2) {
    features = tf.layers.flatten({ name: 'new_features' }).apply(features) as tf.SymbolicTensor;
  }
  return features;
}

/**
 * Replaces the head of a model by a dense layer that gives logits, and freezes layers.
 *
 * Batch normalization is frozen in full: its own weights, and its statistics, which tfjs-layers would
 * otherwise go on taking from each batch during training even where the layer's `trainable` is false (Keras
 * stopped doing so in 2.0).
 *
 * @param classes number of classes of the new task
 * @param seed of the head's first weights
 * @param freeze layers not to train beside normalization, by name; undefined: the stem, the first layer
 *   with weights
 * @throws Error where a text or pattern of `freeze` matches no layer with weights
 */
export function prepareTransfer(
  pretrained: tf.LayersModel,
  classes: number,
  seed: number,
  freeze?: readonly (string | RegExp)[],
): TransferModel {
  const logits = tf.layers
    .dense({ name: HEAD, units: classes, kernelInitializer: tf.initializers.glorotUniform({ seed }) })
    .apply(featuresOf(pretrained)) as tf.SymbolicTensor;
  const model = tf.model({ inputs: pretrained.inputs, outputs: logits });
  const weighted = model.layers.filter((layer) => layer.weights.length > 0);
  const stem = weighted[0]?.name;
  const names = weighted.map(({ name }) => name).filter((name) => name !== HEAD);
  const unmatched = freeze?.filter((pattern) => !names.some((name) => matches(name, [pattern]))) ?? [];
  if (unmatched.length > 0) {
    throw new Error(
      `--freeze ${unmatched.join(', ')} matches no layer with weights; the model has ${names.join(', ')}`,
    );
  }
  const isNorm = (layer: Layer) => layer.getClassName().endsWith('Normalization');
  const isFrozen = (layer: Layer) =>
    isNorm(layer) || (freeze === undefined ? layer.name === stem : matches(layer.name, freeze));
  freezeBatchNorm(model);
  // A clone shares the variable's present value and stays as it is when the variable gets a new one. Kept
  // by variable, since the order of `model.getWeights()` changes with what is trainable.
  const initial = model.layers
    .flatMap((layer) => layer.weights)
    .map((variable) => ({ variable, value: variable.read().clone() }));
  return {
    model,
    frozen: weighted.filter(isFrozen).map((layer) => layer.name),
    reset(trains) {
      for (const { variable, value } of initial) variable.write(value);
      for (const layer of weighted) {
        layer.trainable = layer.name === HEAD || (trains === 'backbone' && !isFrozen(layer));
      }
    },
    dispose() {
      dispose(initial.map(({ value }) => value));
    },
  };
}
