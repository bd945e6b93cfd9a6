/** tfjs-ftp/native: the fused step on plain arrays. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { afterEach, expect, it } from 'vitest';
import { ftp } from '../../src/index.js';
import { createFusedStep, FtpError, isNativeAvailable, nativeInfo } from '../../src/native_api.js';
import { describeOrSkip, whyNoAddon } from '../backends/skip.js';
import { numbers, randomVariable } from './support.js';

afterEach(() => tf.disposeVariables());

const loose = createFusedStep as (options: unknown) => ReturnType<typeof createFusedStep>;

/** Three variables: a matrix, one with its rows first, one excluded. */
function variables() {
  return [
    { name: 'a', weights: numbers(12, 1), shape: [3, 4] },
    { name: 'b', weights: numbers(10, 2), shape: [5, 2], outputAxis: 0 },
    { name: 'head', weights: numbers(4, 3), shape: [4], excluded: true },
  ];
}

const gradientsOf = (seed: number) => [numbers(12, seed), numbers(10, seed + 100), numbers(4, seed + 200)];

describeOrSkip('the fused step on arrays', whyNoAddon(), () => {
  it('gives the same bits as the optimizer on the cpu backend', async () => {
    await tf.setBackend('cpu');
    for (const base of ['adamw', 'sgd'] as const) {
      const given = variables();
      const mirrored = given.map(({ name, weights, shape }) => {
        const initial = tf.tensor(weights.slice(), shape);
        const variable = tf.variable(initial, true, `${base}/${name}`);
        initial.dispose();
        return variable;
      });
      const shared = { weightDecay: 0.1, k: 0.5 };
      const fused =
        base === 'adamw'
          ? createFusedStep({ base, learningRate: 0.01, amsgrad: true, ...shared, variables: given })
          : createFusedStep({ base, learningRate: 0.01, momentum: 0.9, ...shared, variables: given });
      const more = {
        ...shared,
        implementation: 'native',
        exclude: ['head'],
        outputAxis: (name: string) => (name.endsWith('/b') ? 0 : undefined),
      } as const;
      const optimizer =
        base === 'adamw'
          ? ftp.adamw(0.01, { ...more, amsgrad: true })
          : ftp.sgd(0.01, { ...more, momentum: 0.9 });
      for (let step = 0; step < 6; ++step) {
        const gradients: Array<Float32Array | null> = gradientsOf(step);
        if (step === 3) gradients[1] = null;
        const map: tf.NamedTensorMap = {};
        for (const [i, { name, shape }] of mirrored.entries()) {
          const gradient = gradients[i];
          if (gradient) map[name] = tf.tensor(gradient.slice(), shape);
        }
        const learningRate = 0.01 / (step + 1);
        fused.step(gradients, { learningRate });
        optimizer.learningRate = learningRate;
        optimizer.applyGradients(map);
        tf.dispose(map);
        for (const [i, variable] of mirrored.entries()) {
          expect(given[i]?.weights, `${variable.name}, step ${step}`).toEqual(variable.dataSync());
        }
      }
      const expected = await optimizer.constraints();
      expect(fused.constraints()).toEqual(
        expected.map((report) => ({ ...report, name: report.name.slice(base.length + 1) })),
      );
      expect(fused.state(1).t).toBe(6);
      expect(fused.state(1).n).toBe(5);
      optimizer.dispose();
    }
  });

  it('goes on from a saved state as if there had been no stop', () => {
    const options = { base: 'adamw', learningRate: 0.01 } as const;
    const [first, second] = [variables(), variables()];
    const one = createFusedStep({ ...options, variables: first });
    for (let step = 0; step < 3; ++step) one.step(gradientsOf(step));
    for (const [i, variable] of second.entries()) variable.weights.set(first[i]?.weights as Float32Array);
    const two = createFusedStep({ ...options, variables: second });
    for (const i of second.keys()) two.setState(i, one.state(i));
    for (let step = 3; step < 6; ++step) {
      one.step(gradientsOf(step));
      two.step(gradientsOf(step));
    }
    for (const [i, { weights }] of second.entries()) expect(weights).toEqual(first[i]?.weights);
  });

  it('takes weights that were changed from outside, and new anchors', () => {
    const [a] = variables() as [{ name: string; weights: Float32Array; shape: number[] }];
    const anchor = a.weights.slice();
    const fused = createFusedStep({ base: 'sgd', learningRate: 0.01, variables: [a] });
    fused.step([numbers(12, 1)]);
    fused.step([numbers(12, 2)]);
    a.weights.set(numbers(12, 9));
    fused.weightsChanged(0);
    const changed = a.weights.slice();
    fused.step([new Float32Array(12)]);
    const [report] = fused.constraints();
    let largest = 0;
    for (let r = 0; r < 4; ++r) {
      let norm = 1e-8;
      for (let j = 0; j < 3; ++j)
        norm += Math.abs((changed[4 * j + r] as number) - (anchor[4 * j + r] as number));
      largest = Math.max(largest, norm);
    }
    expect(report?.maxNorm).toBeCloseTo(largest, 6);
    fused.reanchor();
    expect(fused.state(0).slots.anchor).toEqual(a.weights);
    expect(fused.state(0)).toMatchObject({ t: 0, n: 3 });
    expect(fused.constraints()[0]).toMatchObject({ gamma: Math.fround(1e-8), meanRatio: 1 });
  });

  it('leaves out or refuses gradients that are not finite, and changes nothing', () => {
    const given = variables();
    const throwing = createFusedStep({ base: 'adamw', learningRate: 0.01, variables: given });
    throwing.step(gradientsOf(0));
    const before = given.map(({ weights }) => weights.slice());
    const states = given.map((_variable, i) => throwing.state(i));
    const bad = gradientsOf(1);
    (bad[2] as Float32Array)[3] = Infinity;
    expect(() => throwing.step(bad)).toThrow(FtpError);
    expect(() => throwing.step(bad)).toThrow("gradient of 'head' holds NaN or an infinity in step 1");
    expect(given.map(({ weights }) => weights)).toEqual(before);
    expect(given.map((_variable, i) => throwing.state(i))).toEqual(states);
    const skipping = createFusedStep({
      base: 'adamw',
      learningRate: 0.01,
      nonFinite: 'skip',
      variables: variables(),
    });
    skipping.step(bad);
    expect([skipping.skippedSteps, skipping.iterations]).toEqual([1, 0]);
  });

  it('follows weights to another array', () => {
    const given = variables();
    const fused = createFusedStep({ base: 'sgd', learningRate: 0.01, variables: given });
    fused.step(gradientsOf(0));
    const moved = (given[0] as (typeof given)[0]).weights.slice();
    const old = moved.slice();
    fused.rebind(0, moved);
    fused.step(gradientsOf(1));
    expect(given[0]?.weights).toEqual(old);
    expect(moved).not.toEqual(old);
    const buffer = new ArrayBuffer(48);
    const fresh = createFusedStep({
      base: 'sgd',
      learningRate: 0.01,
      variables: [{ name: 'w', weights: new Float32Array(buffer), shape: [12] }],
    });
    structuredClone(buffer, { transfer: [buffer] }); // as WASM memory that grew
    expect(() => fresh.step([numbers(12, 1)])).toThrow("weights of 'w' must have 12 elements, got 0");
  });

  const one = { name: 'w', weights: new Float32Array(6), shape: [2, 3] };
  const withVariable = (more: object) => () =>
    loose({ base: 'sgd', learningRate: 0.1, variables: [{ ...one, ...more }] });
  it.each([
    ['no options', TypeError, () => loose(undefined), 'base must be one of'],
    [
      'another base',
      RangeError,
      () => loose({ base: 'rmsprop' }),
      "base must be one of 'adamw', 'sgd', got 'rmsprop'",
    ],
    ['no learning rate', TypeError, () => loose({ base: 'sgd', variables: [] }), 'learningRate must be'],
    [
      'an unknown option',
      TypeError,
      () => loose({ base: 'sgd', learningRate: 1, variables: [], beta1: 0 }),
      "no option 'beta1'",
    ],
    ['no variables', TypeError, () => loose({ base: 'sgd', learningRate: 1 }), 'variables must be an array'],
    [
      'weights of another type',
      TypeError,
      withVariable({ weights: [1, 2] }),
      'weights of .* must be a Float32Array',
    ],
    ['weights of another size', RangeError, withVariable({ shape: [7] }), 'must have 7 elements, got 6'],
    [
      'an anchor of another size',
      RangeError,
      withVariable({ anchor: new Float32Array(5) }),
      'anchor of .* must have 6 elements, got 5',
    ],
    [
      'an axis out of range',
      RangeError,
      withVariable({ outputAxis: 2 }),
      'output axis of .* from -2 to 1, got 2',
    ],
    ['an extent of 0', RangeError, withVariable({ shape: [0, 6] }), 'shape\\[0\\] of .* got 0'],
    ['no name', TypeError, withVariable({ name: 3 }), 'variables\\[0\\].name must be a string, got 3'],
    ['an unknown key', TypeError, withVariable({ anchors: 1 }), "no option 'anchors'"],
    [
      'a name twice',
      RangeError,
      () => loose({ base: 'sgd', learningRate: 1, variables: [one, one] }),
      "has 'w' twice",
    ],
    [
      'shared weights',
      RangeError,
      () =>
        loose({
          base: 'sgd',
          learningRate: 1,
          variables: [one, { name: 'v', weights: one.weights.subarray(2, 4), shape: [2] }],
        }),
      'must not share memory',
    ],
  ])('refuses %s', (_what, kind, make, message) => {
    expect(make).toThrow(kind);
    expect(make).toThrow(new RegExp(message));
  });

  it('refuses gradients that do not fit', () => {
    const fused = createFusedStep({ base: 'sgd', learningRate: 0.1, variables: [one] });
    const step = fused.step.bind(fused) as (...args: unknown[]) => void;
    expect(() => step({})).toThrow('gradients must be an array, got an object');
    expect(() => step([])).toThrow('gradients must have 1 entries, got 0');
    expect(() => step([new Float32Array(5)])).toThrow("gradient of 'w' must have 6 elements, got 5");
    expect(() => step([new Float64Array(6)])).toThrow(TypeError);
    expect(() => step([new Float32Array(6)], { learningRate: -1 })).toThrow(RangeError);
    expect(() => fused.state(1)).toThrow('index must be a whole number from 0 to 0, got 1');
    expect(fused.iterations).toBe(0);
  });

  it('tells what was loaded', () => {
    expect(isNativeAvailable()).toBe(true);
    const info = nativeInfo();
    expect(info.path).toMatch(/\.node$/);
    expect(info.build?.simd).toMatch(/^(avx512|avx2|sse2|neon|scalar)$/);
  });

  it('does not depend on where a variable is in the list', () => {
    const alone = variables();
    const together = variables();
    const all = createFusedStep({ base: 'adamw', learningRate: 0.01, variables: together });
    const single = alone.map((variable) =>
      createFusedStep({ base: 'adamw', learningRate: 0.01, variables: [variable] }),
    );
    for (let step = 0; step < 4; ++step) {
      all.step(gradientsOf(step));
      for (const [i, fused] of single.entries()) fused.step([gradientsOf(step)[i] as Float32Array]);
    }
    expect(together).toEqual(alone);
  });

  it('is independent of tfjs variables', () => {
    const variable = randomVariable('a', [3, 4]);
    const before = variable.dataSync().slice();
    createFusedStep({ base: 'sgd', learningRate: 0.1, variables: variables() }).step(gradientsOf(0));
    expect(variable.dataSync()).toEqual(before);
  });
});
