/** A `tf.data` dataset of the images in a folder of class folders. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfdata from '@tensorflow/tfjs-data';
import { FtpError } from '../errors.js';
import {
  checkBoolean,
  checkChoice,
  checkInteger,
  checkNumber,
  checkOptionKeys,
  describe,
} from '../validate.js';
import { type DecodeRequest, type DecoderName, type Fit, ImageDecoder } from './decode.js';
import { findImageFiles, type ImageFile, splitFiles } from './image_files.js';
import { type Shard, shardable } from './shard.js';

/** Options of {@link imageFolder}. */
export interface ImageFolderOptions {
  /** Height and width that every image is brought to, in pixels; one number for a square. */
  imageSize: number | readonly [height: number, width: number];
  /** 3 (default): red, green, blue; grey images repeat their value. 1: grey. */
  channels?: 1 | 3;
  /**
   * `'fill'` (default) stretches an image to the size, `'cover'` keeps its shape and crops what is left
   * over.
   */
  fit?: Fit;
  /** What shows through transparent pixels: red, green, blue, 0 to 255. Default white. */
  background?: readonly [red: number, green: number, blue: number];
  /**
   * Pixel values run from the first to the second number. Default `[0, 1]`; `[0, 255]` leaves the bytes as
   * they are.
   */
  range?: readonly [low: number, high: number];
  /** Images in a batch, default 32; `null` gives single images without a batch axis. */
  batchSize?: number | null;
  /** Leaves out a last batch that is smaller than the others. Default false. */
  dropRemainder?: boolean;
  /** `'oneHot'` (default): float32 [batch, classes]. `'index'`: int32 [batch]. */
  labels?: 'oneHot' | 'index';
  /** A new random order in every epoch. Default true; false keeps the order of the paths, class by class. */
  shuffle?: boolean;
  /**
   * Seed of the shuffling and of the split, default 0: the same seed gives the same orders and the same
   * split.
   */
  seed?: number;
  /** Share of each class that is held out for validation, between 0 and 1. Needs `subset`. */
  validationSplit?: number;
  /** Which side of the split this dataset is. */
  subset?: 'training' | 'validation';
  /** Sub-folders to take as classes, in the order of their labels. Default: all, sorted by name. */
  classNames?: readonly string[];
  /**
   * Keeps decoded images (height * width * channels bytes each) in memory after their first use. Default
   * false.
   */
  cache?: boolean;
  /**
   * Number of epochs before the dataset ends, default 1; `true` never ends (`fitDataset` then needs
   * `batchesPerEpoch`).
   */
  repeat?: number | boolean;
  /**
   * `'throw'` (default): an image that cannot be decoded throws when its turn comes, with an error that names
   * the file. `'skip'`: all images are decoded once before `imageFolder` resolves, and those that fail are left
   * out and listed in `skipped`; a class that loses all its images that way is an error.
   */
  onError?: 'throw' | 'skip';
  /**
   * Which decoder reads the files. `'auto'` (default): sharp where it is installed, else tfjs-node. Files in a
   * format that this decoder does not read go to the other one, see {@link imageFolder}.
   */
  decoder?: DecoderName | 'auto';
}

/** What the dataset of {@link imageFolder} yields. */
export interface ImageBatch {
  [name: string]: tf.Tensor;
  /** float32 [batch, height, width, channels], or without the batch axis. */
  xs: tf.Tensor;
  /** float32 [batch, classes] or int32 [batch], or without the batch axis. */
  ys: tf.Tensor;
}

/** A dataset that knows its classes and files. */
export type ImageFolderDataset = tfdata.Dataset<ImageBatch> & {
  /** Names of the classes; a label is a position in this list. */
  readonly classNames: readonly string[];
  /** The files, class by class, without those skipped. */
  readonly files: readonly ImageFile[];
  /** Files that could not be decoded, and why. Empty with `onError: 'throw'`. */
  readonly skipped: readonly { path: string; reason: string }[];
  /** Which decoder reads the files, but for those in formats that only the other one reads. */
  readonly decoder: DecoderName;
};

const OPTION_NAMES = [
  'imageSize',
  'channels',
  'fit',
  'background',
  'range',
  'batchSize',
  'dropRemainder',
  'labels',
  'shuffle',
  'seed',
  'validationSplit',
  'subset',
  'classNames',
  'cache',
  'repeat',
  'onError',
  'decoder',
];

type Settings = ReturnType<typeof checkOptions>;

function checkPair(name: string, value: unknown): [number, number] {
  if (!Array.isArray(value) || value.length !== 2) {
    throw new TypeError(`${name} must be an array of 2 numbers, got ${describe(value)}`);
  }
  return [checkNumber(`${name}[0]`, value[0]), checkNumber(`${name}[1]`, value[1])];
}

