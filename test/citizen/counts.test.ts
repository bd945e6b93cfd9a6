/** Tensors: as many after 100 steps as after one, and none left after dispose, in whatever order. */
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, expect, it } from 'vitest';
import type { FtpOptimizer, FtpOptions } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { randomVariable, stepOnce } from '../optimizers/support.js';
import { batch, codeOf, denseModel, MAKERS, REFERENCE_MAKERS, range, train } from './support.js';

const LOSS = 'categoricalCrossentropy';

/** What must not grow: tfjs's tensors, buffers and bytes, and under tfjs-node TensorFlow's own handles. */
function holdings() {
  const { numTensors, numDataBuffers, numBytes } = tf.memory();
  const { binding } = tf.backend() as unknown as { binding?: { getNumOfTensors?: () => number } };
  return { numTensors, numDataBuffers, numBytes, handles: binding?.getNumOfTensors?.() };
}

describeImplementations('tensors', (implementation) => {
  const options: FtpOptions = { implementation: implementation.implementation };
  const adamw = (given = options) => (MAKERS.adamw as (typeof MAKERS)[string])(given);

  beforeAll(async () => {
    await useBackend(implementation);
    // tfjs makes constants of its own in the first training, and keeps them.
    const model = denseModel();
    model.compile({ optimizer: 'sgd', loss: LOSS });
    await train(model, [0]);
    model.dispose();
  });
  afterEach(() => tf.disposeVariables());

  const makers = Object.entries({ ...MAKERS, ...REFERENCE_MAKERS });
  // Many small operations on a reference implementation take their time: one optimizer is enough there.
  it.each(implementation.runs === 'reference' ? makers.slice(1, 2) : makers)(
    '%s: stable over 100 steps of fit, back to zero after dispose',
    async (_, make) => {
      const { xs, ys } = batch(0);
      tf.dispose([tf.neg(xs), tf.neg(ys)]); // brings the arrays to TensorFlow
      const start = holdings();
      const model = denseModel();
      const optimizer = make({ ...options, model });
      model.compile({ optimizer, loss: LOSS });
      const fitFor = (epochs: number) =>
        model.fit(xs, ys, { batchSize: 4, epochs, shuffle: false, verbose: 0 });
      await fitFor(1);
      const after1 = holdings();
      await fitFor(99);
      expect(optimizer.iterations).toBe(100);
      expect(holdings()).toEqual(after1);
      optimizer.dispose();
      model.dispose();
      expect(holdings()).toEqual(start);
      tf.dispose([xs, ys]);
    },
  );

  it.each(Object.entries({ ...MAKERS, ...REFERENCE_MAKERS }))(
    '%s: applyGradients alone leaves nothing at all',
    async (_, make) => {
      const start = holdings();
      const variables = [randomVariable('a', [3, 4]), randomVariable('s', []), randomVariable('head/b', [4])];
      const anchors = { a: tf.ones([3, 4]), unused: tf.ones([4]) };
      const unused = randomVariable('unused', [4]);
      const optimizer = make({ ...options, anchors });
      tf.dispose(anchors);
      stepOnce(optimizer, variables, 0);
      const after1 = holdings();
      for (const step of range(99, 1)) stepOnce(optimizer, variables, step);
      expect(holdings()).toEqual(after1);
      await optimizer.constraints();
      expect(holdings()).toEqual(after1);
      optimizer.dispose();
      for (const variable of [...variables, unused]) variable.dispose();
      expect(holdings()).toEqual(start);
    },
  );

  it.each(Object.entries({ ...MAKERS, ...REFERENCE_MAKERS }))(
    '%s: save, load, setWeights, reanchor and dispose leave nothing',
    async (_, make) => {
      const start = holdings();
      const variables = [randomVariable('a', [3, 4]), randomVariable('head/b', [4])];
      const optimizer = make(options);
      for (const step of range(3)) stepOnce(optimizer, variables, step);
      const weights = await optimizer.getWeights();
      const count = holdings();
      const [waiting, continued] = [make(options), make(options)];
      await waiting.setWeights(weights); // never stepped
      await continued.setWeights(weights);
      await continued.setWeights(weights);
      stepOnce(continued, variables, 3);
      continued.reanchor();
      waiting.reanchor();
      stepOnce(continued, variables, 4);
      waiting.dispose();
      continued.dispose();
      expect(holdings()).toEqual(count);
      for (const { tensor } of weights) tensor.dispose();
      optimizer.dispose();
      for (const variable of variables) variable.dispose();
      expect(holdings()).toEqual(start);
    },
  );

  it('an optimizer outlives its model: its state can be read, its steps say what is wrong', async () => {
    const model = denseModel();
    const optimizer = adamw();
    model.compile({ optimizer, loss: LOSS });
    await train(model, range(2));
    const names = model.weights.map(({ name }) => name);
    const gradient = tf.zeros([5, 7]);
    model.dispose(); // does not own an optimizer that it was given
    expect((await optimizer.constraints()).map(({ name }) => name)).toEqual(names);
    const weights = await optimizer.getWeights();
    expect(weights.map(({ name }) => name)).toContain(`${names[0]}/anchor`);
    for (const { tensor } of weights) tensor.dispose();
    expect(codeOf(() => optimizer.applyGradients({ [names[0] as string]: gradient }))).toBe(
      'VARIABLE_DISPOSED',
    );
    expect(optimizer.iterations).toBe(2);

    // It may go on with another model; what no longer exists can be dropped.
    const other = layers.sequential({
      layers: [layers.layers.dense({ units: 3, inputShape: [5], name: 'other' })],
    });
    other.compile({ optimizer, loss: LOSS });
    await train(other, range(2));
    expect(optimizer.iterations).toBe(4);
    optimizer.reanchor();
    expect((await optimizer.constraints()).map(({ name }) => name)).toEqual(
      other.weights.map(({ name }) => name),
    );
    gradient.dispose();
    optimizer.dispose();
    other.dispose();
  });

  it('a model outlives its optimizer, and says so when it is trained', async () => {
    const model = denseModel();
    const optimizer: FtpOptimizer = adamw();
    model.compile({ optimizer, loss: LOSS });
    await train(model, range(2));
    optimizer.dispose();
    const { xs, ys } = batch(0);
    tf.dispose(model.predict(xs) as tf.Tensor);
    await expect(model.trainOnBatch(xs, ys)).rejects.toThrow(
      expect.objectContaining({ code: 'OPTIMIZER_DISPOSED' }),
    );
    const next = adamw();
    model.compile({ optimizer: next, loss: LOSS });
    await train(model, range(2));
    expect(next.iterations).toBe(2);
    tf.dispose([xs, ys]);
    next.dispose();
    model.dispose();
  });
});
