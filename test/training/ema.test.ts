/** Averages of the weights: what they are, swapping them in and out, saving them. */
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  adamw,
  type EmaOptions,
  type FtpOptimizer,
  ftp,
  l2sp,
  type NamedTensor,
  sgd,
} from '../../src/index.js';
import { type EmaSettings, emaMomentumOf, emaOption } from '../../src/optimizers/ema.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import {
  batch,
  bytesOf,
  codeOf,
  denseModel,
  everything,
  range,
  stateBytes,
  train,
  weightBytes,
} from '../citizen/support.js';
import { fromConfigOf, memoryHandler, randomVariable, stepOnce } from '../optimizers/support.js';

const SHAPES: ReadonlyArray<[string, number[]]> = [
  ['a', [3, 4]],
  ['b', [5]],
  ['head/c', [2, 2]],
];

const valuesOf = (list: readonly tf.Variable[]) => list.map((variable) => Array.from(variable.dataSync()));

function averagesOf(optimizer: FtpOptimizer): Record<string, string> {
  const averages = optimizer.emaWeights();
  const result = Object.fromEntries(
    Object.entries(averages).map(([name, tensor]) => [name, bytesOf(tensor)]),
  );
  tf.dispose(averages);
  return result;
}

describeImplementations('averages of the weights', (implementation) => {
  const options = { implementation: implementation.implementation, exclude: ['head'] };
  let variables: tf.Variable[];
  const reset = () => {
    tf.disposeVariables();
    variables = SHAPES.map(([name, shape], i) => randomVariable(name, shape, i));
  };
  const weights = () => Object.fromEntries(variables.map((variable) => [variable.name, bytesOf(variable)]));

  beforeAll(() => useBackend(implementation));
  afterEach(() => tf.disposeVariables());

  const makers: Record<string, (ema: EmaOptions) => FtpOptimizer> = {
    'ftp.adamw': (ema) => ftp.adamw(0.01, { ...options, ema }),
    'ftp.sgd': (ema) => ftp.sgd(0.05, { ...options, momentum: 0.9, ema }),
    'l2sp.adamw': (ema) => l2sp.adamw(0.05, { ...options, ema }),
    adamw: (ema) => adamw(0.01, { implementation: options.implementation, ema }),
    'ftp.wrap(adam)': (ema) => ftp.wrap(tf.train.adam(0.01), { ...options, ema }),
  };

  it.each(Object.entries(makers))('%s: of each step, in float32, excluded variables too', (_name, make) => {
    reset();
    const optimizer = make({ momentum: 0.75 });
    let expected: number[][] = [];
    for (const step of range(5)) {
      stepOnce(optimizer, variables, step);
      expected = valuesOf(variables).map((list, i) =>
        list.map((w, j) => (step === 0 ? w : 0.75 * ((expected[i] as number[])[j] as number) + 0.25 * w)),
      );
      const averages = optimizer.emaWeights();
      expect(Object.keys(averages).sort()).toEqual(SHAPES.map(([name]) => name));
      for (const [i, [name, shape]] of SHAPES.entries()) {
        const average = averages[name] as tf.Tensor;
        expect(average.shape).toEqual(shape);
        for (const [j, value] of average.dataSync().entries()) {
          expect(value).toBeCloseTo((expected[i] as number[])[j] as number, 6);
        }
      }
      tf.dispose(averages);
    }
    optimizer.dispose();
  });

  it.each(Object.entries(makers))('%s: does not change the weights, and leaves no tensors', (_name, make) => {
    const run = (ema: EmaOptions | undefined) => {
      reset();
      const count = tf.memory().numTensors;
      const optimizer = make(ema as EmaOptions);
      for (const step of range(4)) stepOnce(optimizer, variables, step);
      optimizer.dispose();
      expect(tf.memory().numTensors).toBe(count);
      return weights();
    };
    expect(run({})).toEqual(run(undefined));
  });

  it.each(Object.entries(makers))('%s: swapped in and out, as if nothing had been', async (_name, make) => {
    const run = async (swaps: boolean) => {
      reset();
      const optimizer = make({ momentum: 0.5 });
      for (const step of range(3)) stepOnce(optimizer, variables, step);
      if (swaps) {
        const [trained, state, averages] = [weights(), await stateBytes(optimizer), averagesOf(optimizer)];
        const count = tf.memory().numTensors;
        expect(optimizer.emaSwapped).toBe(false);
        expect(optimizer.swapEma()).toBe(true);
        expect(optimizer.emaSwapped).toBe(true);
        expect(weights()).toEqual(averages);
        expect(averagesOf(optimizer)).toEqual(averages);
        expect(weights()).not.toEqual(trained);
        for (const refused of [() => stepOnce(optimizer, variables, 9), () => optimizer.reanchor()]) {
          expect(codeOf(refused)).toBe('EMA_SWAPPED_IN');
        }
        await expect(optimizer.getWeights()).rejects.toThrow('call optimizer.swapEma() before');
        await expect(optimizer.setWeights([])).rejects.toThrow('call optimizer.swapEma() before');
        expect(weights()).toEqual(averages);
        expect(optimizer.swapEma()).toBe(false);
        expect(weights()).toEqual(trained);
        expect(await stateBytes(optimizer)).toEqual(state);
        expect(tf.memory().numTensors).toBe(count);
      }
      for (const step of range(3, 3)) stepOnce(optimizer, variables, step);
      const result = [weights(), averagesOf(optimizer)];
      optimizer.dispose();
      return result;
    };
    expect(await run(true)).toEqual(await run(false));
  });

  it('a failure while swapping in: no variable has changed', async () => {
    reset();
    const optimizer = ftp.adamw(0.01, { ...options, ema: {} });
    for (const step of range(3)) stepOnce(optimizer, variables, step);
    const before = await everything(optimizer, variables);
    const last = variables[2] as tf.Variable;
    const assign = last.assign.bind(last);
    let failures = 1;
    last.assign = (value) => {
      if (failures-- > 0) throw new Error('injected');
      assign(value);
    };
    expect(() => optimizer.swapEma()).toThrow('injected');
    expect(optimizer.emaSwapped).toBe(false);
    expect(await everything(optimizer, variables)).toEqual(before);
    optimizer.dispose();
  });

  it('a variable that is gone while its average is in place is left out; dispose leaves the averages', () => {
    reset();
    const optimizer = sgd(0.1, { implementation: options.implementation, ema: {} });
    for (const step of range(3)) stepOnce(optimizer, variables, step);
    const averages = averagesOf(optimizer);
    const count = tf.memory().numTensors;
    optimizer.swapEma();
    variables[0]?.dispose();
    optimizer.swapEma();
    expect(tf.memory().numTensors).toBe(count - 1);
    optimizer.swapEma(); // without the variable that is gone
    optimizer.dispose();
    expect(bytesOf(variables[1] as tf.Variable)).toBe(averages.b);
  });

  it.each(Object.entries(makers))('%s: saved and resumed to the bit', async (_name, make) => {
    reset();
    const optimizer = make({ momentum: 0.9, warmup: true, every: 2, startStep: 1 });
    for (const step of range(5)) stepOnce(optimizer, variables, step);
    const saved = await optimizer.getWeights();
    const left = variables.map((variable) => variable.clone());
    for (const step of range(4, 5)) stepOnce(optimizer, variables, step);
    const [expected, state] = [weights(), await stateBytes(optimizer)];
    const resumed = fromConfigOf(optimizer);
    expect(resumed.getConfig()).toEqual(optimizer.getConfig());
    await resumed.setWeights(saved);
    for (const [i, variable] of variables.entries()) variable.assign(left[i] as tf.Tensor);
    for (const step of range(4, 5)) stepOnce(resumed, variables, step);
    expect(weights()).toEqual(expected);
    expect(await stateBytes(resumed)).toEqual(state);
    tf.dispose([saved.map(({ tensor }: NamedTensor) => tensor), left]);
    optimizer.dispose();
    resumed.dispose();
  });

  it.each(Object.entries(makers))(
    '%s: overwriteEvery puts the averages in place, for good',
    async (_name, make) => {
      reset();
      const optimizer = make({ momentum: 0.5, overwriteEvery: 3 });
      for (const step of range(7)) {
        stepOnce(optimizer, variables, step);
        if (step % 3 === 2) expect(weights()).toEqual(averagesOf(optimizer));
        else if (step > 0) expect(weights()).not.toEqual(averagesOf(optimizer));
      }
      // Saved right after: as without a stop.
      for (const step of range(2, 7)) stepOnce(optimizer, variables, step);
      const saved = await optimizer.getWeights();
      const left = variables.map((variable) => variable.clone());
      for (const step of range(2, 9)) stepOnce(optimizer, variables, step);
      const expected = weights();
      const resumed = fromConfigOf(optimizer);
      await resumed.setWeights(saved);
      for (const [i, variable] of variables.entries()) variable.assign(left[i] as tf.Tensor);
      for (const step of range(2, 9)) stepOnce(resumed, variables, step);
      expect(weights()).toEqual(expected);
      tf.dispose([saved.map(({ tensor }: NamedTensor) => tensor), left]);
      optimizer.dispose();
      resumed.dispose();
    },
  );

  it('state with averages does not fit an optimizer without, nor the other way round', async () => {
    reset();
    const [one, other] = [ftp.adamw(0.01, { ...options, ema: {} }), ftp.adamw(0.01, options)];
    for (const optimizer of [one, other]) stepOnce(optimizer, variables, 1);
    const [averaged, plain] = [await one.getWeights(), await other.getWeights()];
    await expect(other.setWeights(averaged)).rejects.toThrow("has 'a/ema', unused here");
    await expect(one.setWeights(plain)).rejects.toThrow("lacks 'a/ema'");
    tf.dispose([...averaged, ...plain].map(({ tensor }) => tensor));
    one.dispose();
    other.dispose();
  });
});

