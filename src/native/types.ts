/** Types of `tfjs-ftp/native`. `A` is the kind of the arrays: Float32Array or DeviceBuffer. */

import type { AdamWUpdateOptions } from '../methods/adamw.js';
import type { ConstraintOptions } from '../methods/ftp.js';
import type { SgdUpdateOptions } from '../methods/sgd.js';
import type { RunOptions } from '../options.js';
import type { FusedArray } from './storage.js';

/** One variable of a fused step. */
export interface FusedVariable<A extends FusedArray = Float32Array> {
  /** Distinct names, for messages and reports. */
  name: string;
  /** The weights, row-major; every step updates them in place. */
  weights: A;
  /** Its product is the number of weights. Extents may be 0: steps leave such a variable out. */
  shape: readonly number[];
  /**
   * Axis of the output units, -rank to rank - 1; null: one row for the whole variable. Default: the last
   * axis; rank 0 and 1 are one row.
   */
  outputAxis?: number | null;
  /** Pre-trained value, copied, of the same kind as the weights. Default: the weights as they are now. */
  anchor?: A;
  /** Whether it takes the plain base update and is not projected; default false. */
  excluded?: boolean;
}

/** What all fused steps share. */
export interface FusedStepShared<A extends FusedArray = Float32Array> extends ConstraintOptions, RunOptions {
  /** Used by steps that are not given another; finite and >= 0. */
  learningRate: number;
  variables: readonly FusedVariable<A>[];
}

/** Options of `createFusedStep` with the AdamW update. */
export interface FusedAdamWOptions<A extends FusedArray = Float32Array>
  extends FusedStepShared<A>,
    AdamWUpdateOptions {
  base: 'adamw';
}

/** Options of `createFusedStep` with the SGD update. */
export interface FusedSgdOptions<A extends FusedArray = Float32Array>
  extends FusedStepShared<A>,
    SgdUpdateOptions {
  base: 'sgd';
}

export type FusedStepOptions<A extends FusedArray = Float32Array> = FusedAdamWOptions<A> | FusedSgdOptions<A>;

/** The state of one variable, as copies. */
export interface FusedState {
  /** Steps of the constraint since the variable's first gradient, gaps included. */
  t: number;
  /** Updates of the variable. */
  n: number;
  /** Steps of the whole fused step, the same in the states of all its variables. */
  iterations?: number;
  /**
   * `anchor`, `deviation`, `norms` and `constraint` (gamma, its two moments, the last hyper-gradient) unless
   * excluded; `m`, `v`, `vmax` or `momentum` of the base update.
   */
  slots: { [slot: string]: Float32Array };
}
