/**
 * tfjs's optimizers keep their state by position in the gradients they are given. ftp.wrap used to hand on the user's map
 * as it came, so a variable without an entry moved all later ones to their neighbours' state: with equal shapes
 * silently. Older tests gave every variable a gradient on every step, or null, which keeps its position.
 */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, expect, it } from 'vitest';
import { ftp } from '../../src/index.js';

const START = [1, 2];
const GRADIENTS = [
  { a: 1, b: 10 },
  { b: -4 },
  { b: 3, a: 5 }, // another order
  { a: -2 },
  { a: 7, b: 1 },
] as const;

/** W -= 0.1 buf, buf = 0.9 buf + g, for each variable by itself. */
function plainMomentum(name: 'a' | 'b', index: number): number {
  let weight = START[index] as number;
  let buffer = 0;
  for (const gradients of GRADIENTS) {
    const gradient = (gradients as { a?: number; b?: number })[name];
    if (gradient === undefined) continue;
    buffer = 0.9 * buffer + gradient;
    weight -= 0.1 * buffer;
  }
  return weight;
}

function makeVariables(): tf.Variable[] {
  return ['a', 'b'].map((name, i) => tf.variable(tf.scalar(START[i] as number), true, name));
}

function step(optimizer: tf.Optimizer, gradients: (typeof GRADIENTS)[number]): void {
  tf.tidy(() => {
    optimizer.applyGradients(
      Object.fromEntries(
        Object.entries(gradients).map(([name, value]) => [name, tf.scalar(value as number)]),
      ),
    );
  });
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

it('a missing entry does not move the state of other variables', () => {
  const variables = makeVariables();
  const optimizer = ftp.wrap(tf.train.momentum(0.1, 0.9), {
    exclude: () => true,
    implementation: 'reference',
  });
  for (const gradients of GRADIENTS) step(optimizer, gradients);
  expect(variables[0]?.dataSync()[0]).toBeCloseTo(plainMomentum('a', 0), 5);
  expect(variables[1]?.dataSync()[0]).toBeCloseTo(plainMomentum('b', 1), 5);
  optimizer.dispose();
  tf.dispose(variables);
});

it.each([1, 2, 3, 4])('nor does it after saving and loading after step %i', async (stop) => {
  let variables = makeVariables();
  let optimizer = ftp.wrap(tf.train.momentum(0.1, 0.9), { exclude: () => true, implementation: 'reference' });
  for (const gradients of GRADIENTS.slice(0, stop)) step(optimizer, gradients);
  const saved = await optimizer.getWeights();
  const values = variables.map((variable) => variable.clone());
  optimizer.dispose();
  tf.dispose(variables);

  variables = values.map((value, i) => tf.variable(value, true, ['a', 'b'][i]));
  optimizer = ftp.wrap(tf.train.momentum(0.1, 0.9), { exclude: () => true, implementation: 'reference' });
  await optimizer.setWeights(saved);
  for (const gradients of GRADIENTS.slice(stop)) step(optimizer, gradients);
  expect(variables[0]?.dataSync()[0]).toBeCloseTo(plainMomentum('a', 0), 5);
  expect(variables[1]?.dataSync()[0]).toBeCloseTo(plainMomentum('b', 1), 5);
  optimizer.dispose();
  tf.dispose([...variables, ...values, ...saved.map(({ tensor }) => tensor)]);
});
