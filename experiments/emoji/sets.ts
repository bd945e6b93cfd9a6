/** The emoji of each vendor: where its drawings come from, and how one is drawn as pixels. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { type DataPackage, packageFolder } from '../data/packages.js';

/** One vendor's drawings. */
export interface EmojiSet {
  /** Name of the domain. */
  name: string;
  package: DataPackage;
  format: 'iconify' | 'webp';
}

const iconify = (name: string): string => `@iconify-json/${name}`;

export const EMOJI_SETS = [
  {
    name: 'noto',
    format: 'iconify',
    package: {
      name: iconify('noto'),
      version: '1.2.9',
      integrity:
        'sha512-DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw==',
      licence: 'Apache-2.0',
      origin: 'Google, Noto Emoji',
    },
  },
  {
    name: 'twemoji',
    format: 'iconify',
    package: {
      name: iconify('twemoji'),
      version: '1.2.5',
      integrity:
        'sha512-uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw==',
      licence: 'CC-BY-4.0',
      origin: 'Twitter, Twemoji',
    },
  },
  {
    name: 'emojione',
    format: 'iconify',
    package: {
      name: iconify('emojione'),
      version: '1.2.3',
      integrity:
        'sha512-T9+T3HIbJNLKKsmxYKlaYhvnHYkz/HNYTV7SHCXVZPfeUi4FqskY70YeN8yYAZT8cCv7w5vJxS4Q1m8zb9CMMg==',
      licence: 'CC-BY-4.0',
      origin: 'Emoji One (Colored)',
    },
  },
  {
    name: 'fluent 3d',
    format: 'webp',
    package: {
      name: '@lobehub/fluent-emoji-3d',
      version: '1.1.0',
      integrity:
        'sha512-Wlq2lVStTnr8BDpIJ0pEnTKO4LuDxxqTEhTvRtD1DLRF0me7ogeRQjKoehDHXuVJ2Qaecgl5wRBv60lUAG3h7g==',
      licence: 'MIT',
      origin: 'Microsoft, Fluent Emoji, packed by LobeHub',
    },
  },
  {
    name: 'openmoji',
    format: 'iconify',
    package: {
      name: iconify('openmoji'),
      version: '1.2.29',
      integrity:
        'sha512-vXdhkqcXVSO6suy+m9LbcUM3OdVyuNOtpV8/als/WqfkQIRxevL5Geb/g+6GH/Qwnq1OqksEmaDGTCmZ5nFKJQ==',
      licence: 'CC-BY-SA-4.0',
      origin: 'OpenMoji',
    },
  },
  {
    name: 'high contrast',
    format: 'iconify',
    package: {
      name: iconify('fluent-emoji-high-contrast'),
      version: '1.2.6',
      integrity:
        'sha512-esqhZPpkrF7sNX3NsLoh8KW64okEr/bzko7WNnFP+qTJGAqDPDYjp0925yxuivXy3HtVQB8xhIKu3+Nq1byX5w==',
      licence: 'MIT',
      origin: 'Microsoft, Fluent Emoji High Contrast',
    },
  },
] as const satisfies readonly EmojiSet[];

export type EmojiSetName = (typeof EMOJI_SETS)[number]['name'];

interface Icon {
  body?: string;
  parent?: string;
  left?: number;
  top?: number;
  width?: number;
  height?: number;
}

interface IconSet extends Icon {
  icons: Record<string, Icon>;
  aliases?: Record<string, Icon>;
}

/** A set whose drawings can be asked for. */
export interface OpenSet {
  /**
   * The drawing of an emoji.
   *
   * @param code its code points as the table has them: hexadecimal, lower case, joined by `-`, without fe0f.
   * @param name its name, for sets that know no code points.
   * @returns SVG or WebP, or undefined: this set has no such emoji.
   */
  drawing(code: string, name: string): Promise<Buffer | undefined>;
}

async function json<T>(file: string): Promise<T> {
  return JSON.parse(await readFile(file, 'utf8')) as T;
}

/** Code points as the table has them. */
export function normalCode(code: string): string {
  return code.toLowerCase().replace(/-fe0f/g, '');
}

