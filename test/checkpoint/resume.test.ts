// What a checkpoint brings back: weights, any optimizer's whole state, states of other objects; and what it refuses.
import * as io from 'node:fs';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { Checkpointer, resume } from '../../src/checkpoint/index.js';
import { digrap, fixedRadius, ftp, l2sp, schedules, spd, trac } from '../../src/index.js';
import { temporaryFolder } from '../package/support.js';
import { bits, makeModel, optimizerBits, tf, weightBits } from './support.js';

beforeAll(() => tf.setBackend('cpu'));

const MAKERS: { [name: string]: () => tf.Optimizer } = {
  'ftp.adamw': () => ftp.adamw(0.02, { exclude: ['two/'] }),
  'ftp.adamw, exact and relative': () =>
    ftp.adamw(0.02, { hyperGradient: 'exact', constraintScale: 'relative' }),
  'ftp.sgd': () => ftp.sgd(0.02, { momentum: 0.9 }),
  'a schedule': () =>
    ftp.adamw(schedules.exponential({ initialLearningRate: 0.1, decaySteps: 1, decayRate: 0.9 })),
  'a function': () => ftp.adamw((step) => 0.1 / (step + 1)),
  'spd.adamw': () => spd.adamw(0.02, { strengthByDepth: 'linear' }),
  'fixedRadius.adamw': () =>
    fixedRadius.adamw(0.02, { radius: (_, shape) => (shape.length > 1 ? 0.1 : null) }),
  'l2sp.sgd': () => l2sp.sgd(0.02, { strength: 0.1 }),
  'digrap.adamw': () => digrap.adamw(0.02),
  'groups and clipping': () =>
    ftp.adamw(0.02, { globalClipNorm: 0.1, groups: [{ match: 'two/', learningRateScale: 0.5, beta1: 0.8 }] }),
  'an average of the weights': () => ftp.sgd(0.02, { momentum: 0.9, ema: { momentum: 0.9 } }),
  'accumulation, in the middle of five': () => ftp.adamw(0.02, { accumulate: 5 }),
  'learned numbers': () =>
    ftp.adamw(0.02, { learn: { learningRate: true, beta1: { method: 'adam', rate: 1e-3 } } }),
  'trac.adamw': () => trac.adamw(0.02, { sInit: 1e-2 }),
  'ftp.wrap of Adam': () => ftp.wrap(tf.train.adam(0.02)),
  'tf.train.adam': () => tf.train.adam(0.02),
  'tf.train.momentum': () => tf.train.momentum(0.02, 0.9),
  'tf.train.sgd': () => tf.train.sgd(0.02),
  'tf.train.rmsprop': () => tf.train.rmsprop(0.02, 0.9, 0.5),
  'tf.train.adagrad': () => tf.train.adagrad(0.02),
};

async function trainOn(model: ReturnType<typeof makeModel>, from: number, to: number): Promise<void> {
  for (let step = from; step < to; ++step) {
    const [xs, ys] = [tf.randomNormal([5, 2], 0, 1, 'float32', step + 1), tf.fill([5, 1], Math.sin(step))];
    await model.trainOnBatch(xs, ys);
    tf.dispose([xs, ys]);
  }
}

