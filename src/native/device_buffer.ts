/** Float32 memory of a CUDA device, without TensorFlow. */

/// <reference lib="esnext.disposable" preserve="true" />

import { nativeFailure } from '../backends/native_state.js';
import { FtpError } from '../errors.js';
import { checkFloat32Array, checkInteger, checkOptionKeys } from '../validate.js';
import {
  type CudaInfo,
  type DeviceMemoryHandle,
  findNative,
  type NativeDevice,
  requireNative,
} from './addon.js';
import { makeDisposable } from './disposable.js';

/** Where a {@link DeviceBuffer} is allocated. */
export interface DeviceOptions {
  /** Number of the CUDA device, as in the list of `cudaInfo().devices`; default 0. */
  device?: number;
}

/** What CUDA finds on this machine, or why it cannot be used. Asks once per process; never throws. */
export function cudaInfo(): CudaInfo {
  const { addon } = findNative();
  if (addon !== null) return addon.cudaInfo();
  const reason = 'the compiled addon of tfjs-ftp could not be loaded';
  return { built: false, available: false, devices: [], reason };
}

/** Whether {@link DeviceBuffer | DeviceBuffers} can be allocated here; `cudaInfo().reason` says why not. Never throws. */
export function isCudaAvailable(): boolean {
  return cudaInfo().available;
}

/** The checked device of `options` and the addon's functions for it. */
function requireDevice(options: DeviceOptions): { device: number; native: NativeDevice } {
  checkOptionKeys('options', options, ['device']);
  const addon = requireNative();
  const { available, devices, reason } = addon.cudaInfo();
  if (!available || addon.device === undefined) {
    throw new FtpError('CUDA_UNAVAILABLE', `there is no CUDA device to use: ${reason}`);
  }
  const { device = 0 } = options;
  return { device: checkInteger('device', device, 0, devices.length - 1), native: addon.device };
}

/**
 * Bytes of device memory that are free, and that there are, as the driver counts them for all processes.
 *
 * @throws RangeError for a device that does not exist; FtpError ADDON_NOT_FOUND, CUDA_UNAVAILABLE, NATIVE_FAILURE.
 */
export function deviceMemory(options: DeviceOptions = {}): { free: number; total: number } {
  const { device, native } = requireDevice(options);
  try {
    return native.memory(device);
  } catch (error) {
    throw nativeFailure(`asking for the memory of device ${device}`, error);
  }
}

/**
 * Float32 numbers in the memory of a CUDA device, for {@link createFusedStep} and for CUDA code of your own.
 *
 * The memory is freed by {@link DeviceBuffer.free | free}, by `using` where the language has it, or some time after the
 * buffer was dropped: the garbage collector runs between tasks, not within one, so a loop that allocates without
 * ever awaiting must free what it no longer needs.
 *
 * **Order.** Everything that tfjs-ftp does with a buffer is enqueued on the device's legacy default stream
 * (`cudaStreamLegacy`). A kernel of your own that writes gradients at {@link DeviceBuffer.address | address} is ordered
 * with it if it runs on that stream, on a thread's default stream, or on a stream made without `cudaStreamNonBlocking`.
 * Work on a non-blocking stream you have to synchronize yourself, before the step (it reads gradients) and after it (it
 * writes weights). All of it is in the device's primary context, which the CUDA runtime uses too.
 *
 * Errors of work that was enqueued earlier may be thrown by any later call, as CUDA reports them.
 *
 * @example
 * ```ts
 * import { cudaInfo, DeviceBuffer } from 'tfjs-ftp/native';
 *
 * if (cudaInfo().available) {
 *   const buffer = DeviceBuffer.from(new Float32Array([1, 2, 3, 4]));
 *   buffer.upload(new Float32Array([7, 8]), 1);
 *   console.log(buffer.download()); // Float32Array [1, 7, 8, 4]
 *   buffer.free();
 * } else {
 *   console.log(`no DeviceBuffer here: ${cudaInfo().reason}`);
 * }
 * ```
 */
export class DeviceBuffer {
  /** Number of floats. */
  readonly length: number;
  /** Number of the CUDA device whose memory it is. */
  readonly device: number;
  private readonly native: NativeDevice;
  private handle: DeviceMemoryHandle | null;

