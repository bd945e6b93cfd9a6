/**
 * What an {@link FtpError} is about. Codes are stable; messages may change.
 *
 * Of `tfjs-ftp/native` on a CUDA device: `CUDA_UNAVAILABLE` (an addon without CUDA, no driver or no device; the message
 * says which), `OUT_OF_MEMORY` (of the device, or of the processor for the sums of a step), `BUFFER_FREED` (a
 * DeviceBuffer was used after it was freed), and `NATIVE_FAILURE` for all else that CUDA reports.
 *
 * Of options that name variables, at the first step that brings any: `UNMATCHED_PATTERN` (a pattern of `exclude`,
 * `groups` or `layerDecay` that no variable matches), `MODEL_MISMATCH` (a `model` that has none of the step's variables), `UNKNOWN_VARIABLE` (a name in
 * `anchors` that no variable has).
 *
 * Of averages of the weights: `EMA_SWAPPED_IN` (what was asked for needs the trained weights, but `swapEma()` has put
 * their averages in place), `EMA_DISABLED` (the optimizer was made without the option `ema`).
 *
 * Of `callbacks`: `TFJS_LAYERS_NOT_FOUND` and `TFJS_NODE_NOT_FOUND` (no tfjs-layers or no tfjs-node is loaded).
 *
 * Of `tfjs-ftp/checkpoint`: `CHECKPOINT_INVALID` (a folder that is no checkpoint, or one that was changed) and
 * `CHECKPOINT_FAILED` (one could not be written); `STATE_MISMATCH` for one of another model or optimizer.
 *
 * Of `tfjs-ftp/report`: `VEGA_NOT_FOUND` (`vega` or `vega-lite` is not installed) and `REPORT_FAILED` (the file could not be
 * written).
 *
 * Of `tfjs-ftp/models`: `GRAPH_UNSUPPORTED` (a graph that runs in `executeAsync` alone; the message names the node) and
 * `VARIABLE_EXISTS` (a weight has the name of a variable that exists).
 *
 * Of `tfjs-ftp/parallel`: `MPI_NOT_FOUND` (no MPI library; the message says what was tried), `MPI_MISMATCH` (the library is not that of
 * the launcher), `MPI_FAILURE` (what MPI reports), and `RANKS_DIFFER` (the ranks do not take the same step, or one of them failed
 * before it).
 */
export type FtpErrorCode =
  | 'ADDON_NOT_FOUND'
  | 'TENSORFLOW_NOT_FOUND'
  | 'TENSORFLOW_API_MISSING'
  | 'BACKEND_UNSUPPORTED'
  | 'NATIVE_FAILURE'
  | 'CUDA_UNAVAILABLE'
  | 'OUT_OF_MEMORY'
  | 'BUFFER_FREED'
  | 'NON_FINITE_GRADIENT'
  | 'NON_FINITE_WEIGHTS'
  | 'VARIABLE_DISPOSED'
  | 'UNKNOWN_VARIABLE'
  | 'UNMATCHED_PATTERN'
  | 'MODEL_MISMATCH'
  | 'DUPLICATE_TFJS'
  | 'TFJS_LAYERS_NOT_FOUND'
  | 'TFJS_NODE_NOT_FOUND'
  | 'STATE_MISMATCH'
  | 'CHECKPOINT_INVALID'
  | 'CHECKPOINT_FAILED'
  | 'VEGA_NOT_FOUND'
  | 'REPORT_FAILED'
  | 'OPTIMIZER_DISPOSED'
  | 'EMA_SWAPPED_IN'
  | 'EMA_DISABLED'
  | 'UNSUPPORTED_DTYPE'
  | 'GRAPH_UNSUPPORTED'
  | 'VARIABLE_EXISTS'
  | 'MPI_NOT_FOUND'
  | 'MPI_MISMATCH'
  | 'MPI_FAILURE'
  | 'RANKS_DIFFER'
  | 'IMAGE_FOLDER_INVALID'
  | 'IMAGE_UNREADABLE'
  | 'IMAGE_DECODER_NOT_FOUND';

/**
 * A failure that is not a wrong argument: loading, TensorFlow, CUDA, memory, a variable or saved state that does
 * not fit, a gradient, or the weights or the anchor that a variable starts with, that are not finite. Wrong arguments throw `TypeError` (type) or `RangeError` (value).
 *
 * After any error that a step throws, weights and optimizer state are as they were before the call.
 *
 * @example
 * ```ts
 * try {
 *   optimizer.applyGradients(gradients);
 * } catch (error) {
 *   if (error instanceof FtpError && error.code === 'NON_FINITE_GRADIENT') lowerTheLearningRate();
 *   else throw error;
 * }
 * ```
 */
export class FtpError extends Error {
  override readonly name = 'FtpError';
  /** Stable identifier of the kind of failure. */
  readonly code: FtpErrorCode;

  constructor(code: FtpErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
