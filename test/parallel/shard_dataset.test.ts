// Shares of datasets: disjoint, as long on all ranks, the same batches together as one process has.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import fs from 'node:fs';
import path from 'node:path';
import * as tfdata from '@tensorflow/tfjs-data';
import sharp from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import { imageFolder } from '../../src/data/index.js';
import { shardDataset, type World } from '../../src/parallel/index.js';
import { temporaryFolder } from '../package/support.js';

beforeAll(() => tf.setBackend('cpu'));
const rankOf = (rank: number, size: number) => ({ rank, size }) as World;

test.each([1, 2, 3, 4])('tf.data, %i ranks', async (size) => {
  const whole = () => tfdata.array(Array.from({ length: 22 }, (_, i) => i)).shuffle(22, 'seed');
  const shares = Array.from({ length: size }, (_, rank) =>
    shardDataset(whole(), rankOf(rank, size)).batch(2),
  );
  const joined = await whole()
    .batch(2 * size, false)
    .toArray();
  const all = await Promise.all(shares.map((share) => share.toArray()));
  for (const [rank, batches] of all.entries()) {
    expect(shares[rank]?.size).toBe(batches.length);
    expect(batches).toHaveLength(all[0]?.length as number);
  }
  const values = all.map((batches) => batches.map((batch) => [...(batch as tf.Tensor).dataSync()]));
  for (const [i, batch] of joined.entries()) {
    const together = values.flatMap((batches) => batches[i] ?? []);
    expect(together.sort()).toEqual([...(batch as tf.Tensor).dataSync()].sort());
  }
  expect(new Set(values.flat(2)).size).toBe(size * Math.floor(22 / size));
});

test('tensors that other ranks train on are disposed', async () => {
  const before = tf.memory().numTensors;
  const source = tfdata.generator(function* () {
    for (let i = 0; i < 7; ++i) yield { xs: tf.scalar(i) };
  });
  const own = await shardDataset(source, rankOf(1, 3)).toArray();
  expect(own.map(({ xs }) => (xs as tf.Tensor).dataSync()[0])).toEqual([1, 4]);
  expect(tf.memory().numTensors - before).toBe(2);
  tf.dispose(own);
});

test('imageFolder: each rank decodes its own images', async () => {
  const folder = temporaryFolder();
  for (const [label, name] of ['a', 'b'].entries()) {
    fs.mkdirSync(path.join(folder, name));
    for (let i = 0; i < 6; ++i) {
      const value = 20 * i + 10 * label;
      const image = sharp({
        create: { width: 2, height: 2, channels: 3, background: { r: value, g: 0, b: 0 } },
      });
      await image.png().toFile(path.join(folder, name, `${i}.png`));
    }
  }
  const open = (batchSize: number) =>
    imageFolder(folder, { imageSize: 2, range: [0, 255], batchSize, seed: 3, dropRemainder: true });
  const reds = async (batches: Iterable<{ xs: tf.Tensor }>) =>
    [...batches].map(({ xs }) => tf.unstack(xs).map((image) => Math.round(image.dataSync()[0] as number)));
  const whole = await open(4);
  const shares = await Promise.all([0, 1].map(async (rank) => shardDataset(await open(2), rankOf(rank, 2))));
  expect(shares[0]?.classNames).toEqual(['a', 'b']);
  for (let epoch = 0; epoch < 2; ++epoch) {
    const joined = await reds(await whole.toArray());
    const [first = [], second = []] = await Promise.all(shares.map(async (one) => reds(await one.toArray())));
    expect(first).toHaveLength(3);
    for (const [i, batch] of joined.entries()) {
      const [a = [], b = []] = [first[i], second[i]];
      expect(a.flatMap((red, k) => [red, b[k]])).toEqual(batch);
    }
  }
});

test('what is no dataset and no world is refused', () => {
  expect(() => shardDataset({} as tfdata.Dataset<tf.Tensor>, rankOf(0, 1))).toThrow(
    'dataset must be a tf.data.Dataset',
  );
  expect(() => shardDataset(tfdata.array([1]), null as unknown as World)).toThrow(
    'world must be what mpi() gives, got null',
  );
});