function checkOptions(options: ImageFolderOptions) {
  checkOptionKeys('options', options, OPTION_NAMES);
  const { imageSize, channels = 3, background = [255, 255, 255], batchSize = 32, repeat = 1 } = options;
  const { fit = 'fill', range = [0, 1], dropRemainder = false, labels = 'oneHot', shuffle = true } = options;
  const { seed = 0, cache = false, onError = 'throw', decoder = 'auto' } = options;
  const { validationSplit, subset, classNames } = options;
  const size = typeof imageSize === 'number' ? [imageSize, imageSize] : checkPair('imageSize', imageSize);
  if (channels !== 1 && channels !== 3)
    throw new RangeError(`channels must be 1 or 3, got ${describe(channels)}`);
  if (!Array.isArray(background) || background.length !== 3) {
    throw new TypeError(`background must be an array of 3 numbers, got ${describe(background)}`);
  }
  for (const value of background) checkNumber('background', value, { min: 0, max: 255 });
  if ((validationSplit === undefined) !== (subset === undefined)) {
    throw new RangeError(
      `validationSplit and subset must be given together, got ${describe(validationSplit)} and ${describe(subset)}`,
    );
  }
  if (classNames !== undefined) {
    const valid =
      Array.isArray(classNames) && classNames.every((name) => typeof name === 'string' && name !== '');
    if (!valid)
      throw new TypeError(`classNames must be an array of folder names, got ${describe(classNames)}`);
    if (classNames.length === 0 || new Set(classNames).size < classNames.length) {
      throw new RangeError(
        `classNames must name at least one folder and none twice, got ${classNames.join(', ')}`,
      );
    }
  }
  return {
    request: {
      height: checkInteger('imageSize', size[0], 1, 65535),
      width: checkInteger('imageSize', size[1], 1, 65535),
      channels,
      fit: checkChoice('fit', fit, ['fill', 'cover'] as const),
      background: background as readonly [number, number, number],
    } satisfies DecodeRequest,
    range: checkPair('range', range),
    batchSize: batchSize === null ? null : checkInteger('batchSize', batchSize, 1, 2 ** 24),
    dropRemainder: checkBoolean('dropRemainder', dropRemainder),
    labels: checkChoice('labels', labels, ['oneHot', 'index'] as const),
    shuffle: checkBoolean('shuffle', shuffle),
    seed: checkInteger('seed', seed, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    validationSplit:
      validationSplit === undefined
        ? undefined
        : checkNumber('validationSplit', validationSplit, { above: 0, below: 1 }),
    subset:
      subset === undefined ? undefined : checkChoice('subset', subset, ['training', 'validation'] as const),
    classNames,
    cache: checkBoolean('cache', cache),
    repeat: typeof repeat === 'boolean' ? repeat : checkInteger('repeat', repeat, 1, Number.MAX_SAFE_INTEGER),
    onError: checkChoice('onError', onError, ['throw', 'skip'] as const),
    decoder: checkChoice('decoder', decoder, ['auto', 'sharp', 'tfjs-node'] as const),
  };
}

/** Reads images as bytes, and keeps them where that is asked for. */
class PixelReader {
  private readonly cached = new Map<string, Uint8Array>();

  constructor(
    private readonly decode: (path: string) => Promise<Uint8Array>,
    private readonly cache: boolean,
  ) {}

  async read(path: string): Promise<Uint8Array> {
    const known = this.cached.get(path);
    if (known !== undefined) return known;
    let pixels: Uint8Array;
    try {
      pixels = await this.decode(path);
    } catch (cause) {
      if (cause instanceof FtpError) throw cause;
      const reason = (cause as Error).message.trim();
      throw new FtpError('IMAGE_UNREADABLE', `cannot decode the image ${path}: ${reason}`, { cause });
    }
    if (this.cache) this.cached.set(path, pixels);
    return pixels;
  }
}

/** Decodes every file once, a few at a time, and parts the readable ones from the others. */
async function partReadable(files: readonly ImageFile[], reader: PixelReader) {
  const readable: ImageFile[] = [];
  const skipped: { path: string; reason: string }[] = [];
  const atOnce = 16;
  for (let start = 0; start < files.length; start += atOnce) {
    const some = files.slice(start, start + atOnce);
    const results = await Promise.allSettled(some.map((file) => reader.read(file.path)));
    results.forEach((result, index) => {
      const file = some[index] as ImageFile;
      if (result.status === 'fulfilled') readable.push(file);
      else skipped.push({ path: file.path, reason: (result.reason as Error).message });
    });
  }
  return { readable, skipped };
}

/** Makes the tensors of one batch, or of one image where `batched` is false. */
function toTensors(
  files: readonly ImageFile[],
  images: readonly Uint8Array[],
  classes: number,
  batched: boolean,
  settings: Settings,
): ImageBatch {
  const { height, width, channels } = settings.request;
  const [low, high] = settings.range;
  const length = height * width * channels;
  const values = new Float32Array(files.length * length);
  images.forEach((image, index) => {
    const offset = index * length;
    for (let i = 0; i < length; ++i) values[offset + i] = low + ((image[i] as number) * (high - low)) / 255;
  });
  const labels = files.map((file) => file.label);
  const batch = batched ? [files.length] : [];
  const xs = tf.tensor(values, [...batch, height, width, channels]);
  if (settings.labels === 'index') return { xs, ys: tf.tensor(Int32Array.from(labels), batch, 'int32') };
  const hot = new Float32Array(files.length * classes);
  labels.forEach((label, index) => {
    hot[index * classes + label] = 1;
  });
  return { xs, ys: tf.tensor(hot, [...batch, classes]) };
}

/** Checks that every class still has an image. */
function checkNoneEmptied(
  classNames: readonly string[],
  before: readonly ImageFile[],
  after: readonly ImageFile[],
  skipped: readonly { path: string; reason: string }[],
): void {
  const had = new Set(before.map((file) => file.label));
  const has = new Set(after.map((file) => file.label));
  const emptied = [...had].filter((label) => !has.has(label));
  if (emptied.length === 0) return;
  const first = before.find((file) => file.label === emptied[0]) as ImageFile;
  const reason = skipped.find(({ path }) => path === first.path)?.reason;
  const names = emptied.map((label) => classNames[label]).join(', ');
  throw new FtpError(
    'IMAGE_UNREADABLE',
    `onError 'skip' leaves no image of the ${emptied.length === 1 ? 'class' : 'classes'} ${names}: ${reason}; mend the files, or leave such a class out with the option classNames`,
  );
}

/**
 * Makes a dataset of the images in a folder whose sub-folders are the classes.
 *
 * Files are listed once, in code-point order of their paths, deep below each class folder. Files that are no
 * images (by their extension), hidden files and folders, and `__MACOSX` folders are left out; so is everything
 * that lies beside the class folders. Symbolic links are followed. The images of a batch are decoded side by
 * side, one batch ahead of the training. Works on every tfjs backend under Node.
 *
 * **Formats.** sharp reads PNG, JPEG, WebP, GIF, TIFF and AVIF, tfjs-node reads PNG, JPEG, GIF and BMP. Of an
 * animation both give the first frame. A file in a format that only the other decoder reads goes to that one
 * if it is installed, whichever was asked for; the content of the file decides, not its extension. Where it
 * is not installed, `imageFolder` itself throws (or skips such files with `onError: 'skip'`).
 *
 * **Pixels.** Both decoders turn an image upright as its EXIF orientation says, and both resize with a
 * triangle filter whose radius grows with the shrink factor, so that shrinking does not alias; enlarging is
 * bilinear about the middle of the image. Images of the right size and images that are enlarged along an axis
 * come out the same to the bit. Differences between the decoders otherwise, of 255, as measured on noise and on
 * synthetic photographs with sharp 0.35 and tfjs-node 4.22:
 *
 * | Files | Shrink factor | Noise: mean, max | Photographs: mean, max |
 * | --- | --- | --- | --- |
 * | PNG, JPEG | below 4 | 0.2, 1 | 0.2, 1 |
 * | PNG | 4 to 32 | 0.6, 2 | 0.6, 2 |
 * | JPEG | 4 to 32 | 2.0, 12 | 1.1, 7 |
 *
 * From a factor of 4 on sharp lets the JPEG library do a part of the shrinking. Only sharp converts images with
 * another colour profile than sRGB and CMYK images by their profile.
 *
 * @param directory the folder; each sub-folder is a class
 * @param options see {@link ImageFolderOptions}; `imageSize` is required
 * @returns a `tf.data.Dataset` of `{xs, ys}` with `classNames`, `files`, `skipped` and `decoder` added,
 *   ready for `model.fitDataset`. `fitDataset` and `forEachAsync` dispose each batch after use; batches taken
 *   from `iterator()` or `toArray()` belong to the caller, who disposes both tensors. The dataset itself holds
 *   no tensors, however far it was read, so there is nothing else to dispose. Datasets derived with `map`,
 *   `filter` and so on follow the rules of `tf.data`.
 * @throws TypeError or RangeError for wrong options
 * @throws FtpError `IMAGE_FOLDER_INVALID`: no such folder, no class folders, an empty class;
 *   `IMAGE_DECODER_NOT_FOUND`: no decoder is installed, or none for the format of a file, which the message
 *   names; `IMAGE_UNREADABLE`: with `onError: 'skip'`, no image of a class can be decoded. While iterating (with
 *   `onError: 'throw'`): `IMAGE_UNREADABLE` naming the file, or `IMAGE_DECODER_NOT_FOUND` where its content
 *   is in another format than its extension says
 *
 * @example
 * ```ts
 * import {imageFolder} from 'tfjs-ftp/data';
 * const split = {imageSize: 224, validationSplit: 0.2, seed: 1, cache: true};
 * const training = await imageFolder('flowers', {...split, subset: 'training'});
 * const validation = await imageFolder('flowers', {...split, subset: 'validation', shuffle: false});
 * await model.fitDataset(training, {epochs: 5, validationData: validation});
 * ```
 */
export async function imageFolder(
  directory: string,
  options: ImageFolderOptions,
): Promise<ImageFolderDataset> {
  if (typeof directory !== 'string')
    throw new TypeError(`directory must be a string, got ${describe(directory)}`);
  const settings = checkOptions(options);
  const found = await findImageFiles(directory, settings.classNames);
  const decoder = await ImageDecoder.find(settings.decoder);
  const reader = new PixelReader((path) => decoder.decode(path, settings.request), settings.cache);
  let listed: readonly ImageFile[] = found.files;
  if (settings.validationSplit !== undefined && settings.subset !== undefined) {
    listed = await splitFiles(listed, settings.validationSplit, settings.subset, settings.seed);
  }
  let files = listed;
  let skipped: { path: string; reason: string }[] = [];
  if (settings.onError === 'skip') {
    ({ readable: files, skipped } = await partReadable(listed, reader));
    if (files.length === 0) {
      throw new FtpError(
        'IMAGE_UNREADABLE',
        `none of the ${skipped.length} images in ${directory} can be decoded: ${skipped[0]?.reason}`,
      );
    }
    checkNoneEmptied(found.classNames, listed, files, skipped);
  } else {
    await decoder.checkFormats(listed.map((file) => file.path));
  }

  const classes = found.classNames.length;
  const make = (shard: Shard): ImageFolderDataset => {
    const dataset = datasetOf(files, classes, reader, settings, shard);
    const known = { classNames: found.classNames, files, skipped, decoder: decoder.name };
    return shardable(Object.assign(dataset, known), make);
  };
  return make({ rank: 0, size: 1 });
}

/** A dataset of the files, or of one share of them: in every order, of each `size` in a row the one at place `rank`. */
function datasetOf(
  files: readonly ImageFile[],
  classes: number,
  reader: PixelReader,
  settings: Settings,
  { rank, size }: Shard,
): tfdata.Dataset<ImageBatch> {
  const batched = settings.batchSize !== null;
  // Positions travel through tf.data's own shuffle and batch; float32 holds every whole number up to 2^24.
  let order: tfdata.Dataset<tf.TensorContainer> = tfdata.array(files.map((_, index) => index));
  if (settings.shuffle) order = order.shuffle(files.length, `order ${settings.seed}`);
  // Rows of `size` positions, in place of positions.
  if (size > 1) order = order.batch(size, false);
  if (settings.repeat !== 1) order = order.repeat(settings.repeat === true ? -1 : Number(settings.repeat));
  if (settings.batchSize !== null) order = order.batch(settings.batchSize, !settings.dropRemainder);
  // What waits in the prefetch buffer are functions, not tensors: a buffer that is dropped half read leaks
  // nothing. And they carry errors along: a promise that is rejected while nobody waits for it would end
  // the process.
  const load = async (positions: tf.TensorContainer): Promise<() => ImageBatch> => {
    const all = typeof positions === 'number' ? [positions] : [...(await (positions as tf.Tensor).data())];
    const indices = all.filter((_, place) => place % size === rank);
    const chosen = indices.map((index) => files[index] as ImageFile);
    try {
      const images = await Promise.all(chosen.map((file) => reader.read(file.path)));
      return () => toTensors(chosen, images, classes, batched, settings);
    } catch (error) {
      return () => {
        throw error;
      };
    }
  };
  return order
    .mapAsync(load as unknown as (positions: tf.TensorContainer) => Promise<tf.TensorContainer>)
    .prefetch(2)
    .map((made) => (made as unknown as () => ImageBatch)()) as tfdata.Dataset<ImageBatch>;
}
