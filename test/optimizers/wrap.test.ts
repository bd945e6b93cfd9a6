import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, expect, it, vi } from 'vitest';
import type { Implementation } from '../../src/backends/types.js';
import { ftp } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { randomTensor, randomVariable, snapshot, stepOnce } from './support.js';

/** Fails as a base optimizer would: after it has moved the first variable. */
class FailingOptimizer extends tf.SGDOptimizer {
  fail = false;
  override applyGradients(gradients: Parameters<tf.SGDOptimizer['applyGradients']>[0]): void {
    super.applyGradients(gradients);
    if (this.fail) throw new Error('the base failed');
  }
}

describeImplementations('ftp.wrap', (implementation) => {
  const options = { implementation: implementation.implementation } as const;
  beforeAll(() => useBackend(implementation));
  afterEach(() => tf.disposeVariables());

  it('leaves excluded variables as the base left them, to the bit', () => {
    const [plain, wrapped] = [randomVariable('plain', [3, 4]), randomVariable('head/wrapped', [3, 4])];
    const base = tf.train.adam(0.01);
    const optimizer = ftp.wrap(tf.train.adam(0.01), { ...options, exclude: ['head/'] });
    for (let step = 0; step < 5; ++step) {
      const gradient = randomTensor([3, 4], step);
      base.applyGradients({ plain: gradient as tf.Variable });
      optimizer.applyGradients({ 'head/wrapped': gradient });
      gradient.dispose();
      expect(wrapped.dataSync()).toEqual(plain.dataSync());
    }
    base.dispose();
    optimizer.dispose();
  });

  it('around SGD moves as ftp.sgd does', async () => {
    const [one, two] = [randomVariable('one', [3, 4]), randomVariable('two', [3, 4])];
    const fused = ftp.sgd(0.01, options);
    const wrapped = ftp.wrap(tf.train.sgd(0.01), options);
    for (let step = 0; step < 6; ++step) {
      const gradient = randomTensor([3, 4], step);
      fused.applyGradients({ one: gradient });
      wrapped.applyGradients({ two: gradient });
      gradient.dispose();
    }
    const [a] = await fused.constraints();
    const [b] = await wrapped.constraints();
    // W - U is rounded to the weights' precision before the anchor is taken off.
    expect(b?.gamma).toBeCloseTo(a?.gamma as number, 6);
    const [x, y] = [one.dataSync(), two.dataSync()];
    for (const [i, weight] of x.entries()) expect(y[i]).toBeCloseTo(weight, 6);
    fused.dispose();
    wrapped.dispose();
  });

  it('keeps weights and projection when the base or the projection fails', async () => {
    const variables = [randomVariable('a', [3, 4]), randomVariable('head/b', [4])];
    const base = new FailingOptimizer(0.1);
    const optimizer = ftp.wrap(base, { ...options, exclude: ['head/'] });
    stepOnce(optimizer, variables, 1);
    stepOnce(optimizer, variables, 2);
    const assigned = randomTensor([3, 4], 3);
    variables[0]?.assign(assigned); // the deviation is formed anew in the step that fails
    const before = await snapshot(optimizer, variables);
    const count = tf.memory().numTensors;
    base.fail = true;
    expect(() => stepOnce(optimizer, variables, 3)).toThrow('the base failed');
    const after = await snapshot(optimizer, variables);
    expect(after.weights).toEqual(before.weights);
    expect(tf.memory().numTensors).toBe(count);
    base.fail = false;
    const { selection } = (
      optimizer as unknown as { states: { selection: { implementation: Implementation } } }
    ).states;
    const spy = vi.spyOn(selection.implementation, 'step').mockImplementation(() => {
      throw new Error('the projection failed');
    });
    expect(() => stepOnce(optimizer, variables, 3)).toThrow('the projection failed');
    spy.mockRestore();
    const later = await snapshot(optimizer, variables);
    expect(later.weights).toEqual(before.weights);
    const own = (state: Record<string, number[]>) =>
      Object.fromEntries(Object.entries(state).filter(([name]) => name !== 'base/iter'));
    expect(own(later.state)).toEqual(own(before.state));
    expect(tf.memory().numTensors).toBe(count);
    const bad = tf.fill([4], Number.NaN);
    expect(() => optimizer.applyGradients({ 'head/b': bad })).toThrow("gradient of 'head/b' holds NaN");
    expect((await snapshot(optimizer, variables)).weights).toEqual(before.weights);
    expect(optimizer.iterations).toBe(2);
    tf.dispose([assigned, bad]);
    optimizer.dispose();
  });

  it('hands its learning rate to the base', () => {
    const w = randomVariable('head/w', [2]);
    const optimizer = ftp.wrap(tf.train.sgd(0.5), { ...options, exclude: ['head/'] });
    expect(optimizer.learningRate).toBe(0.5);
    optimizer.learningRate = 0.25;
    expect(optimizer.learningRate).toBe(0.25);
    const gradient = tf.ones([2]);
    const before = w.dataSync().slice();
    optimizer.applyGradients({ 'head/w': gradient });
    for (const [i, weight] of w.dataSync().entries())
      expect(weight).toBeCloseTo((before[i] as number) - 0.25, 6);
    gradient.dispose();
    expect(() => {
      optimizer.learningRate = Number.NaN;
    }).toThrow(RangeError);
    expect(() => {
      optimizer.learningRate = () => 1;
    }).toThrow(TypeError);
    optimizer.dispose();
  });

  it('saves the base under base/, apart from a layer of that name', async () => {
    const variables = [randomVariable('base/kernel', [2, 3]), randomVariable('x', [3])];
    const make = () => ftp.wrap(tf.train.momentum(0.01, 0.9), options);
    const optimizer = make();
    for (let step = 0; step < 3; ++step) stepOnce(optimizer, variables, step);
    const weights = await optimizer.getWeights();
    expect(weights.map(({ name }) => name).slice(0, 4)).toEqual([
      'iter',
      'base/iter',
      'base/base/kernel/momentum',
      'base/x/momentum',
    ]);
    const loaded = make();
    await loaded.setWeights(weights);
    expect(await snapshot(loaded, variables)).toEqual(await snapshot(optimizer, variables));
    const own = weights.filter(({ name }) => name === 'iter');
    await expect(loaded.setWeights(own)).rejects.toThrow("lacks the base optimizer's part");
    for (const { tensor } of weights) tensor.dispose();
    optimizer.dispose();
    loaded.dispose();
  });
});
