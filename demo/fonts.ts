/**
 * The fonts behind the glyphs: 66 open families from the `@fontsource/*` packages (SIL Open Font License,
 * some Apache 2.0), of five kinds. Families are split, not images: no family that pre-training or
 * fine-tuning has seen is ever tested on.
 */
import { createRequire } from 'node:module';
import type * as Canvas from '@napi-rs/canvas';

export const KINDS = ['sans', 'serif', 'mono', 'handwriting', 'display'] as const;
export type Kind = (typeof KINDS)[number];

/** What a family is used for. Only `sans`, the target domain, has `train` and `validation` families. */
export type Split = 'pretrain' | 'train' | 'validation' | 'test';

type Families = Partial<Record<Split, readonly string[]>>;

export const FAMILIES: Record<Kind, Families> = {
  sans: {
    pretrain: ['puritan', 'telex', 'imprima', 'ruluko', 'cantarell', 'quattrocento-sans'],
    train: ['abel', 'questrial', 'varela', 'carme', 'gudea', 'pt-sans'],
    validation: ['actor', 'istok-web'],
    test: ['lato', 'didact-gothic', 'metrophobic', 'average-sans'],
  },
  serif: {
    pretrain: ['pt-serif', 'cardo', 'arapey', 'trykker', 'rosarivo', 'caudex', 'alike'],
    test: ['prata', 'ovo', 'fenix', 'gilda-display', 'quattrocento'],
  },
  mono: {
    pretrain: [
      'anonymous-pro',
      'cutive-mono',
      'nova-mono',
      'oxygen-mono',
      'pt-mono',
      'vt323',
      'courier-prime',
    ],
    test: ['cousine', 'fira-mono', 'share-tech-mono', 'space-mono'],
  },
  handwriting: {
    pretrain: [
      'patrick-hand',
      'indie-flower',
      'architects-daughter',
      'coming-soon',
      'short-stack',
      'kalam',
      'gochi-hand',
    ],
    test: ['handlee', 'gloria-hallelujah', 'schoolbell', 'delius', 'shadows-into-light'],
  },
  display: {
    pretrain: [
      'lobster',
      'chewy',
      'galindo',
      'titan-one',
      'gravitas-one',
      'ribeye',
      'carter-one',
      'concert-one',
    ],
    test: ['righteous', 'alfa-slab-one', 'sigmar-one', 'slackey', 'abril-fatface'],
  },
};

/** The families of a kind in a split; an empty list where the kind has none. */
export function families(kind: Kind, split: Split): readonly string[] {
  return FAMILIES[kind][split] ?? [];
}

/** A drawing library with every family registered under its package's name. */
export type CanvasModule = typeof Canvas;

let canvasModule: CanvasModule | undefined;

/**
 * Loads the drawing library and registers all families, once a process.
 *
 * @throws Error naming the packages to install if the drawing library or a font is not there (they are
 *   development dependencies: an installation of tfjs-ftp from the registry does not bring them along).
 */
export async function loadCanvas(): Promise<CanvasModule> {
  if (canvasModule !== undefined) return canvasModule;
  const require = createRequire(import.meta.url);
  const missing: string[] = [];
  const files = new Map<string, string>();
  for (const family of Object.values(FAMILIES).flatMap((kind) => Object.values(kind).flat())) {
    try {
      files.set(family, require.resolve(`@fontsource/${family}/files/${family}-latin-400-normal.woff2`));
    } catch {
      missing.push(`@fontsource/${family}`);
    }
  }
  let canvas: CanvasModule | undefined;
  try {
    canvas = await import('@napi-rs/canvas');
  } catch {
    missing.unshift('@napi-rs/canvas');
  }
  if (canvas === undefined || missing.length > 0) {
    throw new Error(
      `The glyph demo draws its images with packages that are not installed; run: npm install ${missing.join(' ')}\n` +
        'Or use your own images and model: --data DIR --model PATH.',
    );
  }
  for (const [family, file] of files) {
    if (!canvas.GlobalFonts.registerFromPath(file, family)) throw new Error(`cannot read the font ${file}`);
  }
  canvasModule = canvas;
  return canvas;
}
