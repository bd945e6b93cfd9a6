/** A fused step's arrays as Float32Arrays. */

import { newSlab, type Section } from '../backends/native_state.js';
import { checkFloat32Array, checkLength } from '../validate.js';
import { DeviceBuffer } from './device_buffer.js';
import { allFinite, type Extent, FusedStorage } from './storage.js';

const view = (slab: Float32Array, { offset, length }: Section) => slab.subarray(offset, offset + length);

export class HostStorage extends FusedStorage<Float32Array> {
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

  dispose(): void {}

  protected newSlab(length: number): Float32Array {
    return newSlab(this.addon, length);
  }

  protected freeSlab(): void {}

  protected readSection(slab: Float32Array, section: Section): Float32Array {
    return view(slab, section).slice();
  }

  protected writeSection(slab: Float32Array, section: Section, value: Float32Array | number): void {
    if (typeof value === 'number') view(slab, section).fill(value);
    else view(slab, section).set(value);
  }

  protected run(
    plan: Int32Array,
    slabs: Float32Array[],
    weights: Float32Array[],
    gradients: Float32Array[],
  ): void {
    this.addon.step(plan, slabs, weights, gradients, weights);
  }
}
