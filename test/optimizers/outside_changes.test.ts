/** Weights assigned between steps, variables made anew, new anchors, another backend. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ftp } from '../../src/index.js';
import { describeImplementations, IMPLEMENTATIONS, useBackend } from '../backends/implementations.js';
import { randomTensor, randomVariable, snapshot, stepOnce } from './support.js';

describeImplementations('changes from outside', (implementation) => {
  const options = { implementation: implementation.implementation } as const;
  beforeAll(() => useBackend(implementation));
  afterEach(() => tf.disposeVariables());

  /** MARS norms of a [rows last] matrix against an anchor. */
  function norms(weights: tf.Tensor, anchor: tf.Tensor): Float32Array {
    return tf.tidy(() => tf.add(tf.sum(tf.abs(tf.sub(weights, anchor)), 0), 1e-8).dataSync() as Float32Array);
  }

  const bases = {
    sgd: () => ftp.sgd(1e-3, options),
    wrap: () => ftp.wrap(tf.train.sgd(1e-3), options),
  };

  it.each(Object.entries(bases))(
    '%s: an assigned weight is where the next step starts',
    async (_name, make) => {
      const w = randomVariable('w', [3, 4]);
      const anchor = w.clone();
      const optimizer = make();
      stepOnce(optimizer, [w], 1);
      stepOnce(optimizer, [w], 2);
      const assigned = tf.tidy(() => tf.add(anchor, tf.mul(randomTensor([3, 4], 7), 0.01))) as tf.Tensor2D;
      w.assign(assigned);
      const zero = tf.zeros([3, 4]);
      optimizer.applyGradients({ w: zero }); // no update: C_t = W - A, exactly what was assigned
      const { state } = await snapshot(optimizer, [w]);
      const expected = norms(assigned, anchor);
      for (const [r, norm] of expected.entries()) expect(state['w/norms']?.[r]).toBeCloseTo(norm, 8);
      expect(state['w/constraint']?.[3]).toBe(0); // hyper-gradient of a zero gradient
      tf.dispose([anchor, assigned, zero]);
      optimizer.dispose();
    },
  );

  it('the hyper-gradient after an assignment is taken at the assigned weights', async () => {
    const w = randomVariable('w', [3, 4]);
    const anchor = w.clone();
    const gradient = randomTensor([3, 4], 5);
    for (const make of Object.values(bases)) {
      w.assign(anchor as tf.Tensor2D);
      const optimizer = make();
      stepOnce(optimizer, [w], 1);
      stepOnce(optimizer, [w], 2);
      const assigned = tf.tidy(() => tf.add(anchor, tf.mul(randomTensor([3, 4], 7), 0.01))) as tf.Tensor2D;
      w.assign(assigned);
      const expected = tf.tidy(() => {
        const deviation = tf.sub(assigned, anchor);
        const rowNorms = tf.add(tf.sum(tf.abs(deviation), 0), 1e-8);
        return tf.sum(tf.div(tf.sum(tf.mul(gradient, deviation), 0), rowNorms)).dataSync()[0] as number;
      });
      optimizer.applyGradients({ w: gradient });
      const { state } = await snapshot(optimizer, [w]);
      expect(state['w/constraint']?.[3]).toBeCloseTo(expected, 5);
      assigned.dispose();
      optimizer.dispose();
    }
    tf.dispose([anchor, gradient]);
  });

  it('a variable made anew under its name counts as assigned', async () => {
    const optimizer = ftp.sgd(1e-3, options);
    const first = randomVariable('w', [3, 4]);
    const anchor = first.clone();
    stepOnce(optimizer, [first], 1);
    stepOnce(optimizer, [first], 2);
    first.dispose();
    const second = randomVariable('w', [3, 4], 8);
    const start = second.clone();
    const zero = tf.zeros([3, 4]);
    optimizer.applyGradients({ w: zero });
    const { state } = await snapshot(optimizer, [second]);
    const expected = norms(start, anchor);
    for (const [r, norm] of expected.entries()) expect(state['w/norms']?.[r]).toBeCloseTo(norm, 4);
    expect(state['w/steps']).toEqual([3, 3]);
    tf.dispose([anchor, start, zero]);
    optimizer.dispose();
  });

  it('reanchor makes the present weights the anchors, keeps moments and starts the constraint anew', async () => {
    const variables = [randomVariable('a', [3, 4]), randomVariable('head/b', [4])];
    const optimizer = ftp.adamw(1e-2, { ...options, exclude: ['head/'] });
    for (let step = 0; step < 4; ++step) stepOnce(optimizer, variables, step);
    const before = await snapshot(optimizer, variables);
    optimizer.reanchor();
    const now = await snapshot(optimizer, variables);
    expect(now.weights).toEqual(before.weights);
    expect(now.state['a/anchor']).toEqual(before.weights.a);
    expect(now.state['a/deviation']).toEqual(new Array(12).fill(0));
    expect(now.state['a/m']).toEqual(before.state['a/m']);
    expect(now.state['a/v']).toEqual(before.state['a/v']);
    expect(now.state['a/steps']).toEqual([0, 4]);
    expect(now.state['head/b/m']).toEqual(before.state['head/b/m']);
    const [report] = await optimizer.constraints();
    expect(report?.gamma).toBeCloseTo(1e-8, 12);
    expect(report?.meanRatio).toBe(1);
    stepOnce(optimizer, variables, 5);
    const after = await snapshot(optimizer, variables);
    expect(after.state['a/steps']).toEqual([1, 5]);
    for (const [i, weight] of (after.weights.a ?? []).entries()) {
      expect(Math.abs(weight - (before.weights.a?.[i] as number))).toBeLessThan(1e-6); // step 1: on the anchor
    }
    expect(after.weights['head/b']).not.toEqual(before.weights['head/b']);
    optimizer.dispose();
  });

  it('reanchor drops the state of variables that no longer exist', async () => {
    const variables = [randomVariable('a', [2]), randomVariable('b', [2])];
    const optimizer = ftp.sgd(1e-2, options);
    stepOnce(optimizer, variables, 1);
    variables[1]?.dispose();
    optimizer.reanchor();
    expect((await optimizer.constraints()).map(({ name }) => name)).toEqual(['a']);
    optimizer.dispose();
  });

  it('constraints reports rows, norms and ratios', async () => {
    const variables = [randomVariable('a', [3, 4]), randomVariable('head/b', [4])];
    const optimizer = ftp.sgd(1e-2, { ...options, exclude: ['head/'] });
    expect(await optimizer.constraints()).toEqual([]);
    for (let step = 0; step < 3; ++step) stepOnce(optimizer, variables, step);
    const count = tf.memory().numTensors;
    const { state } = await snapshot(optimizer, variables);
    const [a, b] = await optimizer.constraints();
    const gamma = state['a/constraint']?.[0] as number;
    const rowNorms = state['a/norms'] as number[];
    const anchorNorm = (state['a/anchor'] as number[]).reduce((sum, value) => sum + Math.abs(value), 0) / 4;
    expect(a).toEqual({
      name: 'a',
      gamma,
      relative: gamma / anchorNorm,
      norm: Math.min(gamma, Math.max(...rowNorms)),
      maxNorm: Math.max(...rowNorms),
      anchorNorm,
      meanRatio: rowNorms.reduce((sum, norm) => sum + Math.min(1, gamma / norm), 0) / 4,
      atBoundary: rowNorms.filter((norm) => norm > gamma).length / 4,
      rows: 4,
      excluded: false,
    });
    expect(b).toEqual({
      name: 'head/b',
      gamma: null,
      relative: null,
      norm: null,
      maxNorm: null,
      anchorNorm: null,
      meanRatio: null,
      atBoundary: null,
      rows: 1,
      excluded: true,
    });
    expect(tf.memory().numTensors).toBe(count);
    optimizer.dispose();
  });
});

