/** A fused step's arrays as DeviceBuffers of one device. */

import { nativeFailure } from '../backends/native_state.js';
import { FtpError } from '../errors.js';
import type { StateFormat } from '../options.js';
import { checkLength, describe } from '../validate.js';
import type { DeviceStepperHandle, NativeAddon, NativeDevice, NativeSection } from './addon.js';
import { DeviceBuffer } from './device_buffer.js';
import { allFinite, type Extent, FusedStorage } from './storage.js';

/** Floats that are downloaded at a time to be looked at. */
const PIECE = 2 ** 20;

export class DeviceStorage extends FusedStorage<DeviceBuffer> {
  private readonly stepper: DeviceStepperHandle;

  constructor(
    addon: NativeAddon,
    private readonly native: NativeDevice,
    private readonly device: number,
  ) {
    super(addon);
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

  checkFormat(format: StateFormat): void {
    if (format === 'float32') return;
    throw new FtpError(
      'NATIVE_FAILURE',
      `stateFormat must be 'float32' for a step on DeviceBuffers, got '${format}': there is no such step on a GPU`,
    );
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

  dispose(): void {
    this.native.freeStepper(this.stepper);
  }

  protected newSlab(length: number): DeviceBuffer {
    return DeviceBuffer.alloc(length, { device: this.device });
  }

  protected freeSlab(slab: DeviceBuffer): void {
    slab.free();
  }

  protected readSection(slab: DeviceBuffer, { offset, length }: NativeSection): Float32Array {
    return slab.download(new Float32Array(length), offset);
  }

  protected writeSection(
    slab: DeviceBuffer,
    { offset, length }: NativeSection,
    value: DeviceBuffer | Float32Array | number,
  ): void {
    const memory = () => slab.memory('a state slab');
    if (value === 0) {
      this.enqueue('clearing', () => this.native.clear(memory(), offset, length));
    } else if (value instanceof DeviceBuffer) {
      this.enqueue('copying', () => this.native.copy(memory(), offset, value.memory('the array'), 0, length));
    } else {
      slab.upload(typeof value === 'number' ? new Float32Array(length).fill(value) : value, offset);
    }
  }

  protected run(
    plan: Int32Array,
    slabs: DeviceBuffer[],
    weights: DeviceBuffer[],
    gradients: DeviceBuffer[],
  ): void {
    const memory = (buffers: DeviceBuffer[]) =>
      buffers.map((buffer) => buffer.memory('a buffer of the step'));
    const outputs = memory(weights);
    this.native.step(this.stepper, plan, memory(slabs), outputs, memory(gradients), outputs);
  }

  private enqueue(what: string, action: () => void): void {
    try {
      action();
    } catch (error) {
      throw nativeFailure(`${what} on CUDA device ${this.device}`, error);
    }
  }
}
