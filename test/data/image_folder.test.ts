import { rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ImageFolderDataset, type ImageFolderOptions, imageFolder } from '../../src/data/index.js';
import { folderOf, ONE_PIXEL_BMP, png, solid } from './image_files.js';

const removals: (() => Promise<void>)[] = [];

async function folder(files: Record<string, Buffer | string>): Promise<string> {
  const { path, remove } = await folderOf(files);
  removals.push(remove);
  return path;
}

/** Everything that one pass over the dataset yields, as plain arrays. */
async function drain(dataset: ImageFolderDataset) {
  const batches: { xs: number[]; ys: number[]; xsShape: number[]; ysShape: number[]; ysType: string }[] = [];
  await dataset.forEachAsync(({ xs, ys }) => {
    batches.push({
      xs: [...xs.dataSync()],
      ys: [...ys.dataSync()],
      xsShape: xs.shape,
      ysShape: ys.shape,
      ysType: ys.dtype,
    });
  });
  return batches;
}

/** A folder of `count` images a class; the red channel of an image is its number. */
async function numbered(classes: readonly string[], count: number): Promise<string> {
  const files: Record<string, Buffer> = {};
  for (const [label, name] of classes.entries()) {
    for (let i = 0; i < count; ++i) {
      files[`${name}/${String(i).padStart(2, '0')}.png`] = await solid([label * count + i, 0, 0], 2, 2);
    }
  }
  return folder(files);
}

/** The numbers of the images of `numbered`, in the order in which the dataset gives them. */
async function numbersOf(dataset: ImageFolderDataset): Promise<number[]> {
  const batches = await drain(dataset);
  return batches.flatMap(({ xs, xsShape }) => {
    const stride = xsShape.slice(-3).reduce((product, size) => product * size, 1);
    return Array.from({ length: xs.length / stride }, (_, i) => xs[i * stride] as number);
  });
}

const bytes = { imageSize: 2, range: [0, 255] } satisfies ImageFolderOptions;

beforeAll(async () => {
  await tf.setBackend('cpu');
});

afterEach(async () => {
  await Promise.all(removals.splice(0).map((remove) => remove()));
});

