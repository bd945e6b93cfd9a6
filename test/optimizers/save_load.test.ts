/** Saving and loading: through tfjs-layers' own format, and by name matching. */
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { FtpError, type FtpOptimizer, FtpWrapOptimizer, ftp } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import {
  fromConfigOf,
  memoryHandler,
  randomTensor,
  randomVariable,
  snapshot,
  stepOnce,
  withWeights,
} from './support.js';

const rates = { learningRate: 0.01, momentum: 0.9 };

/** The wasm backend lacks the kernels that train convolutions. */
function makeModel(backend: string): layers.Sequential {
  const model = layers.sequential();
  if (backend === 'wasm') {
    model.add(layers.layers.flatten({ inputShape: [6, 6, 2] }));
    model.add(layers.layers.dense({ units: 4, name: 'the_dense' }));
    model.add(layers.layers.dense({ units: 3, name: 'new_head', activation: 'softmax' }));
    return model;
  }
  model.add(layers.layers.conv2d({ filters: 4, kernelSize: 3, inputShape: [6, 6, 2], name: 'the_conv' }));
  model.add(layers.layers.depthwiseConv2d({ kernelSize: 2, depthMultiplier: 2, name: 'depth_wise' }));
  model.add(layers.layers.flatten());
  model.add(layers.layers.dense({ units: 3, name: 'new_head', activation: 'softmax' }));
  return model;
}

