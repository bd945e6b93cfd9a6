/** Datasets that can be made anew as one of several shares, which is cheaper than to leave elements out. */

/** Which of `size` shares. */
export interface Shard {
  rank: number;
  size: number;
}

const MAKE = Symbol('shard');

/** Lets {@link shardOf} make shares of a dataset. */
export function shardable<D extends object>(dataset: D, make: (shard: Shard) => D): D {
  return Object.defineProperty(dataset, MAKE, { value: make });
}

/** Null for a dataset that knows no shares. */
export function shardOf(dataset: object, shard: Shard): object | null {
  const make = (dataset as { [MAKE]?: (shard: Shard) => object })[MAKE];
  return make?.(shard) ?? null;
}
