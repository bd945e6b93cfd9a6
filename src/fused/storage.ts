/** Where the arrays of a fused step lie: what its bookkeeping asks of memory, whatever kind it is. */

import type { Section } from '../backends/native_state.js';
import type { DeviceBuffer } from '../device_buffer.js';

/** The arrays that a fused step works on: all of one kind. */
export type FusedArray = Float32Array | DeviceBuffer;

/** The bytes of an array: `memory` is the same object for arrays that may overlap. */
export interface Extent {
  memory: unknown;
  start: number;
  end: number;
}

/** Arrays of one kind. Slabs are arrays that hold the state of one variable. */
export interface FusedStorage<A extends FusedArray> {
  /** `value`, if it is an array of this storage with so many elements; else an error that names it `what`. */
  checkArray(what: string, value: unknown, elements: number): A;
  extentOf(array: A): Extent;
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
