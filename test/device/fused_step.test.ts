/** tfjs-ftp/native: the fused step on device memory. */
import { afterEach, expect, it, vi } from 'vitest';
import {
  createFusedStep,
  DeviceBuffer,
  deviceMemory,
  type FusedStep,
  type FusedVariable,
} from '../../src/native/index.js';
import { createStep, DEVICE, HOST } from '../backends/array_kinds.js';
import { sameBits } from '../backends/golden_replay.js';
import { fusedStepCases, fusedVariables, gradientValues } from '../optimizers/fused_cases.js';
import { numbers } from '../optimizers/support.js';
import { distance2, norm2 } from '../reference/measures.js';
import { describeOnDevice } from './device.js';

// As in native/test/oracle_loop.h: the two add the products of a row in different orders.
const TOLERANCE = 2e-5;
const CONSTRAINT_TOLERANCE = 2e-3;

afterEach(() => void vi.restoreAllMocks());

const relative = (found: Float32Array, expected: Float32Array) =>
  distance2(found, expected) / norm2(expected);

/** Every way in which rows are walked: whole rows, long rows, columns, several columns a row, excluded. */
const SPECS = [
  { name: 'dense', shape: [65, 40] },
  { name: 'rows', shape: [40, 33], outputAxis: 0 },
  { name: 'long', shape: [2, 20_001], outputAxis: 0 },
  { name: 'columns', shape: [300, 130] },
  { name: 'transposed', shape: [3, 3, 6, 5], outputAxis: 2 },
  { name: 'bias', shape: [17] },
  { name: 'scalar', shape: [] },
  { name: 'head', shape: [33, 7], excluded: true },
];
const sizeOf = ({ shape }: { shape: number[] }) => shape.reduce((product, extent) => product * extent, 1);

