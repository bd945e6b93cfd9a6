/** Batch normalization that keeps its statistics while the model trains. */

import type { ModelLike } from '../variables/output_axis.js';
import { checkModel, nodesOf } from './model.js';
import { type CallWrapper, wrapCall } from './wrapped_call.js';

/** As in inference. */
const withStatistics: CallWrapper = (call) => (inputs, options) =>
  call(inputs, { ...options, training: false });

/**
 * Lets every batch normalization of a model run as in inference, also while the model trains: it normalizes with its
 * moving statistics, and leaves them as they are. Layers in nested models and in wrappers are found too.
 *
 * tfjs-layers would go on taking mean and variance from each batch, and updating the moving ones, even where the layer's
 * `trainable` is false (Keras stopped doing so in 2.0). Scale and offset (gamma, beta) are trained as before: set the
 * layer's `trainable` to false, and compile, to hold them as well. `recipes.foldBatchNorm` does the same in less time per step.
 *
 * @param model a `tf.LayersModel`. What is added to it later is not frozen.
 * @returns a function that undoes it. A model that was frozen twice is frozen until both are undone; undoing one twice
 *   does nothing.
 * @throws TypeError unless `model` is a LayersModel.
 *
 * @example
 * ```ts
 * const unfreeze = recipes.freezeBatchNorm(model);
 * model.compile({ optimizer: ftp.adamw(1e-3, { model }), loss: 'meanSquaredError' });
 * await model.fit(tf.ones([8, 3]), tf.zeros([8, 2]), { verbose: 0 });
 * unfreeze();
 * ```
 */
export function freezeBatchNorm(model: ModelLike): () => void {
  checkModel('model', model);
  const layers = nodesOf(model).filter((node) => node.getClassName() === 'BatchNormalization');
  const undo = layers.map((layer) => wrapCall(layer, withStatistics));
  return () => {
    for (const unwrap of undo) unwrap();
  };
}