describe('training goes on with the same bits', () => {
  it.each(Object.entries(MAKERS))('%s', async (_, make) => {
    const directory = temporaryFolder();
    const [first, whole] = [make(), makeModel(null)];
    whole.compile({ optimizer: first, loss: 'meanSquaredError' });
    await trainOn(whole, 0, 24);
    const tensors = tf.memory().numTensors;
    await new Checkpointer(directory, { model: whole }).save(24);
    expect(tf.memory().numTensors).toBe(tensors);
    await trainOn(whole, 24, 30);

    const optimizer = make();
    const model = makeModel(optimizer);
    const { step } = await resume(directory, { model });
    expect(step).toBe(24);
    await trainOn(model, 24, 30);
    expect(weightBits(model)).toEqual(weightBits(whole));
    expect(await optimizerBits(optimizer)).toEqual(await optimizerBits(first));
    for (const one of [first, whole, optimizer, model]) one.dispose();
    tf.disposeVariables();
  });

  it('into a model and an optimizer that have trained already, again and again, without leaks', async () => {
    const directory = temporaryFolder();
    const optimizer = ftp.adamw(0.02);
    const model = makeModel(optimizer);
    const checkpoints = new Checkpointer(directory, { model });
    await trainOn(model, 0, 3);
    await checkpoints.save(3);
    await trainOn(model, 3, 6);
    const expected = weightBits(model);
    const tensors = tf.memory().numTensors;
    for (let i = 0; i < 3; ++i) {
      await checkpoints.resume();
      await trainOn(model, 3, 6);
      expect(weightBits(model)).toEqual(expected);
      expect(tf.memory().numTensors).toBe(tensors);
    }
    optimizer.dispose();
  });

  it('variables of any type, without an optimizer', async () => {
    const directory = temporaryFolder();
    const make = () => [
      tf.variable(tf.tensor1d([1.5, Number.NaN]), true, 'a'),
      tf.variable(tf.tensor1d([1, 2], 'int32'), false, 'b'),
      tf.variable(tf.tensor1d([true, false], 'bool'), false, 'c'),
      tf.variable(tf.zeros([0, 3]), true, 'd'),
    ];
    const saved = make();
    await new Checkpointer(directory, { variables: saved }).save(7);
    const before = saved.map((variable) => [...variable.dataSync()]);
    for (const variable of saved) variable.assign(tf.zerosLike(variable));
    await resume(directory, { variables: saved });
    expect(saved.map((variable) => [...variable.dataSync()])).toEqual(before);
    tf.dispose(saved);
  });
});

describe('the learning rate', () => {
  it('that was set in training is set again', async () => {
    for (const make of [
      () => ftp.adamw(0.02),
      () => tf.train.adam(0.02),
      () => ftp.wrap(tf.train.sgd(0.02)),
    ]) {
      const directory = temporaryFolder();
      const optimizer = make() as tf.Optimizer & { learningRate: number };
      const model = makeModel(optimizer);
      optimizer.learningRate = 0.005;
      await trainOn(model, 0, 2);
      await new Checkpointer(directory, { model }).save(2);
      const other = make() as tf.Optimizer & { learningRate: number };
      await resume(directory, { model: makeModel(other) });
      expect(other.learningRate).toBe(0.005);
      tf.disposeVariables();
    }
  });
});

describe('states', () => {
  const holder = (state: unknown) => {
    const it = {
      state,
      getState: () => it.state,
      setState: (next: unknown) => {
        it.state = next;
      },
    };
    return it;
  };

  it('come back as they were, with tensors, NaN and infinities', async () => {
    const directory = temporaryFolder();
    const w = tf.variable(tf.ones([2]), true, 'states');
    const value = {
      a: [1, Number.NaN, { b: -Infinity, c: 'text' }],
      d: null,
      e: tf.tensor1d([3, 4]),
      f: true,
    };
    const first = holder(value);
    await new Checkpointer(directory, { variables: [w], state: { first } }).save(1);
    const kept: number[][] = [];
    const second = {
      getState: () => 0,
      setState: (state: typeof value) => {
        kept.push([...state.e.dataSync()]);
        expect({ ...state, e: null }).toEqual({ ...value, e: null });
      },
    };
    const before = tf.memory().numTensors;
    await resume(directory, { variables: [w], state: { first: second } });
    expect(kept).toEqual([[3, 4]]);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([w, value.e]);
  });

  it.each<[string, unknown, RegExp]>([
    ['a date', { when: new Date() }, /the state of 'it'\.when must be JSON with tensors: .*, got a Date/],
    ['a function', [() => 1], /the state of 'it'\[0\] must be JSON .*, got a function/],
    ['a key of ours', { $tensor: 0 }, /got an object/],
    ['undefined', undefined, /got undefined/],
  ])('%s is refused, and nothing is written', async (_, state, message) => {
    const directory = temporaryFolder();
    const w = tf.variable(tf.ones([2]), true, 'refused');
    const checkpoints = new Checkpointer(directory, { variables: [w], state: { it: holder(state) } });
    await expect(checkpoints.save(1)).rejects.toThrow(message);
    expect(io.readdirSync(directory)).toEqual([]);
    w.dispose();
  });
});

