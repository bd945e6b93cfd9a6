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
import { Random } from '../tools/random.js';
import { type EvaluationSet, setInMemory } from './evaluation.js';
import { families, type Kind, type Split } from './fonts.js';
import { CODE_CHARACTERS, GlyphPainter, IMAGE_SIZE, NARROW_PLACEMENT, type Style } from './glyphs.js';
import { loadModelFiles } from './load_model.js';
import type { Task } from './task.js';
import { prepareTransfer } from './transfer.js';

/** Training images a class. */
export const IMAGES_PER_CLASS = 10;

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

/** Draws an image of each character in each family of a kind, `samples` times over. */
export function drawSet(
  painter: GlyphPainter,
  name: string,
  kind: Kind,
  split: Split,
  style: Style,
  samples: number,
  seed: number,
): EvaluationSet {
  const images: Uint8Array[] = [];
  const labels: number[] = [];
  for (const family of families(kind, split)) {
    const random = new Random(seed, name, split, style, family);
    for (let sample = 0; sample < samples; ++sample) {
      for (const [label, character] of [...CODE_CHARACTERS].entries()) {
        images.push(painter.draw(character, family, style, NARROW_PLACEMENT, random));
        labels.push(label);
      }
    }
  }
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

/** Ten images per character, in turn from each of the training families. */
function* trainingImages(painter: GlyphPainter, seed: number): Generator<ImageToWrite> {
  const random = new Random(seed, 'train');
  const fonts = families('sans', 'train');
  for (const [label, character] of [...CODE_CHARACTERS].entries()) {
    for (let i = 0; i < IMAGES_PER_CLASS; ++i) {
      const family = fonts[(label + i) % fonts.length] as string;
      const pixels = painter.draw(character, family, 'plain', NARROW_PLACEMENT, random);
      yield { folder: character, file: `${String(i).padStart(2, '0')}-${family}.png`, pixels };
    }
  }
}

/** Writes the training images, draws the test sets and loads the pre-trained model. */
export async function glyphTask({ seed, batchSize, out, samples }: GlyphTaskOptions): Promise<Task> {
  const painter = await GlyphPainter.create();
  const directory = join(resolve(out), 'serial-codes');
  await writeImages(painter, directory, trainingImages(painter, seed));
  const pretrained = await loadPretrainedGlyphs();
  const training = () =>
    imageFolder(directory, { imageSize: IMAGE_SIZE, batchSize, seed, cache: true, repeat: true });
  const test = (name: string, kind: Kind, style: Style = 'plain') =>
    drawSet(painter, name, kind, 'test', style, samples, seed);
  const { classNames, files } = await training();
  return {
    title: `reading the ${classNames.length} characters of serial codes, from ${files.length} PNG images in ${directory}`,
    transfer: prepareTransfer(pretrained, classNames.length, seed),
    classNames,
    trainingImages: files.length,
    training,
    inDistribution: test('sans', 'sans'),
    shifted: [
      test('serif', 'serif'),
      test('mono', 'mono'),
      test('handwriting', 'handwriting'),
      test('display', 'display'),
      test('recoloured', 'sans', 'recoloured'),
      test('textured', 'sans', 'textured'),
    ],
    toCorrupt: drawSet(painter, 'to corrupt', 'sans', 'test', 'plain', Math.ceil(samples / 2), seed),
    range: [0, 1],
  };
}
