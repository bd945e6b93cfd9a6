/**
 * Pre-trained GraphModels, made trainable: `tf.loadGraphModel` gives constants, `trainable` makes variables of them.
 *
 * Gradients that tfjs lacks are in `tfjs-ftp/models/gradients`.
 *
 * @packageDocumentation
 */

export type { MissingGradient } from './check.js';
export type { GraphModelLike } from './graph.js';
export type { QuantizationType } from './quantize.js';
export type { SaveOptions } from './save.js';
export { TrainableGraphModel, type TrainableOptions, trainable, type WeightPattern } from './trainable.js';
