/**
 * Robust fine-tuning for TensorFlow.js: Fast Trainable Projection (FTP) as drop-in `tf.Optimizer`s.
 *
 * @packageDocumentation
 */

export type { ImplementationChoice, ImplementationName } from './backends/types.js';
export * as callbacks from './callbacks/index.js';
export * as digrap from './digrap.js';
export { FtpError, type FtpErrorCode } from './errors.js';
export * as fixedRadius from './fixed_radius.js';
export * as ftp from './ftp.js';
export * as l2sp from './l2_sp.js';
export type { LearnedNumber } from './learn/learned_numbers.js';
export type { LearnChoice, LearningOptions, LearnMethod, LearnOptions, LearnSpec } from './learn/options.js';
export type { AdamWUpdateOptions } from './methods/adamw.js';
export type { DepthOptions, StrengthByDepth } from './methods/depth.js';
export type { DigrapOptions } from './methods/digrap.js';
export type { BallNorm, RadiusOf, RadiusOptions } from './methods/fixed_radius.js';
export type { ConstraintOptions } from './methods/ftp.js';
export type { L2SpOptions } from './methods/l2_sp.js';
export type { HyperParameter } from './methods/method.js';
export type { SgdUpdateOptions } from './methods/sgd.js';
export type { SpdOptions } from './methods/spd.js';
export type { TracOptions } from './methods/trac.js';
export { FtpAdamWOptimizer } from './optimizers/adamw.js';
export type { ClipOptions } from './optimizers/clip.js';
export type { EmaOptions } from './optimizers/ema.js';
export { FtpOptimizer } from './optimizers/ftp_optimizer.js';
export type {
  FtpAdamWOptions,
  FtpOptions,
  FtpSgdOptions,
  FtpWrapOptions,
  OptimizerOptions,
  TrainingOptions,
} from './optimizers/options.js';
export type { ScheduledOptimizer } from './optimizers/scheduled.js';
export { FtpSgdOptimizer } from './optimizers/sgd.js';
export { FtpWrapOptimizer, type WrapOptimizer } from './optimizers/wrap.js';
export type { LearningRate, NonFiniteAction, RunOptions, StateFormat } from './options.js';
export { type AdamWOptions, adamw, type SgdOptions, sgd } from './plain.js';
export * as recipes from './recipes/index.js';
export * as spd from './spd.js';
export * as trac from './trac.js';
export * as schedules from './transforms/schedules.js';
export { type ConstraintReport, constraintTable } from './variables/constraint_report.js';
export type { ExcludedLayer, ExcludeOption, ExcludePattern } from './variables/exclude.js';
export type { GroupMatch, PerVariableOptions, VariableGroup } from './variables/groups.js';
export type { LayerDecayOption, LayerDecayOptions } from './variables/layer_decay.js';
export type { Pattern, VariablesOfRank } from './variables/match.js';
export type { ModelLike, OutputAxis, OutputAxisOption } from './variables/output_axis.js';
export type { NamedTensor } from './variables/saved_state.js';