describe('what does not fit is refused, and everything is as before', () => {
  async function saved(optimizer: tf.Optimizer = ftp.adamw(0.02)) {
    const directory = temporaryFolder();
    const model = makeModel(optimizer);
    await trainOn(model, 0, 3);
    const counter = {
      value: 3,
      getState: () => counter.value,
      setState: (next: number) => {
        counter.value = next;
      },
    };
    await new Checkpointer(directory, { model, state: { counter } }).save(3);
    return directory;
  }

  it.each<[string, () => { optimizer: tf.Optimizer; units?: number; states?: string[] }, RegExp]>([
    [
      'another model',
      () => ({ optimizer: ftp.adamw(0.02), units: 5 }),
      /weight 0 must be the 'one\/kernel\S*' float32 \[2,4\] that was saved, got 'one\/kernel\S*' float32 \[2,5\]/,
    ],
    [
      'another optimizer',
      () => ({ optimizer: ftp.sgd(0.02) }),
      /must be the FtpAdamWOptimizer that was saved, got FtpSgdOptimizer/,
    ],
    [
      'another option',
      () => ({ optimizer: ftp.adamw(0.02, { beta1: 0.8 }) }),
      /other options \(beta1 0\.9, now 0\.8\)/,
    ],
    [
      'a schedule in place of a number',
      () => ({ optimizer: ftp.adamw(() => 0.02) }),
      /learningRate a number, now a function of the step/,
    ],
    ['another slot', () => ({ optimizer: ftp.adamw(0.02, { amsgrad: true }) }), /amsgrad false, now true/],
    [
      'a state that was not saved',
      () => ({ optimizer: ftp.adamw(0.02), states: ['counter', 'other'] }),
      /without a state of 'other'/,
    ],
  ])('%s', async (_, make, message) => {
    const directory = await saved();
    const { optimizer, units, states = ['counter'] } = make();
    const model = makeModel(optimizer, units);
    await trainOn(model, 0, 1);
    const before = [weightBits(model), await optimizerBits(optimizer), optimizer.getConfig()];
    const set: unknown[] = [];
    const state = Object.fromEntries(
      states.map((name) => [
        name,
        {
          getState: () => 1,
          setState: (next: unknown) => {
            set.push(next);
          },
        },
      ]),
    );
    const tensors = tf.memory().numTensors;
    await expect(resume(directory, { model, state })).rejects.toMatchObject({
      code: 'STATE_MISMATCH',
      message: expect.stringMatching(message),
    });
    expect(tf.memory().numTensors).toBe(tensors);
    expect([weightBits(model), await optimizerBits(optimizer), optimizer.getConfig()]).toEqual(before);
    expect(set.at(-1) ?? 1).toBe(1);
    optimizer.dispose();
  });

  it('a schedule with other values, also of a wrapped optimizer with another option', async () => {
    const directory = await saved(ftp.adamw((step) => 0.1 / (step + 1)));
    const optimizer = ftp.adamw((step) => 0.2 / (step + 1));
    const model = makeModel(optimizer);
    await expect(resume(directory, { model })).rejects.toThrow(/learningRate 0\.025, now 0\.05/);
    expect(optimizer.iterations).toBe(0);
    await resume(directory, { model }, { changedOptions: true });
    expect([optimizer.iterations, optimizer.learningRate]).toEqual([3, 0.05]);

    const wrapped = await saved(ftp.wrap(tf.train.adam(0.02, 0.9)));
    const other = makeModel(ftp.wrap(tf.train.adam(0.02, 0.8)));
    await expect(resume(wrapped, { model: other })).rejects.toThrow(/\(base\.config\.beta1 0\.9, now 0\.8\)/);
  });

  it('a setState that throws, after another has been set', async () => {
    const directory = temporaryFolder();
    const w = tf.variable(tf.ones([2]), true, 'thrown');
    const counter = {
      value: 1,
      getState: () => counter.value,
      setState: (next: number) => {
        counter.value = next;
      },
    };
    const bad = {
      getState: () => 1,
      setState: () => {
        throw new Error('on purpose');
      },
    };
    const checkpoints = new Checkpointer(directory, { variables: [w], state: { counter, bad } });
    await checkpoints.save(1);
    counter.value = 5;
    w.assign(tf.zeros([2]));
    await expect(checkpoints.resume()).rejects.toThrow('on purpose');
    expect(counter.value).toBe(5);
    expect([...w.dataSync()]).toEqual([0, 0]);
    w.dispose();
  });

  it('other options where that is allowed: those of the optimizer stay, the learning rate is the saved one', async () => {
    const directory = await saved();
    const optimizer = ftp.adamw(0.5, { beta1: 0.8 });
    const model = makeModel(optimizer);
    await resume(directory, { model }, { changedOptions: true });
    expect(optimizer.getConfig()).toMatchObject({ beta1: 0.8, learningRate: 0.02 });
  });

  it('a model alone takes its weights', async () => {
    const optimizer = ftp.adamw(0.02);
    const directory = await saved(optimizer);
    const model = makeModel(null);
    await resume(directory, { model });
    const compiled = makeModel(ftp.adamw(0.02));
    await resume(directory, { model: compiled });
    expect(weightBits(model)).toEqual(weightBits(compiled));
    const without = temporaryFolder();
    await new Checkpointer(without, { model }).save(1);
    await expect(resume(without, { model: compiled })).rejects.toThrow(/saved without an optimizer/);
  });

  it('fewer variables than were saved', async () => {
    const directory = temporaryFolder();
    const [a, b] = [tf.variable(tf.ones([2]), true, 'fewer_a'), tf.variable(tf.ones([2]), true, 'fewer_b')];
    await new Checkpointer(directory, { variables: [a, b] }).save(1);
    await expect(resume(directory, { variables: [a] })).rejects.toThrow(
      /must be the 2 weights that were saved, got 1/,
    );
    await expect(resume(directory, { variables: [b, a] })).rejects.toThrow(
      /weight 0 must be the 'fewer_a' .* got 'fewer_b'/,
    );
    expect(bits(a)).toBe(bits(b));
    tf.dispose([a, b]);
  });
});

