/** A gradient with NaN or an infinity: 'throw' changes nothing, 'skip' leaves the step out, 'ignore' skips the check. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { FtpOptimizer, FtpOptions } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { numbers, randomTensor, randomVariable, stepOnce } from '../optimizers/support.js';
import { batch, denseModel, everything, MAKERS, range, train, weightBytes } from './support.js';

const VALUES = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

describeImplementations('a gradient that is not finite', (implementation) => {
  // The last is large enough for more than one thread of the native step.
  const large = implementation.runs === 'reference' ? [9, 5] : [257, 201];
  const shapes: Record<string, number[]> = { a: [3, 4], s: [], 'head/c': [5], large };
  const options: FtpOptions = { implementation: implementation.implementation, threads: 2 };
  let variables: tf.Variable[];

  beforeAll(() => useBackend(implementation));
  beforeEach(() => {
    variables = Object.entries(shapes).map(([name, shape], i) => randomVariable(name, shape, i));
  });
  afterEach(() => tf.disposeVariables());

  /** Good gradients but for one element of one of them; the caller's to dispose. */
  function poisoned(name: string, element: number, value: number): tf.NamedTensorMap {
    return Object.fromEntries(
      variables.map((variable, i) => {
        const values = numbers(variable.size, 70 + i);
        if (variable.name === name) values[element] = value;
        return [variable.name, tf.tensor(values, variable.shape)];
      }),
    );
  }

  /** First, last and a middle element of every variable, with a value for each. */
  const places = () =>
    variables.flatMap(({ name, size }, i) =>
      [...new Set([0, size - 1, Math.floor(size / 2)])].map((element, j) => ({
        name,
        element,
        value: VALUES[(i + j) % 3] as number,
      })),
    );

  it.each(Object.entries(MAKERS))(
    "%s, 'throw': names the variable, and every byte is as before",
    async (_, make) => {
      for (const started of [false, true]) {
        const optimizer = make(options);
        if (started) for (const step of range(3)) stepOnce(optimizer, variables, step);
        const before = await everything(optimizer, variables);
        for (const { name, element, value } of places()) {
          const gradients = poisoned(name, element, value);
          expect(() => optimizer.applyGradients(gradients)).toThrow(
            expect.objectContaining({
              code: 'NON_FINITE_GRADIENT',
              message: expect.stringMatching(
                new RegExp(`^gradient of '${name}' holds NaN or an infinity in step ${started ? 3 : 0} `),
              ),
            }),
          );
          tf.dispose(gradients);
        }
        expect(await everything(optimizer, variables)).toEqual(before);
        optimizer.dispose();
      }
    },
  );

  it('names the first of several, in the order given', () => {
    const optimizer = MAKERS.adamw?.(options) as FtpOptimizer;
    const [a, c] = [tf.fill([3, 4], Number.NaN), tf.fill([5], Infinity)];
    const attempt = (order: string[]) => () =>
      optimizer.applyGradients(order.map((name) => ({ name, tensor: name === 'a' ? a : c })));
    expect(attempt(['a', 'head/c'])).toThrow("gradient of 'a'");
    expect(attempt(['head/c', 'a'])).toThrow("gradient of 'head/c'");
    tf.dispose([a, c]);
    optimizer.dispose();
  });

  it.each(Object.entries(MAKERS))("%s, 'skip': as if the step had not been, and counted", async (_, make) => {
    const run = async (withBadSteps: boolean) => {
      const fresh = Object.entries(shapes).map(([, shape], i) => randomTensor(shape, i));
      for (const [i, variable] of variables.entries()) variable.assign(fresh[i] as tf.Tensor);
      tf.dispose(fresh);
      const optimizer = make({ ...options, nonFinite: 'skip' });
      const bad = (place: number) => {
        if (!withBadSteps) return;
        const { name, element, value } = places()[place] as ReturnType<typeof places>[number];
        const gradients = poisoned(name, element, value);
        optimizer.applyGradients(gradients);
        tf.dispose(gradients);
      };
      bad(0);
      if (withBadSteps) expect(await optimizer.constraints()).toEqual([]); // nothing was started
      for (const step of range(4)) {
        stepOnce(optimizer, variables, step);
        bad(step + 1);
      }
      const { state, weights } = await everything(optimizer, variables);
      optimizer.dispose();
      return { state, weights };
    };
    const clean = await run(false);
    expect(clean.state.skippedSteps).toBe(0);
    expect(await run(true)).toEqual({ ...clean, state: { ...clean.state, skippedSteps: 5 } });
  });

  it.each(Object.entries(MAKERS))(
    "%s, 'ignore': takes the step; NaN stays with its variable, unless the norm of all is clipped",
    async (maker, make) => {
      const optimizer = make({ ...options, nonFinite: 'ignore' });
      for (const step of range(2)) stepOnce(optimizer, variables, step);
      const gradients = poisoned('a', 5, Number.NaN);
      optimizer.applyGradients(gradients);
      tf.dispose(gradients);
      expect([optimizer.iterations, optimizer.skippedSteps]).toEqual([3, 0]);
      const nans = variables.map(({ name }, i) => [
        name,
        Array.from((variables[i] as tf.Variable).dataSync()).some(Number.isNaN),
      ]);
      expect(nans).toEqual(
        Object.keys(shapes).map((name) => [name, name === 'a' || maker.includes('clipped')]),
      );
      optimizer.dispose();
    },
  );

  it('the largest and smallest finite numbers, and -0, are finite', () => {
    const optimizer = MAKERS.sgd?.(options) as FtpOptimizer;
    const extremes = [3.4028234663852886e38, -3.4028234663852886e38, 1e-45, -0, 0];
    const gradient = tf.tensor1d(extremes);
    optimizer.applyGradients({ 'head/c': gradient });
    expect(optimizer.iterations).toBe(1);
    gradient.dispose();
    optimizer.dispose();
  });

  it("in training with tfjs-layers, 'skip' goes on and counts", async () => {
    const model = denseModel();
    const optimizer = MAKERS.adamw?.({ ...options, nonFinite: 'skip' }) as FtpOptimizer;
    model.compile({ optimizer, loss: 'categoricalCrossentropy' });
    await train(model, range(2));
    const before = weightBytes(model);
    const { xs, ys } = batch(2);
    const broken = tf.tidy(() => tf.div(xs, 0)) as tf.Tensor2D;
    await model.fit(broken, ys, { batchSize: 2, epochs: 3, verbose: 0 });
    expect([optimizer.iterations, optimizer.skippedSteps]).toEqual([2, 6]);
    expect(weightBytes(model)).toEqual(before);
    await train(model, [2]);
    expect(optimizer.iterations).toBe(3);
    expect(weightBytes(model)).not.toEqual(before);
    tf.dispose([xs, ys, broken]);
    optimizer.dispose();
    model.dispose();
  });
});
