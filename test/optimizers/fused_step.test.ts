/** tfjs-ftp/native: the fused step on plain arrays; test/device has it on device memory. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { afterEach, expect, it } from 'vitest';
import { ftp } from '../../src/index.js';
import {
  createFusedStep,
  type FusedVariable,
  isNativeAvailable,
  nativeInfo,
} from '../../src/native/index.js';
import { HOST } from '../backends/array_kinds.js';
import { describeOrSkip, whyNoAddon } from '../backends/skip.js';
import { fusedStepCases, fusedVariables, gradientValues } from './fused_cases.js';
import { numbers, randomVariable } from './support.js';

afterEach(() => tf.disposeVariables());

const loose = createFusedStep as (options: unknown) => ReturnType<typeof createFusedStep>;

const variables = () => fusedVariables(HOST);
const gradientsOf = gradientValues;

describeOrSkip('the fused step on Float32Arrays', whyNoAddon(), () => {
  fusedStepCases(HOST);

  it('gives the same bits as the optimizer on the cpu backend', async () => {
    await tf.setBackend('cpu');
    for (const base of ['adamw', 'sgd'] as const) {
      const given = variables();
      const mirrored = given.map(({ name, weights, shape }) => {
        const initial = tf.tensor(weights.slice(), [...shape]);
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
          if (gradient) map[name] = tf.tensor(gradient.slice(), [...shape]);
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

  it.each(['adamw', 'sgd'] as const)(
    'leaves out variables without elements, as the optimizers do: %s',
    (base) => {
      const run = (withEmpty: boolean) => {
        const [a, ...rest] = variables() as [FusedVariable, ...FusedVariable[]];
        const empty = { name: 'empty', weights: new Float32Array(0), shape: [3, 0] };
        const none = {
          name: 'none',
          weights: a.weights.subarray(2, 2),
          shape: [0],
          excluded: true,
        };
        const list = [a, ...(withEmpty ? [empty, none] : []), ...rest];
        const fused = createFusedStep({ base, rule: 'ftp', learningRate: 0.01, variables: list });
        for (let step = 0; step < 3; ++step) {
          const [first, ...more] = gradientsOf(step) as [Float32Array, ...Float32Array[]];
          fused.step([first, ...(withEmpty ? [new Float32Array(0), null] : []), ...more]);
        }
        return { fused, list };
      };
      const { fused, list } = run(true);
      const plain = run(false);
      expect(list.filter(({ weights }) => weights.length > 0)).toEqual(plain.list);
      expect(fused.constraints()).toEqual(plain.fused.constraints());
      expect(fused.state(1)).toMatchObject({ t: 0, n: 0, iterations: 3 });
      fused.setState(1, fused.state(1));
      fused.reanchor();
      expect(() => fused.step([null, new Float32Array(1), null, null, null])).toThrow(
        'must have 0 elements, got 1',
      );
    },
  );

  it('refuses a step beyond int32, and leaves everything as it was', () => {
    const weights = new Float32Array([1, 2]);
    const fused = createFusedStep({
      base: 'sgd',
      learningRate: 0.1,
      variables: [{ name: 'w', weights, shape: [2] }],
    });
    const gradient = new Float32Array([1, 1]);
    fused.step([gradient]);
    const most = 2 ** 31 - 1;
    fused.setState(0, { ...fused.state(0), iterations: most - 1 });
    fused.step([gradient]);
    const before = [...weights];
    const state = fused.state(0);
    expect(state.iterations).toBe(most);
    expect(() => fused.step([gradient])).toThrow('this would be step 2147483648, but step counts are int32');
    expect([...weights]).toEqual(before);
    expect(fused.state(0)).toEqual(state);
  });

  it('refuses gradients that overlap weights in one memory', () => {
    const memory = new ArrayBuffer(4 * 40);
    const at = (offset: number, length: number) => new Float32Array(memory, 4 * offset, length);
    const fused = createFusedStep({
      base: 'sgd',
      learningRate: 0.1,
      variables: [
        { name: 'late', weights: at(20, 6), shape: [6] },
        { name: 'early', weights: at(6, 6), shape: [6] },
      ],
    });
    const step = (late: number, early: number) => fused.step([at(late, 6), at(early, 6)]);
    step(0, 12); // as close as can be
    step(14, 26);
    for (const [late, early, message] of [
      [1, 30, "gradient of 'late' must not share memory with the weights of 'early'"],
      [11, 30, "gradient of 'late' must not share memory with the weights of 'early'"],
      [30, 15, "gradient of 'early' must not share memory with the weights of 'late'"],
      [25, 30, "gradient of 'late' must not share memory with the weights of 'late'"],
    ] as const) {
      expect(() => step(late, early), message).toThrow(message);
    }
    expect(fused.iterations).toBe(2);
  });

  it('refuses weights whose memory has gone', () => {
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
    [
      'another rule',
      RangeError,
      () => loose({ base: 'sgd', rule: 'trac' }),
      "rule must be one of 'ftp', 'none', 'fixedRadius', 'spd', 'l2sp', 'digrap', got 'trac'",
    ],
    [
      'a rule of another type',
      TypeError,
      () => loose({ base: 'sgd', rule: null }),
      'rule must be .*, got null',
    ],
    [
      'an option of another rule',
      TypeError,
      () => loose({ base: 'sgd', rule: 'spd', learningRate: 1, variables: [], k: 1 }),
      "no option 'k'",
    ],
    [
      'a wrong value for the rule',
      RangeError,
      () => loose({ base: 'sgd', rule: 'l2sp', learningRate: 1, variables: [], strength: -1 }),
      'strength must be a finite number >= 0, got -1',
    ],
    [
      'no radius',
      TypeError,
      () => loose({ base: 'sgd', rule: 'fixedRadius', learningRate: 1, variables: [] }),
      'radius must be .*, got undefined',
    ],
    [
      'a wrong radius of a variable',
      RangeError,
      () => loose({ base: 'sgd', rule: 'fixedRadius', learningRate: 1, variables: [one], radius: () => -1 }),
      "radius\\('w', \\[2,3\\]\\) must be a finite number > 0, got -1",
    ],
    [
      'an anchor without a rule',
      TypeError,
      () =>
        loose({ base: 'sgd', rule: 'none', learningRate: 1, variables: [{ ...one, anchor: one.weights }] }),
      "variables\\[0\\] has no option 'anchor'; accepted: name, weights, shape",
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
    ['an extent below 0', RangeError, withVariable({ shape: [-1, 6] }), 'shape\\[0\\] of .* got -1'],
    ['weights for no elements', RangeError, withVariable({ shape: [0, 6] }), 'must have 0 elements, got 6'],
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

  it('is independent of tfjs variables', () => {
    const variable = randomVariable('a', [3, 4]);
    const before = variable.dataSync().slice();
    createFusedStep({ base: 'sgd', learningRate: 0.1, variables: variables() }).step(gradientsOf(0));
    expect(variable.dataSync()).toEqual(before);
  });
});
