/** The share of a dataset that a rank trains on. */

import { dispose, type TensorContainer } from '@tensorflow/tfjs-core';
import * as tfdata from '@tensorflow/tfjs-data';
import { type Shard, shardOf } from '../data/shard.js';
import { describe } from '../validate.js';
import type { World } from './world.js';

/**
 * The share of a dataset that this rank trains on: of every `world.size` elements in a row, the one at place `world.rank`. Shares are
 * disjoint and have the same number of elements on all ranks; elements at the end that are not enough for all ranks are left out.
 *
 * The dataset must give the same elements in the same order on all ranks: give every `shuffle` a seed, and shuffle before, batch after.
 * `size` ranks with batches of B then train on what one process with batches of `size * B` trains on, batch by batch.
 *
 * A dataset of `imageFolder` is made anew with its options: each rank decodes its own images only, and `batchSize` is that of a rank. Every
 * epoch has another order, of which each rank takes its share. The last batch of an epoch is smaller on all ranks alike, as there.
 *
 * @param dataset of single elements, not of batches; or one of `imageFolder`.
 * @param world of {@link mpi}, or a part of it.
 * @returns a dataset of the same kind, with 1 rank one of all elements. Elements that other ranks train on are disposed.
 * @throws TypeError for another dataset or world.
 *
 * @example
 * ```ts
 * const world = await mpi();
 * const examples = tfdata.array([1, 2, 3, 4, 5, 6, 7, 8]).shuffle(8, 'seed');
 * const batches = shardDataset(examples, world).batch(2);
 * ```
 */
export function shardDataset<D extends tfdata.Dataset<TensorContainer>>(dataset: D, world: World): D {
  if (typeof (dataset as Partial<D> | null)?.iterator !== 'function') {
    throw new TypeError(`dataset must be a tf.data.Dataset, got ${describe(dataset)}`);
  }
  const { rank, size } = (world ?? {}) as Partial<World>;
  if (typeof rank !== 'number' || typeof size !== 'number') {
    throw new TypeError(`world must be what mpi() gives, got ${describe(world)}`);
  }
  return (shardOf(dataset, { rank, size }) as D | null) ?? everyNth(dataset, { rank, size });
}

function everyNth<D extends tfdata.Dataset<TensorContainer>>(dataset: D, { rank, size }: Shard): D {
  async function* own(): AsyncGenerator<TensorContainer> {
    const source = await dataset.iterator();
    for (;;) {
      const group: TensorContainer[] = [];
      for (let result = await source.next(); !result.done; result = await source.next()) {
        group.push(result.value);
        if (group.length === size) break;
      }
      const mine = group.length === size ? group.splice(rank, 1)[0] : undefined;
      dispose(group);
      if (mine === undefined) return;
      yield mine;
    }
  }
  const share = tfdata.generator(own as unknown as () => Iterator<TensorContainer>);
  // What fitDataset, and batch() after this, count batches by.
  const length = dataset.size === null ? null : Math.floor(dataset.size / size);
  return Object.assign(share, { size: length }) as unknown as D;
}
