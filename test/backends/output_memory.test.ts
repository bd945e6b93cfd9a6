// The pool behind the new weights that the TensorFlow op makes: how much it holds, and when it gives it back.
import type * as Tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { adamw, ftp } from '../../src/index.js';
import { findNative } from '../../src/native/addon.js';
import { describeOrSkip, whyNoAddon, whyNoTensorflow } from './skip.js';

const missing = whyNoAddon() ?? (await whyNoTensorflow());

describeOrSkip('memory of new weights', missing, () => {
  let tf: typeof Tf;
  const pool = () => findNative().addon?.outputMemory(false);
  const SHAPE: [number, number] = [300, 100];
  const BYTES = 4 * 300 * 100;

  beforeAll(async () => {
    tf = await import('@tensorflow/tfjs-core');
    await tf.setBackend('tensorflow');
  });
  afterEach(() => {
    expect(pool()).toEqual({ lent: 0, idle: 0 });
  });

  const train = (optimizer: Tf.Optimizer, variables: readonly Tf.Variable[], steps: number) => {
    for (let step = 0; step < steps; ++step) {
      const gradients = variables.map(({ name, shape }) => [name, tf.fill(shape, 0.1)] as const);
      optimizer.applyGradients(Object.fromEntries(gradients));
      for (const [, gradient] of gradients) gradient.dispose();
    }
  };

  it('is lent once and idle once between steps, and gone with optimizer and variables', () => {
    const large = tf.variable(tf.ones(SHAPE));
    const small = tf.variable(tf.ones([100]));
    const optimizer = ftp.adamw(0.01);
    train(optimizer, [large, small], 1);
    expect(pool()).toEqual({ lent: BYTES, idle: 0 });
    train(optimizer, [large, small], 4);
    expect(pool()).toEqual({ lent: BYTES, idle: BYTES });
    optimizer.dispose();
    expect(pool()).toEqual({ lent: BYTES, idle: 0 });
    large.dispose();
    small.dispose();
  });

  it('stays with a tensor that outlives optimizer and variable', () => {
    const variable = tf.variable(tf.ones(SHAPE));
    const optimizer = adamw(0.01);
    train(optimizer, [variable], 3);
    const held = variable.clone();
    // dataSync() of it would hand its memory to an array, and so to the garbage collector.
    const values = tf.mul(held, 1);
    train(optimizer, [variable], 3);
    expect(pool()).toEqual({ lent: 2 * BYTES, idle: BYTES });
    optimizer.dispose();
    variable.dispose();
    expect(pool()).toEqual({ lent: BYTES, idle: 0 });
    expect(tf.tidy(() => tf.all(tf.equal(held, values)).dataSync()[0])).toBe(1);
    held.dispose();
    values.dispose();
  });

  it('is never idle beyond what is lent: a variable that goes takes its part along', () => {
    const variables = [0, 1, 2].map(() => tf.variable(tf.ones(SHAPE)));
    const optimizer = ftp.sgd(0.01);
    train(optimizer, variables, 3);
    expect(pool()).toEqual({ lent: 3 * BYTES, idle: 3 * BYTES });
    variables[0]?.dispose();
    variables[1]?.dispose();
    expect(pool()).toEqual({ lent: BYTES, idle: BYTES });
    variables[2]?.dispose();
    optimizer.dispose();
  });
});
