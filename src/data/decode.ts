/** Decodes image files to pixels, through sharp or tfjs-node. */
import { open, readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import { isJpeg, orientationOf } from './orientation.js';
import { bringTo, type Pixels, withChannels } from './resample.js';

/**
 * How an image is brought to the wanted size: `fill` stretches it, `cover` keeps its shape and crops the
 * centre.
 */
export type Fit = 'fill' | 'cover';

/** What every decoder gets. */
export interface DecodeRequest {
  height: number;
  width: number;
  channels: 1 | 3;
  fit: Fit;
  /** What shows through transparent pixels: red, green, blue, 0 to 255. */
  background: readonly [number, number, number];
}

/** Reads one file; resolves to height * width * channels bytes, row by row. */
type Decoder = (path: string, request: DecodeRequest) => Promise<Uint8Array>;

/** The name of a decoder. */
export type DecoderName = 'sharp' | 'tfjs-node';

/** A decoder that was loaded. */
interface LoadedDecoder {
  readonly name: DecoderName;
  readonly formats: readonly string[];
  readonly decode: Decoder;
}

/** The formats, and the extensions of their files in lower case. */
const EXTENSIONS: Readonly<Record<string, readonly string[]>> = {
  png: ['.png'],
  jpeg: ['.jpg', '.jpeg'],
  webp: ['.webp'],
  gif: ['.gif'],
  bmp: ['.bmp'],
  tiff: ['.tif', '.tiff'],
  avif: ['.avif'],
};

/** Extensions that are taken for images, in lower case. Other files are ignored. */
export const IMAGE_EXTENSIONS: readonly string[] = Object.values(EXTENSIONS).flat();

/** What starts a file of each format, as latin-1 text; a dot stands for any byte. */
const SIGNATURES: Readonly<Record<string, RegExp>> = {
  png: /^\x89PNG/s,
  jpeg: /^\xff\xd8\xff/s,
  webp: /^RIFF....WEBP/s,
  gif: /^GIF8/s,
  bmp: /^BM/s,
  tiff: /^(II\*\0|MM\0\*)/s,
  avif: /^....ftyp(avif|avis|mif1)/s,
};

const PACKAGES: Readonly<Record<DecoderName, string>> = {
  sharp: 'sharp',
  'tfjs-node': '@tensorflow/tfjs-node',
};

/** The format that a file's first bytes tell, or undefined. */
async function formatOf(path: string): Promise<string | undefined> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(16), 0, 16, 0);
    const start = buffer.toString('latin1', 0, bytesRead);
    return Object.keys(SIGNATURES).find((format) => SIGNATURES[format]?.test(start));
  } finally {
    await file.close();
  }
}

/** Loads a decoder; resolves to the reason where that fails. */
async function load(name: DecoderName): Promise<LoadedDecoder | string> {
  try {
    return await (name === 'sharp' ? sharpDecoder() : tfjsNodeDecoder());
  } catch (error) {
    return `${name}: ${firstLine(error)}`;
  }
}

/**
 * The decoder of a dataset, with the other one behind it for the formats that the first does not read.
 */
export class ImageDecoder {
  /** Loaded at the first file that needs it. */
  private second: Promise<LoadedDecoder | string> | undefined;

  private constructor(private readonly first: LoadedDecoder) {}

  /**
   * Loads a decoder.
   *
   * @param wanted a decoder by name, or `'auto'`: sharp, else tfjs-node
   * @throws FtpError `IMAGE_DECODER_NOT_FOUND` if it cannot be loaded
   */
  static async find(wanted: DecoderName | 'auto'): Promise<ImageDecoder> {
    const reasons: string[] = [];
    for (const name of wanted === 'auto' ? (['sharp', 'tfjs-node'] as const) : [wanted]) {
      const loaded = await load(name);
      if (typeof loaded !== 'string') return new ImageDecoder(loaded);
      reasons.push(loaded);
    }
    throw new FtpError(
      'IMAGE_DECODER_NOT_FOUND',
      `no image decoder was found (${reasons.join('; ')}); run: npm install ${PACKAGES[wanted === 'auto' ? 'sharp' : wanted]}`,
    );
  }

  get name(): DecoderName {
    return this.first.name;
  }

  /**
   * The decoder for a format: the first where it reads that, else the other. A format that is not known is
   * left to the first, whose message says what is wrong.
   *
   * @throws FtpError `IMAGE_DECODER_NOT_FOUND` if the format needs the other decoder and that cannot be loaded
   */
  private async decoderFor(format: string | undefined, path: string): Promise<LoadedDecoder> {
    if (format === undefined || this.first.formats.includes(format)) return this.first;
    const other: DecoderName = this.first.name === 'sharp' ? 'tfjs-node' : 'sharp';
    this.second ??= load(other);
    const loaded = await this.second;
    if (typeof loaded !== 'string') return loaded;
    throw new FtpError(
      'IMAGE_DECODER_NOT_FOUND',
      `cannot decode the image ${path}: ${this.first.name} does not read ${format.toUpperCase()} files, and ${other} does, but cannot be loaded (${loaded}); run: npm install ${PACKAGES[other]}`,
    );
  }

