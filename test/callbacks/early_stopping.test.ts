import { beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { callbacks, ftp } from '../../src/index.js';
import { everyEpoch, layers, makeModel, scripted, tf, train, weightsOf } from './support.js';

const { earlyStopping } = callbacks;

beforeAll(() => tf.setBackend('cpu'));

let model: layers.Sequential;
beforeEach(() => {
  model = makeModel(ftp.adamw(0.05));
});

describe('earlyStopping', () => {
  it('stops after patience and gives the weights of the best epoch back, statistics included', async () => {
    const seen: number[][][] = [];
    const stopping = earlyStopping({ patience: 2 });
    const record = everyEpoch(() => seen.push(weightsOf(model)));
    const { epoch } = await train(model, 9, [scripted([5, 3, 4, 3.5, 1]), stopping, record]);
    expect(epoch).toEqual([0, 1, 2, 3]);
    expect(stopping).toMatchObject({ best: 3, bestEpoch: 1, stoppedEpoch: 3 });
    expect(seen[1]).not.toEqual(seen[3]);
    // Moving mean and variance among them.
    expect(seen[1]).toHaveLength(8);
    expect(weightsOf(model)).toEqual(seen[1]);
  });

  it('gives them back too where training ran to its end', async () => {
    const seen: number[][][] = [];
    const stopping = earlyStopping({ patience: 5 });
    await train(model, 3, [scripted([5, 3, 4]), stopping, everyEpoch(() => seen.push(weightsOf(model)))]);
    expect(stopping).toMatchObject({ bestEpoch: 1, stoppedEpoch: null });
    expect(weightsOf(model)).toEqual(seen[1]);
  });

  it('leaves the weights where the last epoch was the best, and without restoreBestWeights', async () => {
    const ids = () => model.weights.map((weight) => weight.read().dataId);
    let atEnd: object[] = [];
    const record = everyEpoch(() => {
      atEnd = ids();
    });
    await train(model, 2, [scripted([5, 3]), earlyStopping(), record]);
    expect(ids()).toEqual(atEnd);
    await train(model, 2, [scripted([5, 6]), earlyStopping({ restoreBestWeights: false }), record]);
    expect(ids().map((id, i) => id === atEnd[i])).toEqual(atEnd.map(() => true));
  });

  it('lets training go on from the restored weights, with finite ones', async () => {
    const stopping = earlyStopping();
    await train(model, 4, [scripted([5, 6]), stopping]);
    const restored = weightsOf(model);
    await train(model, 1, [scripted([5]), stopping]);
    expect(stopping).toMatchObject({ best: 5, bestEpoch: 0, stoppedEpoch: null });
    expect(weightsOf(model)).not.toEqual(restored);
    expect(weightsOf(model).flat().every(Number.isFinite)).toBe(true);
  });

  test.each<[string, callbacks.EarlyStoppingOptions, number[], object]>([
    [
      'patience 0 stops at the first epoch that is no better',
      {},
      [5, 5, 1],
      { bestEpoch: 0, stoppedEpoch: 1 },
    ],
    ['minDelta must be exceeded', { minDelta: 1 }, [5, 4, 1], { bestEpoch: 0, stoppedEpoch: 1 }],
    [
      'more is better for accuracies',
      { monitor: 'val_acc' },
      [0.1, 0.2, 0.1],
      { best: 0.2, stoppedEpoch: 2 },
    ],
    ['mode: max', { mode: 'max' }, [1, 2, 1], { best: 2, stoppedEpoch: 2 }],
    [
      'epochs before startFromEpoch do not count',
      { startFromEpoch: 2 },
      [1, 5, 5, 4, 4.5],
      { best: 4, bestEpoch: 3, stoppedEpoch: 4 },
    ],
    [
      'a baseline that is not beaten does not restart the count',
      { patience: 2, baseline: 1 },
      [5, 4, 4.5],
      { best: 4, bestEpoch: 1, stoppedEpoch: 2 },
    ],
    ['NaN is never better', { patience: 2 }, [NaN, 5, NaN, NaN], { best: 5, bestEpoch: 1, stoppedEpoch: 3 }],
  ])('%s', async (_, options, values, expected) => {
    const stopping = earlyStopping(options);
    await train(model, values.length, [scripted(values, options.monitor), stopping]);
    expect(stopping).toMatchObject(expected);
  });

  it('leaks nothing: after training, after a fit that threw and dispose(), after the next fit', async () => {
    await train(model, 1, [scripted([1]), earlyStopping()]); // the optimizer's state
    const tensors = () => tf.memory().numTensors;
    const before = tensors();
    await train(model, 4, [scripted([3, 2, 4, 5]), earlyStopping({ patience: 2 })]);
    expect(tensors()).toBe(before);

    const stopping = earlyStopping({ patience: 9 });
    const failing = everyEpoch((epoch) => {
      if (epoch === 1) throw new Error('on purpose');
    });
    const failed = () => train(model, 3, [scripted([3, 2, 4]), stopping, failing]);
    // A fit that throws leaks tensors of its own; a callback without copies tells how many.
    const leak = async (callback: unknown) => {
      const start = tensors();
      await expect(train(model, 3, [scripted([3, 2, 4]), callback, failing])).rejects.toThrow('on purpose');
      return tensors() - start;
    };
    const own = await leak(earlyStopping({ patience: 9, restoreBestWeights: false }));
    const start = tensors();
    await expect(failed()).rejects.toThrow('on purpose');
    expect(tensors() - start).toBe(own + model.weights.length);
    stopping.dispose();
    stopping.dispose();
    expect(tensors() - start).toBe(own);
    await expect(failed()).rejects.toThrow('on purpose');
    await train(model, 2, [scripted([3, 2]), stopping]);
    expect(tensors() - start).toBe(2 * own);
  });

  it('reads a log that is a tensor, in one array with callbacks of tfjs', async () => {
    const stopping = earlyStopping({ monitor: 'loss', patience: 50 });
    const { history } = await train(model, 2, [
      stopping,
      layers.callbacks.earlyStopping({ monitor: 'loss' }),
    ]);
    expect(stopping.best).toBeCloseTo(Math.min(...(history.loss as number[])), 5);
    await train(model, 1, stopping); // alone, without an array
    expect(stopping.bestEpoch).toBe(0);
  });
});

test.each([
  ['earlyStopping', earlyStopping],
  ['reduceOnPlateau', callbacks.reduceOnPlateau],
])('%s: an unknown monitor is an error at the end of the first epoch', async (_, make) => {
  await expect(train(model, 2, [make()])).rejects.toThrow(
    new RangeError(
      "monitor must be one of the logs at the end of an epoch ('loss'), got 'val_loss'; those that begin with val_ " +
        'need validationData or validationSplit',
    ),
  );
  await expect(train(model, 2, [make({ monitor: 'acc' })], { validationSplit: 0.5 })).rejects.toThrow(
    /\('val_loss', 'loss'\), got 'acc'$/,
  );
});

test.each([
  ['earlyStopping', earlyStopping],
  ['reduceOnPlateau', callbacks.reduceOnPlateau],
])('%s: an epoch that was cut, and so not validated, does not count', async (_, make) => {
  class Cut extends layers.Callback {
    override async onBatchEnd(): Promise<void> {
      model.stopTraining = true;
    }
  }
  const xs = tf.ones([4, 2]);
  const data = {
    iterator: async () => ({
      next: async () => ({ done: false, value: { xs: tf.ones([1, 2]), ys: tf.ones([1, 1]) } }),
    }),
    size: 4,
  };
  const args = { epochs: 3, verbose: 0 as const, validationData: [xs, tf.ones([4, 1])] as never };
  const history = await model.fitDataset(data as never, { ...args, callbacks: [make(), new Cut()] as never });
  expect(history.epoch).toEqual([0]);
});

test('wrong options', () => {
  const make = earlyStopping as (options: unknown) => unknown;
  expect(() => make({ patients: 1 })).toThrow(/^options has no option 'patients'; accepted: monitor, /);
  expect(() => make({ patience: -1 })).toThrow(RangeError);
  expect(() => make({ patience: 'a' })).toThrow(TypeError);
  expect(() => make({ monitor: 3 })).toThrow(new TypeError('monitor must be the name of a log, got 3'));
  expect(() => make({ mode: 'least' })).toThrow(RangeError);
  expect(() => make({ minDelta: -1 })).toThrow(RangeError);
  expect(() => make({ restoreBestWeights: 1 })).toThrow(TypeError);
  expect(() => make({ monitor: 'val_precision' })).toThrow(
    /mode must be 'min' or 'max' for the log 'val_precision'/,
  );
  expect(() => make({ monitor: 'val_precision', mode: 'max' })).not.toThrow();
});