describeOnDevice('the fused step on DeviceBuffers', () => {
  fusedStepCases(DEVICE);

  it.each([
    ['AdamW', { base: 'adamw', amsgrad: true, weightDecay: 0.1 }],
    ['SGD', { base: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0.05, k: 0.5 }],
  ] as const)('%s: from one state a step gives the results of the processor', (_name, update) => {
    const onHost = SPECS.map((spec, i) => ({ ...spec, weights: numbers(sizeOf(spec), i + 1) }));
    const onDevice = onHost.map((variable) => ({ ...variable, weights: DEVICE.make(variable.weights) }));
    const host = createStep({ ...update, learningRate: 0.01, variables: onHost });
    const device = createStep({ ...update, learningRate: 0.01, variables: onDevice });
    for (let step = 0; step < 4; ++step) {
      const gradients = SPECS.map((spec, i) => numbers(sizeOf(spec), 10 * step + i));
      host.step(gradients);
      device.step(gradients.map((values) => DEVICE.make(values)));
      const constraints = device.constraints();
      for (const [i, report] of host.constraints().entries()) {
        const label = `${report.name}, step ${step}`;
        const weights = onHost[i]?.weights as Float32Array;
        const buffer = onDevice[i]?.weights as DeviceBuffer;
        expect(relative(buffer.download(), weights), `weights of ${label}`).toBeLessThan(TOLERANCE);
        const { norms, constraint, ...elements } = host.state(i).slots;
        const { slots: found } = device.state(i);
        // What is computed element by element has the same bits.
        for (const [slot, values] of Object.entries(elements))
          expect(sameBits(found[slot] as Float32Array, values), `${slot} of ${label}`).toBe(true);
        if (report.excluded) {
          expect(sameBits(buffer.download(), weights), label).toBe(true);
          expect(constraints[i]).toEqual(report);
          continue;
        }
        expect(relative(found.norms as Float32Array, norms as Float32Array)).toBeLessThan(TOLERANCE);
        const [gamma, , , h] = constraint as unknown as number[];
        const [foundGamma, , , foundH] = found.constraint as unknown as number[];
        expect(Math.abs((foundGamma as number) / (gamma as number) - 1)).toBeLessThan(CONSTRAINT_TOLERANCE);
        const scale = 1 + Math.abs(h as number);
        expect(Math.abs((foundH as number) - (h as number)) / scale).toBeLessThan(CONSTRAINT_TOLERANCE);
        expect(constraints[i]?.meanRatio).toBeCloseTo(report.meanRatio as number, 3);
        // The next step starts from the same bits again.
        device.setState(i, host.state(i));
        buffer.upload(weights);
      }
    }
  });

  it('is ordered with uploads that follow and with memory that is freed', () => {
    const [weights, gradient] = [numbers(40_000, 1), numbers(40_000, 2)];
    const run = (renew: boolean) => {
      const buffers = { weights: DEVICE.make(weights), gradient: DEVICE.make(gradient) };
      const fused = createStep({
        base: 'adamw',
        learningRate: 0.01,
        nonFinite: 'ignore',
        variables: [{ name: 'w', shape: [200, 200], weights: buffers.weights }],
      });
      for (let step = 0; step < 5; ++step) {
        fused.step([buffers.gradient]);
        if (renew) buffers.gradient.upload(new Float32Array(40_000).fill(NaN));
        if (renew) buffers.gradient.upload(gradient);
      }
      buffers.gradient.free();
      return buffers.weights.download();
    };
    expect(sameBits(run(true), run(false))).toBe(true);
  });

  it('refuses arrays of the other kind', () => {
    const [first, second] = [fusedVariables(HOST)[0], fusedVariables(DEVICE)[1]];
    const mixed = [first, second] as [FusedVariable, FusedVariable<DeviceBuffer>];
    const options = { base: 'sgd', learningRate: 0.1 } as const;
    // @ts-expect-error: all variables of a step are of one kind
    const make = () => createFusedStep({ ...options, variables: mixed });
    expect(make).toThrow(TypeError);
    expect(make).toThrow(
      "weights of 'b' [5,2] must be a Float32Array, got a DeviceBuffer: all arrays of a step are of the same kind",
    );
    // @ts-expect-error
    expect(() => createFusedStep({ ...options, variables: mixed.toReversed() })).toThrow(
      "weights of 'a' [3,4] must be a DeviceBuffer, got a Float32Array: all arrays of a step are of the same kind",
    );
    const anchor = new Float32Array(10);
    // @ts-expect-error
    expect(() => createFusedStep({ ...options, variables: [{ ...mixed[1], anchor }] })).toThrow(
      "anchor of 'b' [5,2] must be a DeviceBuffer, got a Float32Array",
    );
    const fused: FusedStep<DeviceBuffer> = createFusedStep({ ...options, variables: [mixed[1]] });
    // @ts-expect-error
    expect(() => fused.step([new Float32Array(10)])).toThrow("gradient of 'b' must be a DeviceBuffer");
    // @ts-expect-error
    expect(() => fused.rebind(0, new Float32Array(10))).toThrow("weights of 'b' must be a DeviceBuffer");
    expect(fused.iterations).toBe(0);
  });

  it('refuses buffers of another device', () => {
    const variables = fusedVariables(DEVICE);
    const fused = createStep({ base: 'sgd', learningRate: 0.1, variables });
    const elsewhere = DEVICE.make(new Float32Array(10));
    // There may be one device only: this one says that it is on another.
    Object.defineProperty(elsewhere, 'device', { value: 5 });
    const gradients = gradientValues(1).map((values) => DEVICE.make(values));
    gradients[1] = elsewhere;
    expect(() => fused.step(gradients)).toThrow(
      "gradient of 'b' must be on device 0, as the other arrays of the step, got one on device 5",
    );
    expect(() => fused.rebind(1, elsewhere)).toThrow(RangeError);
    expect(fused.iterations).toBe(0);
  });

  it('refuses buffers that were freed', () => {
    const variables = fusedVariables(DEVICE);
    const fused = createStep({ base: 'sgd', learningRate: 0.1, variables });
    const gradients = gradientValues(1).map((values) => DEVICE.make(values));
    gradients[0]?.free();
    const freed = (what: string) =>
      expect.objectContaining({ code: 'BUFFER_FREED', message: `${what} was freed before` });
    expect(() => fused.step(gradients)).toThrow(freed("gradient of 'a'"));
    const before = variables[1]?.weights.download();
    variables[0]?.weights.free();
    const fresh = gradientValues(1).map((values) => DEVICE.make(values));
    expect(() => fused.step(fresh)).toThrow(freed("weights of 'a'"));
    expect(() => fused.reanchor()).toThrow(freed("weights of 'a'"));
    expect(() => createStep({ base: 'sgd', learningRate: 0.1, variables })).toThrow(
      freed("weights of 'a' [3,4]"),
    );
    expect(variables[1]?.weights.download()).toEqual(before);
    expect(fused.iterations).toBe(0);
    // The others go on, and so does this one with memory anew.
    fused.rebind(0, DEVICE.make(numbers(12, 1)));
    fused.step(fresh);
    expect(fused.iterations).toBe(1);
  });

  /** Call number `n` of a method of DeviceBuffer fails, the others work. */
  function failing(object: object, method: 'upload' | 'alloc', n: number): void {
    const methods = object as { [name in typeof method]: (...args: unknown[]) => unknown };
    const real = methods[method];
    let calls = 0;
    vi.spyOn(methods, method).mockImplementation(function (this: unknown, ...args) {
      if (++calls === n) throw new Error('the device is full');
      return real.apply(this, args);
    });
  }

  it('changes nothing where a state cannot be written, and keeps no memory', () => {
    const variables = fusedVariables(DEVICE);
    const fused = createStep({ base: 'adamw', learningRate: 0.1, variables });
    fused.step(gradientValues(1).map((values) => DEVICE.make(values)));
    const before = fused.state(0);
    const { free } = deviceMemory();
    failing(DeviceBuffer.prototype, 'upload', 3);
    const slots = { ...before.slots, anchor: numbers(12, 33) };
    expect(() => fused.setState(0, { t: 9, n: 9, slots })).toThrow('the device is full');
    vi.restoreAllMocks();
    expect(fused.state(0)).toEqual(before);
    expect(deviceMemory().free).toBeGreaterThanOrEqual(free);
    fused.setState(0, { t: 9, n: 9, slots });
    expect(fused.state(0)).toEqual({ t: 9, n: 9, iterations: 1, slots });
    expect(deviceMemory().free).toBeGreaterThanOrEqual(free);
  });

  it('keeps no memory where a step cannot be made', () => {
    const variables = fusedVariables(DEVICE);
    const { free } = deviceMemory();
    failing(DeviceBuffer, 'alloc', 3);
    expect(() => createStep({ base: 'adamw', learningRate: 0.1, variables })).toThrow('the device is full');
    vi.restoreAllMocks();
    expect(deviceMemory().free).toBeGreaterThanOrEqual(free);
  });

  it('gives the memory of its state and sums back on dispose', () => {
    const size = 1 << 19;
    const buffers = { weights: DeviceBuffer.alloc(size), gradient: DeviceBuffer.alloc(size) };
    const { free } = deviceMemory();
    const variables = [{ name: 'w', shape: [size >> 8, 1 << 8], weights: buffers.weights }];
    const fused = createStep({ base: 'adamw', learningRate: 0.1, variables, nonFinite: 'ignore' });
    fused.step([buffers.gradient]);
    expect(deviceMemory().free).toBeLessThan(free - 16 * size);
    fused.dispose();
    expect(deviceMemory().free).toBeGreaterThanOrEqual(free);
    buffers.weights.free();
    buffers.gradient.free();
  });
});
