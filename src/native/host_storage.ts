/** A fused step's arrays as Float32Arrays. */

import { newSlab, readSection, writeSection } from '../backends/native_state.js';
import { checkFloat32Array, checkLength } from '../validate.js';
import type { NativeSection } from './addon.js';
import { DeviceBuffer } from './device_buffer.js';
import { allFinite, type Extent, FusedStorage } from './storage.js';

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

  checkFormat(): void {}

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

  protected readSection(slab: Float32Array, section: NativeSection): Float32Array {
    return readSection(slab, section);
  }

  protected writeSection(slab: Float32Array, section: NativeSection, value: Float32Array | number): void {
    const values = typeof value === 'number' ? new Float32Array(section.count).fill(value) : value;
    writeSection(slab, section, values);
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
