// Linear probing and LP-FT: what they train, what they leave as it was, and when they stop.
import * as tf from '@tensorflow/tfjs';
import { beforeEach, describe, expect, it } from 'vitest';
import { ftp, recipes } from '../../src/index.js';
import { changed, dataset, examples, net, values, withoutLeak } from './support.js';

let model: tf.LayersModel;
const train = examples(24, 1);
const held = examples(10, 2);
beforeEach(() => {
  model = net();
});

/** Every flag of every layer and weight. */
function flags(): string[] {
  const inner = model.layers[2] as tf.LayersModel;
  return [...model.layers, ...inner.layers].flatMap((layer) => [
    `${layer.name} ${layer.trainable}`,
    ...layer.weights.map((weight) => `${weight.originalName} ${weight.trainable}`),
  ]);
}

const HEAD = ['head/kernel', 'head/bias'];
const probeOptions = () => ({
  head: 'head',
  dataset: train,
  loss: 'meanSquaredError',
  optimizer: tf.train.sgd(0.1) as tf.Optimizer,
  epochs: 3,
});

describe('linearProbe', () => {
  it('trains the head alone, with frozen statistics, and puts flags and compilation back', async () => {
    model.layers[0]!.trainable = false;
    model.layers[3]!.trainable = false;
    const original = tf.train.sgd(1);
    model.compile({ optimizer: original, loss: 'meanAbsoluteError', metrics: ['mse'] });
    const [before, flagsBefore] = [values(model), flags()];
    const options = probeOptions();
    const { epochs, epoch, history } = await withoutLeak(() => recipes.linearProbe(model, options));
    expect(changed(before, values(model))).toEqual(HEAD);
    expect(flags()).toEqual(flagsBefore);
    expect([epochs, epoch, history.length]).toEqual([3, 2, 3]);
    expect(history[2]!.loss).toBeLessThan(history[0]!.loss as number);
    expect(model.optimizer).toBe(original);
    expect(model.loss).toBe('meanAbsoluteError');
    // The training function of before, not the recipe's: the head is frozen again, the rest trains.
    const probed = values(model);
    await model.trainOnBatch(train.xs, train.ys);
    const moved = changed(probed, values(model));
    expect(moved).toEqual(expect.arrayContaining(['norm/gamma', 'inside/kernel']));
    expect(moved.filter((name) => /^(head|body)/.test(name))).toEqual([]);
  });

  it('leaves a model that was not compiled so', async () => {
    const layer = tf.layers.dense({ units: 2, name: 'functional_head' });
    const input = tf.input({ shape: [4] });
    for (const fresh of [
      model,
      tf.model({ inputs: input, outputs: layer.apply(input) as tf.SymbolicTensor }),
    ]) {
      const head = fresh === model ? 'head' : 'functional_head';
      await recipes.linearProbe(fresh, { ...probeOptions(), head, epochs: 1 });
      expect(fresh.optimizer ?? null).toBeNull();
      await expect(fresh.fit(train.xs, train.ys, { verbose: 0 })).rejects.toThrow(/compile/);
    }
  });

  it('uses the loss and metrics that the model is compiled with', async () => {
    model.compile({ optimizer: 'sgd', loss: 'meanAbsoluteError', metrics: ['mse'] });
    const { loss: _, ...options } = probeOptions();
    const { history } = await recipes.linearProbe(model, { ...options, validation: held, epochs: 1 });
    expect(Object.keys(history[0]!)).toEqual(['loss', 'mse', 'val_loss', 'val_mse']);
    const [loss, mse] = model.evaluate(held.xs, held.ys) as tf.Scalar[];
    expect(history[0]!.val_loss).toBeCloseTo(loss!.dataSync()[0] as number, 5);
    expect(history[0]!.val_mse).toBeCloseTo(mse!.dataSync()[0] as number, 5);
  });

  it('takes a dataset, with the same result as from tensors', async () => {
    const other = net();
    const validation = dataset(10, 2, 4);
    const batched = { ...probeOptions(), dataset: dataset(24, 1, 8), validation };
    const a = await withoutLeak(() => recipes.linearProbe(model, batched));
    const tensors = { ...probeOptions(), validation: held, batchSize: 8, shuffle: false };
    const b = await withoutLeak(() => recipes.linearProbe(other, tensors));
    expect(values(model)).toEqual(values(other));
    for (const [i, logs] of a.history.entries()) {
      expect(logs.loss).toBeCloseTo(b.history[i]!.loss as number, 6);
      expect(logs.val_loss).toBeCloseTo(b.history[i]!.val_loss as number, 6);
    }
  });

  it('shuffles tensors, xs and ys alike', async () => {
    // One example per batch: any order but the given one ends elsewhere; targets that did not go along would not fit.
    const other = net();
    const one = { ...probeOptions(), batchSize: 1, epochs: 1 };
    await recipes.linearProbe(model, one);
    await recipes.linearProbe(other, { ...one, shuffle: false });
    expect(values(model)['head/kernel']).not.toEqual(values(other)['head/kernel']);
    // At a rate of 0 every order has the same mean loss, if each example keeps its target.
    const [still, optimizer] = [net(), tf.train.sgd(0)];
    const shuffled = await recipes.linearProbe(still, { ...one, optimizer });
    const inOrder = await recipes.linearProbe(still, { ...one, optimizer, shuffle: false });
    expect(shuffled.history[0]!.loss).toBeCloseTo(inOrder.history[0]!.loss as number, 5);
  });

  it('trains a head within a nested model, though that is frozen', async () => {
    model.layers[2]!.trainable = false;
    const [before, flagsBefore] = [values(model), flags()];
    await recipes.linearProbe(model, { ...probeOptions(), head: ['inside', 'head'] });
    expect(changed(before, values(model)).sort()).toEqual(['inside/kernel', 'inside/bias', ...HEAD].sort());
    expect(flags()).toEqual(flagsBefore);
  });

  it('stops when the validation loss no longer falls, and goes back to the best weights', async () => {
    const seen: Record<string, number[]>[] = [];
    // A rate at which the loss soon grows.
    const optimizer = tf.train.sgd(0.1);
    const onEpochEnd = (epoch: number) => {
      seen.push(values(model));
      if (epoch === 2) optimizer.setLearningRate(3);
    };
    const options = { ...probeOptions(), optimizer, validation: held, epochs: 50, patience: 2, onEpochEnd };
    const { epochs, epoch, history } = await withoutLeak(() => recipes.linearProbe(model, options));
    const losses = history.map((logs) => logs.val_loss as number);
    expect(epoch).toBe(losses.indexOf(Math.min(...losses)));
    expect(epochs).toBe(epoch + 3);
    expect(epochs).toBeLessThan(50);
    expect(values(model)).toEqual(seen[epoch]);
    expect(values(model)).not.toEqual(seen.at(-1));
  });

  it('with minDelta stops where the loss falls by less', async () => {
    const options = { ...probeOptions(), validation: held, epochs: 20, patience: 2, minDelta: 1e6 };
    expect(await recipes.linearProbe(model, options)).toMatchObject({ epochs: 3, epoch: 0 });
  });

  it.each([
    ['the optimizer', () => ({ optimizer: failing(5) })],
    ['onEpochEnd', () => ({ onEpochEnd: () => Promise.reject(new Error('stop here')) })],
    ['the dataset', () => ({ dataset: brokenDataset() })],
    [
      'a batch of other shape',
      () => ({ dataset: dataset(8, 1, 4).map(() => ({ xs: tf.ones([2, 3]), ys: tf.ones([2, 2]) })) }),
    ],
    [
      'the loss',
      () => ({
        loss: () => {
          throw new Error('stop here');
        },
      }),
    ],
  ])('leaves all as it was where %s fails', async (what, change) => {
    model.compile({ optimizer: 'sgd', loss: 'meanAbsoluteError' });
    const compiled = model.optimizer;
    const norm = model.getLayer('norm').call;
    const [before, flagsBefore] = [values(model), flags()];
    const options = { ...probeOptions(), batchSize: 8, ...change() };
    // tfjs keeps what a loss had computed for its gradient when it throws; nothing outside of it can free that.
    const leakless = what === 'the loss' ? (use: () => Promise<void>) => use() : withoutLeak;
    await leakless(async () => {
      const message = what === 'a batch of other shape' ? /shape/ : 'stop here';
      await expect(recipes.linearProbe(model, options as never)).rejects.toThrow(message);
    });
    expect(values(model)).toEqual(before);
    expect(flags()).toEqual(flagsBefore);
    expect(model.optimizer).toBe(compiled);
    expect(model.getLayer('norm').call).toBe(norm);
    await model.fit(train.xs, train.ys, { verbose: 0 }); // no call is taken for one that goes on
  });

  it.each<[object, new (message?: string) => Error, string]>([
    [{ head: 'heda' }, RangeError, "head must name layers with weights, got 'heda'; the model has"],
    [{ head: [] }, TypeError, 'head must be the name of a layer, or an array of some, got an array'],
    [{ head: [3] }, TypeError, 'got 3 in it'],
    [
      { dataset: null },
      TypeError,
      'dataset must be a tf.data.Dataset of batches {xs, ys} or tensors {xs, ys}, got null',
    ],
    [{ dataset: { xs: train.xs } }, TypeError, 'got undefined in ys'],
    [{ dataset: { xs: train.xs, ys: held.ys } }, RangeError, 'got 24, 10'],
    [{ loss: undefined }, TypeError, 'loss must be given, since the model was not compiled with one'],
    [{ optimizer: 'adam' }, TypeError, "optimizer must be a tf.Optimizer, got 'adam'"],
    [{ epochs: 0 }, RangeError, 'epochs must be a whole number'],
    [{ patience: 2 }, TypeError, 'patience needs validation, got undefined'],
    [{ epoch: 2 }, TypeError, "options has no option 'epoch'"],
    [{ shuffle: 1 }, TypeError, 'shuffle must be a boolean, got 1'],
  ])('refuses %o', async (change, type, message) => {
    const run = recipes.linearProbe(model, { ...probeOptions(), ...change } as never);
    await expect(run).rejects.toThrow(message);
    await expect(run).rejects.toBeInstanceOf(type);
  });
});

