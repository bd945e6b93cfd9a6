import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type DecodeRequest, type DecoderName, ImageDecoder } from '../../src/data/decode.js';
import { imageFolder } from '../../src/data/index.js';
import { folderOf, ONE_PIXEL_BMP, picture, png, solid } from './image_files.js';

// The demo's set-up makes tfjs-node usable; without it there is nothing to compare.
const tfjsNode = await import('@tensorflow/tfjs-node').then(
  () => true,
  () => false,
);

const DECODERS = ['sharp', 'tfjs-node'] as const;
const removals: (() => Promise<void>)[] = [];

async function folder(files: Record<string, Buffer | string>): Promise<string> {
  const { path, remove } = await folderOf(files);
  removals.push(remove);
  return path;
}

afterEach(async () => {
  await Promise.all(removals.splice(0).map((remove) => remove()));
});

type Request = Partial<DecodeRequest> & { size: readonly [height: number, width: number] };

/** The pixels of one file, as a decoder gives them. */
async function pixels(file: Buffer, decoder: DecoderName, { size, ...rest }: Request): Promise<number[]> {
  const path = join(await folder({ image: file }), 'image');
  const [height, width] = size;
  const request = { height, width, channels: 3, fit: 'fill', background: [255, 255, 255], ...rest } as const;
  return [...(await (await ImageDecoder.find(decoder)).decode(path, request))];
}

/** Mean and largest absolute difference of what the two decoders give. */
async function difference(file: Buffer, request: Request) {
  const [a, b] = await Promise.all(DECODERS.map((decoder) => pixels(file, decoder, request)));
  const differences = (a as number[]).map((value, i) => Math.abs(value - (b?.[i] as number)));
  const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
  return { mean, max: Math.max(...differences), length: differences.length };
}

/** A grey image: one number per pixel. */
const grey = (rows: number[][]) => png(rows.map((row) => row.map((value) => [value])));