  /**
   * Tells by the extensions, without opening a file, whether there is a decoder for each.
   *
   * @throws FtpError `IMAGE_DECODER_NOT_FOUND` naming the first file that cannot be decoded for want of a
   *   package
   */
  async checkFormats(paths: readonly string[]): Promise<void> {
    for (const [format, extensions] of Object.entries(EXTENSIONS)) {
      const path = paths.find((one) => extensions.includes(extname(one).toLowerCase()));
      if (path !== undefined) await this.decoderFor(format, path);
    }
  }

  /**
   * Reads one file; resolves to height * width * channels bytes, row by row. Its first bytes choose the
   * decoder, as files with the extension of another format are common.
   */
  async decode(path: string, request: DecodeRequest): Promise<Uint8Array> {
    const { decode } = await this.decoderFor(await formatOf(path), path);
    return decode(path, request);
  }
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0] as string;
}

async function sharpDecoder(): Promise<LoadedDecoder> {
  const { default: sharp } = await import('sharp');
  const decode: Decoder = async (path, request) => {
    const { height, width, channels, fit, background } = request;
    const file = sharp(path);
    const { height: fileHeight, width: fileWidth, orientation = 1 } = await file.metadata();
    const [imageHeight, imageWidth] =
      orientation > 4
        ? [fileWidth as number, fileHeight as number]
        : [fileHeight as number, fileWidth as number];
    const upright = file.rotate();
    // libvips enlarges with a shift of half a pixel to the lower right, so enlarging is done here.
    const enlarges = imageHeight < height || imageWidth < width;
    if (!enlarges) {
      const [r, g, b] = background;
      upright
        .resize(width, height, { fit, kernel: 'linear', fastShrinkOnLoad: false })
        .flatten({ background: { r, g, b } })
        .removeAlpha();
    }
    const { data, info } = await upright.toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
    if (!enlarges) return withChannels(data, info.channels, channels, background);
    return bringTo({ data, height: info.height, width: info.width, channels: info.channels }, 1, request);
  };
  return { name: 'sharp', formats: ['png', 'jpeg', 'webp', 'gif', 'tiff', 'avif'], decode };
}

/** What is used of tfjs-node. */
interface TfjsNode {
  node: {
    decodeImage(bytes: Uint8Array, channels?: number, dtype?: string, animated?: boolean): tf.Tensor;
    decodeJpeg(
      bytes: Uint8Array,
      channels?: number,
      ratio?: number,
      fancyUpscaling?: boolean,
      tryRecoverTruncated?: boolean,
      acceptableFraction?: number,
      dctMethod?: string,
    ): tf.Tensor;
  };
}

/**
 * Runs a function under another tfjs backend. Switching to a backend that has started is done at once, so
 * nothing else runs in between.
 */
function under<T>(backend: string, run: () => T): T {
  const before = tf.getBackend();
  if (before === backend) return run();
  void tf.setBackend(backend);
  try {
    return run();
  } finally {
    if (before) void tf.setBackend(before);
  }
}

async function tfjsNodeDecoder(): Promise<LoadedDecoder> {
  const backend = tf.findBackend('tensorflow') as { isUsingGpuDevice?: boolean } | null;
  const name = backend?.isUsingGpuDevice ? '@tensorflow/tfjs-node-gpu' : '@tensorflow/tfjs-node';
  // tfjs-node makes its backend, tensorflow, the current one when it is loaded.
  const before = tf.getBackend();
  const imported = (await import(name)) as { default?: TfjsNode } & TfjsNode;
  if (before && before !== 'tensorflow') await tf.setBackend(before);
  const { node } = imported.default ?? imported;
  const decode: Decoder = async (path, request) => {
    const bytes = new Uint8Array(await readFile(path));
    const pixels = under('tensorflow', (): Pixels => {
      // The accurate transform gives the bytes that sharp gives; the default one is off by up to 6 of 255.
      const image = tf.tidy(() =>
        isJpeg(bytes)
          ? node.decodeJpeg(bytes, 0, 1, true, false, 1, 'INTEGER_ACCURATE')
          : node.decodeImage(bytes, 0, 'int32', false),
      ) as tf.Tensor3D;
      const [height, width, channels] = image.shape;
      const data = image.dataSync();
      image.dispose();
      return { data, height, width, channels };
    });
    return bringTo(pixels, orientationOf(bytes), request);
  };
  return { name: 'tfjs-node', formats: ['png', 'jpeg', 'gif', 'bmp'], decode };
}
