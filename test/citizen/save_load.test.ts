/** Saved with the optimizer, loaded, continued: the same bits as an uninterrupted run. */
import fs from 'node:fs';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type FtpOptimizer, type FtpOptions, ftp } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { randomTensor } from '../optimizers/support.js';
import { runNode, temporaryFolder } from '../package/support.js';
import {
  bytesOf,
  MAKERS,
  REFERENCE_MAKERS,
  range,
  resetWeights,
  stateBytes,
  weightBytes,
} from './support.js';

/** Long enough for Adam's powers of beta to differ from tfjs's way of restoring them. */
const BEFORE = 24;
const AFTER = 6;
const LOSS = 'categoricalCrossentropy';

/** A layer of every kind whose output axis is its own; names that tfjs chooses, and given ones. */
function convModel(): layers.Sequential {
  const model = layers.sequential();
  model.add(layers.layers.conv2d({ filters: 3, kernelSize: 2, inputShape: [4, 4, 2], activation: 'relu' }));
  model.add(layers.layers.depthwiseConv2d({ kernelSize: 2, depthMultiplier: 2, name: 'depth_wise' }));
  model.add(layers.layers.conv2dTranspose({ filters: 2, kernelSize: 2 }));
  model.add(layers.layers.batchNormalization());
  model.add(layers.layers.flatten());
  model.add(layers.layers.dense({ units: 3, activation: 'softmax', name: 'head' }));
  resetWeights(model);
  return model;
}

function convBatch(seed: number) {
  const ys = tf.tidy(() => tf.cast(tf.oneHot([0, 1, 2, seed % 3], 3), 'float32'));
  return { xs: randomTensor([4, 4, 4, 2], 2000 + seed), ys };
}

async function trainOn(model: layers.LayersModel, seeds: number[]): Promise<void> {
  for (const seed of seeds) {
    const { xs, ys } = convBatch(seed);
    await model.trainOnBatch(xs, ys);
    tf.dispose([xs, ys]);
  }
}

function started(make: (typeof MAKERS)[string], options: FtpOptions) {
  const model = convModel();
  const optimizer = make({ ...options, model });
  model.compile({ optimizer, loss: LOSS });
  return { model, optimizer };
}

const first = range(BEFORE);
const second = range(AFTER, BEFORE);

describeImplementations(
  'save and load under tfjs-node',
  (implementation) => {
    const options = { implementation: implementation.implementation } as const;
    beforeAll(() => useBackend(implementation));
    afterEach(() => tf.disposeVariables());

    /** Numbers of the whole state in order; the names differ by tfjs's suffixes. */
    const stateOf = async (optimizer: FtpOptimizer) => Object.values(await stateBytes(optimizer));

    const makers = Object.entries({ ...MAKERS, ...REFERENCE_MAKERS });
    it.each(makers)('%s: through memory, in the same process', async (name, make) => {
      const { model, optimizer } = started(make, options);
      await trainOn(model, first);
      let artifacts: tf.io.ModelArtifacts | undefined;
      const keepArtifacts = async (saved: tf.io.ModelArtifacts): Promise<tf.io.SaveResult> => {
        artifacts = saved;
        return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
      };
      await model.save(tf.io.withSaveHandler(keepArtifacts), { includeOptimizer: true });
      const loaded = await layers.loadLayersModel(tf.io.fromMemory(artifacts as tf.io.ModelArtifacts));
      const restored = loaded.optimizer as FtpOptimizer;
      expect(loaded.weights[0]?.name).not.toBe(model.weights[0]?.name); // tfjs made it unique
      expect(restored).not.toBe(optimizer);

      await trainOn(model, second);
      await trainOn(loaded, second);
      expect(restored.implementation).toBe(name in REFERENCE_MAKERS ? 'reference' : implementation.runs);
      expect(weightBytes(loaded)).toEqual(weightBytes(model));
      expect(await stateOf(restored)).toEqual(await stateOf(optimizer));
      for (const disposable of [optimizer, restored, model, loaded]) disposable.dispose();
    });

    it('through files, in this process and in a fresh one', async () => {
      const folder = temporaryFolder();
      const urls: string[] = [];
      const expected: string[][] = [];
      for (const [i, make] of Object.values({ ...MAKERS, ...REFERENCE_MAKERS }).entries()) {
        const { model, optimizer } = started(make, options);
        await trainOn(model, first);
        const saved = path.join(folder, String(i));
        await model.save(`file://${saved}`, { includeOptimizer: true });
        urls.push(`file://${path.join(saved, 'model.json')}`);
        await trainOn(model, second); // saving has disturbed nothing
        const loaded = await layers.loadLayersModel(urls[i] as string);
        await trainOn(loaded, second);
        expected.push(weightBytes(model));
        expect(weightBytes(loaded)).toEqual(expected[i]);
        for (const disposable of [optimizer, loaded.optimizer, model, loaded]) disposable.dispose();
      }
      const batches = second.map((seed) => {
        const { xs, ys } = convBatch(seed);
        const plain = { xs: xs.arraySync(), xsShape: xs.shape, ys: ys.arraySync(), ysShape: ys.shape };
        tf.dispose([xs, ys]);
        return plain;
      });
      const files = Object.entries({ models: urls, batches }).map(([name, content]) => {
        const file = path.join(folder, `${name}.json`);
        fs.writeFileSync(file, JSON.stringify(content));
        return file;
      });
      const child = path.join(import.meta.dirname, 'continue_child.mjs');
      const { code, stdout, stderr } = await runNode([child, ...files]);
      expect(code, stderr).toBe(0);
      const line = stdout.split('\n').find((text) => text.startsWith('results '));
      const results = JSON.parse(line?.slice('results '.length) ?? '[]') as object[];
      const { runs } = implementation;
      expect(results).toEqual(
        expected.map((weights, i) => ({
          weights,
          implementation: i < Object.keys(MAKERS).length ? runs : 'reference',
          iterations: BEFORE + AFTER,
        })),
      );
    });
  },
  ({ backend, implementation }) => backend === 'tensorflow' && implementation === 'native',
);

