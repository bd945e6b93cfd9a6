/** What the addon itself refuses of calls on device memory: all that would reach outside of it, whatever TypeScript lets pass. */
import { expect, it } from 'vitest';
import type { NativeDevice } from '../../src/native/addon.js';
import { addonOrThrow, encodePlan } from '../kernels/kernel_model.js';
import { ORACLE_DEFAULTS } from '../reference/ftp_float64.js';
import { describeOnDevice } from './device.js';

type Loose = { [name in keyof NativeDevice]: (...args: unknown[]) => unknown };

describeOnDevice('the addon, on device memory', () => {
  const setUp = () => {
    const device = addonOrThrow().device as NativeDevice;
    return { device, loose: device as unknown as Loose, memory: device.allocate(0, 4) };
  };
  const values = new Float32Array(3);

  it('refuses sizes and devices that are none', () => {
    const { loose } = setUp();
    for (const args of [[], [0], [0, 0], [0, -1], [-1, 4], [2 ** 40, 4], ['0', 4], [0, 2 ** 62]]) {
      expect(() => loose.allocate(...args), String(args)).toThrow(TypeError);
    }
    expect(() => loose.allocate(1000, 4)).toThrow('CUDA: invalid device ordinal');
    expect(() => loose.memory(1000)).toThrow('CUDA: invalid device ordinal');
  });

  it('refuses what is no buffer', () => {
    const { device, loose } = setUp();
    for (const other of [undefined, null, 7, {}, values, device.newStepper(0)]) {
      expect(() => loose.free(other)).toThrow('free takes (buffer)');
      expect(() => loose.address(other)).toThrow('address takes (buffer)');
      expect(() => loose.upload(other, 0, values)).toThrow(TypeError);
      expect(() => loose.copy(other, 0, other, 0, 1)).toThrow(TypeError);
    }
    expect(() => loose.freeStepper(device.allocate(0, 4))).toThrow('freeStepper takes (stepper)');
  });

  it('refuses ranges outside of a buffer', () => {
    const { device, loose, memory } = setUp();
    for (const offset of [2, -1, 2 ** 53, undefined]) {
      expect(() => loose.upload(memory, offset, values)).toThrow(TypeError);
      expect(() => loose.download(memory, offset, values)).toThrow(TypeError);
      expect(() => loose.clear(memory, offset, 3)).toThrow(TypeError);
      expect(() => loose.copy(memory, offset, device.allocate(0, 4), 0, 3)).toThrow(TypeError);
      expect(() => loose.copy(device.allocate(0, 4), 0, memory, offset, 3)).toThrow(TypeError);
    }
    expect(() => loose.upload(memory, 0, new Float64Array(3))).toThrow(TypeError);
    expect(() => loose.clear(memory, 0, -1)).toThrow(TypeError);
    device.free(memory);
    expect(() => loose.upload(memory, 0, values)).toThrow(TypeError);
    expect(() => loose.clear(memory, 0, 1)).toThrow(TypeError);
  });

  it('refuses a step whose buffers are too short, freed or none', () => {
    const { device, loose, memory } = setUp();
    const layout = { outer: 1, rows: 1, inner: 4 };
    const options = { ...ORACLE_DEFAULTS, base: 'sgd' } as const;
    const variable = { layout, excluded: true, fromWeights: true, t: 1, n: 1 };
    const plan = encodePlan({ options, learningRate: 0.1 }, [variable]);
    const [stepper, state, gradient] = [device.newStepper(0), device.allocate(0, 16), device.allocate(0, 4)];
    const step = (states: unknown, weights: unknown, gradients: unknown, outputs: unknown) =>
      loose.step(stepper, plan, [states], [weights], [gradients], [outputs]);
    const short = device.allocate(0, 3);
    const freed = device.allocate(0, 4);
    device.free(freed);
    const message =
      "step: variable 0: state, weights, gradient, output and proposal must be buffers of the stepper's device";
    for (const bad of [short, freed, new Float32Array(16), stepper, undefined]) {
      expect(() => step(bad, memory, gradient, memory)).toThrow(message);
      expect(() => step(state, bad, gradient, memory)).toThrow(message);
      expect(() => step(state, memory, bad, memory)).toThrow(message);
      expect(() => step(state, memory, gradient, bad)).toThrow(message);
    }
    expect(() => loose.step(memory, plan, [], [], [], [])).toThrow('step takes a stepper first');
    expect(() => loose.step(stepper, plan, [], [], [], [])).toThrow(
      'fewer arrays than the plan has variables',
    );
    step(state, memory, gradient, memory);
  });
});