describe.skipIf(!tfjsNode)('both decoders (skipped where tfjs-node cannot be loaded)', () => {
  beforeAll(() => tf.setBackend('cpu'));
  afterAll(() => tf.setBackend('cpu'));

  const file = [
    [10, 20, 30],
    [40, 50, 60],
  ];
  const at = (row: number, column: number) => file[row]?.[column] as number;
  // Where each pixel of the upright image lies in a file of 2 rows and 3 columns, as EXIF defines it.
  const upright: Record<number, (row: number, column: number) => number> = {
    1: (r, c) => at(r, c),
    2: (r, c) => at(r, 2 - c),
    3: (r, c) => at(1 - r, 2 - c),
    4: (r, c) => at(1 - r, c),
    5: (r, c) => at(c, r),
    6: (r, c) => at(1 - c, r),
    7: (r, c) => at(1 - c, 2 - r),
    8: (r, c) => at(c, 2 - r),
  };

  describe.each(DECODERS)('%s', (decoder) => {
    it.each([1, 2, 3, 4, 5, 6, 7, 8])('turns an image of orientation %i upright', async (orientation) => {
      const image = await sharp(await grey(file))
        .withMetadata({ orientation })
        .png()
        .toBuffer();
      const [rows, columns] = orientation > 4 ? [3, 2] : [2, 3];
      const expected = Array.from({ length: 6 }, (_, i) =>
        upright[orientation]?.(Math.floor(i / columns), i % columns),
      );
      expect(await pixels(image, decoder, { size: [rows, columns], channels: 1 })).toEqual(expected);
    });

    it('does not alias: a fine pattern becomes an even grey', async () => {
      const checks = Array.from({ length: 64 }, (_, r) =>
        Array.from({ length: 64 }, (_, c) => ((r + c) % 2) * 200),
      );
      const values = await pixels(await grey(checks), decoder, { size: [16, 16], channels: 1 });
      for (const value of values) expect(Math.abs(value - 100)).toBeLessThanOrEqual(1);
    });

    it('enlarges about the middle', async () => {
      const image = await grey([[0, 60]]);
      expect(await pixels(image, decoder, { size: [1, 4], channels: 1 })).toEqual([0, 15, 45, 60]);
    });

    it('keeps the colour of transparent pixels out of their neighbours', async () => {
      const left = [255, 0, 0, 0];
      const right = [0, 0, 0, 255];
      const image = await png([[left, left, right, right]]);
      const request = { size: [1, 1], background: [0, 0, 0] } as const;
      expect(await pixels(image, decoder, request)).toEqual([0, 0, 0]);
    });
  });

  // The limits are a little above what was measured with sharp 0.35 and tfjs-node 4.22; imageFolder's docstring
  // has the numbers. With tf.image.resizeBilinear noise differed by 27 on average, and by up to 103.
  const SIZES = [
    { from: [64, 64], to: [64, 64], mean: 0, max: 0 },
    { from: [16, 16], to: [32, 32], mean: 0, max: 0 },
    { from: [20, 30], to: [64, 64], mean: 0, max: 0 },
    { from: [64, 20], to: [32, 32], mean: 0, max: 0 },
    { from: [96, 96], to: [64, 64], mean: 0.3, max: 2 },
    { from: [97, 61], to: [32, 32], mean: 0.3, max: 2 },
    { from: [300, 210], to: [96, 96], mean: 0.3, max: 2 },
    { from: [256, 256], to: [60, 60], mean: 0.8, max: 3, jpegMean: 2.5, jpegMax: 14 },
    { from: [512, 384], to: [64, 64], mean: 0.8, max: 3, jpegMean: 2.5, jpegMax: 14 },
    { from: [512, 512], to: [16, 16], mean: 0.8, max: 3, jpegMean: 2.5, jpegMax: 14 },
  ] as const;
  const CASES = (['noise', 'photograph'] as const).flatMap((kind) =>
    (['png', 'jpeg'] as const).flatMap((format) =>
      SIZES.flatMap((size) => (['fill', 'cover'] as const).map((fit) => ({ kind, format, fit, ...size }))),
    ),
  );

  it.each(CASES)('give nearly the same pixels: $kind $format $fit $from -> $to', async (one) => {
    const made = picture(one.kind, one.from[0], one.from[1]);
    const image = await (one.format === 'png' ? made.png() : made.jpeg({ quality: 90 })).toBuffer();
    const { mean, max, length } = await difference(image, { size: one.to, fit: one.fit });
    if (process.env.TFJS_FTP_SHOW_DECODERS) console.log(JSON.stringify({ ...one, mean, max }));
    const jpeg = one.format === 'jpeg' && 'jpegMax' in one;
    expect(length).toBe(one.to[0] * one.to[1] * 3);
    expect(mean).toBeLessThanOrEqual(jpeg ? one.jpegMean : one.mean);
    expect(max).toBeLessThanOrEqual(jpeg ? one.jpegMax : one.max);
  });

  it.each(
    [1, 2, 3, 4, 5, 6, 7, 8].flatMap((orientation) =>
      (['fill', 'cover'] as const).map((fit) => ({ orientation, fit })),
    ),
  )('resize and crop turned photographs alike: $orientation $fit', async ({ orientation, fit }) => {
    const image = await picture('photograph', 90, 131)
      .withMetadata({ orientation })
      .jpeg({ quality: 90 })
      .toBuffer();
    for (const size of [
      [40, 33],
      [150, 160],
    ] as const) {
      const { mean, max } = await difference(image, { size, fit });
      expect(mean).toBeLessThanOrEqual(0.3);
      expect(max).toBeLessThanOrEqual(2);
    }
  });

  it.each([1, 3] as const)(
    'agree on grey, transparent and 16-bit images as %i channels',
    async (channels) => {
      const images = [
        await grey([
          [0, 80],
          [120, 255],
        ]),
        await png([
          [
            [200, 0, 90, 128],
            [0, 250, 10, 255],
          ],
          [
            [7, 7, 7, 0],
            [90, 90, 200, 60],
          ],
        ]),
        await sharp(Uint16Array.from([0, 20000, 40000, 65535]), { raw: { width: 2, height: 2, channels: 1 } })
          .toColourspace('grey16')
          .png()
          .toBuffer(),
      ];
      for (const image of images) {
        for (const size of [
          [1, 1],
          [2, 2],
          [5, 3],
        ] as const) {
          expect((await difference(image, { size, channels })).max).toBeLessThanOrEqual(1);
        }
      }
    },
  );

  describe('formats of the other decoder', () => {
    const options = { imageSize: 1, range: [0, 255], batchSize: 1, shuffle: false } as const;

    async function firstPixels(path: string, decoder: DecoderName): Promise<number[][]> {
      const dataset = await imageFolder(path, { ...options, decoder });
      expect(dataset.decoder).toBe(decoder);
      const values: number[][] = [];
      await dataset.forEachAsync(({ xs }) => {
        values.push([...xs.dataSync()]);
      });
      return values;
    }

    it('reads BMP under sharp, and leaves the backend as it was', async () => {
      const path = await folder({ 'a/1.bmp': ONE_PIXEL_BMP, 'a/2.png': await solid([1, 2, 3]) });
      const before = tf.memory().numTensors;
      expect(await firstPixels(path, 'sharp')).toEqual([
        [250, 20, 30],
        [1, 2, 3],
      ]);
      expect(tf.getBackend()).toBe('cpu');
      expect(tf.memory().numTensors).toBe(before);
    });

    it('reads WebP, TIFF and AVIF under tfjs-node', async () => {
      const image = sharp(await solid([250, 20, 30], 16, 16));
      const path = await folder({
        'a/1.webp': await image.clone().webp({ lossless: true }).toBuffer(),
        'a/2.tiff': await image.clone().tiff({ compression: 'none' }).toBuffer(),
        'a/3.avif': await image.clone().avif({ lossless: true }).toBuffer(),
      });
      const values = await firstPixels(path, 'tfjs-node');
      expect(values).toHaveLength(3);
      for (const value of values.flat().map((one, i) => Math.abs(one - ([250, 20, 30][i % 3] as number)))) {
        expect(value).toBeLessThanOrEqual(2);
      }
      expect(tf.getBackend()).toBe('cpu');
    });

    it('goes by the content where the extension is of another format', async () => {
      const webp = await sharp(await solid([250, 20, 30]))
        .webp({ lossless: true })
        .toBuffer();
      const path = await folder({ 'a/1.jpg': webp, 'a/2.png': ONE_PIXEL_BMP });
      const both = [
        [250, 20, 30],
        [250, 20, 30],
      ];
      expect(await firstPixels(path, 'tfjs-node')).toEqual(both);
      expect(await firstPixels(path, 'sharp')).toEqual(both);
    });

    it.each(DECODERS)('names a damaged file of any format under %s', async (decoder) => {
      const image = sharp(await solid([9, 9, 9], 32, 32));
      for (const format of ['png', 'jpeg', 'webp', 'gif', 'tiff'] as const) {
        const whole = await image.clone().toFormat(format).toBuffer();
        const path = await folder({ 'a/1.png': '' });
        await writeFile(join(path, 'a', '1.png'), whole.subarray(0, 20));
        await expect(firstPixels(path, decoder)).rejects.toMatchObject({
          code: 'IMAGE_UNREADABLE',
          message: expect.stringContaining(join('a', '1.png')),
        });
      }
    });
  });
});