describe('what a wrapped Adam keeps out of its own getWeights', () => {
  it('is saved and restored: its powers of beta are products, not what tfjs recomputes', async () => {
    await tf.setBackend('cpu');
    const [base, other] = [tf.train.adam(0.1), tf.train.adam(0.1)];
    const [optimizer, loaded] = [ftp.wrap(base), ftp.wrap(other)];
    const variable = tf.variable(tf.tensor1d([1, 2]), true, 'w');
    const gradient = tf.tensor1d([0.5, -1]);
    for (const _ of first) optimizer.applyGradients({ w: gradient });
    const powers = (adam: tf.AdamOptimizer) => {
      const { accBeta1, accBeta2 } = adam as unknown as Record<string, tf.Variable>;
      return [accBeta1, accBeta2].map((power) => bytesOf(power as tf.Variable));
    };
    const weights = await optimizer.getWeights();
    const adamOnly = weights.filter(({ name }) => !/^base\/accBeta[12]$/.test(name));
    expect(adamOnly).toHaveLength(weights.length - 2);
    await loaded.setWeights(adamOnly); // as saved by something else: accepted
    expect(powers(other)).not.toEqual(powers(base)); // rounding, else this test would show nothing
    const count = tf.memory().numTensors;
    await loaded.setWeights(weights);
    expect(powers(other)).toEqual(powers(base));
    expect(tf.memory().numTensors).toBe(count); // replaced moments were disposed
    tf.dispose([weights.map(({ tensor }) => tensor), gradient]);
    optimizer.dispose();
    loaded.dispose();
    variable.dispose();
  });

  it('setWeights that the base refuses changes neither the base nor the projection', async () => {
    await tf.setBackend('cpu');
    const base = tf.train.adam(0.1);
    const optimizer = ftp.wrap(base);
    const variable = tf.variable(tf.tensor1d([1, 2]), true, 'w');
    const gradient = tf.tensor1d([0.5, -1]);
    for (const _ of range(3)) optimizer.applyGradients({ w: gradient });
    const before = await stateBytes(optimizer);
    const weights = await optimizer.getWeights();
    optimizer.applyGradients({ w: gradient });
    const now = await stateBytes(optimizer);
    expect(now).not.toEqual(before);
    const original = base.setWeights.bind(base);
    base.setWeights = async (given) => {
      await original(given);
      throw new Error('refused');
    };
    await expect(optimizer.setWeights(weights)).rejects.toThrow('refused');
    expect(await stateBytes(optimizer)).toEqual(now);
    base.setWeights = original;
    await optimizer.setWeights(weights);
    expect(await stateBytes(optimizer)).toEqual(before);
    tf.dispose([weights.map(({ tensor }) => tensor), gradient]);
    optimizer.dispose();
    variable.dispose();
  });
});
