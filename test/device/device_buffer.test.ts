/** DeviceBuffer: memory of a CUDA device. */
import { expect, it } from 'vitest';
import { cudaInfo, DeviceBuffer, deviceMemory, isCudaAvailable } from '../../src/native/index.js';
import { runNode } from '../package/support.js';
import { describeOnDevice } from './device.js';

const loose = DeviceBuffer as unknown as {
  alloc(...args: unknown[]): DeviceBuffer;
  from(...args: unknown[]): DeviceBuffer;
};

/** What a fresh process prints in which `script` has the names of tfjs-ftp/native as `native`. */
async function printedBy(script: string, env: Record<string, string>): Promise<string> {
  const program = `import * as native from 'tfjs-ftp/native';\n${script}`;
  const { code, stdout, stderr } = await runNode(['--input-type=module', '-e', program], { env });
  expect(code, stderr).toBe(0);
  return stdout.trim();
}

const CODE_OF_ALLOC = `
  try { native.DeviceBuffer.alloc(1); } catch ({ code, message }) {
    console.log(code, native.isCudaAvailable(), native.cudaInfo().reason !== undefined, message.split('\\n')[0]);
  }`;

it('without an addon says so', async () => {
  expect(await printedBy(CODE_OF_ALLOC, { TFJS_FTP_ADDON: 'none' })).toBe(
    'ADDON_NOT_FOUND false true The compiled addon of tfjs-ftp could not be loaded. Tried:',
  );
});

it('without a device says so, with the reason', async () => {
  // The usual addon, and no device for CUDA to find.
  const printed = await printedBy(CODE_OF_ALLOC, { TFJS_FTP_ADDON: '', CUDA_VISIBLE_DEVICES: '' });
  expect(printed).toMatch(/^CUDA_UNAVAILABLE false true there is no CUDA device to use: \w.+/);
});

