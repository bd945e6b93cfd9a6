// Statistics of batch normalization stay as they are while a model trains, in nested models and wrappers too.
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { recipes } from '../../src/index.js';
import { changed, examples, net, values } from './support.js';

const statistics = (names: string[]) => names.filter((name) => name.includes('moving_'));

async function train(model: tf.LayersModel): Promise<string[]> {
  const before = values(model);
  const { xs, ys } = examples(8, 3);
  model.compile({ optimizer: tf.train.sgd(0.05), loss: 'meanSquaredError' });
  await model.trainOnBatch(xs, ys);
  tf.dispose([xs, ys]);
  return changed(before, values(model));
}

describe('freezeBatchNorm', () => {
  it('holds all statistics, and lets scale and offset train', async () => {
    const model = net();
    // Without it they move, also those of a layer that is not trainable: what the function is for.
    for (const layer of model.layers) layer.trainable = layer.name !== 'norm';
    expect(statistics(await train(model))).toHaveLength(4);
    for (const layer of model.layers) layer.trainable = true;
    recipes.freezeBatchNorm(model);
    const moved = await train(model);
    expect(statistics(moved)).toEqual([]);
    expect(moved).toEqual(expect.arrayContaining(['norm/gamma', 'norm/beta', 'head/kernel']));
  });

  it('is undone by its result, once per call', async () => {
    const model = net();
    const norm = model.getLayer('norm');
    const own = Object.hasOwn(norm, 'call');
    const [first, second] = [recipes.freezeBatchNorm(model), recipes.freezeBatchNorm(model)];
    first();
    first();
    expect(statistics(await train(model))).toEqual([]);
    second();
    expect(statistics(await train(model))).toHaveLength(4);
    expect(Object.hasOwn(norm, 'call')).toBe(own);
  });

  it('finds a layer within a wrapper', async () => {
    const model = tf.sequential({
      layers: [tf.layers.timeDistributed({ layer: tf.layers.batchNormalization(), inputShape: [2, 3] })],
    });
    recipes.freezeBatchNorm(model);
    const xs = tf.fill([4, 2, 3], 5);
    const before = values(model);
    model.compile({ optimizer: tf.train.sgd(0), loss: 'meanSquaredError' });
    await model.trainOnBatch(xs, xs);
    expect(changed(before, values(model))).toEqual([]);
  });

  it('refuses what is no model', () => {
    expect(() => recipes.freezeBatchNorm([] as never)).toThrow(
      'model must be a tf.LayersModel, got an array',
    );
  });
});
