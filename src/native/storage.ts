/** Where the arrays of a fused step lie: what its bookkeeping asks of memory, whatever kind it is. */

import type { Section } from '../backends/native_state.js';
import type { DeviceBuffer } from './device_buffer.js';

/** The arrays that a fused step works on: all of one kind. */
export type FusedArray = Float32Array | DeviceBuffer;

/** The bytes of an array: `memory` is the same object for arrays that may overlap. */
export interface Extent {
  memory: unknown;
  start: number;
  end: number;
}

/** Whether none of the values is NaN or an infinity. */
export function allFinite(values: Float32Array): boolean {
  // NaN and infinities times 0 are NaN, and stay so in the sum.
  let sum = 0;
  for (let i = 0; i < values.length; ++i) sum += (values[i] as number) * 0;
  return sum === 0;
}

/** Arrays of one kind. Slabs are arrays that hold the state of one variable. */
export interface FusedStorage<A extends FusedArray> {
  /** `value`, if it is an array of this storage with so many elements; else an error that names it `what`. */
  checkArray(what: string, value: unknown, elements: number): A;
  /** Empty for memory that has gone. */
  extentOf(array: A): Extent;
  /** Whether all its numbers are finite; reads all of it. */
  isFinite(array: A): boolean;
  /** A slab of zeros. */
  newSlab(length: number): A;
  /** Gives up a slab that nothing refers to any more. */
  freeSlab(slab: A): void;
  /** A copy of a section. */
  read(slab: A, section: Section): Float32Array;
  write(slab: A, section: Section, values: Float32Array): void;
  /** Zeros in a section. */
  clear(slab: A, section: Section): void;
  /** Copies the whole of `from`, which is as long as the section, into it. */
  copy(slab: A, section: Section, from: A): void;
  /** The native step, in place of the weights; throws what the addon throws. */
  step(plan: Int32Array, slabs: A[], weights: A[], gradients: A[]): void;
  /** Gives up what the storage itself holds. */
  dispose(): void;
}
