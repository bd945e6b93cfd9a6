/** NaN or an infinity in what a variable starts from, its weights or its anchor: refused at its first step. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { FtpOptions } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { numbers, randomTensor, randomVariable, stepOnce } from '../optimizers/support.js';
import { codeOf, everything, MAKERS, range } from './support.js';

const VALUES = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

describeImplementations('weights that are not finite', (implementation) => {
  const shapes: Record<string, number[]> = { a: [3, 4], s: [], 'head/c': [5] };
  const options: FtpOptions = { implementation: implementation.implementation };
  let variables: tf.Variable[];

  beforeAll(() => useBackend(implementation));
  beforeEach(() => {
    variables = Object.entries(shapes).map(([name, shape], i) => randomVariable(name, shape, i));
  });
  afterEach(() => tf.disposeVariables());

  /** Numbers with `value` at the end. */
  function poisoned(shape: number[], value: number): tf.Tensor {
    const values = numbers(tf.util.sizeFromShape(shape), 5);
    values[values.length - 1] = value;
    return tf.tensor(values, shape);
  }

  function assign(variable: tf.Variable, value: number): void {
    const values = poisoned(variable.shape, value);
    variable.assign(values);
    values.dispose();
  }

  it.each(Object.entries(MAKERS))('%s: names the variable, and every byte is as before', async (_, make) => {
    for (const nonFinite of ['throw', 'skip'] as const) {
      for (const [i, variable] of variables.entries()) {
        const optimizer = make({ ...options, nonFinite });
        assign(variable, VALUES[i] as number);
        const before = await everything(optimizer, variables);
        expect(() => stepOnce(optimizer, variables, 1)).toThrow(
          expect.objectContaining({
            code: 'NON_FINITE_WEIGHTS',
            message: expect.stringMatching(`^weights of '${variable.name}' hold NaN or an infinity`),
          }),
        );
        expect(await everything(optimizer, variables)).toEqual(before);
        // Mended, it starts as if nothing had been.
        const good = randomTensor(variable.shape, i);
        variable.assign(good);
        good.dispose();
        stepOnce(optimizer, variables, 1);
        expect(optimizer.iterations).toBe(1);
        optimizer.dispose();
      }
    }
  });

  it('a variable that comes in a later step is checked then, the others no more', async () => {
    const optimizer = MAKERS.adamw?.(options) as ReturnType<(typeof MAKERS)[string]>;
    const [a, s] = variables as [tf.Variable, tf.Variable];
    for (const seed of range(2)) stepOnce(optimizer, [a], seed);
    assign(s, Number.NaN);
    expect(codeOf(() => stepOnce(optimizer, [a, s], 3))).toBe('NON_FINITE_WEIGHTS');
    expect(optimizer.iterations).toBe(2);
    stepOnce(optimizer, [a], 3);
    expect(optimizer.iterations).toBe(3);
    optimizer.dispose();
  });

  it('a given anchor, unless its variable is excluded', async () => {
    for (const [name, code] of [
      ['a', 'NON_FINITE_WEIGHTS'],
      ['head/c', 'nothing was thrown'],
    ] as const) {
      const anchor = poisoned(shapes[name] as number[], Number.NaN);
      const optimizer = MAKERS.sgd?.({ ...options, anchors: { [name]: anchor } });
      anchor.dispose();
      if (optimizer === undefined) throw new Error('no optimizer');
      const before = await everything(optimizer, variables);
      expect(codeOf(() => stepOnce(optimizer, variables, 1))).toBe(code);
      if (code === 'NON_FINITE_WEIGHTS') {
        expect(() => stepOnce(optimizer, variables, 1)).toThrow(
          "anchor of 'a' holds NaN or an infinity; nothing was changed",
        );
        expect(await everything(optimizer, variables)).toEqual(before);
      }
      optimizer.dispose();
    }
  });

  it('an anchor that was saved', async () => {
    const saver = MAKERS.sgd?.(options) as ReturnType<(typeof MAKERS)[string]>;
    stepOnce(saver, variables, 1);
    const weights = await saver.getWeights();
    const broken = weights.map(({ name, tensor }) => ({
      name,
      tensor: name === 'a/anchor' ? poisoned(shapes.a as number[], Number.NaN) : tensor,
    }));
    const loader = MAKERS.sgd?.(options) as ReturnType<(typeof MAKERS)[string]>;
    await loader.setWeights(broken);
    tf.dispose(broken.map(({ tensor }) => tensor));
    expect(() => stepOnce(loader, variables, 2)).toThrow("anchor of 'a' holds NaN");
    expect(loader.iterations).toBe(1);
    loader.dispose();
    saver.dispose();
  });

  it("'ignore' skips the check", () => {
    const optimizer = MAKERS.sgd?.({ ...options, nonFinite: 'ignore' });
    assign(variables[0] as tf.Variable, Number.NaN);
    stepOnce(optimizer as tf.Optimizer, variables, 1);
    expect(optimizer?.iterations).toBe(1);
    optimizer?.dispose();
  });
});
