/** A plugin for vite: draws the demo's images into one picture when the page is built, so that the page needs no fonts. */
import type { Plugin } from 'vite';
import { CODE_CHARACTERS, IMAGE_BYTES, IMAGE_SIZE } from '../characters.js';
import { loadCanvas } from '../fonts.js';
import { drawImages, IMAGES_PER_CLASS, TEST_SETS, trainingImages } from '../glyph_sets.js';
import { GlyphPainter } from '../glyphs.js';

/** As `npm run demo` has by default. */
const SEED = 1;

/** A module of this name gives `url`, the picture, and `rows`, the names of the sets by row; a column is a character. */
const NAME = 'virtual:glyph-sheet';

interface Sheet {
  png: Uint8Array;
  rows: string[];
}

async function drawSheet(): Promise<Sheet> {
  const painter = await GlyphPainter.create();
  const rows: { name: string; images: Uint8Array[] }[] = Array.from({ length: IMAGES_PER_CLASS }, () => ({
    name: 'training',
    images: [],
  }));
  for (const { label, sample, pixels } of trainingImages(painter, SEED)) {
    (rows[sample] as { images: Uint8Array[] }).images[label] = pixels;
  }
  for (const { name, kind, style } of TEST_SETS) {
    const { images } = drawImages(painter, name, kind, 'test', style, 1, SEED);
    for (let i = 0; i < images.length; i += CODE_CHARACTERS.length) {
      rows.push({ name, images: images.slice(i, i + CODE_CHARACTERS.length) });
    }
  }
  const { createCanvas } = await loadCanvas();
  const canvas = createCanvas(CODE_CHARACTERS.length * IMAGE_SIZE, rows.length * IMAGE_SIZE);
  const context = canvas.getContext('2d');
  for (const [row, { images }] of rows.entries()) {
    for (const [column, rgb] of images.entries()) {
      const image = context.createImageData(IMAGE_SIZE, IMAGE_SIZE);
      for (let from = 0, to = 0; from < IMAGE_BYTES; to += 4) {
        image.data.set([rgb[from++] as number, rgb[from++] as number, rgb[from++] as number, 255], to);
      }
      context.putImageData(image, column * IMAGE_SIZE, row * IMAGE_SIZE);
    }
  }
  return { png: await canvas.encode('png'), rows: rows.map(({ name }) => name) };
}

export function glyphSheet(): Plugin {
  let builds = false;
  return {
    name: 'glyph-sheet',
    configResolved({ command }) {
      builds = command === 'build';
    },
    resolveId: (id) => (id === NAME ? `\0${NAME}` : null),
    async load(id) {
      if (id !== `\0${NAME}`) return null;
      const { png, rows } = await drawSheet();
      const url = builds
        ? `import.meta.ROLLUP_FILE_URL_${this.emitFile({ type: 'asset', name: 'glyphs.png', source: png })}`
        : JSON.stringify(`data:image/png;base64,${Buffer.from(png).toString('base64')}`);
      return `export const url = ${url};\nexport const rows = ${JSON.stringify(rows)};`;
    },
  };
}