describeOnDevice('DeviceBuffer', () => {
  it('is there', () => {
    expect(isCudaAvailable()).toBe(true);
    expect(cudaInfo()).toMatchObject({ built: true, available: true });
    const { free, total } = deviceMemory();
    expect(free).toBeGreaterThan(0);
    expect(total).toBeGreaterThanOrEqual(free);
    expect(total).toBe(cudaInfo().devices[0]?.memory);
  });

  it('starts with zeros', () => {
    const buffer = DeviceBuffer.alloc(5);
    expect(buffer.download()).toEqual(new Float32Array(5));
    expect(buffer).toMatchObject({ length: 5, byteLength: 20, device: 0, freed: false });
    expect(DeviceBuffer.alloc(5, { device: 0 }).download()).toEqual(new Float32Array(5));
  });

  it('holds what is written to it', () => {
    const values = new Float32Array([1, NaN, -0, Infinity, 1e-45]);
    const buffer = DeviceBuffer.from(values);
    values.fill(9);
    expect(buffer.download()).toEqual(new Float32Array([1, NaN, -0, Infinity, 1e-45]));
    buffer.upload(new Float32Array([5, 6]), 2);
    expect(buffer.download()).toEqual(new Float32Array([1, NaN, 5, 6, 1e-45]));
    expect(buffer.download(undefined, 3)).toEqual(new Float32Array([6, 1e-45]));
    const target = new Float32Array(4);
    expect(buffer.download(target.subarray(1, 3), 2)).toEqual(new Float32Array([5, 6]));
    expect(target).toEqual(new Float32Array([0, 5, 6, 0]));
    buffer.upload(new Float32Array(0), 5);
    expect(buffer.download(undefined, 5)).toHaveLength(0);
  });

  it('has an address of its own', () => {
    const [a, b] = [DeviceBuffer.alloc(1000), DeviceBuffer.alloc(1000)];
    expect(typeof a.address).toBe('bigint');
    expect(a.address % 256n).toBe(0n);
    expect(a.address === b.address).toBe(false);
    expect(a.address).toBe(a.address);
  });

  it.each([
    [
      'no length',
      TypeError,
      () => loose.alloc(),
      'length must be a whole number from 1 to 1099511627776, got undefined',
    ],
    ['nothing', RangeError, () => loose.alloc(0), 'length must be .* got 0'],
    ['a part of a float', RangeError, () => loose.alloc(1.5), 'length must be .* got 1.5'],
    [
      'another device',
      RangeError,
      () => loose.alloc(1, { device: 1000 }),
      'device must be a whole number from 0 to \\d+, got 1000',
    ],
    [
      'a device by name',
      TypeError,
      () => loose.alloc(1, { device: 'cuda:0' }),
      "device must be .* got 'cuda:0'",
    ],
    [
      'an unknown option',
      TypeError,
      () => loose.alloc(1, { gpu: 0 }),
      "options has no option 'gpu'; accepted: device",
    ],
    ['options that are none', TypeError, () => loose.alloc(1, 0), 'options must be an object, got 0'],
    ['a plain array', TypeError, () => loose.from([1, 2]), 'values must be a Float32Array, got an array'],
    [
      'doubles',
      TypeError,
      () => loose.from(new Float64Array(2)),
      'values must be a Float32Array, got a Float64Array',
    ],
    ['no values', RangeError, () => loose.from(new Float32Array(0)), 'length must be .* got 0'],
  ])('refuses %s', (_what, kind, make, message) => {
    expect(make).toThrow(kind);
    expect(make).toThrow(new RegExp(message));
  });

  it('refuses copies that leave it', () => {
    const buffer = DeviceBuffer.from(new Float32Array([1, 2, 3]));
    const upload = buffer.upload.bind(buffer) as (...args: unknown[]) => void;
    const download = buffer.download.bind(buffer) as (...args: unknown[]) => void;
    expect(() => upload(new Float32Array(3), 1)).toThrow(
      'values must have at most 2 elements at offset 1 of 3, got 3',
    );
    expect(() => upload(new Float32Array(1), 4)).toThrow('offset must be a whole number from 0 to 3, got 4');
    expect(() => upload(new Float32Array(1), -1)).toThrow(RangeError);
    expect(() => upload([1])).toThrow(TypeError);
    expect(() => download(new Float32Array(4))).toThrow(
      'target must have at most 3 elements at offset 0 of 3, got 4',
    );
    expect(() => download(undefined, 4)).toThrow('offset must be a whole number from 0 to 3, got 4');
    expect(() => download(new Float64Array(1))).toThrow('target must be a Float32Array, got a Float64Array');
    expect(buffer.download()).toEqual(new Float32Array([1, 2, 3]));
  });

  it('can be freed twice, and not used after', () => {
    const { free } = deviceMemory();
    const buffer = DeviceBuffer.alloc(1 << 22);
    expect(deviceMemory().free).toBeLessThanOrEqual(free - 4 * (1 << 22));
    buffer.free();
    buffer.free();
    expect(deviceMemory().free).toBeGreaterThan(free - 4 * (1 << 22));
    expect(buffer).toMatchObject({ freed: true, length: 1 << 22 });
    const freed = expect.objectContaining({ name: 'FtpError', code: 'BUFFER_FREED' });
    expect(() => buffer.upload(new Float32Array(1))).toThrow(freed);
    expect(() => buffer.download(new Float32Array(1))).toThrow(freed);
    expect(() => buffer.address).toThrow(freed);
  });

  it('is freed at the end of a block with `using`', () => {
    const dispose: symbol | undefined = Symbol.dispose;
    if (dispose === undefined) return expect(DeviceBuffer.prototype).not.toHaveProperty('undefined');
    const buffer = DeviceBuffer.alloc(1);
    buffer[Symbol.dispose]();
    expect(buffer.freed).toBe(true);
  });

  it('says where there is not enough memory, and what was there stays', () => {
    const buffer = DeviceBuffer.from(new Float32Array([1, 2]));
    expect(() => DeviceBuffer.alloc(2 ** 40)).toThrow(
      expect.objectContaining({
        name: 'FtpError',
        code: 'OUT_OF_MEMORY',
        message: 'allocating 4398046511104 bytes on CUDA device 0 failed: CUDA: out of memory',
      }),
    );
    expect(buffer.download()).toEqual(new Float32Array([1, 2]));
  });
});