describe('averages of the weights', () => {
  beforeAll(async () => {
    await tf.setBackend('cpu');
  });
  afterEach(() => tf.disposeVariables());

  const settings = (given: EmaOptions) => emaOption.check('ema', given) as EmaSettings;
  const momenta = (given: EmaOptions, updates = 6) =>
    range(updates, 1).map((n) => emaMomentumOf(settings(given), n));

  it('what an average keeps of itself, update by update', () => {
    expect(momenta({})).toEqual([0, 0.99, 0.99, 0.99, 0.99, 0.99]);
    expect(momenta({ momentum: 0.5, startStep: 2 })).toEqual([0, 0, 0, 0.5, 0.5, 0.5]);
    expect(momenta({ momentum: 0.5, every: 3 })).toEqual([0, 1, 0.5, 1, 1, 0.5]);
    // By hand: 1 - (1 + q / 2)^-1 = q / (q + 2)
    const warm = { momentum: 0.6, warmup: true, warmupGamma: 2, warmupPower: 1 };
    expect(momenta(warm).map((mu) => Number(mu.toFixed(12)))).toEqual([
      0, 0.333333333333, 0.5, 0.6, 0.6, 0.6,
    ]);
    expect(momenta({ ...warm, minMomentum: 0.4 })[1]).toBe(0.4);
  });

  it('is told by constraints()', async () => {
    const all = SHAPES.map(([name, shape], i) => randomVariable(name, shape, i));
    const optimizer = ftp.adamw(0.01, {
      exclude: ['head'],
      ema: { momentum: 0.5 },
      implementation: 'reference',
    });
    for (const expected of [0, 0.5]) {
      stepOnce(optimizer, all, 1);
      const reports = await optimizer.constraints();
      expect(reports.map(({ emaMomentum }) => emaMomentum)).toEqual([expected, expected, expected]);
    }
    optimizer.dispose();
  });

  it('of a loaded model: swapEma(model) before any step, and resumed after', async () => {
    const model = denseModel();
    const optimizer = ftp.adamw(0.01, {
      exclude: ['head'],
      ema: { momentum: 0.5 },
      implementation: 'reference',
    });
    model.compile({ optimizer, loss: 'categoricalCrossentropy' });
    await train(model, range(3));
    const averages = Object.values(averagesOf(optimizer));
    const { handler } = memoryHandler();
    await model.save(handler, { includeOptimizer: true });
    const loaded = await layers.loadLayersModel(handler);
    const resumed = loaded.optimizer as FtpOptimizer;
    const trained = weightBytes(loaded);
    expect(Object.values(averagesOf(resumed))).toEqual(averages);
    // Two models have variables of these names but for a suffix.
    expect(codeOf(() => resumed.swapEma())).toBe('STATE_MISMATCH');
    expect(() => resumed.swapEma()).toThrow('swapEma(model) tells whose variables they are');
    resumed.swapEma(loaded);
    expect(weightBytes(loaded)).toEqual(averages);
    expect(weightBytes(model)).toEqual(trained);
    const { xs, ys } = batch(9);
    await expect(loaded.trainOnBatch(xs, ys)).rejects.toThrow('swapEma() before');
    tf.dispose([xs, ys]);
    resumed.swapEma();
    expect(weightBytes(loaded)).toEqual(trained);
    await train(model, range(3, 3));
    await train(loaded, range(3, 3));
    expect(weightBytes(loaded)).toEqual(weightBytes(model));
    expect(Object.values(averagesOf(resumed))).toEqual(Object.values(averagesOf(optimizer)));
    for (const disposable of [optimizer, resumed, model, loaded]) disposable.dispose();
  });

  it('without the option: EMA_DISABLED', () => {
    const optimizer = sgd(0.1);
    expect(optimizer.emaSwapped).toBe(false);
    expect(codeOf(() => optimizer.swapEma())).toBe('EMA_DISABLED');
    expect(codeOf(() => optimizer.emaWeights())).toBe('EMA_DISABLED');
    optimizer.dispose();
    expect(codeOf(() => optimizer.swapEma())).toBe('OPTIMIZER_DISPOSED');
  });

  it.each([
    ['null', null, TypeError, 'ema must be an object, got null'],
    ['a number', 0.9, TypeError, 'ema must be an object, got 0.9'],
    ['another option', { decay: 0.9 }, TypeError, "ema has no option 'decay'; accepted: momentum, every"],
    [
      'a momentum of 1',
      { momentum: 1 },
      RangeError,
      'ema.momentum must be a finite number >= 0 and < 1, got 1',
    ],
    ['every 0', { every: 0 }, RangeError, 'ema.every must be a whole number from 1'],
    [
      'overwriteEvery 0',
      { overwriteEvery: 0 },
      RangeError,
      'ema.overwriteEvery must be a whole number from 1',
    ],
    ['a warm-up of text', { warmup: 'yes' }, TypeError, 'ema.warmup must be a boolean'],
    ['a gamma of 0', { warmupGamma: 0 }, RangeError, 'ema.warmupGamma must be a finite number > 0'],
    ['a power of 0', { warmupPower: 0 }, RangeError, 'ema.warmupPower must be a finite number > 0'],
    ['a least momentum of 1', { minMomentum: 1 }, RangeError, 'ema.minMomentum must be'],
    [
      'a start before the first',
      { startStep: -1 },
      RangeError,
      'ema.startStep must be a whole number from 0',
    ],
  ] as Array<[string, unknown, typeof TypeError, string]>)('refuse %s', (_what, ema, kind, message) => {
    const makes = [
      () => adamw(1, { ema: ema as EmaOptions }),
      () => ftp.wrap(tf.train.sgd(1), { ema: ema as EmaOptions }),
    ];
    for (const make of makes) {
      expect(make).toThrow(kind);
      expect(make).toThrow(message);
    }
  });
});
