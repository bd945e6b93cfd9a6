/** The images of the glyph task: what is trained on and what is tested on. Drawn alike for the command and for the page. */
import { Random } from '../tools/random.js';
import { families, type Kind, type Split } from './fonts.js';
import { CODE_CHARACTERS, type GlyphPainter, NARROW_PLACEMENT, type Style } from './glyphs.js';

/** Training images a class. */
export const IMAGES_PER_CLASS = 10;

/** A training image. */
export interface TrainingImage {
  /** Place of its character in CODE_CHARACTERS. */
  label: number;
  /** Counts the images of a character from 0. */
  sample: number;
  family: string;
  pixels: Uint8Array;
}

/** Ten images per character, in turn from each of the training families. */
export function* trainingImages(painter: GlyphPainter, seed: number): Generator<TrainingImage> {
  const random = new Random(seed, 'train');
  const fonts = families('sans', 'train');
  for (const [label, character] of [...CODE_CHARACTERS].entries()) {
    for (let sample = 0; sample < IMAGES_PER_CLASS; ++sample) {
      const family = fonts[(label + sample) % fonts.length] as string;
      const pixels = painter.draw(character, family, 'plain', NARROW_PLACEMENT, random);
      yield { label, sample, family, pixels };
    }
  }
}

/** Draws an image of each character in each family of a kind, `samples` times over: all characters, then all again. */
export function drawImages(
  painter: GlyphPainter,
  name: string,
  kind: Kind,
  split: Split,
  style: Style,
  samples: number,
  seed: number,
): { images: Uint8Array[]; labels: number[] } {
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
  return { images, labels };
}

/** The sets to test on, in the order of the columns; the first is in distribution. */
export const TEST_SETS: readonly { name: string; kind: Kind; style: Style }[] = [
  { name: 'sans', kind: 'sans', style: 'plain' },
  { name: 'serif', kind: 'serif', style: 'plain' },
  { name: 'mono', kind: 'mono', style: 'plain' },
  { name: 'handwriting', kind: 'handwriting', style: 'plain' },
  { name: 'display', kind: 'display', style: 'plain' },
  { name: 'recoloured', kind: 'sans', style: 'recoloured' },
  { name: 'textured', kind: 'sans', style: 'textured' },
];
