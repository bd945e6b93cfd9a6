/**
 * Glyphs in the wild: a net that was pre-trained on 62 characters of all kinds of fonts learns to read
 * serial codes from ten black-on-white sans-serif images per character, and is tested on fonts, colours and
 * textures it was not fine-tuned on.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { imageFolder } from 'tfjs-ftp/data';
import { type EvaluationSet, setInMemory } from './evaluation.js';
import type { Kind, Split } from './fonts.js';
import { drawImages, TEST_SETS, trainingImages } from './glyph_sets.js';
import { CODE_CHARACTERS, GlyphPainter, IMAGE_SIZE, type Style } from './glyphs.js';
import { loadModelFiles } from './load_model.js';
import type { Task } from './task.js';
import { prepareTransfer } from './transfer.js';

export interface GlyphTaskOptions {
  seed: number;
  batchSize: number;
  /** Folder for the training images. */
  out: string;
  /** Test images of each character in each font. */
  samples: number;
}

// dist/tools/demo/glyph_task.js -> demo/assets/pretrained
const PRETRAINED_GLYPHS = fileURLToPath(
  new URL('../../../demo/assets/pretrained/model.json', import.meta.url),
);

/** The net of `npm run pretrain`, as it lies in the repository. */
export function loadPretrainedGlyphs(): Promise<LayersModel> {
  return loadModelFiles(PRETRAINED_GLYPHS);
}

/** The images of `drawImages` as a set to test on. */
export function drawSet(
  painter: GlyphPainter,
  name: string,
  ...what: [kind: Kind, split: Split, style: Style, samples: number, seed: number]
): EvaluationSet {
  const { images, labels } = drawImages(painter, name, ...what);
  return setInMemory(name, images, labels, [IMAGE_SIZE, IMAGE_SIZE, 3]);
}

/** An image to be written, in the folder of its class. */
export interface ImageToWrite {
  folder: string;
  file: string;
  pixels: Uint8Array;
}

/**
 * Writes images as PNG files in class folders, in the place of what an earlier run left in that directory.
 */
export async function writeImages(
  painter: GlyphPainter,
  directory: string,
  images: Iterable<ImageToWrite>,
): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  for (const { folder, file, pixels } of images) {
    await mkdir(join(directory, folder), { recursive: true });
    await writeFile(join(directory, folder, file), await painter.encodePng(pixels));
  }
}

/** The training images as files. */
function* trainingFiles(painter: GlyphPainter, seed: number): Generator<ImageToWrite> {
  for (const { label, sample, family, pixels } of trainingImages(painter, seed)) {
    const folder = CODE_CHARACTERS[label] as string;
    yield { folder, file: `${String(sample).padStart(2, '0')}-${family}.png`, pixels };
  }
}

/** Writes the training images, draws the test sets and loads the pre-trained model. */
export async function glyphTask({ seed, batchSize, out, samples }: GlyphTaskOptions): Promise<Task> {
  const painter = await GlyphPainter.create();
  const directory = join(resolve(out), 'serial-codes');
  await writeImages(painter, directory, trainingFiles(painter, seed));
  const pretrained = await loadPretrainedGlyphs();
  const training = () =>
    imageFolder(directory, { imageSize: IMAGE_SIZE, batchSize, seed, cache: true, repeat: true });
  const [inDistribution, ...shifted] = TEST_SETS.map(({ name, kind, style }) =>
    drawSet(painter, name, kind, 'test', style, samples, seed),
  ) as [EvaluationSet, ...EvaluationSet[]];
  const { classNames, files } = await training();
  return {
    title: `reading the ${classNames.length} characters of serial codes, from ${files.length} PNG images in ${directory}`,
    transfer: prepareTransfer(pretrained, classNames.length, seed),
    classNames,
    trainingImages: files.length,
    training,
    inDistribution,
    shifted,
    toCorrupt: drawSet(painter, 'to corrupt', 'sans', 'test', 'plain', Math.ceil(samples / 2), seed),
    range: [0, 1],
  };
}
