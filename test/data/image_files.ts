/** Small image files for the tests of the image-folder loader. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp, { type Sharp } from 'sharp';

export type Pixel = readonly number[];

/** Encodes rows of pixels (1 to 4 values each) as PNG. */
export function png(rows: readonly (readonly Pixel[])[]): Promise<Buffer> {
  const [first] = rows as [readonly Pixel[]];
  const channels = (first[0] as Pixel).length as 1 | 2 | 3 | 4;
  return sharp(Uint8Array.from(rows.flat(2)), { raw: { height: rows.length, width: first.length, channels } })
    .png()
    .toBuffer();
}

/** An image of one colour. */
export function solid(pixel: Pixel, height = 4, width = 4): Promise<Buffer> {
  return png(Array.from({ length: height }, () => Array.from({ length: width }, () => pixel)));
}

/** Writes files into a new temporary folder; `remove` deletes it. */
export async function folderOf(
  files: Record<string, Buffer | string>,
): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'tfjs-ftp-images-'));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    if (!name.endsWith('/')) await writeFile(join(path, name), content);
    else await mkdir(join(path, name), { recursive: true });
  }
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Whole numbers from 0 to 255 that look random and are the same every time. */
function byteSource(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  };
}

/**
 * A picture to measure decoders with. `noise`: every value random, the hardest case. `photograph`: slow changes
 * of brightness, a sharp edge, fine stripes and a little noise.
 */
export function picture(kind: 'noise' | 'photograph', height: number, width: number): Sharp {
  const random = byteSource();
  const data = new Uint8Array(height * width * 3);
  for (let i = 0; i < data.length; ++i) {
    const [row, column, channel] = [Math.floor(i / 3 / width), Math.floor(i / 3) % width, i % 3];
    const noise = random();
    const disc = Math.hypot(row - height * 0.4, column - width * 0.6) < height * 0.25 ? 90 : 0;
    const stripe = ((column >> 2) + (row >> 3) + channel) % 7 === 0 ? -50 : 0;
    const slow = 60 + (80 * row) / height + 30 * Math.sin((9 * column) / width + channel);
    const photograph = slow + disc + stripe + (noise - 128) * 0.1;
    data[i] = kind === 'noise' ? noise : Math.min(255, Math.max(0, photograph));
  }
  return sharp(data, { raw: { height, width, channels: 3 } });
}

/** A one-pixel BMP, which sharp does not read: red, green and blue 250, 20, 30. */
export const ONE_PIXEL_BMP = Buffer.from(
  '424d3a000000000000003600000028000000010000000100000001001800000000000400000000000000000000000000000000000000' +
    '1e14fa00',
  'hex',
);
