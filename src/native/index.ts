/**
 * `tfjs-ftp/native`: the fused step of FTP and the other methods on plain Float32Arrays, or on buffers of a CUDA device, for training code
 * that does not use tfjs. Nothing of tfjs is loaded.
 *
 * @packageDocumentation
 */

import { findNative, type NativeBuildInfo, type NativeLookup } from './addon.js';
import type { DeviceBuffer } from './device_buffer.js';
import { FusedStep } from './fused_step.js';
import type { FusedArray } from './storage.js';
import type { FusedStepOptions } from './types.js';

export { FtpError, type FtpErrorCode } from '../errors.js';
export type { AdamWUpdateOptions } from '../methods/adamw.js';
export type { DepthOptions, StrengthByDepth } from '../methods/depth.js';
export type { DigrapOptions } from '../methods/digrap.js';
export type { BallNorm, RadiusOf, RadiusOptions } from '../methods/fixed_radius.js';
export type { ConstraintOptions } from '../methods/ftp.js';
export type { L2SpOptions } from '../methods/l2_sp.js';
export type { SgdUpdateOptions } from '../methods/sgd.js';
export type { SpdOptions } from '../methods/spd.js';
export type { NonFiniteAction, RunOptions, StateFormat } from '../options.js';
export { type ConstraintReport, constraintTable } from '../variables/constraint_report.js';
export type { CudaInfo, NativeBuildInfo } from './addon.js';
export {
  cudaInfo,
  DeviceBuffer,
  type DeviceOptions,
  deviceMemory,
  isCudaAvailable,
} from './device_buffer.js';
export { FusedStep } from './fused_step.js';
export type { FusedArray } from './storage.js';
export type {
  FusedAdamWOptions,
  FusedRuleOptions,
  FusedSgdOptions,
  FusedState,
  FusedStepOptions,
  FusedStepShared,
  FusedVariable,
} from './types.js';

/**
 * Makes fused steps over plain Float32Arrays: by default the same update as `ftp.adamw` and `ftp.sgd`, with another `rule`
 * that of the optimizers of this name (`spd.adamw`, `l2sp.sgd`, ...; `'none'`: plain `adamw` and `sgd`). Their
 * documentation has the equations; the native code is the same, and so are the bits of the results.
 *
 * The anchors are copied at this call: by default what the weights are now. (The optimizers for tfjs take the value that
 * a variable has at its first step.) Weights and anchors are checked for NaN and infinities at this call, unless
 * `nonFinite: 'ignore'` is given.
 *
 * Layers, for `strengthByDepth`, are what the variables' names have in front of their last slash, in the order of
 * `variables`.
 *
 * @param options the base update and the rule with their options, the learning rate and the variables.
 * @returns a {@link FusedStep}; it needs no disposal.
 * @throws TypeError or RangeError for options of a wrong type or value, and for environment variables ({@link
 *   NativeInfo.problem}); FtpError ADDON_NOT_FOUND with every path tried, NON_FINITE_WEIGHTS. There is no fallback without the addon.
 *
 * @example
 * ```ts
 * import { createFusedStep } from 'tfjs-ftp/native';
 *
 * const weights = new Float32Array([0.1, -0.2, 0.3, 0.4, 0.5, -0.6]);
 * const fused = createFusedStep({
 *   base: 'adamw',
 *   learningRate: 1e-3,
 *   variables: [{ name: 'kernel', weights, shape: [3, 2] }],
 * });
 * fused.step([new Float32Array([1, 0, -1, 0.5, 2, 1])]);
 * console.log(fused.constraints());
 *
 * const variables = [{ name: 'other', weights: weights.slice(), shape: [3, 2] }];
 * const held = createFusedStep({ base: 'sgd', rule: 'fixedRadius', radius: 0.5, learningRate: 0.1, variables });
 * held.step([new Float32Array([1, 0, -1, 0.5, 2, 1])]);
 * console.log(held.constraints());
 * ```
 */
export function createFusedStep(options: FusedStepOptions): FusedStep;
/**
 * Makes fused steps over {@link DeviceBuffer | DeviceBuffers}: weights, anchors and gradients are all on one CUDA
 * device, and the state lies there too. Otherwise as over Float32Arrays.
 *
 * The check for NaN and infinities downloads weights and anchors once, piece by piece, at this call.
 *
 * Results agree with those on Float32Arrays up to rounding, since the sums of a row are added in another order, and are
 * the same bits in every run. `threads` means nothing here.
 *
 * @param options as over Float32Arrays.
 * @returns a {@link FusedStep}; its {@link FusedStep.dispose | dispose} gives the memory of the state back at once.
 * @throws TypeError or RangeError for options of a wrong type or value, and for arrays of different kinds or
 *   devices; FtpError NON_FINITE_WEIGHTS, BUFFER_FREED, OUT_OF_MEMORY, NATIVE_FAILURE. There is no fallback to the processor.
 *
 * @example
 * ```ts
 * import { createFusedStep, DeviceBuffer, isCudaAvailable } from 'tfjs-ftp/native';
 *
 * if (isCudaAvailable()) {
 *   const weights = DeviceBuffer.from(new Float32Array([0.1, -0.2, 0.3, 0.4, 0.5, -0.6]));
 *   const gradient = DeviceBuffer.alloc(weights.length); // for a kernel of your own, at gradient.address
 *   const variables = [{ name: 'kernel', weights, shape: [3, 2] }];
 *   const fused = createFusedStep({ base: 'adamw', learningRate: 1e-3, variables });
 *   gradient.upload(new Float32Array([1, 0, -1, 0.5, 2, 1]));
 *   fused.step([gradient]);
 *   console.log(weights.download(), fused.constraints());
 * }
 * ```
 */
export function createFusedStep(options: FusedStepOptions<DeviceBuffer>): FusedStep<DeviceBuffer>;
export function createFusedStep<A extends FusedArray>(options: FusedStepOptions<A>): FusedStep<A> {
  return new FusedStep(options);
}

/**
 * Whether the compiled addon can be loaded here. Steps may still be refused, see {@link NativeInfo.problem}. Never
 * throws.
 */
export function isNativeAvailable(): boolean {
  return findNative().addon !== null;
}

/** What is known of the addon. */
export interface NativeInfo {
  available: boolean;
  /** The file that was loaded. */
  path: string | null;
  version: string | null;
  build: NativeBuildInfo | null;
  /** Each path that did not work, with its reason. */
  tried: NativeLookup['tried'];
  /**
   * What is wrong with `TFJS_FTP_THREADS` (1 to 256), `TFJS_FTP_SIMD` (a name in `build.simdLevels`) or `TFJS_FTP_GPU`
   * (`0`, `1`): steps throw this as a RangeError. Null: nothing. They are checked once, when the addon is loaded.
   */
  problem: string | null;
}

/** Where the addon was found and how it was built, or what was tried. Never throws. */
export function nativeInfo(): NativeInfo {
  const { addon, path, tried, problem } = findNative();
  return {
    available: addon !== null,
    path,
    version: addon?.version ?? null,
    build: addon?.buildInfo() ?? null,
    tried: tried.map((attempt) => ({ ...attempt })),
    problem,
  };
}