describe('a change of backend between steps', () => {
  const present = IMPLEMENTATIONS.filter(
    ({ missing, implementation }) => missing === null && implementation === 'native',
  );

  afterEach(() => tf.disposeVariables());

  it('keeps the state, and goes on as if there had been none', async () => {
    expect(present.length).toBeGreaterThan(1); // cpu and wasm at least
    const run = async (backends: string[]) => {
      await tf.setBackend(backends[0] as string);
      const variables = [randomVariable('a', [5, 4]), randomVariable('head/b', [4])];
      const optimizer = ftp.adamw(1e-2, { implementation: 'native', exclude: ['head/'] });
      const used: string[] = [];
      for (const [step, backend] of backends.entries()) {
        await tf.setBackend(backend);
        stepOnce(optimizer, variables, step);
        used.push(optimizer.implementation);
      }
      const result = await snapshot(optimizer, variables);
      optimizer.dispose();
      for (const variable of variables) variable.dispose();
      return { used, result };
    };
    const steps = [...present, ...present, ...present];
    const wandering = await run(steps.map(({ backend }) => backend));
    expect(wandering.used).toEqual(steps.map(({ runs }) => runs));
    const resting = await run(steps.map(() => 'cpu'));
    expect(wandering.result).toEqual(resting.result);
  });
});
