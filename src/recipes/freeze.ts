/** Batch normalization that keeps its statistics while the model trains. */

import type { ModelLike } from '../variables/output_axis.js';
import { checkModel, type LayerNode, nodesOf } from './model.js';

/** Frozen layers: how many times, and the layer's own `call` if it had one. */
const frozen = new WeakMap<LayerNode, { times: number; own: PropertyDescriptor | undefined }>();

function freeze(layer: LayerNode): void {
  const state = frozen.get(layer);
  if (state !== undefined) {
    ++state.times;
    return;
  }
  frozen.set(layer, { times: 1, own: Object.getOwnPropertyDescriptor(layer, 'call') });
  const call = layer.call.bind(layer);
  layer.call = (inputs, options) => call(inputs, { ...options, training: false });
}

function thaw(layer: LayerNode): void {
  const state = frozen.get(layer);
  if (state === undefined || --state.times > 0) return;
  frozen.delete(layer);
  delete (layer as Partial<LayerNode>).call;
  if (state.own !== undefined) Object.defineProperty(layer, 'call', state.own);
}

/**
 * Lets every batch normalization of a model run as in inference, also while the model trains: it normalizes with its
 * moving statistics, and leaves them as they are. Layers in nested models and in wrappers are found too.
 *
 * tfjs-layers would go on taking mean and variance from each batch, and updating the moving ones, even where the layer's
 * `trainable` is false (Keras stopped doing so in 2.0). Scale and offset (gamma, beta) are trained as before: set the
 * layer's `trainable` to false, and compile, to hold them as well.
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
  for (const layer of layers) freeze(layer);
  return () => {
    for (const layer of layers.splice(0)) thaw(layer);
  };
}
