/** Two optimizers on one model, and layers frozen and unfrozen between steps. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { type FtpOptimizer, type FtpOptions, ftp } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { randomTensor, randomVariable } from '../optimizers/support.js';
import { layoutOf, ORACLE_DEFAULTS, OracleVariable } from '../reference/ftp_float64.js';
import { bytesOf, denseModel, MAKERS, range, stateBytes, train, weightBytes } from './support.js';

const SHAPES: Record<string, number[]> = { 'body/a': [4, 3], 'body/b': [3], 'head/c': [3, 2], 'head/d': [2] };
const NAMES = Object.keys(SHAPES);

describeImplementations('two optimizers on one model', (implementation) => {
  const options: FtpOptions = { implementation: implementation.implementation };

  beforeAll(() => useBackend(implementation));
  afterEach(() => tf.disposeVariables());

  const makeVariables = () => NAMES.map((name, i) => randomVariable(name, SHAPES[name] as number[], i));

  function gradients(step: number): tf.NamedTensorMap {
    return Object.fromEntries(
      NAMES.map((name, i) => [
        name,
        tf.tidy(() =>
          tf.add(
            randomTensor(SHAPES[name] as number[], i),
            tf.mul(randomTensor(SHAPES[name] as number[], 40 + step), 0.2),
          ),
        ),
      ]),
    );
  }

  const only = (all: tf.NamedTensorMap, prefix: string) =>
    Object.fromEntries(Object.entries(all).filter(([name]) => name.startsWith(prefix)));

  // A norm over all variables of a step is not that of a part of them.
  it.each(Object.entries(MAKERS).filter(([name]) => !name.includes('clipped')))(
    '%s: on disjoint variables they are one optimizer, to the bit',
    async (_, make) => {
      const run = async (count: 1 | 2) => {
        const variables = makeVariables();
        const optimizers = range(count).map(() => make(options));
        for (const step of range(5)) {
          const all = gradients(step);
          const [first, second] = optimizers as [FtpOptimizer, FtpOptimizer?];
          if (second === undefined) {
            first.applyGradients(all);
          } else {
            first.applyGradients(only(all, 'body/'));
            second.applyGradients(only(all, 'head/'));
          }
          tf.dispose(all);
        }
        const reports = await Promise.all(optimizers.map((optimizer) => optimizer.constraints()));
        const weights = variables.map(bytesOf);
        for (const disposable of [...optimizers, ...variables]) disposable.dispose();
        return { weights, reports: reports.flat() };
      };
      expect(await run(2)).toEqual(await run(1));
    },
  );

  it('on a variable of both, each respects what the other has done, as the float64 oracle', () => {
    const variable = randomVariable('w', [5, 4], 3);
    const weights = variable.dataSync().slice();
    // Anchors of their own, since the hyper-gradient of a deviation of zero is rounding alone.
    const anchors = [50, 51].map((seed) =>
      tf.tidy(() => tf.add(variable, tf.mul(randomTensor([5, 4], seed), 0.05))),
    ) as [tf.Tensor, tf.Tensor];
    const layout = layoutOf([5, 4], 1);
    const oracles = [
      new OracleVariable(
        { ...ORACLE_DEFAULTS, base: 'adamw' },
        { layout, weights, anchor: anchors[0].dataSync() },
      ),
      new OracleVariable(
        { ...ORACLE_DEFAULTS, base: 'sgd', momentum: 0.9 },
        { layout, weights, anchor: anchors[1].dataSync() },
      ),
    ];
    const optimizers = [
      ftp.adamw(0.02, { ...options, anchors: { w: anchors[0] } }),
      ftp.sgd(0.05, { ...options, momentum: 0.9, anchors: { w: anchors[1] } }),
    ];
    const turns = [0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0] as const; // alternating, later two in a row
    const rates = [0.02, 0.05];
    for (const [step, turn] of turns.entries()) {
      const gradient = tf.tidy(() =>
        tf.add(randomTensor([5, 4], 9), tf.mul(randomTensor([5, 4], 20 + step), 0.3)),
      );
      const oracle = oracles[turn] as OracleVariable;
      if (step > 0 && turns[step - 1] !== turn) oracle.assign((oracles[1 - turn] as OracleVariable).weights);
      optimizers[turn]?.applyGradients({ w: gradient });
      oracle.step(rates[turn] as number, gradient.dataSync());
      const now = variable.dataSync();
      const difference = Math.max(...oracle.weights.map((w, i) => Math.abs(w - (now[i] as number))));
      expect(difference, `after step ${step}`).toBeLessThan(2e-6);
      gradient.dispose();
    }
    tf.dispose(anchors);
    for (const optimizer of optimizers) optimizer.dispose();
  });

  it('next to an optimizer of tfjs, each on its own layer', async () => {
    const model = denseModel();
    const body = ftp.adamw(0.01, options);
    const head = tf.train.adam(0.01);
    const untouched = weightBytes(model);
    for (const step of range(3)) {
      const loss = () =>
        tf.tidy(() => {
          const xs = randomTensor([4, 5], step);
          return tf.mean(tf.square(model.apply(xs) as tf.Tensor)) as tf.Scalar;
        });
      const { value, grads } = tf.variableGrads(loss);
      const named = (prefix: string) =>
        Object.fromEntries(Object.entries(grads).filter(([name]) => name.startsWith(prefix)));
      body.applyGradients(named('body'));
      head.applyGradients(named('head') as Parameters<typeof head.applyGradients>[0]);
      tf.dispose([value, grads]);
    }
    expect((await body.constraints()).every(({ name }) => name.startsWith('body'))).toBe(true);
    expect(weightBytes(model).some((bytes, i) => bytes === untouched[i])).toBe(false);
    for (const disposable of [body, head, model]) disposable.dispose();
  });
});

describeImplementations('freezing and unfreezing between steps', (implementation) => {
  const options: FtpOptions = { implementation: implementation.implementation };

  beforeAll(() => useBackend(implementation));
  afterEach(() => tf.disposeVariables());

  it.each(Object.entries(MAKERS))(
    '%s: a frozen layer keeps weights and state, and goes on from them',
    async (_, make) => {
      const model = denseModel();
      const optimizer = make({ ...options });
      const compile = () => model.compile({ optimizer, loss: 'categoricalCrossentropy' });
      const setTrainable = (trainable: boolean) => {
        (model.layers[0] as { trainable: boolean }).trainable = trainable;
        compile(); // tfjs takes notice of it at this point
      };
      const ofBody = async () => {
        const state = Object.entries(await stateBytes(optimizer));
        return {
          weights: weightBytes(model).slice(0, 2),
          state: state.filter(([name]) => name.includes('body') && !name.endsWith('/steps')),
        };
      };
      compile();
      await train(model, range(3));
      const before = await ofBody();
      expect(before.state.length).toBeGreaterThan(0);
      const head = weightBytes(model).slice(2);
      setTrainable(false);
      await train(model, range(3, 3));
      expect(await ofBody()).toEqual(before);
      expect(weightBytes(model).slice(2)).not.toEqual(head);
      setTrainable(true);
      await train(model, [6]);
      const after = await ofBody();
      expect(after.weights).not.toEqual(before.weights);
      expect(optimizer.iterations).toBe(7);
      const counts = (await optimizer.getWeights()).filter(({ name }) => /body.*\/steps$/.test(name));
      // t counts the steps of the gap, n does not.
      expect(counts.map(({ tensor }) => Array.from(tensor.dataSync()))).toEqual([
        [7, 4],
        [7, 4],
      ]);
      tf.dispose(counts.map(({ tensor }) => tensor));
      optimizer.dispose();
      model.dispose();
    },
  );

  it.each(Object.entries(MAKERS))(
    '%s: a layer unfrozen late is anchored where it is then, and starts at t = 1',
    async (_, make) => {
      const model = denseModel();
      const optimizer = make({ ...options });
      const body = model.layers[0] as { trainable: boolean };
      body.trainable = false;
      model.compile({ optimizer, loss: 'categoricalCrossentropy' });
      await train(model, range(3));
      expect((await optimizer.constraints()).map(({ name }) => name)).toEqual(
        model.layers[1]?.weights.map(({ name }) => name),
      );
      const start = weightBytes(model).slice(0, 2);
      body.trainable = true;
      model.compile({ optimizer, loss: 'categoricalCrossentropy' });
      await train(model, [3]);
      const saved = await optimizer.getWeights();
      const read = (slot: string) =>
        saved.filter(({ name }) => name.includes('body') && name.endsWith(slot)).map(({ tensor }) => tensor);
      expect(read('/anchor').map(bytesOf)).toEqual(start);
      expect(read('/steps').map((tensor) => Array.from(tensor.dataSync()))).toEqual([
        [1, 1],
        [1, 1],
      ]);
      await train(model, range(2, 4));
      expect(weightBytes(model).slice(0, 2)).not.toEqual(start);
      tf.dispose(saved.map(({ tensor }) => tensor));
      optimizer.dispose();
      model.dispose();
    },
  );
});
