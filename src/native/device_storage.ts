/** A fused step's arrays as DeviceBuffers of one device. */

import { nativeFailure, type Section } from '../backends/native_state.js';
import { checkLength, describe } from '../validate.js';
import type { DeviceStepperHandle, NativeDevice } from './addon.js';
import { DeviceBuffer } from './device_buffer.js';
import { allFinite, type Extent, type FusedStorage } from './storage.js';

/** Floats that are downloaded at a time to be looked at. */
const PIECE = 2 ** 20;

export class DeviceStorage implements FusedStorage<DeviceBuffer> {
  private readonly stepper: DeviceStepperHandle;

  constructor(
    private readonly native: NativeDevice,
    private readonly device: number,
  ) {
    this.stepper = native.newStepper(device);
  }

  checkArray(what: string, value: unknown, elements: number): DeviceBuffer {
    if (!(value instanceof DeviceBuffer)) {
      throw new TypeError(
        `${what} must be a DeviceBuffer, got ${describe(value)}: all arrays of a step are of the same kind`,
      );
    }
    checkLength(what, value, elements);
    if (value.device !== this.device) {
      throw new RangeError(
        `${what} must be on device ${this.device}, as the other arrays of the step, got one on device ${value.device}`,
      );
    }
    value.memory(what);
    return value;
  }

  extentOf(buffer: DeviceBuffer): Extent {
    if (buffer.freed) return { memory: this, start: 0, end: 0 };
    // CUDA allocates at multiples of 256 bytes, so a double holds the address exactly.
    const start = Number(buffer.address);
    return { memory: this, start, end: start + buffer.byteLength };
  }

  isFinite(buffer: DeviceBuffer): boolean {
    const piece = new Float32Array(Math.min(buffer.length, PIECE));
    for (let offset = 0; offset < buffer.length; offset += PIECE) {
      const values = piece.subarray(0, Math.min(PIECE, buffer.length - offset));
      if (!allFinite(buffer.download(values, offset))) return false;
    }
    return true;
  }

  newSlab(length: number): DeviceBuffer {
    return DeviceBuffer.alloc(length, { device: this.device });
  }

  freeSlab(slab: DeviceBuffer): void {
    slab.free();
  }

  read(slab: DeviceBuffer, { offset, length }: Section): Float32Array {
    return slab.download(new Float32Array(length), offset);
  }

  write(slab: DeviceBuffer, { offset }: Section, values: Float32Array): void {
    slab.upload(values, offset);
  }

  clear(slab: DeviceBuffer, { offset, length }: Section): void {
    this.enqueue('clearing', () => this.native.clear(slab.memory('a state slab'), offset, length));
  }

  copy(slab: DeviceBuffer, { offset, length }: Section, from: DeviceBuffer): void {
    this.enqueue('copying', () =>
      this.native.copy(slab.memory('a state slab'), offset, from.memory('the array'), 0, length),
    );
  }

  step(plan: Int32Array, slabs: DeviceBuffer[], weights: DeviceBuffer[], gradients: DeviceBuffer[]): void {
    const memory = (buffers: DeviceBuffer[]) =>
      buffers.map((buffer) => buffer.memory('a buffer of the step'));
    const outputs = memory(weights);
    this.native.step(this.stepper, plan, memory(slabs), outputs, memory(gradients), outputs);
  }

  dispose(): void {
    this.native.freeStepper(this.stepper);
  }

  private enqueue(what: string, action: () => void): void {
    try {
      action();
    } catch (error) {
      throw nativeFailure(`${what} on CUDA device ${this.device}`, error);
    }
  }
}