  private constructor(length: number, options: DeviceOptions) {
    this.length = checkInteger('length', length, 1, 2 ** 40);
    const { device, native } = requireDevice(options);
    this.device = device;
    this.native = native;
    this.handle = this.attempt(`allocating ${this.byteLength} bytes`, () => native.allocate(device, length));
  }

  /**
   * A buffer of zeros.
   *
   * @param length number of floats, at least 1.
   * @param options `device`: number of the CUDA device, default 0.
   * @throws TypeError or RangeError for arguments of a wrong type or value; FtpError ADDON_NOT_FOUND,
   *   CUDA_UNAVAILABLE with the reason, OUT_OF_MEMORY, NATIVE_FAILURE.
   */
  static alloc(length: number, options: DeviceOptions = {}): DeviceBuffer {
    return new DeviceBuffer(length, options);
  }

  /** A buffer with these values, at least one; otherwise as {@link DeviceBuffer.alloc | alloc}. */
  static from(values: Float32Array, options: DeviceOptions = {}): DeviceBuffer {
    const buffer = new DeviceBuffer(checkFloat32Array('values', values).length, options);
    try {
      buffer.upload(values);
    } catch (error) {
      buffer.free();
      throw error;
    }
    return buffer;
  }

  /** Number of bytes. */
  get byteLength(): number {
    return this.length * Float32Array.BYTES_PER_ELEMENT;
  }

  /** Whether the memory was freed by {@link DeviceBuffer.free | free}. */
  get freed(): boolean {
    return this.handle === null;
  }

  /**
   * The device pointer, for CUDA code of your own. Hold on to the buffer as long as that code uses it.
   *
   * @throws FtpError BUFFER_FREED.
   */
  get address(): bigint {
    return this.native.address(this.memory('address of a DeviceBuffer'));
  }

  /**
   * Writes `values` from float `offset` on. Returns when the values have been taken, which is after all work that was
   * enqueued before; the array may be changed then.
   *
   * @throws TypeError or RangeError for values that do not fit; FtpError BUFFER_FREED, NATIVE_FAILURE.
   */
  upload(values: Float32Array, offset = 0): void {
    checkFloat32Array('values', values);
    const memory = this.range('values', values.length, offset);
    this.attempt('upload', () => this.native.upload(memory, offset, values));
  }

  /**
   * Reads floats from `offset` on, after all work that was enqueued before.
   *
   * @param target where to; its length says how many. Default: a new array for all floats from `offset` to the end.
   * @returns `target`.
   * @throws TypeError or RangeError for a target that does not fit; FtpError BUFFER_FREED, NATIVE_FAILURE.
   */
  download(target?: Float32Array, offset = 0): Float32Array {
    checkInteger('offset', offset, 0, this.length);
    const values =
      target === undefined ? new Float32Array(this.length - offset) : checkFloat32Array('target', target);
    const memory = this.range('target', values.length, offset);
    this.attempt('download', () => this.native.download(memory, offset, values));
    return values;
  }

  /** Waits for the device and gives the memory back. Harmless the second time. */
  free(): void {
    if (this.handle !== null) this.native.free(this.handle);
    this.handle = null;
  }

  /** As {@link DeviceBuffer.free | free}; on Nodes that have `Symbol.dispose`. */
  declare readonly [Symbol.dispose]: () => void;

  /** @internal The memory; throws FtpError BUFFER_FREED, which names `what`. */
  memory(what: string): DeviceMemoryHandle {
    if (this.handle === null) throw new FtpError('BUFFER_FREED', `${what} was freed before`);
    return this.handle;
  }

  /** The memory, after a check that `count` floats from `offset` on lie in it. */
  private range(what: string, count: number, offset: number): DeviceMemoryHandle {
    checkInteger('offset', offset, 0, this.length);
    if (count > this.length - offset) {
      throw new RangeError(
        `${what} must have at most ${this.length - offset} elements at offset ${offset} of ${this.length}, got ${count}`,
      );
    }
    return this.memory('this DeviceBuffer');
  }

  private attempt<T>(what: string, action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw nativeFailure(`${what} on CUDA device ${this.device}`, error);
    }
  }
}

makeDisposable(DeviceBuffer.prototype, DeviceBuffer.prototype.free);
