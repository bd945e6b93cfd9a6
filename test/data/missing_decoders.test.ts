import { basename } from 'node:path';
import '@tensorflow/tfjs-backend-cpu';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { imageFolder } from '../../src/data/index.js';
import { folderOf, ONE_PIXEL_BMP, solid } from './image_files.js';

const removals: (() => Promise<void>)[] = [];

async function folder(files: Record<string, Buffer | string>): Promise<string> {
  const { path, remove } = await folderOf(files);
  removals.push(remove);
  return path;
}

function without(...packages: string[]) {
  for (const name of packages) {
    vi.doMock(name, () => {
      throw new Error(`Cannot find package '${name}'`);
    });
  }
}

beforeEach(() => without('@tensorflow/tfjs-node'));

afterEach(async () => {
  vi.doUnmock('sharp');
  vi.doUnmock('@tensorflow/tfjs-node');
  await Promise.all(removals.splice(0).map((remove) => remove()));
});

const options = { imageSize: 2 } as const;

describe('a format that only an absent package reads', () => {
  it.each(['auto', 'sharp'] as const)('is refused when the files are listed, decoder %s', async (decoder) => {
    const path = await folder({ 'a/1.png': await solid([1, 2, 3]), 'a/2.BMP': ONE_PIXEL_BMP });
    await expect(imageFolder(path, { ...options, decoder })).rejects.toMatchObject({
      name: 'FtpError',
      code: 'IMAGE_DECODER_NOT_FOUND',
      message: expect.stringMatching(/2\.BMP: sharp does not read BMP.*npm install @tensorflow\/tfjs-node$/),
    });
  });

  it('is skipped and listed with onError skip', async () => {
    const path = await folder({ 'a/1.png': await solid([1, 2, 3]), 'a/2.bmp': ONE_PIXEL_BMP });
    const dataset = await imageFolder(path, { ...options, onError: 'skip' });
    expect(dataset.files.map((file) => basename(file.path))).toEqual(['1.png']);
    expect(dataset.skipped.map((file) => basename(file.path))).toEqual(['2.bmp']);
    expect(dataset.skipped[0]?.reason).toContain('npm install @tensorflow/tfjs-node');
  });

  it('is named when its turn comes, where the extension told another format', async () => {
    const path = await folder({ 'a/1.png': ONE_PIXEL_BMP });
    const dataset = await imageFolder(path, options);
    await expect(dataset.forEachAsync(() => {})).rejects.toMatchObject({
      code: 'IMAGE_DECODER_NOT_FOUND',
      message: expect.stringMatching(/1\.png: sharp does not read BMP/),
    });
  });
});

describe('without sharp', () => {
  beforeEach(() => {
    vi.doUnmock('@tensorflow/tfjs-node');
    without('sharp');
  });

  it('refuses WebP, TIFF and AVIF when the files are listed', async (context) => {
    const loads = await import('@tensorflow/tfjs-node').then(
      () => true,
      () => false,
    );
    context.skip(!loads, 'tfjs-node cannot be loaded');
    const image = sharp(await solid([1, 2, 3], 16, 16));
    for (const format of ['webp', 'tiff', 'avif'] as const) {
      const path = await folder({ [`a/1.${format}`]: await image.clone().toFormat(format).toBuffer() });
      await expect(imageFolder(path, options)).rejects.toMatchObject({
        code: 'IMAGE_DECODER_NOT_FOUND',
        message: expect.stringMatching(
          new RegExp(`1\\.${format}: tfjs-node does not read ${format.toUpperCase()}.*npm install sharp$`),
        ),
      });
    }
  });

  it('says what to install where there is no decoder at all', async () => {
    without('@tensorflow/tfjs-node');
    const path = await folder({ 'a/1.png': await solid([1, 2, 3]) });
    await expect(imageFolder(path, options)).rejects.toMatchObject({
      code: 'IMAGE_DECODER_NOT_FOUND',
      message: expect.stringMatching(/no image decoder was found \(sharp: .*; tfjs-node: .*\)/),
    });
  });
});
