import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { CORRUPTIONS, corrupt, corruptedSets, SEVERITIES } from '../../demo/corruptions.js';
import { evaluate, setInMemory } from '../../demo/evaluation.js';

const images = () => tf.randomUniform([3, 32, 32, 3], 0.2, 0.8, 'float32', 5) as tf.Tensor4D;

function difference(a: tf.Tensor, b: tf.Tensor): number {
  return tf.tidy(() => tf.mean(tf.abs(tf.sub(a, b))).dataSync()[0] as number);
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.each(CORRUPTIONS)('%s', (kind) => {
  it('keeps the shape, is the same for the same seed and grows with the severity', () => {
    const xs = images();
    const spoilt = SEVERITIES[kind].map((amount) => corrupt(xs, kind, amount, 1));
    for (const result of spoilt) expect(result.shape).toEqual(xs.shape);
    const [mild, middle, severe] = spoilt.map((result) => difference(result, xs)) as [number, number, number];
    expect(mild).toBeGreaterThan(0.01);
    expect(middle).toBeGreaterThan(mild);
    expect(severe).toBeGreaterThan(middle);
    expect(difference(corrupt(xs, kind, SEVERITIES[kind][0], 1), spoilt[0] as tf.Tensor)).toBe(0);
  });
});

it('leaves an image of one colour as it is, noise apart', () => {
  const flat = tf.fill([1, 20, 28, 3], 0.4) as tf.Tensor4D;
  for (const kind of ['blur', 'contrast', 'pixelation'] as const) {
    for (const amount of SEVERITIES[kind]) {
      expect(difference(corrupt(flat, kind, amount, 1), flat)).toBeLessThan(1e-6);
    }
  }
});

it('adds other noise to another seed', () => {
  const xs = images();
  expect(difference(corrupt(xs, 'noise', 0.1, 1), corrupt(xs, 'noise', 0.1, 2))).toBeGreaterThan(0.01);
});

it('makes twelve sets, in the range of pixel values that the model expects', async () => {
  const before = tf.memory().numTensors;
  const bytes = [0, 128, 255].map((value) => new Uint8Array(4 * 4 * 3).fill(value));
  const sets = corruptedSets(setInMemory('all', bytes, [0, 1, 2], [4, 4, 3]), 1, [0, 1]);
  expect(sets.map(({ kind, severity }) => `${kind} ${severity}`)).toHaveLength(12);
  for (const { set } of sets) {
    for await (const { xs, labels } of set.batches()) {
      const values = xs.dataSync();
      xs.dispose();
      expect(Math.min(...values)).toBeGreaterThanOrEqual(-1e-6);
      expect(Math.max(...values)).toBeLessThanOrEqual(1 + 1e-6);
      expect([...labels]).toEqual([0, 1, 2]);
    }
  }
  expect(tf.memory().numTensors).toBe(before);
});

it('counts hits and averages the cross entropy', async () => {
  // The class is the brightest of three pixels: three out of four labels agree.
  const pixels = [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [255, 0, 0],
  ];
  const set = setInMemory(
    'pixels',
    pixels.map((pixel) => Uint8Array.from(pixel)),
    [0, 1, 2, 2],
    [1, 1, 3],
  );
  const model = tf.sequential({ layers: [tf.layers.flatten({ inputShape: [1, 1, 3] })] });
  const before = tf.memory().numTensors;
  const score = await evaluate(model, set);
  expect(tf.memory().numTensors).toBe(before);
  expect(score).toMatchObject({ accuracy: 0.75, images: 4 });
  const [hit, miss] = [Math.log(Math.E + 2) - 1, Math.log(Math.E + 2)];
  expect(score.loss).toBeCloseTo((3 * hit + miss) / 4, 6);
});
