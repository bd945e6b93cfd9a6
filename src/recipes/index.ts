/**
 * Recipes around training: what to do before, during and after fine-tuning so that a model stays robust. They work on a
 * `tf.LayersModel`, with any optimizer, and need nothing of tfjs-layers but the model.
 *
 * @module
 */

export { foldBatchNorm } from './fold.js';
export { freezeBatchNorm } from './freeze.js';
export {
  type FisherWeights,
  type InterpolateOptions,
  type InterpolateSweepOptions,
  type InterpolationScore,
  type InterpolationSweep,
  interpolate,
  interpolateSweep,
} from './interpolate.js';
export { type LinearProbeOptions, linearProbe } from './linear_probe.js';
export { type LpftOptions, type LpftResult, lpft } from './lpft.js';
export { copyWeights, type WeightsLike } from './model.js';
export { type SoupOptions, type SoupResult, type SoupTrial, soup } from './soup.js';
export { type BallProjection, type TpgmOptions, TpgmRadii, tpgm } from './tpgm.js';
export type {
  BatchDataset,
  CompileValue,
  EpochLogs,
  ModelTensors,
  StageOptions,
  StageResult,
  TensorData,
  TrainingData,
  TrainingOptions,
} from './training.js';