describe('what comes out', () => {
  it('gives pixels from 0 to 1 and one-hot labels by sorted folder name', async () => {
    const path = await folder({
      'b/x.png': await png([[[255, 0, 51]]]),
      'a/deep/y.png': await png([[[0, 102, 255]]]),
      'a/notes.txt': 'no image',
      'a/.hidden.png': 'no image either',
      '.git/z.png': 'not a class',
    });
    const dataset = await imageFolder(path, { imageSize: 1, shuffle: false });
    expect(dataset.classNames).toEqual(['a', 'b']);
    expect(dataset.files.map((file) => [basename(file.path), file.label])).toEqual([
      ['y.png', 0],
      ['x.png', 1],
    ]);
    expect(dataset.decoder).toBe('sharp');
    const [batch, ...rest] = await drain(dataset);
    expect(rest).toEqual([]);
    expect(batch).toMatchObject({
      xsShape: [2, 1, 1, 3],
      ysShape: [2, 2],
      ysType: 'float32',
      ys: [1, 0, 0, 1],
    });
    expect(batch?.xs).toEqual([0, 102, 255, 255, 0, 51].map((value) => Math.fround(value / 255)));
  });

  it('takes the classes and their order from classNames', async () => {
    const path = await numbered(['a', 'b', 'c'], 1);
    const dataset = await imageFolder(path, {
      ...bytes,
      classNames: ['c', 'a'],
      labels: 'index',
      shuffle: false,
    });
    expect(await drain(dataset)).toMatchObject([{ ys: [0, 1], ysShape: [2], ysType: 'int32' }]);
    expect(await numbersOf(dataset)).toEqual([2, 0]);
  });

  it('turns grey into colour, colour into grey and lets the background through', async () => {
    const path = await folder({
      'a/grey.png': await png([[[70]]]),
      'a/half.png': await png([[[255, 0, 0, 0]]]),
      'a/rgb.png': await png([[[200, 100, 50]]]),
    });
    const options = { ...bytes, imageSize: 1, shuffle: false, background: [10, 20, 30] } as const;
    const [colour] = await drain(await imageFolder(path, options));
    expect(colour?.xs).toEqual([70, 70, 70, 10, 20, 30, 200, 100, 50]);
    const [grey] = await drain(await imageFolder(path, { ...options, channels: 1 }));
    expect(grey).toMatchObject({ xsShape: [3, 1, 1, 1], xs: [70, 18, 124] });
  });

  it('stretches with fill and crops with cover', async () => {
    // Left half black, right half white, twice as wide as high.
    const row = [0, 0, 0, 0, 255, 255, 255, 255].map((value) => [value, value, value]);
    const path = await folder({ 'a/wide.png': await png([row, row, row, row]) });
    const edges = async (fit: 'fill' | 'cover', size: readonly [number, number]) => {
      const [batch] = await drain(await imageFolder(path, { ...bytes, imageSize: size, fit, channels: 1 }));
      return batch?.xs;
    };
    expect(await edges('cover', [4, 4])).toEqual([
      0, 0, 255, 255, 0, 0, 255, 255, 0, 0, 255, 255, 0, 0, 255, 255,
    ]);
    const filled = (await edges('fill', [2, 2])) as number[];
    expect(filled[0]).toBeLessThan(60);
    expect(filled[1]).toBeGreaterThan(195);
  });

  it('turns a photo as its orientation tag says', async () => {
    const photo = await sharp(
      await png([
        [
          [0, 0, 0],
          [255, 255, 255],
        ],
      ]),
    )
      .withMetadata({ orientation: 6 })
      .png()
      .toBuffer();
    const path = await folder({ 'a/turned.png': photo });
    const [batch] = await drain(await imageFolder(path, { ...bytes, imageSize: [2, 1], channels: 1 }));
    expect(batch?.xs).toEqual([0, 255]);
  });

  it('batches, with and without the remainder, or gives single images', async () => {
    const path = await numbered(['a'], 5);
    const shapes = async (options: Partial<ImageFolderOptions>) =>
      (await drain(await imageFolder(path, { ...bytes, ...options }))).map((batch) => [
        batch.xsShape,
        batch.ysShape,
      ]);
    const image = [2, 2, 3];
    expect(await shapes({ batchSize: 2 })).toEqual([
      [
        [2, ...image],
        [2, 1],
      ],
      [
        [2, ...image],
        [2, 1],
      ],
      [
        [1, ...image],
        [1, 1],
      ],
    ]);
    expect(await shapes({ batchSize: 2, dropRemainder: true })).toHaveLength(2);
    expect(await shapes({ batchSize: null })).toEqual(Array(5).fill([image, [1]]));
  });
});

describe('order and split', () => {
  it('shuffles anew in every epoch, the same for the same seed', async () => {
    const path = await numbered(['a', 'b'], 10);
    const epochs = async (seed: number) => {
      const dataset = await imageFolder(path, { ...bytes, seed, batchSize: 7 });
      return [await numbersOf(dataset), await numbersOf(dataset)];
    };
    const [first, second] = (await epochs(3)) as [number[], number[]];
    const sorted = Array.from({ length: 20 }, (_, i) => i);
    expect([...first].sort((a, b) => a - b)).toEqual(sorted);
    expect([...second].sort((a, b) => a - b)).toEqual(sorted);
    expect(first).not.toEqual(sorted);
    expect(second).not.toEqual(first);
    expect(await epochs(3)).toEqual([first, second]);
    expect((await epochs(4))[0]).not.toEqual(first);
  });

  it('splits every class, without overlap and the same each time', async () => {
    const path = await numbered(['a', 'b', 'c'], 10);
    const side = async (subset: 'training' | 'validation', seed: number) => {
      const dataset = await imageFolder(path, {
        ...bytes,
        validationSplit: 0.3,
        subset,
        seed,
        shuffle: false,
      });
      return numbersOf(dataset);
    };
    const validation = await side('validation', 1);
    expect(validation.map((number) => Math.floor(number / 10))).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2]);
    const training = await side('training', 1);
    expect([...training, ...validation].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 30 }, (_, i) => i),
    );
    expect(await side('validation', 1)).toEqual(validation);
    expect(await side('validation', 2)).not.toEqual(validation);
  });

  it('repeats a number of times, each time in a new order', async () => {
    const path = await numbered(['a'], 8);
    const numbers = await numbersOf(await imageFolder(path, { ...bytes, batchSize: 8, repeat: 3 }));
    const epochs = [numbers.slice(0, 8), numbers.slice(8, 16), numbers.slice(16)];
    for (const epoch of epochs) expect([...epoch].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(epochs[1]).not.toEqual(epochs[0]);
  });

  it('repeats without end', async () => {
    const path = await numbered(['a'], 3);
    const dataset = await imageFolder(path, { ...bytes, batchSize: 2, repeat: true });
    const iterator = await dataset.iterator();
    for (let i = 0; i < 10; ++i) {
      const { done, value } = await iterator.next();
      expect(done).toBe(false);
      tf.dispose(value);
    }
  });
});

