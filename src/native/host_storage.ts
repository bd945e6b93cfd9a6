/** A fused step's arrays as Float32Arrays. */

import { newSlab, type Section } from '../backends/native_state.js';
import { checkFloat32Array, checkLength } from '../validate.js';
import type { NativeAddon } from './addon.js';
import { DeviceBuffer } from './device_buffer.js';
import { allFinite, type Extent, type FusedStorage } from './storage.js';

const view = (slab: Float32Array, { offset, length }: Section) => slab.subarray(offset, offset + length);

export class HostStorage implements FusedStorage<Float32Array> {
  constructor(private readonly addon: NativeAddon) {}

  checkArray(what: string, value: unknown, elements: number): Float32Array {
    if (value instanceof DeviceBuffer) {
      throw new TypeError(
        `${what} must be a Float32Array, got a DeviceBuffer: all arrays of a step are of the same kind`,
      );
    }
    const array = checkFloat32Array(what, value);
    checkLength(what, array, elements);
    return array;
  }

  extentOf({ buffer, byteOffset, byteLength }: Float32Array): Extent {
    return { memory: buffer, start: byteOffset, end: byteOffset + byteLength };
  }

  isFinite(array: Float32Array): boolean {
    return allFinite(array);
  }

  newSlab(length: number): Float32Array {
    return newSlab(this.addon, length);
  }

  freeSlab(): void {}

  read(slab: Float32Array, section: Section): Float32Array {
    return view(slab, section).slice();
  }

  write(slab: Float32Array, section: Section, values: Float32Array): void {
    view(slab, section).set(values);
  }

  clear(slab: Float32Array, section: Section): void {
    view(slab, section).fill(0);
  }

  copy(slab: Float32Array, section: Section, from: Float32Array): void {
    view(slab, section).set(from);
  }

  step(plan: Int32Array, slabs: Float32Array[], weights: Float32Array[], gradients: Float32Array[]): void {
    this.addon.step(plan, slabs, weights, gradients, weights);
  }

  dispose(): void {}
}