/** An optimizer that fails at one step. */
function failing(step: number): tf.Optimizer {
  const optimizer = tf.train.sgd(0.1);
  const apply = optimizer.applyGradients.bind(optimizer);
  let steps = 0;
  optimizer.applyGradients = (gradients) => {
    if (++steps === step) throw new Error('stop here');
    apply(gradients);
  };
  return optimizer;
}

function brokenDataset() {
  return dataset(24, 1, 8).mapAsync(async (batch) => {
    const { xs } = batch as { xs: tf.Tensor };
    if ((xs.shape[0] as number) > 0 && ++reads > 2) {
      tf.dispose(batch);
      throw new Error('stop here');
    }
    return batch;
  });
}
let reads = 0;

describe('lpft', () => {
  const options = () => ({
    head: 'head',
    dataset: train,
    validation: held,
    loss: 'meanSquaredError',
    probe: { optimizer: tf.train.adam(0.1) as tf.Optimizer, epochs: 100, minDelta: 0.02 },
    fineTune: { optimizer: tf.train.sgd(0.01) as tf.Optimizer, epochs: 2 },
  });

  it('probes until the validation loss has converged, then trains everything but statistics', async () => {
    const before = values(model);
    const flagsBefore = flags();
    let probed: Record<string, number[]> = {};
    const given = options();
    given.probe = {
      ...given.probe,
      onEpochEnd: () => {
        probed = values(model);
      },
    } as typeof given.probe;
    const result = await recipes.lpft(model, given);
    expect(result.probe.epochs).toBe(result.probe.epoch + 4); // 3 epochs without a better one
    expect(result.probe.epochs).toBeLessThan(100);
    expect(changed(before, probed)).toEqual(HEAD);
    expect(result.fineTune).toMatchObject({ epochs: 2, epoch: 1 });
    const moved = changed(before, values(model));
    expect(moved).toEqual(expect.arrayContaining(['body/kernel', 'norm/gamma', 'inside/kernel', ...HEAD]));
    expect(moved.filter((name) => name.includes('moving_'))).toEqual([]);
    expect(flags()).toEqual(flagsBefore);
    const fineTuned = result.fineTune.history[0]!.loss as number;
    expect(fineTuned).toBeLessThan(result.probe.history[0]!.loss as number);
  });

  it('respects what is not trainable, and leaks nothing', async () => {
    model.layers[0]!.trainable = false;
    const before = values(model);
    const given = options();
    given.probe = { ...given.probe, optimizer: tf.train.sgd(0.05), epochs: 4 };
    await withoutLeak(async () => {
      await recipes.lpft(model, { ...given, dataset: dataset(24, 1, 8) });
    });
    const moved = changed(before, values(model));
    expect(moved).toContain('inside/kernel');
    expect(moved.filter((name) => name.startsWith('body'))).toEqual([]);
  });

  it('holds an FTP optimizer near the probed weights', async () => {
    const given = options();
    const optimizer = ftp.adamw(0.01, { model });
    const result = await recipes.lpft(model, {
      ...{ ...given, probe: { ...given.probe, epochs: 5 }, fineTune: { optimizer, epochs: 3 } },
    });
    const probed = result.probe.history[result.probe.epoch]!.val_loss as number;
    // The first step puts every variable on its anchor: near the end of the probe, not near the first weights.
    expect(Math.abs((result.fineTune.history[0]!.val_loss as number) - probed)).toBeLessThan(0.1 * probed);
    expect(optimizer.iterations).toBe(3);
    optimizer.dispose();
  });

  it('gives the first weights back where the second stage fails', async () => {
    const before = values(model);
    const flagsBefore = flags();
    const given = { ...options(), batchSize: 8 };
    await expect(
      recipes.lpft(model, { ...given, fineTune: { optimizer: failing(2), epochs: 2 } }),
    ).rejects.toThrow('stop here');
    expect(values(model)).toEqual(before);
    expect(flags()).toEqual(flagsBefore);
  });

  it('names the stage in errors', async () => {
    const given = options();
    await expect(
      recipes.lpft(model, { ...given, fineTune: { ...given.fineTune, epochs: 1.5 } }),
    ).rejects.toThrow('fineTune.epochs must be a whole number');
    await expect(recipes.lpft(model, { ...given, probe: undefined as never })).rejects.toThrow(
      'probe must be an object, got undefined',
    );
  });
});
