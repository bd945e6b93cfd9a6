import { beforeAll, describe, expect, it, test } from 'vitest';
import { callbacks, ftp, schedules } from '../../src/index.js';
import { everyEpoch, makeModel, scripted, tf, train } from './support.js';

const { reduceOnPlateau } = callbacks;

beforeAll(() => tf.setBackend('cpu'));

/** The rate after each epoch. */
async function ratesOf(
  optimizer: tf.Optimizer,
  options: callbacks.ReduceOnPlateauOptions,
  values: number[],
): Promise<number[]> {
  const rates: number[] = [];
  const record = everyEpoch(() =>
    rates.push((optimizer as unknown as { learningRate: number }).learningRate),
  );
  await train(makeModel(optimizer), values.length, [scripted(values), reduceOnPlateau(options), record]);
  return rates;
}

describe('reduceOnPlateau', () => {
  test.each<[string, callbacks.ReduceOnPlateauOptions, number[], number[]]>([
    ['after patience', { patience: 2 }, [5, 5, 5, 5, 5], [1, 1, 0.5, 0.5, 0.25]],
    ['not while it gets better', { patience: 1 }, [5, 4, 3, 3], [1, 1, 1, 0.5]],
    ['by less than minDelta', { patience: 1, minDelta: 1 }, [5, 4.5, 4], [1, 0.5, 0.25]],
    ['not below the least', { patience: 1, minLearningRate: 0.3 }, [5, 5, 5, 5], [1, 0.5, 0.3, 0.3]],
    ['with a cooldown', { patience: 1, cooldown: 2 }, [5, 5, 5, 5, 5], [1, 0.5, 0.5, 0.25, 0.25]],
    ['NaN is no better', { patience: 1 }, [5, NaN], [1, 0.5]],
  ])('%s', async (_, options, values, expected) => {
    expect(await ratesOf(ftp.sgd(1, { nonFinite: 'ignore' }), { factor: 0.5, ...options }, values)).toEqual(
      expected,
    );
  });

  test.each<[string, () => tf.Optimizer]>([
    ['ftp.adamw', () => ftp.adamw(1)],
    ['ftp.wrap', () => ftp.wrap(tf.train.sgd(1))],
    ['tf.train.sgd', () => tf.train.sgd(1)],
    ['tf.train.adam', () => tf.train.adam(1)],
  ])('%s steps with the reduced rate', async (_, make) => {
    expect(await ratesOf(make(), { factor: 0.25, patience: 1 }, [1, 1])).toEqual([1, 0.25]);
  });

  it('reaches the step itself in tf.train.sgd', async () => {
    const optimizer = tf.train.sgd(1);
    await ratesOf(optimizer, { factor: 0.25, patience: 1 }, [1, 1]);
    const variable = tf.variable(tf.scalar(1));
    optimizer.applyGradients({ [variable.name]: tf.scalar(1) });
    expect(variable.dataSync()[0]).toBe(0.75);
  });

  it('counts anew in every fit', async () => {
    const optimizer = ftp.sgd(1);
    const model = makeModel(optimizer);
    const callback = reduceOnPlateau({ patience: 2 });
    for (let i = 0; i < 3; ++i) await train(model, 2, [scripted([5, 5]), callback]);
    expect(optimizer.learningRate).toBe(1);
  });

  it('refuses a schedule, which it would put an end to', async () => {
    const rate = schedules.polynomial({ initialLearningRate: 1, decaySteps: 9 });
    for (const schedule of [rate, () => 0.1]) {
      const model = makeModel(ftp.sgd(schedule));
      await expect(train(model, 1, [reduceOnPlateau({ monitor: 'loss' })])).rejects.toThrow(
        new TypeError(
          'reduceOnPlateau needs a learning rate that is a number, but that of the FtpSgdOptimizer is a function of the step',
        ),
      );
    }
  });

  it('leaks nothing', async () => {
    const model = makeModel(ftp.sgd(0.01));
    await train(model, 1, []);
    const before = tf.memory().numTensors;
    await train(model, 3, [scripted([1, 1, 1]), reduceOnPlateau({ patience: 1 })]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('refuses wrong options', () => {
    const make = reduceOnPlateau as (options: unknown) => unknown;
    expect(() => make({ minLr: 1 })).toThrow(TypeError);
    for (const options of [
      { factor: 1 },
      { factor: 0 },
      { patience: 0 },
      { cooldown: 0.5 },
      { minLearningRate: -1 },
    ]) {
      expect(() => make(options)).toThrow(RangeError);
    }
  });
});
