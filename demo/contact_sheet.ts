/** A picture of what is tested on: a row of images from each set. */
import { writeFile } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs-core';
import { corruptedSets } from './corruptions.js';
import type { EvaluationSet } from './evaluation.js';
import { loadCanvas } from './fonts.js';
import type { Task } from './task.js';

const IMAGES_PER_ROW = 32;
const LABEL_WIDTH = 110;

/** The first images of a set as RGBA bytes, and their common height and width. */
async function firstImages(set: EvaluationSet, [low, high]: readonly [number, number]) {
  for await (const { xs } of set.batches()) {
    const [count, height, width] = xs.shape;
    const bytes = tf.tidy(() => {
      const some = tf.slice(xs, 0, Math.min(count, IMAGES_PER_ROW));
      const unit = tf.clipByValue(tf.div(tf.sub(some, low), high - low), 0, 1);
      const colour = tf.tile(unit, [1, 1, 1, xs.shape[3] === 1 ? 3 : 1]);
      const alpha = tf.ones([...colour.shape.slice(0, 3), 1]);
      return tf.round(tf.mul(tf.concat([colour, alpha], 3), 255));
    });
    xs.dispose();
    const pixels = Uint8ClampedArray.from(await bytes.data());
    bytes.dispose();
    const length = height * width * 4;
    const images = Array.from({ length: pixels.length / length }, (_, i) =>
      pixels.subarray(i * length, (i + 1) * length),
    );
    return { images, height, width };
  }
  throw new Error(`the set ${set.name} has no images`);
}

/** Writes a PNG file with one row for each set that the task tests on. */
export async function writeContactSheet(file: string, task: Task, seed: number): Promise<void> {
  const { createCanvas } = await loadCanvas();
  const corrupted = corruptedSets(task.toCorrupt, seed, task.range).map(({ set }) => set);
  const sets = [task.inDistribution, ...task.shifted, ...corrupted];
  const rows = [];
  for (const set of sets) rows.push({ name: set.name, ...(await firstImages(set, task.range)) });
  const pitchX = Math.max(...rows.map((row) => row.width)) + 1;
  const pitchY = Math.max(...rows.map((row) => row.height)) + 1;
  const columns = Math.max(...rows.map((row) => row.images.length));
  const sheet = createCanvas(LABEL_WIDTH + columns * pitchX, rows.length * pitchY);
  const context = sheet.getContext('2d');
  context.fillStyle = '#ffffff';
  context.fillRect(0, 0, sheet.width, sheet.height);
  context.textBaseline = 'middle';
  context.font = '15px lato';
  rows.forEach(({ name, images, height, width }, row) => {
    context.fillStyle = '#000000';
    context.fillText(name, 6, row * pitchY + height / 2, LABEL_WIDTH - 8);
    images.forEach((image, column) => {
      const pixels = context.createImageData(width, height);
      pixels.data.set(image);
      context.putImageData(pixels, LABEL_WIDTH + column * pitchX, row * pitchY);
    });
  });
  await writeFile(file, await sheet.encode('png'));
}