test('wrong arguments', async () => {
  const w = tf.variable(tf.ones([2]), true, 'wrong');
  const make = (directory: unknown, options: unknown) => () =>
    new Checkpointer(directory as string, options as never);
  expect(make('', { variables: [w] })).toThrow(/^directory must be the path of a folder, got ''$/);
  expect(make('x', {})).toThrow(/^options must have a model or variables, got neither$/);
  expect(make('x', { variables: [tf.ones([1])] })).toThrow(/^variables must be an array of tf\.Variable/);
  expect(make('x', { model: w })).toThrow(/^model must be a tf\.LayersModel, got a Variable$/);
  expect(make('x', { variables: [w], optimizer: 'adam' })).toThrow(
    /^optimizer must be a tf\.Optimizer, got 'adam'$/,
  );
  expect(make('x', { variables: [w], keep: 0 })).toThrow(RangeError);
  expect(make('x', { variables: [w], state: { a: 1 } })).toThrow(
    /^state\.a must have the functions getState and setState, got 1$/,
  );
  expect(make('x', { variables: [w], data: {} })).toThrow(/^data must have the functions/);
  expect(make('x', { variables: [w], every: 3 })).toThrow(/has no option 'every'/);
  const checkpoints = new Checkpointer('x', { variables: [w] });
  await expect(checkpoints.save(-1)).rejects.toThrow(/^step must be a whole number from 0/);
  await expect(checkpoints.save({ epoch: 1 } as never)).rejects.toThrow(/^step must be a whole number/);
  await expect(checkpoints.save({ step: 1, epochs: 1 } as never)).rejects.toThrow(/has no option 'epochs'/);
  await expect(checkpoints.resume({ from: 3 as never })).rejects.toThrow(/^from must be the path/);
  await expect(checkpoints.resume({ changedOptions: 'yes' as never })).rejects.toThrow(TypeError);
  w.dispose();
});