/** An icon as an SVG file; aliases lead to another icon, and numbers that it lacks are the set's. */
export function svgOf(set: IconSet, name: string): string | undefined {
  let icon = set.icons[name] ?? set.aliases?.[name];
  let { body, left, top, width, height } = icon ?? {};
  for (let depth = 0; icon !== undefined && body === undefined && depth < 4; ++depth) {
    const parent: string = icon.parent ?? '';
    icon = set.icons[parent] ?? set.aliases?.[parent];
    body = icon?.body;
    left ??= icon?.left;
    top ??= icon?.top;
    width ??= icon?.width;
    height ??= icon?.height;
  }
  if (body === undefined) return undefined;
  const box = [
    left ?? set.left ?? 0,
    top ?? set.top ?? 0,
    width ?? set.width ?? 16,
    height ?? set.height ?? 16,
  ];
  const spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"';
  return `<svg ${spaces} viewBox="${box.join(' ')}" width="${box[2]}" height="${box[3]}">${body.replaceAll('currentColor', '#000')}</svg>`;
}

async function openIconify(folder: string): Promise<OpenSet> {
  const set = await json<IconSet>(join(folder, 'icons.json'));
  const chars = await json<Record<string, string>>(join(folder, 'chars.json')).catch(() => ({}));
  const byCode = new Map(Object.entries(chars).map(([code, name]) => [normalCode(code), name]));
  return {
    async drawing(code, name) {
      const svg = svgOf(set, byCode.get(code) ?? (byCode.size === 0 ? name : ''));
      return svg === undefined ? undefined : Buffer.from(svg);
    },
  };
}

function openFiles(folder: string): OpenSet {
  const read = (code: string) => readFile(join(folder, 'assets', `${code}.webp`)).catch(() => undefined);
  return {
    async drawing(code) {
      // Some files keep the selector that the table leaves out, behind the first code point.
      return (await read(code)) ?? (await read(code.replace(/^[^-]+/, '$&-fe0f')));
    },
  };
}

/** @throws MissingData where the set's package cannot be had. */
export async function openSet(set: EmojiSet, cache: string): Promise<OpenSet> {
  const folder = await packageFolder(set.package, cache);
  return set.format === 'iconify' ? openIconify(folder) : openFiles(folder);
}

/** Pixels that a drawing has per pixel of the result, before it is made small. */
const FINER = 2;

/** The part of an image that is not transparent. */
function drawnBox(rgba: Uint8Array, height: number, width: number) {
  let [top, left, bottom, right] = [height, width, -1, -1];
  for (let y = 0, i = 3; y < height; ++y) {
    for (let x = 0; x < width; ++x, i += 4) {
      if ((rgba[i] as number) === 0) continue;
      top = Math.min(top, y);
      bottom = y;
      left = Math.min(left, x);
      right = Math.max(right, x);
    }
  }
  return bottom < 0 ? undefined : { top, left, height: bottom - top + 1, width: right - left + 1 };
}

/** A drawing on a white square, RGB bytes. Its own margin is cut off: that of a vendor would give the vendor away. */
export async function draw(drawing: Buffer, size: number): Promise<Uint8Array> {
  const { width: w = 1, height: h = 1, format } = await sharp(drawing).metadata();
  const density = format === 'svg' ? Math.min((72 * FINER * size) / Math.max(w, h), 2400) : undefined;
  const { data, info } = await sharp(drawing, density === undefined ? {} : { density })
    .toColourspace('srgb')
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { height, width, channels } = info;
  const box = drawnBox(data, height, width);
  const result = new Uint8Array(3 * size * size).fill(255);
  if (box === undefined) return result;
  const margin = Math.round(size / 16);
  const inner = size - 2 * margin;
  const rgba = await sharp(data, { raw: { height, width, channels } })
    .extract(box)
    .resize(inner, inner, { fit: 'contain', background: { r: 255, g: 255, b: 255, alpha: 0 } })
    .raw()
    .toBuffer();
  for (let y = 0, from = 0; y < inner; ++y) {
    for (let x = 0, to = 3 * ((y + margin) * size + margin); x < inner; ++x, from += 4, to += 3) {
      const opacity = (rgba[from + 3] as number) / 255;
      for (let c = 0; c < 3; ++c) {
        result[to + c] = Math.round(opacity * (rgba[from + c] as number) + 255 * (1 - opacity));
      }
    }
  }
  return result;
}
