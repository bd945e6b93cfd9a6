/** Small image files for the tests of the image-folder loader. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';

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
