/** Options that do not involve tfjs: shared by the optimizers and by `tfjs-ftp/native`. */

/** What to do when a gradient holds NaN or an infinity. */
export type NonFiniteAction = 'throw' | 'skip' | 'ignore';

/** How the constraint (the radius of the ball that holds a variable near its anchor) is learnt. */
export interface ConstraintOptions {
  /**
   * Annealing factor of the hyper-gradient, in [0, 1]; default 1. A positive hyper-gradient (one that
   * shrinks the constraint) is multiplied by `k`. Smaller values let the weights move further from
   * the anchor; with 0 the constraint is never shrunk by a gradient.
   */
  k?: number;
  /** Step size of the Adam update on the constraint, >= 0; default 1e-2. Larger: the radius moves faster. */
  constraintLearningRate?: number;
  /** Decay of the first moment of the constraint's update, in [0, 1); default 0.9. */
  constraintBeta1?: number;
  /** Decay of the second moment of the constraint's update, in [0, 1); default 0.999. */
  constraintBeta2?: number;
  /**
   * What happens when a gradient holds NaN or an infinity. `'throw'` (default): `FtpError` with code
   * `NON_FINITE_GRADIENT`, before anything is written. `'skip'`: the whole step is left out and counted
   * in `skippedSteps`. `'ignore'`: no check (one read of the gradients less); NaN spreads, as it does in
   * the authors' code. A finite gradient so large that AdamW's `v` overflows float32 (about 5e20 with the default `beta2`)
   * passes every check: `v` stays infinite and that weight stops for good, as with `tf.train.adam`.
   *
   * With `'throw'` and `'skip'` the weights and the anchor that a variable starts with are checked too, once, at its
   * first step (`createFusedStep`: when it is called): `FtpError` with code `NON_FINITE_WEIGHTS`.
   */
  nonFinite?: NonFiniteAction;
  /**
   * Threads of the native CPU step, 1 to 256. Default: the environment variable `TFJS_FTP_THREADS` (1 to 256), else
   * all cores that the process may run on, or fewer where a container allows less processor time. The results are the
   * same bits for any number.
   */
  threads?: number;
}

/** The AdamW update that FTP projects. */
export interface AdamWUpdateOptions {
  /** Decay of the first moment, in [0, 1); default 0.9. */
  beta1?: number;
  /** Decay of the second moment, in [0, 1); default 0.999. */
  beta2?: number;
  /** Added to the root of the second moment, > 0; default 1e-8. */
  epsilon?: number;
  /** Decoupled weight decay towards zero (not towards the anchor), >= 0; default 0. */
  weightDecay?: number;
  /** Whether to divide by the largest second moment so far (AMSGrad); default false. One more slot a variable. */
  amsgrad?: boolean;
}

/** The SGD update that FTP projects. */
export interface SgdUpdateOptions {
  /** Momentum, in [0, 1); default 0 (no momentum slot). */
  momentum?: number;
  /** Dampening of the momentum, in [0, 1]; default 0. */
  dampening?: number;
  /** Whether to look ahead (Nesterov); default false. Needs `momentum` > 0 and `dampening` 0. */
  nesterov?: boolean;
  /** Coupled weight decay (added to the gradient) towards zero, >= 0; default 0. */
  weightDecay?: number;
}
