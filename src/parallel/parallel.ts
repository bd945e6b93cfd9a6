/** Optimizers whose steps are those of several processes. */

import { FtpOptimizer } from '../optimizers/ftp_optimizer.js';
import { WrapOptimizer } from '../optimizers/wrap.js';
import { checkBoolean, checkNumber, checkOptionKeys, describe } from '../validate.js';
import { RankPeers } from './peers.js';
import { Ranks, type World } from './world.js';

/** Options of {@link parallel}. */
export interface ParallelOptions {
  /**
   * Whether each rank steps, and keeps the state of, a share of the variables only (ZeRO stage 1, by whole variables): moments, anchors
   * and constraints then take the memory of all ranks together once, and an optimizer's step takes about 1 / size of the time. The
   * weights come out the same, to the bit. Default false.
   */
  shard?: boolean;
  /** Megabytes (2^20 bytes) of gradients that are exchanged at a time, > 0; default 25, as torch's `bucket_cap_mb`. */
  bucketMegabytes?: number;
  /** Whether a step takes the mean of the ranks' gradients (default), or their sum. */
  average?: boolean;
}

/**
 * Lets the steps of an optimizer be those of all ranks of a job: each rank computes the gradients of its own batch, and `minimize`,
 * `applyGradients` and `model.fit` take the step with their mean. Every rank must make the same optimizer and take the same steps. The
 * weights stay the same on all ranks, to the bit.
 *
 *     G = (G_0 + G_1 + ... + G_(size - 1)) / size
 *
 * with the sum in the order of the ranks, in float64, rounded once. So a step depends on the number of ranks, and neither on the MPI library
 * nor on `shard` or `bucketMegabytes`. With a loss that is a mean over the batch and batches of equal size, it is the gradient of the joined
 * batch, but for rounding. What an optimizer makes of gradients, it makes of G: norms and clipping, what it learns (`learn`), and what is not
 * finite, for which all ranks throw, or leave the step out, together.
 *
 * - **Start**: at the first `minimize`, `computeGradients` or `fit` with a variable, all ranks take its weights over from rank 0. (At the
 *   first `applyGradients`, for gradients that come from elsewhere: start those at equal weights.) Weights that get no gradient, such as the statistics of batch normalization, stay each rank's own: save those of rank 0.
 * - **Waiting**: a step waits for the other ranks, and JavaScript with it, as it does for the step itself. The exchange runs in a thread of
 *   its own, while the next gradients are read from the backend.
 * - **Errors**: where a rank throws before the exchange, for a bad gradient say, it throws its own error, all others FtpError
 *   `RANKS_DIFFER`, and nothing has changed anywhere.
 * - **GPUs**: gradients are read into the memory of the host and exchanged there.
 * - **Option `accumulate`**: every call exchanges its gradients.
 *
 * With `shard`, `getWeights` gives the states of all ranks, as one rank alone would have them, and must be called by all ranks, and so
 * must what calls it: `swapEma`, and saving the optimizer. A checkpoint is written by all ranks with the option `world` of
 * `Checkpointer`. Any number of ranks can go on from it, and so can one process. `constraints()` and `emaWeights()` tell the variables of
 * this rank's share.
 *
 * @param optimizer one of this package; with `shard` one that has not stepped, is not a wrapper (`ftp.wrap`), not `trac` and without `learn`.
 * @param world of {@link mpi}, or a part of it. With 1 rank nothing is exchanged.
 * @param options see {@link ParallelOptions}.
 * @returns the optimizer that was given. Nothing else to dispose.
 * @throws TypeError or RangeError for an optimizer, a world or options of a wrong type or value.
 *
 * Source: bucketing and names as in Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training" (2020);
 * sharding as stage 1 of Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models" (2020), but by whole
 * variables, the largest first, each to the rank with the least so far.
 *
 * @example
 * ```ts
 * const world = await mpi();
 * const optimizer = parallel(ftp.adamw(1e-3), world, { shard: true });
 * ```
 */
export function parallel<T extends FtpOptimizer>(
  optimizer: T,
  world: World,
  options: ParallelOptions = {},
): T {
  if (!Object.prototype.isPrototypeOf.call(FtpOptimizer.prototype, Object(optimizer))) {
    throw new TypeError(`optimizer must be one of tfjs-ftp, got ${describe(optimizer)}`);
  }
  if (!(world instanceof Ranks))
    throw new TypeError(`world must be what mpi() gives, got ${describe(world)}`);
  checkOptionKeys('options', options, ['shard', 'bucketMegabytes', 'average']);
  const { shard = false, bucketMegabytes = 25, average = true } = options;
  checkBoolean('shard', shard);
  checkBoolean('average', average);
  checkNumber('bucketMegabytes', bucketMegabytes, { above: 0, max: 1024 });
  if (world.size === 1) return optimizer;
  optimizer.join(({ method, learns, steps }) => {
    const refuse = (what: string) => {
      throw new RangeError(`shard must be false for ${what}, got true`);
    };
    if (shard && Object.prototype.isPrototypeOf.call(WrapOptimizer.prototype, optimizer))
      refuse('a wrapped optimizer');
    if (shard && method.rule.gather !== undefined) {
      refuse(`${method.rule.name}, whose step depends on all variables together`);
    }
    if (shard && learns) refuse('an optimizer with the option learn');
    if (shard && steps > 0) refuse('an optimizer that has stepped');
    return new RankPeers(world, { shard, bucketMegabytes, average });
  });
  return optimizer;
}
