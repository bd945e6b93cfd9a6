/**
 * A task that pre-training did not cover, `--task kinds`: which kind of font is it? The net was pre-trained
 * to read a character whatever its font, so it learnt to overlook what is asked here, and staying near it
 * does not help.
 */
import { join, resolve } from 'node:path';
import { imageFolder } from 'tfjs-ftp/data';
import { Random } from '../tools/random.js';
import { type EvaluationSet, setInMemory } from './evaluation.js';
import { families, KINDS } from './fonts.js';
import { type GlyphTaskOptions, type ImageToWrite, loadPretrainedGlyphs, writeImages } from './glyph_task.js';
import { CHARACTERS, GlyphPainter, IMAGE_SIZE, NARROW_PLACEMENT, type Style } from './glyphs.js';
import type { Task } from './task.js';
import { prepareTransfer } from './transfer.js';

/** Training images a kind. */
const IMAGES_PER_KIND = 64;

/** Sorted as the image folder sorts them. */
const CLASSES = [...KINDS].sort();

function* trainingImages(painter: GlyphPainter, seed: number): Generator<ImageToWrite> {
  for (const kind of CLASSES) {
    const random = new Random(seed, 'train', kind);
    const fonts = families(kind, 'pretrain');
    for (let i = 0; i < IMAGES_PER_KIND; ++i) {
      const family = fonts[i % fonts.length] as string;
      const pixels = painter.draw(random.pick([...CHARACTERS]), family, 'plain', NARROW_PLACEMENT, random);
      yield { folder: kind, file: `${String(i).padStart(2, '0')}-${family}.png`, pixels };
    }
  }
}

/** Characters in test families of every kind, as many of each kind. */
function drawKinds(
  painter: GlyphPainter,
  name: string,
  style: Style,
  samples: number,
  seed: number,
): EvaluationSet {
  const images: Uint8Array[] = [];
  const labels: number[] = [];
  for (const [label, kind] of CLASSES.entries()) {
    const random = new Random(seed, name, style, kind);
    const fonts = families(kind, 'test');
    for (let i = 0; i < samples * 40; ++i) {
      const family = fonts[i % fonts.length] as string;
      images.push(painter.draw(random.pick([...CHARACTERS]), family, style, NARROW_PLACEMENT, random));
      labels.push(label);
    }
  }
  return setInMemory(name, images, labels, [IMAGE_SIZE, IMAGE_SIZE, 3]);
}

/** Writes the training images, draws the test sets and loads the pre-trained model. */
export async function kindTask({ seed, batchSize, out, samples }: GlyphTaskOptions): Promise<Task> {
  const painter = await GlyphPainter.create();
  const directory = join(resolve(out), 'font-kinds');
  await writeImages(painter, directory, trainingImages(painter, seed));
  const training = () =>
    imageFolder(directory, { imageSize: IMAGE_SIZE, batchSize, seed, cache: true, repeat: true });
  const { classNames, files } = await training();
  return {
    title: `telling ${classNames.length} kinds of fonts apart, from ${files.length} PNG images in ${directory}`,
    transfer: prepareTransfer(await loadPretrainedGlyphs(), classNames.length, seed),
    classNames,
    trainingImages: files.length,
    training,
    inDistribution: drawKinds(painter, 'plain', 'plain', samples, seed),
    shifted: [
      drawKinds(painter, 'recoloured', 'recoloured', samples, seed),
      drawKinds(painter, 'textured', 'textured', samples, seed),
    ],
    toCorrupt: drawKinds(painter, 'to corrupt', 'plain', Math.ceil(samples / 2), seed),
    range: [0, 1],
  };
}
