/** Decodes image files to pixels, through sharp where it is installed, else through tfjs-node. */
import { readFile } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';

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
export type Decoder = (path: string, request: DecodeRequest) => Promise<Uint8Array>;

/** The name of a decoder. */
export type DecoderName = 'sharp' | 'tfjs-node';

/**
 * Finds a decoder.
 *
 * @param wanted a decoder by name, or `'auto'`: sharp, else tfjs-node
 * @throws FtpError `IMAGE_DECODER_NOT_FOUND` if it is not installed
 */
export async function findDecoder(
  wanted: DecoderName | 'auto',
): Promise<{ name: DecoderName; decode: Decoder }> {
  const reasons: string[] = [];
  if (wanted !== 'tfjs-node') {
    try {
      return { name: 'sharp', decode: await sharpDecoder() };
    } catch (error) {
      reasons.push(`sharp: ${firstLine(error)}`);
    }
  }
  if (wanted !== 'sharp') {
    try {
      return { name: 'tfjs-node', decode: await tfjsNodeDecoder() };
    } catch (error) {
      reasons.push(`tfjs-node: ${firstLine(error)}`);
    }
  }
  throw new FtpError(
    'IMAGE_DECODER_NOT_FOUND',
    `no image decoder was found (${reasons.join('; ')}); run: npm install sharp`,
  );
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0] as string;
}

async function sharpDecoder(): Promise<Decoder> {
  const { default: sharp } = await import('sharp');
  return async (path, { height, width, channels, fit, background }) => {
    const [r, g, b] = background;
    const rgb = await sharp(path)
      .rotate() // as the camera's orientation tag says
      .resize(width, height, { fit })
      .flatten({ background: { r, g, b } })
      .toColourspace('srgb')
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    return withChannels(rgb.data, rgb.info.channels, channels, background);
  };
}

/**
 * The one function of tfjs-node that is used. It returns null, against its types, for a format that it
 * lacks.
 */
interface TfjsNode {
  node: {
    decodeImage(bytes: Uint8Array, channels?: number, dtype?: string, animated?: boolean): tf.Tensor3D | null;
  };
}

async function tfjsNodeDecoder(): Promise<Decoder> {
  const backend = tf.findBackend('tensorflow') as { isUsingGpuDevice?: boolean } | null;
  const name = backend?.isUsingGpuDevice ? '@tensorflow/tfjs-node-gpu' : '@tensorflow/tfjs-node';
  const imported = (await import(name)) as { default?: TfjsNode } & TfjsNode;
  const { node } = imported.default ?? imported;
  return async (path, request) => {
    const bytes = await readFile(path);
    const { height, width, channels, fit, background } = request;
    const decoded = tf.tidy(() => {
      const image = node.decodeImage(new Uint8Array(bytes), 0, 'int32', false);
      if (image === null) throw new Error('tfjs-node decodes PNG, JPEG, GIF and BMP only');
      const [imageHeight, imageWidth, depth] = image.shape;
      if (imageHeight === height && imageWidth === width) return image;
      // `cover` cuts the largest centred window of the wanted shape.
      const shrink = fit === 'cover' ? Math.min(imageHeight / height, imageWidth / width) : 0;
      const cropHeight = shrink ? Math.max(1, Math.round(height * shrink)) : imageHeight;
      const cropWidth = shrink ? Math.max(1, Math.round(width * shrink)) : imageWidth;
      const top = Math.floor((imageHeight - cropHeight) / 2);
      const left = Math.floor((imageWidth - cropWidth) / 2);
      const window = tf.slice(image, [top, left, 0], [cropHeight, cropWidth, depth]);
      return tf.cast(tf.round(tf.image.resizeBilinear(window, [height, width], false, true)), 'int32');
    });
    try {
      const values = await decoded.data();
      return withChannels(values, decoded.shape[2] as number, channels, background);
    } finally {
      decoded.dispose();
    }
  };
}

/**
 * Brings pixels of 1 (grey), 2 (grey, alpha), 3 (red, green, blue) or 4 (with alpha) values to 1 or 3: grey
 * is repeated, colour becomes grey as 0.299 red + 0.587 green + 0.114 blue, alpha lets the background
 * through.
 */
export function withChannels(
  pixels: ArrayLike<number>,
  from: number,
  to: 1 | 3,
  background: readonly [number, number, number],
): Uint8Array {
  if (from === to && pixels instanceof Uint8Array) return pixels;
  const count = pixels.length / from;
  const result = new Uint8Array(count * to);
  for (let i = 0; i < count; ++i) {
    const at = i * from;
    const alpha = from === 2 || from === 4 ? (pixels[at + from - 1] as number) / 255 : 1;
    const channel = (c: number) =>
      (pixels[at + (from < 3 ? 0 : c)] as number) * alpha + (background[c] as number) * (1 - alpha);
    const [red, green, blue] = [channel(0), channel(1), channel(2)];
    if (to === 1) {
      result[i] = Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
    } else {
      result[i * 3] = Math.round(red);
      result[i * 3 + 1] = Math.round(green);
      result[i * 3 + 2] = Math.round(blue);
    }
  }
  return result;
}
