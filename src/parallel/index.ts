/**
 * Training on several processes or machines: the ranks of an MPI job take every step together. For Node, under Linux and macOS.
 *
 * @module
 */

export { type ParallelOptions, parallel } from './parallel.js';
export { shardDataset } from './shard_dataset.js';
export { type MpiOptions, mpi, type Numbers, type ReduceOp, type World } from './world.js';
