/** Who owns which tensor, and for how long. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { FtpError, ftp } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { randomTensor, randomVariable, snapshot, stepOnce, withWeights } from './support.js';

describeImplementations('lifetime of tensors', (implementation) => {
  const options = { implementation: implementation.implementation } as const;

  beforeAll(() => useBackend(implementation));
  afterEach(() => tf.disposeVariables());

  const makers = {
    adamw: (exclude = ['head/']) => ftp.adamw(1e-2, { ...options, amsgrad: true, exclude }),
    sgd: () => ftp.sgd(1e-2, { ...options, momentum: 0.9 }),
    wrap: () => ftp.wrap(tf.train.adam(1e-2), { ...options, exclude: ['head/'] }),
  };

  it.each(Object.entries(makers))('%s: the count is stable over steps and back to zero', (_name, make) => {
    const start = tf.memory().numTensors;
    const variables = [randomVariable('a', [3, 4]), randomVariable('s', []), randomVariable('head/b', [4])];
    const optimizer = make();
    // The first step inside of a tidy: state must outlive it.
    tf.tidy(() => stepOnce(optimizer, variables, 0));
    const count = tf.memory().numTensors;
    for (let step = 1; step < 100; ++step) {
      if (step % 2 === 0) tf.tidy(() => stepOnce(optimizer, variables, step));
      else stepOnce(optimizer, variables, step);
    }
    expect(tf.memory().numTensors).toBe(count);
    optimizer.dispose();
    optimizer.dispose();
    for (const variable of variables) variable.dispose();
    expect(tf.memory().numTensors).toBe(start);
  });

  it('getWeights gives copies that later steps leave alone', async () => {
    const variables = [randomVariable('a', [3, 4])];
    const optimizer = makers.adamw([]);
    stepOnce(optimizer, variables, 0);
    stepOnce(optimizer, variables, 1);
    const count = tf.memory().numTensors;
    await withWeights(optimizer, async (weights) => {
      const read = () => weights.map(({ name, tensor }) => [name, Array.from(tensor.dataSync())]);
      const before = read();
      expect(weights.map(({ name }) => name)).toEqual([
        'iter',
        ...['anchor', 'deviation', 'm', 'v', 'vmax', 'norms', 'constraint', 'steps'].map(
          (slot) => `a/${slot}`,
        ),
      ]);
      stepOnce(optimizer, variables, 2);
      expect(read()).toEqual(before);
    });
    expect(tf.memory().numTensors).toBe(count);
    optimizer.dispose();
  });

  it('the first getWeights is just the iterations, and anchors that were given', async () => {
    const optimizer = makers.sgd();
    await withWeights(optimizer, async (weights) => {
      expect(weights.map(({ name, tensor }) => [name, tensor.dataSync()[0]])).toEqual([['iter', 0]]);
    });
    optimizer.dispose();
    const variable = randomVariable('a', [2]);
    const anchor = randomTensor([2], 9);
    const anchored = ftp.sgd(1e-2, { ...options, anchors: { a: anchor } });
    await withWeights(anchored, async (weights) => {
      expect(weights.map(({ name }) => name)).toEqual(['iter', 'a/anchor', 'a/steps']);
      expect(weights[1]?.tensor.dataSync()).toEqual(anchor.dataSync());
    });
    anchor.dispose();
    variable.dispose();
    anchored.dispose();
  });

  it('a step changes nothing that the user holds', () => {
    const source = new Float32Array([1, -2, 3, -4, 5, -6, 7, -8]);
    const initial = tf.tensor2d(source, [2, 4]);
    const variable = tf.variable(initial, true, 'a');
    const held = [
      initial,
      variable.clone(),
      tf.reshape(variable, [4, 2]),
      tf.slice(variable, [0, 0], [1, 4]),
      ...tf.unstack(variable),
    ];
    const gradient = randomTensor([2, 4], 3);
    const anchor = tf.tensor2d(source.slice(), [2, 4]);
    const heldGradient = gradient.clone();
    const read = () => [...held, gradient, heldGradient, anchor].map((t) => Array.from(t.dataSync()));
    const before = read();
    const optimizer = ftp.adamw(0.1, { ...options, anchors: { a: anchor } });
    for (let step = 0; step < 3; ++step) {
      optimizer.applyGradients({ a: gradient });
      held.push(variable.clone());
      before.splice(held.length - 1, 0, Array.from(variable.dataSync()));
      expect(read()).toEqual(before);
    }
    expect(Array.from(source)).toEqual([1, -2, 3, -4, 5, -6, 7, -8]);
    expect(Array.from(variable.dataSync())).not.toEqual(Array.from(source));
    tf.dispose([held, gradient, heldGradient, anchor]);
    optimizer.dispose();
  });

  it('anchors are copied: disposing or changing theirs does no harm', async () => {
    const variable = randomVariable('a', [2, 2]);
    const values = new Float32Array([1, 2, 3, 4]);
    const anchor = tf.tensor2d(values, [2, 2]);
    const optimizer = ftp.adamw(0.1, { ...options, anchors: { a: anchor } });
    values.fill(7);
    anchor.dispose();
    stepOnce(optimizer, [variable], 1); // step 1 puts the weights on the anchor
    const weights = Array.from(await variable.data());
    for (const [i, expected] of [1, 2, 3, 4].entries()) expect(weights[i]).toBeCloseTo(expected, 6);
    optimizer.dispose();
  });

  it('use after dispose throws', async () => {
    const variables = [randomVariable('a', [2])];
    const optimizer = makers.adamw([]);
    stepOnce(optimizer, variables, 1);
    optimizer.dispose();
    const disposed = expect.objectContaining({ code: 'OPTIMIZER_DISPOSED' });
    expect(() => stepOnce(optimizer, variables, 2)).toThrow(FtpError);
    expect(() => optimizer.reanchor()).toThrow(disposed);
    await expect(optimizer.getWeights()).rejects.toThrow(disposed);
    await expect(optimizer.setWeights([])).rejects.toThrow(disposed);
    await expect(optimizer.constraints()).rejects.toThrow(disposed);
    expect(() => optimizer.implementation).toThrow(disposed);
    expect(() => optimizer.fallbackReason).toThrow(disposed);
    expect(() => {
      optimizer.learningRate = 0.5;
    }).toThrow(disposed);
    expect([optimizer.learningRate, optimizer.iterations, optimizer.skippedSteps]).toEqual([1e-2, 1, 0]);
    expect(optimizer.getConfig()).toMatchObject({ learningRate: 1e-2 });
    const wrapped = makers.wrap();
    wrapped.dispose();
    expect(() => {
      wrapped.learningRate = 0.5;
    }).toThrow(disposed);
    const count = tf.memory().numTensors;
    expect(() => optimizer.minimize(() => tf.sum(variables[0] as tf.Variable) as tf.Scalar)).toThrow(
      disposed,
    );
    expect(tf.memory().numTensors).toBe(count);
  });

  it.each([
    ['its learning rate function', (end: () => number) => ftp.sgd(end, options)],
    ['exclude', (end: () => number) => ftp.sgd(0.1, { ...options, exclude: () => end() > 1 })],
    ['outputAxis', (end: () => number) => ftp.sgd(0.1, { ...options, outputAxis: end })],
  ])('a step during which %s disposes the optimizer throws, and changes nothing', (_what, make) => {
    const variable = randomVariable('a', [2, 3]);
    const before = Array.from(variable.dataSync());
    const start = tf.memory().numTensors;
    const optimizer = make(() => {
      optimizer.dispose();
      return 0;
    });
    expect(() => stepOnce(optimizer, [variable], 1)).toThrow(
      expect.objectContaining({ code: 'OPTIMIZER_DISPOSED', message: 'the optimizer was disposed' }),
    );
    expect(Array.from(variable.dataSync())).toEqual(before);
    expect(tf.memory().numTensors).toBe(start);
  });

  it('missing gradients and variables without elements are left alone', async () => {
    const [a, b, empty] = [
      randomVariable('a', [2, 3]),
      randomVariable('b', [3]),
      randomVariable('e', [0, 3]),
    ];
    const optimizer = makers.adamw([]);
    stepOnce(optimizer, [a, b], 1);
    const before = await snapshot(optimizer, [b]);
    const gradient = randomTensor([2, 3], 2);
    const none = null as unknown as tf.Tensor;
    optimizer.applyGradients({ a: gradient, b: none });
    optimizer.applyGradients([
      { name: 'a', tensor: gradient },
      { name: 'b', tensor: undefined as unknown as tf.Tensor },
    ]);
    const nothing = tf.zeros([0, 3]);
    optimizer.applyGradients({ e: nothing });
    tf.dispose([gradient, nothing]);
    const after = await snapshot(optimizer, [b]);
    expect(after.weights).toEqual(before.weights);
    for (const name of Object.keys(before.state).filter((key) => key.startsWith('b/') && key !== 'b/steps')) {
      expect(after.state[name], name).toEqual(before.state[name]);
    }
    expect(before.state['b/steps']).toEqual([1, 1]);
    expect(after.state['b/steps']).toEqual([4, 1]); // the constraint's count goes on
    expect(optimizer.iterations).toBe(4);
    expect(empty.isDisposed).toBe(false);
    optimizer.dispose();
  });
});
