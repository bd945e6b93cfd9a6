/** Clipping of gradients, and their global norm. */

import { GATHERED, type VariableUpdate } from '../backends/types.js';
import { flagOption, type OptionSpec, type OptionTable } from '../options.js';
import { checkNumber } from '../validate.js';

/** How gradients are clipped; at most one of the three. N is a 2-norm over the elements of a gradient G. */
export interface ClipOptions {
  /**
   * Bound on the norm of each variable's gradient by itself, > 0: `g = G min(1, clipNorm / N)`, as Keras's `clipnorm`.
   * Default: none.
   */
  clipNorm?: number;
  /**
   * Bound on the norm of all gradients of a step together, > 0: `g = G min(1, globalClipNorm / N)` with
   * `N = sqrt(sum of G^2 over all variables of the step)`, as Keras's `global_clipnorm` and `tf.clip_by_global_norm`.
   * `torch.nn.utils.clip_grad_norm_` adds 1e-6 to N, which changes the factor by less than 1e-6 / N. Excluded variables
   * count. With `nonFinite: 'ignore'`, a NaN anywhere makes N one and goes into every variable, as there. Default: none.
   */
  globalClipNorm?: number;
  /**
   * Bound on the size of each element, > 0: `g = max(-clipValue, min(G, clipValue))`, as Keras's `clipvalue` and
   * `torch.nn.utils.clip_grad_value_`. Default: none.
   */
  clipValue?: number;
  /**
   * Whether `optimizer.lastGradientNorm` is worked out without `clipNorm` or `globalClipNorm`, which need the norms
   * anyway; default false. The norms come with the check of the gradients.
   */
  gradientNorm?: boolean;
}

/** {@link ClipOptions}, complete. */
export interface ClipSettings {
  clipNorm: number | null;
  globalClipNorm: number | null;
  clipValue: number | null;
  gradientNorm: boolean;
}

const bound: OptionSpec<number | null> = {
  default: null,
  check: (name, value) => checkNumber(name, value, { above: 0 }),
};

export const CLIP_OPTIONS: OptionTable<ClipSettings> = {
  clipNorm: bound,
  globalClipNorm: bound,
  clipValue: bound,
  gradientNorm: flagOption(false),
};

/** @throws RangeError for more than one way to clip. */
export function checkClip({ clipNorm, globalClipNorm, clipValue }: ClipSettings): void {
  const given = Object.entries({ clipNorm, globalClipNorm, clipValue }).filter(([, value]) => value !== null);
  if (given.length < 2) return;
  throw new RangeError(
    'at most one of clipNorm, globalClipNorm and clipValue must be given, got ' +
      given.map(([name, value]) => `${name} ${value}`).join(', '),
  );
}

/** Whether a step needs the norms of its gradients. */
export function needsNorms({ clipNorm, globalClipNorm, gradientNorm }: ClipSettings): boolean {
  return clipNorm !== null || globalClipNorm !== null || gradientNorm;
}

/** min(1, bound / norm): 1 for a norm of 0, NaN for one of NaN. */
function factor(limit: number | null, norm: number): number {
  return limit === null ? 1 : Math.min(1, limit / norm);
}

/** Sum of the squares of all gradients, in their order; 0 without sums. */
export function totalOfSquares(sums: Float64Array | null): number {
  let total = 0;
  for (let at = 0; at < (sums?.length ?? 0); at += GATHERED) total += sums?.[at] as number;
  return total;
}

/**
 * Tells every update of a step how its gradient is seen: `clamp(gradientScale G, -clipValue, clipValue)`.
 *
 * @param sums what `Implementation.gather` gave; null where no norms are needed.
 * @param total {@link totalOfSquares} of the sums of all variables.
 * @param scale of all gradients: they are sums whose mean is meant.
 * @returns the norm of all gradients together, `scale` included; null without sums.
 */
export function clipUpdates(
  { clipNorm, globalClipNorm, clipValue }: ClipSettings,
  updates: readonly VariableUpdate[],
  sums: Float64Array | null,
  total: number,
  scale: number,
): number | null {
  const norm = scale * Math.sqrt(total);
  const shared = scale * (sums === null ? 1 : factor(globalClipNorm, norm));
  for (const [i, update] of updates.entries()) {
    const own = sums === null ? 1 : factor(clipNorm, scale * Math.sqrt(sums[i * GATHERED] as number));
    update.gradientScale = shared * own;
    update.clipValue = clipValue ?? Number.POSITIVE_INFINITY;
  }
  return sums === null ? null : norm;
}