describeImplementations('save and load', (implementation) => {
  const options = { implementation: implementation.implementation } as const;
  beforeAll(() => useBackend(implementation));
  afterEach(() => tf.disposeVariables());

  const makers: Array<[string, (model: layers.LayersModel) => FtpOptimizer]> = [
    ['adamw', (model) => ftp.adamw(0.01, { ...options, model, amsgrad: true, exclude: ['new_head/'] })],
    ['sgd', (model) => ftp.sgd(0.01, { ...options, model, momentum: 0.9, exclude: [/^NEW_HEAD\//i] })],
    [
      'wrap',
      (model) =>
        ftp.wrap(tf.train.adam(rates.learningRate), {
          ...options,
          model,
          exclude: (name) => name.startsWith('new_head/'),
        }),
    ],
  ];

  it.each(makers)('%s: a loaded model goes on with the same bits', async (_name, make) => {
    const model = makeModel(implementation.backend);
    const optimizer = make(model);
    model.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const xs = randomTensor([4, 6, 6, 2], 3) as tf.Tensor4D;
    const ys = tf.oneHot([0, 1, 2, 1], 3).toFloat();
    const train = (trained: layers.LayersModel) => trained.trainOnBatch(xs, ys);
    for (let step = 0; step < 4; ++step) await train(model);
    const { handler, artifacts } = memoryHandler();
    await model.save(handler, { includeOptimizer: true });
    const config = artifacts().trainingConfig?.optimizer_config as { config: object } | undefined;
    expect(JSON.parse(JSON.stringify(config?.config))).toEqual(config?.config);

    const loaded = await layers.loadLayersModel(handler);
    const restored = loaded.optimizer as FtpOptimizer;
    expect(restored.constructor).toBe(optimizer.constructor);
    expect(restored.learningRate).toBe(0.01);
    expect(restored.iterations).toBe(4);
    for (let step = 0; step < 4; ++step) {
      await train(model);
      await train(loaded);
    }
    const weights = (trained: layers.LayersModel) =>
      trained.getWeights().map((tensor) => Array.from(tensor.dataSync()));
    expect(weights(loaded)).toEqual(weights(model));
    const reports = await restored.constraints();
    const numbers = reports.map(({ name: _, ...rest }) => rest);
    expect(numbers).toEqual((await optimizer.constraints()).map(({ name: _, ...rest }) => rest));
    expect(reports.map(({ rows, excluded }) => [rows, excluded])).toEqual([
      [4, false],
      [1, false],
      ...(implementation.backend === 'wasm'
        ? []
        : [
            [8, false],
            [1, false],
          ]),
      [3, true],
      [1, true],
    ]);
    tf.dispose([xs, ys]);
    optimizer.dispose();
    restored.dispose();
    model.dispose();
    loaded.dispose();
  });

  it('a save without a step after loading loses nothing, nor does one before the first step', async () => {
    const variables = [randomVariable('a', [3, 4]), randomVariable('head/b', [4])];
    const make = () => ftp.adamw(0.01, { ...options, exclude: ['head/'] });
    const first = make();
    for (let step = 0; step < 3; ++step) stepOnce(first, variables, step);
    const saved = await snapshot(first, variables);
    const second = make();
    await withWeights(first, (weights) => second.setWeights(weights));
    expect(await snapshot(second, variables)).toEqual(saved);
    expect(await second.constraints()).toEqual(
      (await first.constraints()).filter(({ excluded }) => !excluded),
    );
    const third = make();
    await withWeights(second, (weights) => third.setWeights(weights));
    stepOnce(first, variables, 3);
    const expected = await snapshot(first, variables);
    for (const [i, variable] of variables.entries()) {
      const values = saved.weights[variable.name] as number[];
      const tensor = tf.tensor(values, variables[i]?.shape);
      variable.assign(tensor);
      tensor.dispose();
    }
    stepOnce(third, variables, 3);
    expect(await snapshot(third, variables)).toEqual(expected);
    const count = tf.memory().numTensors;
    for (const optimizer of [first, second, third]) optimizer.dispose();
    expect(tf.memory().numTensors).toBeLessThan(count);
  });

  it('setWeights replaces the state of an optimizer in use', async () => {
    const variables = [randomVariable('a', [3, 4])];
    const optimizer = ftp.sgd(0.01, { ...options, momentum: 0.9 });
    stepOnce(optimizer, variables, 0);
    stepOnce(optimizer, variables, 1);
    const early = await optimizer.getWeights();
    const earlier = await snapshot(optimizer, []);
    const count = tf.memory().numTensors;
    stepOnce(optimizer, variables, 2);
    await optimizer.setWeights(early);
    expect(await snapshot(optimizer, [])).toEqual(earlier);
    expect(optimizer.iterations).toBe(2);
    stepOnce(optimizer, variables, 2);
    expect(tf.memory().numTensors).toBe(count);
    for (const { tensor } of early) tensor.dispose();
    optimizer.dispose();
  });

  it.each([
    ['no tensors', [], 'optimizer weights must start with'],
    ['no iter', [['a/anchor', [1, 2]]], "must start with the scalar 'iter'"],
    [
      'a foreign slot',
      [
        ['iter', [3]],
        ['a/rms', [1, 2]],
      ],
      "got 'a/rms', which is not part",
    ],
    [
      'another base',
      [
        ['iter', [3]],
        ['a/momentum', [1, 2]],
        ['a/steps', [3, 3]],
      ],
      "has 'a/momentum', unused here",
    ],
    [
      'a missing slot',
      [
        ['iter', [3]],
        ['a/m', [1, 2]],
        ['a/steps', [3, 3]],
      ],
      "lacks 'a/v'",
    ],
    [
      'half a projection',
      [
        ['iter', [3]],
        ['a/m', [1, 2]],
        ['a/v', [1, 2]],
        ['a/anchor', [1, 2]],
        ['a/steps', [3, 3]],
      ],
      "state of 'a' lacks deviation, norms, constraint",
    ],
    [
      'no steps',
      [
        ['iter', [3]],
        ['a/m', [1, 2]],
        ['a/v', [1, 2]],
      ],
      "must have 'a/steps' of shape \\[2\\], got none",
    ],
    [
      'slots of two shapes',
      [
        ['iter', [3]],
        ['a/m', [1, 2]],
        ['a/v', [1]],
        ['a/steps', [3, 3]],
      ],
      'has shape \\[1\\]',
    ],
    [
      'a name twice',
      [
        ['iter', [3]],
        ['a/m', [1]],
        ['a/m', [1]],
      ],
      "got 'a/m' twice",
    ],
  ] as Array<[string, Array<[string, number[]]>, string]>)(
    'refuses %s and keeps its state',
    async (_what, given, message) => {
      const variables = [randomVariable('a', [2])];
      const optimizer = ftp.adamw(0.01, options);
      stepOnce(optimizer, variables, 0);
      const before = await snapshot(optimizer, variables);
      const weights = given.map(([name, values]) => ({ name, tensor: tf.tensor1d(values) }));
      const count = tf.memory().numTensors;
      const attempt = optimizer.setWeights(weights);
      await expect(attempt).rejects.toThrow(expect.objectContaining({ code: 'STATE_MISMATCH' }));
      await expect(optimizer.setWeights(weights)).rejects.toThrow(new RegExp(message));
      expect(tf.memory().numTensors).toBe(count);
      expect(await snapshot(optimizer, variables)).toEqual(before);
      tf.dispose(weights.map(({ tensor }) => tensor));
      optimizer.dispose();
    },
  );

  it('state that does not fit the variables throws at the step, which changes nothing', async () => {
    const saver = ftp.sgd(0.01, options);
    const saved = [randomVariable('a', [3, 4])];
    stepOnce(saver, saved, 0);
    stepOnce(saver, saved, 1);
    const weights = await saver.getWeights();
    saved[0]?.dispose();
    const attempt = async (variable: tf.Variable, more: object, message: string) => {
      const optimizer = ftp.sgd(0.01, { ...options, ...more });
      await optimizer.setWeights(weights);
      const before = await snapshot(optimizer, [variable]);
      const count = tf.memory().numTensors;
      expect(() => stepOnce(optimizer, [variable], 2)).toThrow(FtpError);
      expect(() => stepOnce(optimizer, [variable], 2)).toThrow(message);
      expect(tf.memory().numTensors).toBe(count);
      expect(await snapshot(optimizer, [variable])).toEqual(before);
      optimizer.dispose();
      variable.dispose();
    };
    await attempt(randomVariable('a', [4, 3]), {}, "saved state of 'a' has shape [3,4], the variable [4,3]");
    await attempt(randomVariable('z', [3, 4]), {}, "the loaded state is of 'a', none of which");
    await attempt(
      randomVariable('a', [3, 4]),
      { exclude: ['a'] },
      "'a' was projected when its state was saved",
    );
    await attempt(
      randomVariable('a', [3, 4]),
      { outputAxis: () => 0 },
      "'a' had 4 rows when its state was saved",
    );
    for (const { tensor } of weights) tensor.dispose();
    saver.dispose();
  });

  it('a weight of another shape under a name with or without a suffix throws at the first step', async () => {
    const saver = ftp.sgd(0.01, { ...options, momentum: 0.9 });
    const saved = ['body/kernel', 'head/kernel', 'end/kernel_1'].map((name) => randomVariable(name, [2, 3]));
    for (let step = 0; step < 2; ++step) stepOnce(saver, saved, step);
    const weights = await saver.getWeights();
    const load = async (given = weights) => {
      const optimizer = ftp.sgd(0.01, { ...options, momentum: 0.9 });
      await optimizer.setWeights(given);
      return optimizer;
    };
    const body = randomVariable('body/kernel_1', [2, 3]);
    for (const [name, savedName] of [
      ['head/kernel_1', 'head/kernel'],
      ['end/kernel', 'end/kernel_1'],
      ['end/kernel_2', 'end/kernel_1'],
    ] as const) {
      const changed = randomVariable(name, [2, 4]);
      const optimizer = await load();
      const before = await snapshot(optimizer, [body, changed]);
      const attempt = () => stepOnce(optimizer, [body, changed], 2);
      expect(attempt).toThrow(expect.objectContaining({ code: 'STATE_MISMATCH' }));
      expect(attempt).toThrow(
        `saved state of '${savedName}' has shape [2,3], the variable '${name}' [2,4]. To start it anew, load the state ` +
          `without the tensors named '${savedName}/...'`,
      );
      expect(await snapshot(optimizer, [body, changed])).toEqual(before);
      optimizer.dispose();
      // What the message says, works: the variable starts, the others go on.
      const without = await load(weights.filter((weight) => !weight.name.startsWith(`${savedName}/`)));
      stepOnce(without, [body, changed], 2);
      const { state } = await snapshot(without, []);
      expect(state[`${name}/steps`]).toEqual([1, 1]);
      expect(state['body/kernel_1/steps']).toEqual([3, 3]);
      without.dispose();
      changed.dispose();
    }
    // Not in these cases: the saved state has its variable, or a variable is added in a later step.
    const both = await load();
    const [head, added] = [randomVariable('head/kernel_1', [2, 3]), randomVariable('head/kernel_2', [2, 4])];
    stepOnce(both, [added, body, head], 2);
    const later = await load();
    stepOnce(later, [body], 2);
    stepOnce(later, [body, added], 3);
    expect(later.iterations).toBe(4);
    tf.dispose(weights.map(({ tensor }) => tensor));
    for (const optimizer of [saver, both, later]) optimizer.dispose();
  });

  it('counts that int32 cannot hold throw at the step, which changes nothing', async () => {
    const most = 2 ** 31 - 1;
    const variable = randomVariable('a', [2, 3]);
    const saver = ftp.sgd(0.01, options);
    for (let step = 0; step < 2; ++step) stepOnce(saver, [variable], step);
    const weights = await saver.getWeights();
    const attempt = async (counts: Record<string, number[]>, fits: boolean) => {
      const given = weights.map(({ name, tensor }) => {
        const values = counts[name];
        return {
          name,
          tensor: values === undefined ? tensor.clone() : tf.tensor(values, tensor.shape, 'int32'),
        };
      });
      const optimizer = ftp.sgd(0.01, options);
      await optimizer.setWeights(given);
      tf.dispose(given.map(({ tensor }) => tensor));
      if (fits) {
        stepOnce(optimizer, [variable], 2);
        expect(optimizer.iterations).toBe(most);
      }
      const before = await snapshot(optimizer, [variable]);
      const step = () => stepOnce(optimizer, [variable], 3);
      expect(step).toThrow(expect.objectContaining({ code: 'STATE_MISMATCH' }));
      expect(step).toThrow('this would be step 2147483648, but step counts are int32 and end at 2147483647');
      expect(await snapshot(optimizer, [variable])).toEqual(before);
      optimizer.dispose();
    };
    await attempt({ iter: [most - 1], 'a/steps': [most - 1, most - 1] }, true);
    await attempt({ iter: [most] }, false);
    await attempt({ 'a/steps': [2, most] }, false);
    tf.dispose(weights.map(({ tensor }) => tensor));
    saver.dispose();
  });

  it('a learning rate function that was lost warns once, and set again gives the same bits', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const schedule = (step: number) => 0.5 / (step + 1);
    const variables = [randomVariable('a', [3, 4])];
    const [variable] = variables as [tf.Variable];
    const optimizer = ftp.adamw(schedule, options);
    for (let step = 0; step < 3; ++step) stepOnce(optimizer, variables, step);
    const [config, weights, left] = [optimizer.getConfig(), await optimizer.getWeights(), variable.clone()];
    for (let step = 3; step < 6; ++step) stepOnce(optimizer, variables, step);
    const expected = await snapshot(optimizer, variables);
    const restore = async (from: tf.serialization.ConfigDict) => {
      const restored = fromConfigOf(optimizer, from);
      await restored.setWeights(weights);
      variable.assign(left);
      return restored;
    };
    const resumed = await restore(config);
    resumed.learningRate = schedule;
    for (let step = 3; step < 6; ++step) stepOnce(resumed, variables, step);
    expect(await snapshot(resumed, variables)).toEqual(expected);
    const constant = await restore(config);
    constant.learningRate = 0.25;
    stepOnce(constant, variables, 3);
    const neverHad = await restore({ ...config, schedule: false });
    stepOnce(neverHad, variables, 3);
    expect(warn).not.toHaveBeenCalled();

    const lost = await restore(config);
    expect(warn).not.toHaveBeenCalled();
    for (let step = 3; step < 6; ++step) stepOnce(lost, variables, step);
    expect(await snapshot(lost, variables)).not.toEqual(expected);
    expect(warn.mock.calls).toEqual([
      [
        expect.stringMatching(
          /^tfjs-ftp: the learning rate was a function when .* stays at 0\.125, .* until optimizer\.learningRate is set/,
        ),
      ],
    ]);
    // Saved again it is still lost; a number that was set is not.
    expect(lost.getConfig()).toMatchObject({ learningRate: 0.125, schedule: true });
    expect(constant.getConfig()).toMatchObject({ learningRate: 0.25, schedule: false });
    expect(resumed.getConfig()).toMatchObject({ schedule: true });
    warn.mockRestore();
    tf.dispose([weights.map(({ tensor }) => tensor), left]);
    for (const disposable of [optimizer, resumed, constant, neverHad, lost]) disposable.dispose();
  });

  it('names are matched without the suffix that tfjs adds, by shape and order', async () => {
    const names = ['w', 'w_1', 'dense/kernel', 'dense_1/kernel'];
    const saved = names.map((name, i) => randomVariable(name, [2, 3], i));
    const saver = ftp.sgd(0.01, { ...options, momentum: 0.9 });
    for (let step = 0; step < 2; ++step) stepOnce(saver, saved, step);
    const weights = await saver.getWeights();
    const loader = ftp.sgd(0.01, { ...options, momentum: 0.9 });
    await loader.setWeights(weights);
    const loadedNames = ['w_3', 'w_2', 'dense/kernel_1', 'dense_1/kernel_1'];
    const loaded = loadedNames.map((name, i) => {
      const value = (saved[i] as tf.Variable).clone();
      const variable = tf.variable(value, true, name);
      value.dispose();
      return variable;
    });
    stepOnce(saver, saved, 2);
    stepOnce(loader, loaded, 2);
    for (const [i, variable] of loaded.entries()) {
      expect(Array.from(variable.dataSync()), variable.name).toEqual(
        Array.from((saved[i] as tf.Variable).dataSync()),
      );
    }
    for (const { tensor } of weights) tensor.dispose();
    saver.dispose();
    loader.dispose();
  });
});

describe('configuration', () => {
  it('survives JSON and the conversion of cases', async () => {
    await tf.setBackend('cpu');
    const optimizer = ftp.adamw((step) => 0.5 / (step + 1), {
      beta1: 0.8,
      weightDecay: 0.1,
      amsgrad: true,
      k: 0.5,
      constraintLearningRate: 0.2,
      nonFinite: 'skip',
      threads: 3,
      implementation: 'reference',
      exclude: ['snake_case_name/', /^some_thing$/i, { layer: 'a_layer' }],
      outputAxis: (name) => (name.startsWith('first_axis') ? 0 : undefined),
    });
    const names = ['first_axis/kernel', 'some_thing', 'snake_case_name/w', 'a_layer/w'];
    const variables = names.map((name) => randomVariable(name, [2, 3]));
    stepOnce(optimizer, variables, 0);
    const handlerModel = layers.sequential({ layers: [layers.layers.dense({ units: 1, inputShape: [1] })] });
    handlerModel.compile({ optimizer, loss: 'meanSquaredError' });
    const { handler } = memoryHandler();
    await handlerModel.save(handler, { includeOptimizer: true });
    const loaded = await layers.loadLayersModel(handler);
    const restored = loaded.optimizer as FtpOptimizer;
    expect(restored.getConfig()).toEqual({ ...optimizer.getConfig(), learningRate: 0.25 });
    expect(restored.getConfig()).toMatchObject({ schedule: true });
    expect(restored.implementation).toBe('reference');
    restored.learningRate = 0.1;
    stepOnce(restored, variables, 1);
    const reports = await restored.constraints();
    expect(reports.map(({ name, rows, excluded }) => [name, rows, excluded])).toEqual([
      ['first_axis/kernel', 2, false],
      ['some_thing', 3, true],
      ['snake_case_name/w', 3, true],
      ['a_layer/w', 3, true],
    ]);
    restored.dispose();
    optimizer.dispose();
    tf.disposeVariables();
  });

  it.each([
    ['no object', () => null, 'configuration must be an object, got null'],
    [
      'no exclusion',
      () => ({ exclusion: undefined }),
      "'exclusion' is not what an FTP optimizer saves, got undef",
    ],
    ['an exclusion of another kind', () => ({ exclusion: ['head'] }), "'exclusion' is not .*, got an array"],
    [
      'patterns that are none',
      () => ({ exclusion: { patterns: [{ regexp: { name: '(' }, flags: '' }], names: [] } }),
      "'exclusion' is not",
    ],
    [
      'a pattern without a name',
      () => ({ exclusion: { patterns: [{ layer: 'head' }], names: [] } }),
      "'exclusion' is not",
    ],
    ['no layouts', () => ({ layouts: null }), "'layouts' is not what an FTP optimizer saves, got null"],
    ['half a layout', () => ({ layouts: [{ name: 'a', shape: [2], layout: [1, 2] }] }), "'layouts' is not"],
  ] as Array<[string, () => object | null, string]>)('with %s is refused', (_what, change, message) => {
    const made = [ftp.adamw(0.1), ftp.sgd(0.1), ftp.wrap(tf.train.sgd(0.1))] as const;
    for (const optimizer of made) {
      const changes = change();
      const config = changes === null ? null : { ...optimizer.getConfig(), ...changes };
      const restore = () => fromConfigOf(optimizer, config);
      expect(restore).toThrow(expect.objectContaining({ code: 'STATE_MISMATCH' }));
      expect(restore).toThrow(new RegExp(message));
      optimizer.dispose();
    }
  });

  it.each([undefined, null, 'sgd', { className: 'SGD' }, { config: {} }])(
    'of a wrapper without a base is refused: %s',
    (base) => {
      const optimizer = ftp.wrap(tf.train.sgd(0.1));
      const config = { ...optimizer.getConfig(), base } as tf.serialization.ConfigDict;
      const restore = () => FtpWrapOptimizer.fromConfig(FtpWrapOptimizer as never, config);
      expect(restore).toThrow(expect.objectContaining({ code: 'STATE_MISMATCH' }));
      expect(restore).toThrow("'base' must be {className, config} of the wrapped optimizer, got ");
      optimizer.dispose();
    },
  );

  it('of a wrapper names a base optimizer that is not registered', () => {
    class Unregistered extends tf.SGDOptimizer {
      static override get className(): string {
        return 'UnregisteredOptimizer';
      }
    }
    const optimizer = ftp.wrap(new Unregistered(0.1));
    const config = optimizer.getConfig();
    const restore = () => FtpWrapOptimizer.fromConfig(FtpWrapOptimizer as never, config);
    expect(restore).toThrow("class 'UnregisteredOptimizer' is not registered");
    optimizer.dispose();
  });
});
