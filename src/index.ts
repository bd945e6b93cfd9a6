/**
 * Robust fine-tuning for TensorFlow.js: Fast Trainable Projection (FTP) as drop-in `tf.Optimizer`s.
 *
 * @packageDocumentation
 */

export type { ImplementationChoice, ImplementationName } from './backends/types.js';
export { FtpError, type FtpErrorCode } from './errors.js';
export * as ftp from './ftp.js';
export { FtpAdamWOptimizer } from './optimizers/adamw.js';
export { FtpOptimizer } from './optimizers/ftp_optimizer.js';
export type {
  FtpAdamWOptions,
  FtpOptions,
  FtpSgdOptions,
  FtpWrapOptions,
  LearningRate,
} from './optimizers/options.js';
export { FtpSgdOptimizer } from './optimizers/sgd.js';
export { FtpWrapOptimizer } from './optimizers/wrap.js';
export type { AdamWUpdateOptions, ConstraintOptions, NonFiniteAction, SgdUpdateOptions } from './options.js';
export { type ConstraintReport, constraintTable } from './projection/constraint_report.js';
export type { ExcludedLayer, ExcludeOption, ExcludePattern } from './projection/exclude.js';
export type { ModelLike, OutputAxisOption } from './projection/output_axis.js';
export type { NamedTensor } from './projection/saved_state.js';
export * as recipes from './recipes/index.js';