describe('memory', () => {
  it('reads each file once with cache', async () => {
    const path = await numbered(['a'], 4);
    const dataset = await imageFolder(path, { ...bytes, cache: true, shuffle: false });
    expect(await numbersOf(dataset)).toEqual([0, 1, 2, 3]);
    await writeFile(join(path, 'a', '00.png'), await solid([99, 0, 0], 2, 2));
    expect(await numbersOf(dataset)).toEqual([0, 1, 2, 3]);
    expect(await numbersOf(await imageFolder(path, { ...bytes, shuffle: false }))).toEqual([99, 1, 2, 3]);
  });

  it('leaves no tensor behind, read through or left half way', async () => {
    const path = await numbered(['a'], 9);
    const before = tf.memory().numTensors;
    const dataset = await imageFolder(path, { ...bytes, batchSize: 2, repeat: 2 });
    await drain(dataset);
    expect(tf.memory().numTensors).toBe(before);
    const iterator = await dataset.iterator();
    for (let i = 0; i < 3; ++i) tf.dispose((await iterator.next()).value);
    await expect.poll(() => tf.memory().numTensors).toBe(before);
  });

  it('feeds fitDataset, which disposes its batches', async () => {
    const path = await folder({
      'dark/1.png': await solid([10, 10, 10]),
      'dark/2.png': await solid([40, 40, 40]),
      'light/1.png': await solid([240, 240, 240]),
      'light/2.png': await solid([200, 200, 200]),
    });
    const dataset = await imageFolder(path, { imageSize: 4, batchSize: 2, seed: 5, cache: true });
    const model = tf.sequential({
      layers: [
        tf.layers.flatten({ inputShape: [4, 4, 3] }),
        tf.layers.dense({
          units: 2,
          activation: 'softmax',
          kernelInitializer: tf.initializers.glorotNormal({ seed: 1 }),
        }),
      ],
    });
    model.compile({ optimizer: tf.train.adam(0.05), loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
    await model.fitDataset(dataset, { epochs: 1, verbose: 0 });
    const before = tf.memory().numTensors;
    const history = await model.fitDataset(dataset, { epochs: 30, verbose: 0 });
    expect(tf.memory().numTensors).toBe(before);
    expect(history.history.acc?.at(-1)).toBe(1);
    model.dispose();
  });
});

describe('links and other entries', () => {
  const image = solid([5, 0, 0], 2, 2);

  it('ignores whatever lies beside the class folders', async () => {
    const path = await folder({
      'a/1.png': await image,
      '.hidden/1.png': await image,
      '__MACOSX/._1.png': '',
      '__MACOSX/a/1.png': await image,
      'stray.png': await image,
      'notes.txt': '',
    });
    await symlink(join(path, 'stray.png'), join(path, 'link.png'));
    await symlink(join(path, 'nowhere'), join(path, 'dangling'));
    const dataset = await imageFolder(path, bytes);
    expect(dataset.classNames).toEqual(['a']);
    expect(dataset.files.map((file) => file.path)).toEqual([join(path, 'a', '1.png')]);
  });

  it('ignores __MACOSX inside a class, and takes it as a class where it is named', async () => {
    const path = await folder({
      'a/1.png': await image,
      'a/__MACOSX/1.png': await image,
      '__MACOSX/2.png': await image,
    });
    expect((await imageFolder(path, bytes)).files).toHaveLength(1);
    const named = await imageFolder(path, { ...bytes, classNames: ['__MACOSX', 'a'] });
    expect(named.files.map((file) => basename(file.path))).toEqual(['2.png', '1.png']);
  });

  it('says that a flat folder has no sub-folders, links or not', async () => {
    const path = await folder({ '1.png': await image });
    await symlink(join(path, '1.png'), join(path, '2.png'));
    await symlink(join(path, 'nowhere'), join(path, '3.png'));
    await expect(imageFolder(path, bytes)).rejects.toThrow(/has no sub-folders/);
  });

  it('follows links to class folders, to folders inside and to images', async () => {
    const elsewhere = await folder({ 'one/1.png': await image, 'two/2.png': await image, 'three.png': '' });
    await writeFile(join(elsewhere, 'three.png'), await image);
    const path = await folder({ 'b/': '' });
    await symlink(join(elsewhere, 'one'), join(path, 'a'), 'dir');
    await symlink(join(elsewhere, 'two'), join(path, 'b', 'deep.png'));
    await symlink(join(elsewhere, 'three.png'), join(path, 'b', 'x.png'));
    const dataset = await imageFolder(path, { ...bytes, shuffle: false });
    expect(dataset.files).toEqual([
      { path: join(path, 'a', '1.png'), label: 0 },
      { path: join(path, 'b', 'deep.png', '2.png'), label: 1 },
      { path: join(path, 'b', 'x.png'), label: 1 },
    ]);
    expect(await numbersOf(dataset)).toEqual([5, 5, 5]);
  });

  it('ends where a link leads back to a folder above', async () => {
    const path = await folder({ 'a/1.png': await image });
    await symlink(join(path, 'a'), join(path, 'a', 'again'));
    await symlink(path, join(path, 'a', 'root'));
    expect((await imageFolder(path, bytes)).files).toHaveLength(1);
  });

  it('reports an image whose link is dangling', async () => {
    const path = await folder({ 'a/1.png': await image });
    await symlink(join(path, 'nowhere.png'), join(path, 'a', '2.png'));
    const message = expect.stringContaining(join('a', '2.png'));
    await expect(drain(await imageFolder(path, bytes))).rejects.toMatchObject({
      code: 'IMAGE_UNREADABLE',
      message,
    });
    expect((await imageFolder(path, { ...bytes, onError: 'skip' })).skipped).toMatchObject([
      { reason: message },
    ]);
  });
});

describe('errors', () => {
  const unreadable = 'this is no image';

  it('names an image that cannot be decoded, when its turn comes', async () => {
    const path = await numbered(['a'], 3);
    await writeFile(join(path, 'a', '01.png'), unreadable);
    const dataset = await imageFolder(path, { ...bytes, batchSize: 1, shuffle: false });
    const iterator = await dataset.iterator();
    tf.dispose((await iterator.next()).value);
    // The broken image is being decoded ahead of time now, while nobody waits for it.
    await new Promise((resolve) => setTimeout(resolve, 50));
    await expect(iterator.next()).rejects.toMatchObject({
      name: 'FtpError',
      code: 'IMAGE_UNREADABLE',
      message: expect.stringContaining(join('a', '01.png')),
    });
  });

  it('skips and lists unreadable images when asked', async () => {
    const path = await numbered(['a', 'b'], 2);
    await writeFile(join(path, 'a', '01.png'), unreadable);
    await writeFile(join(path, 'b', 'empty.png'), '');
    const dataset = await imageFolder(path, { ...bytes, onError: 'skip', shuffle: false });
    expect(dataset.skipped.map((file) => basename(file.path))).toEqual(['01.png', 'empty.png']);
    expect(dataset.skipped[0]?.reason).toMatch(/cannot decode the image .*01\.png: ./);
    expect(dataset.files).toHaveLength(3);
    expect(await numbersOf(dataset)).toEqual([0, 2, 3]);
  });

  it('refuses a folder in which nothing can be decoded', async () => {
    const path = await folder({ 'a/1.png': unreadable });
    await expect(imageFolder(path, { ...bytes, onError: 'skip' })).rejects.toThrow(
      /none of the 1 images in .* can be decoded: .*1\.png/,
    );
  });

  it('refuses a class that loses all its images to skip, before any training', async () => {
    const path = await numbered(['a', 'b', 'c'], 2);
    for (const name of ['00.png', '01.png']) await writeFile(join(path, 'b', name), unreadable);
    await expect(imageFolder(path, { ...bytes, onError: 'skip' })).rejects.toMatchObject({
      code: 'IMAGE_UNREADABLE',
      message: expect.stringMatching(/leaves no image of the class b: .*00\.png.* classNames$/),
    });
    const rest = await imageFolder(path, { ...bytes, onError: 'skip', classNames: ['a', 'c'] });
    expect(rest.files).toHaveLength(4);
  });

  it('takes no offence at a class with a single image, which the validation side lacks', async () => {
    const path = await numbered(['a', 'b'], 2);
    await rm(join(path, 'b', '01.png'));
    const side = { ...bytes, onError: 'skip', validationSplit: 0.5, subset: 'validation' } as const;
    expect((await imageFolder(path, side)).files.map((file) => file.label)).toEqual([0]);
  });

  it('ends fitDataset with the name of the file', async () => {
    const path = await numbered(['a', 'b'], 4);
    await writeFile(join(path, 'b', '02.png'), unreadable);
    const dataset = await imageFolder(path, { ...bytes, batchSize: 2, shuffle: false });
    const model = tf.sequential({
      layers: [tf.layers.flatten({ inputShape: [2, 2, 3] }), tf.layers.dense({ units: 2 })],
    });
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    await expect(model.fitDataset(dataset, { epochs: 1, verbose: 0 })).rejects.toMatchObject({
      code: 'IMAGE_UNREADABLE',
      message: expect.stringContaining(join('b', '02.png')),
    });
    model.dispose();
  });

  it('says what is wrong with a folder', async () => {
    const empty = await folder({});
    const flat = await folder({ '1.png': await solid([0, 0, 0]) });
    const hollow = await folder({ 'a/1.png': await solid([0, 0, 0]), 'b/readme.txt': '' });
    const missing = join(empty, 'nowhere');
    const code = 'IMAGE_FOLDER_INVALID';
    await expect(imageFolder(missing, bytes)).rejects.toMatchObject({
      code,
      message: /nowhere: it does not exist/,
    });
    await expect(imageFolder(empty, bytes)).rejects.toMatchObject({ code, message: /has no sub-folders/ });
    await expect(imageFolder(flat, bytes)).rejects.toMatchObject({ code, message: /has no sub-folders/ });
    await expect(imageFolder(hollow, bytes)).rejects.toMatchObject({
      code,
      message: /class folder .*b holds no image .*classNames/,
    });
    await expect(imageFolder(hollow, { ...bytes, classNames: ['a', 'z'] })).rejects.toMatchObject({
      code,
      message: /no sub-folder for the classes z of classNames; it has a, b/,
    });
  });

  it.each([
    [{}, TypeError, /imageSize/],
    [{ imageSize: 0 }, RangeError, /imageSize must be a whole number from 1 to 65535, got 0/],
    [{ imageSize: [4] }, TypeError, /imageSize must be an array of 2 numbers/],
    [{ imageSize: 4, channels: 2 }, RangeError, /channels must be 1 or 3, got 2/],
    [{ imageSize: 4, batchSize: 0 }, RangeError, /batchSize/],
    [{ imageSize: 4, batchsize: 8 }, TypeError, /has no option 'batchsize'/],
    [{ imageSize: 4, seed: '1' }, TypeError, /seed/],
    [{ imageSize: 4, validationSplit: 0.2 }, RangeError, /validationSplit and subset must be given together/],
    [{ imageSize: 4, validationSplit: 1, subset: 'training' }, RangeError, /validationSplit .*< 1, got 1/],
    [{ imageSize: 4, validationSplit: 0.5, subset: 'test' }, RangeError, /subset must be one of/],
    [{ imageSize: 4, classNames: [] }, RangeError, /classNames must name at least one/],
    [{ imageSize: 4, classNames: ['a', 'a'] }, RangeError, /none twice, got a, a/],
    [{ imageSize: 4, background: [0, 0] }, TypeError, /background must be an array of 3/],
    [{ imageSize: 4, background: [0, 0, 256] }, RangeError, /background .*<= 255, got 256/],
    [{ imageSize: 4, repeat: 0 }, RangeError, /repeat/],
    [{ imageSize: 4, onError: 'ignore' }, RangeError, /onError must be one of 'throw', 'skip'/],
    [{ imageSize: 4, fit: 'contain' }, RangeError, /fit must be one of/],
    [{ imageSize: 4, decoder: 'jimp' }, RangeError, /decoder must be one of/],
  ])('refuses the options %j', async (options, errorClass, message) => {
    const path = await numbered(['a'], 1);
    const attempt = imageFolder(path, options as unknown as ImageFolderOptions);
    await expect(attempt).rejects.toThrow(errorClass);
    await expect(attempt).rejects.toThrow(message);
  });

  it('refuses a split that leaves nothing', async () => {
    const path = await numbered(['a', 'b'], 1);
    const options = { ...bytes, validationSplit: 0.5, subset: 'validation' } as const;
    await expect(imageFolder(path, options)).rejects.toThrow(/leaves no image for validation/);
  });
});

// The demo's set-up makes tfjs-node usable; without it this decoder cannot be tried.
const tfjsNode = await import('@tensorflow/tfjs-node').then(
  () => true,
  () => false,
);

describe.skipIf(!tfjsNode)('tfjs-node as the decoder (skipped where tfjs-node cannot be loaded)', () => {
  beforeEach(() => tf.setBackend('tensorflow'));
  afterAll(() => tf.setBackend('cpu'));

  it.each(['cpu', 'tensorflow'])(
    'reads PNG of every channel count, JPEG, GIF and BMP on the backend %s',
    async (backend) => {
      await tf.setBackend(backend);
      const colour = await png([
        [
          [250, 20, 30],
          [250, 20, 30],
        ],
        [
          [250, 20, 30],
          [250, 20, 30],
        ],
      ]);
      const path = await folder({
        'a/1.png': await solid([80], 2, 2),
        'a/2.png': await solid([0, 0, 200, 0], 2, 2),
        'a/3.png': colour,
        'a/4.jpg': await sharp(colour).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer(),
        'a/5.gif': await sharp(colour).gif().toBuffer(),
        'a/6.bmp': ONE_PIXEL_BMP,
      });
      const dataset = await imageFolder(path, {
        ...bytes,
        imageSize: 2,
        decoder: 'tfjs-node',
        shuffle: false,
      });
      expect(dataset.decoder).toBe('tfjs-node');
      const before = tf.memory().numTensors;
      const [batch] = await drain(dataset);
      expect(tf.memory().numTensors).toBe(before);
      expect(tf.getBackend()).toBe(backend);
      const red = [250, 20, 30];
      const firstPixels = Array.from({ length: 6 }, (_, i) => batch?.xs.slice(i * 12, i * 12 + 3));
      expect(firstPixels.slice(0, 3)).toEqual([[80, 80, 80], [255, 255, 255], red]);
      for (const lossy of firstPixels.slice(3)) {
        lossy?.forEach((value, channel) => {
          expect(Math.abs(value - (red[channel] as number))).toBeLessThanOrEqual(6);
        });
      }
    },
  );

  it('crops with cover and names what it cannot read', async () => {
    const row = [0, 0, 0, 0, 255, 255, 255, 255].map((value) => [value, value, value]);
    const path = await folder({ 'a/wide.png': await png([row, row, row, row]), 'b/x.webp': 'not read' });
    const options = { ...bytes, imageSize: 4, decoder: 'tfjs-node', shuffle: false } as const;
    const [batch] = await drain(
      await imageFolder(path, { ...options, fit: 'cover', channels: 1, classNames: ['a'] }),
    );
    expect(batch?.xs.slice(0, 4)).toEqual([0, 0, 255, 255]);
    await expect(drain(await imageFolder(path, options))).rejects.toThrow(
      /cannot decode the image .*x\.webp/,
    );
  });
});
