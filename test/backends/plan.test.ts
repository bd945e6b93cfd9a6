import { describe, expect, it } from 'vitest';
import { type Hyper, PlanEncoder, type PlanVariable, putInt64 } from '../../src/backends/plan.js';

const hyper: Hyper = {
  learningRate: 1.5,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0.1,
  momentum: 0.8,
  dampening: 0.25,
  nesterov: true,
  k: 0.5,
  constraintLearningRate: 1e-2,
  constraintBeta1: 0.7,
  constraintBeta2: 0.6,
  checkFinite: true,
  threads: 3,
};

const variable = (outer: number, rows: number, inner: number): PlanVariable => ({
  layout: { outer, rows, inner },
  excluded: false,
  t: 7,
  n: 5,
  fromWeights: true,
});

describe('the plan', () => {
  it('has the words that native/kernels/plan.h reads', () => {
    const config = { base: 'sgd', amsgrad: false, momentum: true } as const;
    const words = new PlanEncoder().encode(config, hyper, [
      variable(2, 3, 4),
      { ...variable(1, 1, 9), excluded: true },
    ]);
    expect(words.length).toBe(40 + 2 * 16);
    expect([...words.subarray(0, 6)]).toEqual([0x46545031, 1, 2 + 4 + 8, 2, 3, 0]);
    const numbers = new Float64Array(words.slice(6, 28).buffer);
    expect([...numbers]).toEqual([1.5, 0.9, 0.999, 1e-8, 0.1, 0.8, 0.25, 0.5, 1e-2, 0.7, 0.6]);
    expect([...words.subarray(28, 40)]).toEqual(new Array(12).fill(0));
    expect([...words.subarray(40, 50)]).toEqual([2, 0, 2, 0, 3, 0, 4, 0, 7, 5]);
    expect([...words.subarray(56, 66)]).toEqual([3, 0, 1, 0, 1, 0, 9, 0, 7, 5]);
  });

  it('follows what changes from step to step, in the same buffer', () => {
    const config = { base: 'adamw', amsgrad: true, momentum: false } as const;
    const encoder = new PlanEncoder();
    const [a, b] = [variable(2, 3, 4), variable(5, 6, 7)];
    const first = encoder.encode(config, hyper, [a, b]);
    a.t = 8;
    a.fromWeights = false;
    const second = encoder.encode(config, { ...hyper, nesterov: false, checkFinite: false }, [b, a]);
    expect(second).toBe(first);
    expect([...second.subarray(1, 3)]).toEqual([0, 1]);
    expect([...second.subarray(42, 50)]).toEqual([5, 0, 6, 0, 7, 0, 7, 5]);
    expect([...second.subarray(56, 66)]).toEqual([0, 0, 2, 0, 3, 0, 4, 0, 8, 5]);
    expect(encoder.encode(config, hyper, [a]).length).toBe(56);
  });

  it.each([0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 5e12])('%d as an int64', (value) => {
    const words = new Int32Array(2);
    putInt64(words, 0, value);
    expect(new BigInt64Array(words.buffer)[0]).toBe(BigInt(value));
  });
});
