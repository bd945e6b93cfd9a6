/** Types of `tfjs-ftp/native`. */

import type { AdamWUpdateOptions, ConstraintOptions, SgdUpdateOptions } from './options.js';

/** One variable of a fused step. */
export interface FusedVariable {
  /** Distinct names, for messages and reports. */
  name: string;
  /** The weights, row-major; every step updates them in place. */
  weights: Float32Array;
  /** Its product is the number of weights. */
  shape: readonly number[];
  /**
   * Axis of the output units, -rank to rank - 1; null: one row for the whole variable. Default: the last
   * axis; rank 0 and 1 are one row.
   */
  outputAxis?: number | null;
  /** Pre-trained value, copied. Default: the weights as they are now. */
  anchor?: Float32Array;
  /** Whether it takes the plain base update and is not projected; default false. */
  excluded?: boolean;
}

/** What all fused steps share. */
export interface FusedStepShared extends ConstraintOptions {
  /** Used by steps that are not given another; finite and >= 0. */
  learningRate: number;
  variables: readonly FusedVariable[];
}

/** Options of `createFusedStep` with the AdamW update. */
export interface FusedAdamWOptions extends FusedStepShared, AdamWUpdateOptions {
  base: 'adamw';
}

/** Options of `createFusedStep` with the SGD update. */
export interface FusedSgdOptions extends FusedStepShared, SgdUpdateOptions {
  base: 'sgd';
}

export type FusedStepOptions = FusedAdamWOptions | FusedSgdOptions;

/** The state of one variable, as copies. */
export interface FusedState {
  /** Steps of the constraint since the variable's first gradient, gaps included. */
  t: number;
  /** Updates of the variable. */
  n: number;
  /**
   * `anchor`, `deviation`, `norms` and `constraint` (gamma, its two moments, the last hyper-gradient) unless
   * excluded; `m`, `v`, `vmax` or `momentum` of the base update.
   */
  slots: { [slot: string]: Float32Array };
}
