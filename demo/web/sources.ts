/** What is learned: the demo's own images, or the visitor's. */
import { rows, url } from 'virtual:glyph-sheet';
import { CODE_CHARACTERS, IMAGE_BYTES, IMAGE_SIZE } from '../characters.js';
import { withoutAlpha } from './drawing.js';
import type { Data, Images } from './messages.js';

/** Of the visitor's images, one of so many is kept to test on. */
export const HELD_OUT = 4;

/** Images one after another. */
function joined(images: readonly { pixels: Uint8Array; label: number }[]): Images {
  const pixels = new Uint8Array(images.length * IMAGE_BYTES);
  for (const [i, image] of images.entries()) pixels.set(image.pixels, i * IMAGE_BYTES);
  return { pixels, labels: images.map(({ label }) => label) };
}

/** Reads the sheet that was drawn when the page was built: a row per font and style, a column per character. */
export async function serialCodes(): Promise<Data> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`the images cannot be read (${response.status})`);
  const bitmap = await createImageBitmap(await response.blob(), { colorSpaceConversion: 'none' });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext('2d', { willReadFrequently: true }) as OffscreenCanvasRenderingContext2D;
  context.drawImage(bitmap, 0, 0);
  const set = (name: string, every = 1) =>
    joined(
      rows.flatMap((rowName, row) => {
        if (rowName !== name) return [];
        return [...CODE_CHARACTERS].flatMap((_, label) => {
          if ((row + label) % every !== 0) return [];
          const { data } = context.getImageData(label * IMAGE_SIZE, row * IMAGE_SIZE, IMAGE_SIZE, IMAGE_SIZE);
          return [{ pixels: withoutAlpha(data), label }];
        });
      }),
    );
  const [inDistribution, ...shifted] = [...new Set(rows)].filter((name) => name !== 'training');
  return {
    classNames: [...CODE_CHARACTERS],
    training: set('training'),
    inDistribution: set(inDistribution as string),
    shifted: shifted.map((name) => ({ name, images: set(name) })),
    toCorrupt: set(inDistribution as string, 4),
  };
}

/** The visitor's images by class. */
export class OwnImages {
  readonly classes = new Map<string, Uint8Array[]>();

  add(name: string, pixels: Uint8Array): void {
    this.classes.set(name, [...(this.classes.get(name) ?? []), pixels]);
  }

  /** Why they cannot be learned yet; null: they can. */
  get problem(): string | null {
    if (this.classes.size < 2)
      return `Two classes are needed; there ${this.classes.size === 1 ? 'is one' : 'is none'}.`;
    for (const [name, images] of this.classes) {
      if (images.length < HELD_OUT) {
        return `The class “${name}” needs at least ${HELD_OUT} images; it has ${images.length}.`;
      }
    }
    return null;
  }

  toData(): Data {
    const all = [...this.classes.values()].flatMap((images, label) =>
      images.map((pixels, i) => ({ pixels, label, held: i % HELD_OUT === HELD_OUT - 1 })),
    );
    const inDistribution = joined(all.filter(({ held }) => held));
    return {
      classNames: [...this.classes.keys()],
      training: joined(all.filter(({ held }) => !held)),
      inDistribution,
      shifted: [],
      toCorrupt: inDistribution,
    };
  }
}
