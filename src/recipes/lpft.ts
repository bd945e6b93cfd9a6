/** LP-FT: linear probing, then fine-tuning. */

import { checkOptionKeys } from '../validate.js';
import type { ModelLike } from '../variables/output_axis.js';
import { freezeBatchNorm } from './freeze.js';
import { keepingWeights, probe } from './linear_probe.js';
import { checkModel, headNodes, nodesOf, WeightSnapshot, weightsIn } from './model.js';
import {
  checkStage,
  checkTraining,
  STAGE_KEYS,
  type StageOptions,
  type StageResult,
  TRAINING_KEYS,
  type TrainingOptions,
  trainStage,
} from './training.js';

/** Options of {@link lpft}. */
export interface LpftOptions extends TrainingOptions {
  /** The name of the layer that is trained first, or of several. */
  head: string | readonly string[];
  /**
   * The first stage. With `validation`, `patience` is 3 by default: the head is trained until `val_loss` no longer falls,
   * `epochs` being the most. Without, all epochs are run.
   */
  probe: StageOptions;
  /** The second stage. An FTP optimizer takes the probed weights as anchors, unless it is given others. */
  fineTune: StageOptions;
}

/** What {@link lpft} did. */
export interface LpftResult {
  probe: StageResult;
  fineTune: StageResult;
}

/** Epochs without a better validation loss after which a probe counts as converged. */
const PROBE_PATIENCE = 3;

/**
 * Linear probing, then fine-tuning (LP-FT): trains the head alone until it has converged, then all that is trainable. A
 * random head would send random gradients into the layers below, and distort the features that pre-training has learnt.
 *
 * Statistics of batch normalization are frozen in both stages (`recipes.freezeBatchNorm`). In the first, the head alone is
 * trained, as in `recipes.linearProbe`; in the second, what the `trainable` flags of the model say. Afterwards the model is
 * compiled as before, or not at all if it was not.
 *
 * @param model a `tf.LayersModel`, changed in place.
 * @param options see {@link LpftOptions}; `head`, `dataset`, `probe` and `fineTune` must be given, `loss` too if the model is
 *   not compiled.
 * @returns the values of each epoch of both stages.
 * @throws TypeError or RangeError, which names the option, for a wrong one; whatever the dataset, the loss or an optimizer
 *   throws. The model's weights and flags are then as before the call, also where the first stage had ended well.
 *
 * @example
 * ```ts
 * const tuned = layers.sequential({
 *   layers: [
 *     layers.layers.dense({ units: 8, inputShape: [3], activation: 'relu', name: 'body' }),
 *     layers.layers.dense({ units: 2, name: 'head' }),
 *   ],
 * });
 * const result = await recipes.lpft(tuned, {
 *   head: 'head',
 *   dataset: { xs: tf.ones([16, 3]), ys: tf.zeros([16, 2]) },
 *   validation: { xs: tf.ones([4, 3]), ys: tf.zeros([4, 2]) },
 *   loss: 'meanSquaredError',
 *   probe: { optimizer: tf.train.adam(1e-2), epochs: 20 },
 *   fineTune: { optimizer: ftp.adamw(1e-3, { model: tuned }), epochs: 5 },
 * });
 * console.log(result.probe.epochs, result.fineTune.epochs);
 * ```
 *
 * Source: Kumar, Raghunathan, Jones, Ma, Liang: Fine-Tuning can Distort Pretrained Features and Underperform
 * Out-of-Distribution, ICLR 2022, arXiv 2202.10054.
 */
export async function lpft(model: ModelLike, options: LpftOptions): Promise<LpftResult> {
  checkModel('model', model);
  checkOptionKeys('options', options, ['head', 'probe', 'fineTune', ...TRAINING_KEYS]);
  const { head, probe: first, fineTune: second, validation } = options;
  checkOptionKeys('probe', first, STAGE_KEYS);
  checkOptionKeys('fineTune', second, STAGE_KEYS);
  const training = checkTraining(model, options);
  checkStage('probe.', first, validation);
  checkStage('fineTune.', second, validation);
  headNodes(model, head);
  const patience = first.patience ?? (validation === undefined ? undefined : PROBE_PATIENCE);
  return await keepingWeights(model, async () => {
    const probed = await probe(model, head, training, { ...first, patience });
    const unfreeze = freezeBatchNorm(model);
    try {
      const weights = weightsIn(nodesOf(model));
      const tuned = await trainStage(model, training, second, () => new WeightSnapshot(weights));
      return { probe: probed, fineTune: tuned };
    } finally {
      unfreeze();
    }
  });
}
