/**
 * Checkpoints of a training that survive the end of the process at any moment, and going on from them with the same bits. For
 * Node.
 *
 * @module
 */

export type { FitCallback, FitLogs, FitParams } from '../callbacks/fit_callback.js';
export type { Stateful } from '../callbacks/stateful.js';
export type { ModelLike } from '../variables/output_axis.js';
export { type CheckpointCallback, type CheckpointOptions, checkpoint } from './callback.js';
export {
  Checkpointer,
  type CheckpointerOptions,
  type CheckpointPosition,
  type ResumedPosition,
  type ResumeOptions,
  resume,
} from './checkpointer.js';
export type { CheckpointEntry } from './files.js';
export { type BatchSource, type ResumableDataset, resumable } from './resumable.js';
