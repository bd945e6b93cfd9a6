import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { HEAD, prepareTransfer, type TransferModel } from '../../demo/transfer.js';

/**
 * A net in the common shape: convolutions with normalization, then a dense layer, then softmax on its own.
 */
function pretrained(): tf.LayersModel {
  return tf.sequential({
    layers: [
      tf.layers.conv2d({ inputShape: [6, 6, 3], filters: 4, kernelSize: 3, name: 'first' }),
      tf.layers.batchNormalization({ name: 'first_norm' }),
      tf.layers.conv2d({ filters: 4, kernelSize: 3, activation: 'relu', name: 'second' }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 7, name: 'old_head' }),
      tf.layers.softmax(),
    ],
  });
}

/** All variables by name, as plain numbers. */
function values({ model }: TransferModel): Record<string, number[]> {
  const variables = model.layers.flatMap((layer) => layer.weights);
  return Object.fromEntries(variables.map((weight) => [weight.originalName, [...weight.read().dataSync()]]));
}

async function train({ model }: TransferModel, steps: number): Promise<void> {
  model.compile({
    optimizer: tf.train.sgd(0.1),
    loss: (targets, logits) => tf.losses.softmaxCrossEntropy(targets, logits),
  });
  const xs = tf.randomUniform([5, 6, 6, 3], 0, 1, 'float32', 3);
  const ys = tf.oneHot([0, 1, 2, 0, 1], 3);
  for (let step = 0; step < steps; ++step) await model.trainOnBatch(xs, ys);
  tf.dispose([xs, ys]);
}

function changed(before: Record<string, number[]>, after: Record<string, number[]>): string[] {
  return Object.keys(before).filter((name) => before[name]?.some((value, i) => value !== after[name]?.[i]));
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('a model made ready for transfer', () => {
  it('has the old head and what follows it replaced by a dense layer of logits', () => {
    const { model } = prepareTransfer(pretrained(), 3, 1);
    expect(model.outputs[0]?.shape).toEqual([null, 3]);
    const names = model.layers.map((layer) => layer.name);
    expect(names.at(-1)).toBe(HEAD);
    expect(names).not.toContain('old_head');
    expect(model.layers.map((layer) => layer.getClassName())).not.toContain('Softmax');
  });

  it('refuses to freeze what no layer is called', () => {
    expect(prepareTransfer(pretrained(), 3, 1, ['sec', /^first$/]).frozen).toEqual([
      'first',
      'first_norm',
      'second',
    ]);
    expect(() => prepareTransfer(pretrained(), 3, 1, ['second', 'nosuch', /^fir$/])).toThrow(
      '--freeze nosuch, /^fir$/ matches no layer with weights; the model has first, first_norm, second',
    );
    // Always trained, and not of the pre-trained model.
    expect(() => prepareTransfer(pretrained(), 3, 1, [HEAD])).toThrow('matches no layer with weights');
  });

  it('pools what comes before a head that is a convolution', () => {
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [6, 6, 3], filters: 4, kernelSize: 3 }),
        tf.layers.conv2d({ filters: 10, kernelSize: 1, name: 'predictions' }),
        tf.layers.reshape({ targetShape: [160] }),
      ],
    });
    const transfer = prepareTransfer(model, 3, 1);
    expect(transfer.model.layers.map((layer) => layer.getClassName()).slice(-2)).toEqual([
      'GlobalAveragePooling2D',
      'Dense',
    ]);
    expect(transfer.model.outputs[0]?.shape).toEqual([null, 3]);
  });

  it('gets the same new head for the same seed', () => {
    const head = (seed: number) => values(prepareTransfer(pretrained(), 3, seed))[`${HEAD}/kernel`];
    expect(head(1)).toEqual(head(1));
    expect(head(2)).not.toEqual(head(1));
  });

  it('trains the backbone without its stem, its normalization and the statistics of that', async () => {
    const transfer = prepareTransfer(pretrained(), 3, 1);
    expect(transfer.frozen).toEqual(['first', 'first_norm']);
    transfer.reset('backbone');
    const before = values(transfer);
    await train(transfer, 2);
    expect(changed(before, values(transfer)).sort()).toEqual([
      `${HEAD}/bias`,
      `${HEAD}/kernel`,
      'second/bias',
      'second/kernel',
    ]);
  });

  it('trains the head alone for a linear probe', async () => {
    const transfer = prepareTransfer(pretrained(), 3, 1);
    transfer.reset('head');
    const before = values(transfer);
    await train(transfer, 2);
    expect(changed(before, values(transfer)).sort()).toEqual([`${HEAD}/bias`, `${HEAD}/kernel`]);
  });

  it('goes back to its first weights, whatever was frozen in between', async () => {
    // The weights were once put back with model.setWeights, whose order changes with what is trainable.
    const transfer = prepareTransfer(pretrained(), 3, 1, ['second']);
    const first = values(transfer);
    for (const trains of ['backbone', 'head', 'backbone'] as const) {
      transfer.reset(trains);
      expect(changed(first, values(transfer))).toEqual([]);
      await train(transfer, 2);
      expect(changed(first, values(transfer))).not.toEqual([]);
    }
  });

  it('freezes by part of a name or by pattern', () => {
    const frozen = (...patterns: (string | RegExp)[]) => prepareTransfer(pretrained(), 3, 1, patterns).frozen;
    expect(frozen('second')).toEqual(['first_norm', 'second']);
    expect(frozen(/^(first|second)$/)).toEqual(['first', 'first_norm', 'second']);
    expect(frozen()).toEqual(['first_norm']);
  });

  it('trains the same batch twice with the same loss, since no batch statistics are used', async () => {
    const transfer = prepareTransfer(pretrained(), 3, 1);
    transfer.reset('backbone');
    const { model } = transfer;
    const xs = tf.randomUniform([5, 6, 6, 3], 0, 1, 'float32', 3);
    const [trained, used] = [true, false].map((training) =>
      (model.apply(xs, { training }) as tf.Tensor).dataSync(),
    );
    expect(trained).toEqual(used);
  });
});
