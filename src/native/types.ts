/** Types of `tfjs-ftp/native`. `A` is the kind of the arrays: Float32Array or DeviceBuffer. */

import type { AdamWUpdateOptions } from '../methods/adamw.js';
import type { DigrapOptions } from '../methods/digrap.js';
import type { RadiusOptions } from '../methods/fixed_radius.js';
import type { ConstraintOptions } from '../methods/ftp.js';
import type { L2SpOptions } from '../methods/l2_sp.js';
import type { SgdUpdateOptions } from '../methods/sgd.js';
import type { SpdOptions } from '../methods/spd.js';
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
   * As `anchor` and `excluded`, not with the rule `'none'`. Axis of the output units, -rank to rank - 1; null: one row for the whole variable. Default: the last
   * axis; rank 0 and 1 are one row.
   */
  outputAxis?: number | null;
  /** Pre-trained value, copied, of the same kind as the weights. Default: the weights as they are now. */
  anchor?: A;
  /** Whether it takes the plain base update and no rule; default false. */
  excluded?: boolean;
}

/** What all fused steps share. */
export interface FusedStepShared<A extends FusedArray = Float32Array> extends RunOptions {
  /** Used by steps that are not given another; finite and >= 0. */
  learningRate: number;
  variables: readonly FusedVariable<A>[];
}

/** The rule of a fused step, with its options: as that of the optimizers of the same name. `'none'`: a plain step. */
export type FusedRuleOptions =
  | ({
      /** Default. */
      rule?: 'ftp';
    } & ConstraintOptions)
  | { rule: 'none' }
  | ({ rule: 'fixedRadius' } & RadiusOptions)
  | ({ rule: 'spd' } & SpdOptions)
  | ({ rule: 'l2sp' } & L2SpOptions)
  | ({ rule: 'digrap' } & DigrapOptions);

/** Options of `createFusedStep` with the AdamW update. */
export type FusedAdamWOptions<A extends FusedArray = Float32Array> = FusedStepShared<A> &
  AdamWUpdateOptions &
  FusedRuleOptions & { base: 'adamw' };

/** Options of `createFusedStep` with the SGD update. */
export type FusedSgdOptions<A extends FusedArray = Float32Array> = FusedStepShared<A> &
  SgdUpdateOptions &
  FusedRuleOptions & { base: 'sgd' };

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
   * `m`, `v`, `vmax` or `momentum` of the base update; unless excluded, those of the rule too: of `anchor`, `deviation`,
   * `norms` and `constraint` (under `'ftp'` gamma, its two moments, the last hyper-gradient) the ones that it has.
   */
  slots: { [slot: string]: Float32Array };
}
