/** Linear probing: a head on frozen features. */

import { checkOptionKeys } from '../validate.js';
import type { ModelLike } from '../variables/output_axis.js';
import { freezeBatchNorm } from './freeze.js';
import { checkModel, headNodes, nodesOf, trainOnly, WeightSnapshot, weightsIn } from './model.js';
import {
  type CheckedTraining,
  checkStage,
  checkTraining,
  STAGE_KEYS,
  type StageOptions,
  type StageResult,
  TRAINING_KEYS,
  type TrainingOptions,
  trainStage,
} from './training.js';

/** Options of `recipes.linearProbe`. */
export interface LinearProbeOptions extends TrainingOptions, StageOptions {
  /** The name of the layer to train, or of several. They may lie in nested models. */
  head: string | readonly string[];
}

/** Trains the head alone, with frozen statistics. Puts flags and compilation back, not weights after an error. */
export async function probe(
  model: ModelLike,
  head: string | readonly string[],
  training: CheckedTraining,
  stage: StageOptions,
): Promise<StageResult> {
  const trained = weightsIn(headNodes(model, head));
  const unfreeze = freezeBatchNorm(model);
  const restoreTrainable = trainOnly(model, head);
  try {
    return await trainStage(model, training, stage, () => new WeightSnapshot(trained));
  } finally {
    restoreTrainable();
    unfreeze();
  }
}

/** Runs `recipe`; if it throws, the model's weights are put back. */
export async function keepingWeights<T>(model: ModelLike, recipe: () => Promise<T>): Promise<T> {
  const before = new WeightSnapshot(weightsIn(nodesOf(model)));
  try {
    return await recipe();
  } catch (error) {
    before.restore();
    throw error;
  } finally {
    before.dispose();
  }
}

/**
 * Trains the head of a model alone (a linear probe): the cheapest fine-tuning, and the most robust one where the features
 * of pre-training are enough.
 *
 * All other layers are frozen while it runs, and all statistics of batch normalization (`recipes.freezeBatchNorm`), also
 * where the head has some. Dropout layers go on dropping. Afterwards every `trainable` flag is as before, and the model is
 * compiled as before, or not at all if it was not.
 *
 * @param model a `tf.LayersModel`, changed in place.
 * @param options see {@link LinearProbeOptions}; `head`, `dataset`, `optimizer` and `epochs` must be given, `loss` too if the
 *   model is not compiled.
 * @returns the values of each epoch. With `patience` the model has the weights of its best epoch, else of the last.
 * @throws TypeError or RangeError, which names the option, for a wrong one; whatever the dataset, the loss or the optimizer
 *   throws. The model's weights and flags are then as before the call.
 *
 * @example
 * ```ts
 * const probed = layers.sequential({
 *   layers: [
 *     layers.layers.dense({ units: 8, inputShape: [3], activation: 'relu', name: 'body' }),
 *     layers.layers.dense({ units: 2, name: 'head' }),
 *   ],
 * });
 * const optimizer = tf.train.adam(1e-2);
 * const { history } = await recipes.linearProbe(probed, {
 *   head: 'head',
 *   dataset: { xs: tf.ones([16, 3]), ys: tf.zeros([16, 2]) },
 *   loss: 'meanSquaredError',
 *   optimizer,
 *   epochs: 3,
 * });
 * console.log(history.map(({ loss }) => loss.toFixed(3)));
 * optimizer.dispose();
 * ```
 */
export async function linearProbe(model: ModelLike, options: LinearProbeOptions): Promise<StageResult> {
  checkModel('model', model);
  checkOptionKeys('options', options, ['head', ...TRAINING_KEYS, ...STAGE_KEYS]);
  const training = checkTraining(model, options);
  checkStage('', options, options.validation);
  headNodes(model, options.head);
  return await keepingWeights(model, () => probe(model, options.head, training, options));
}
