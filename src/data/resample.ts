/**
 * Brings decoded pixels to a size and turns them, with the filter that sharp is asked for as well, so that both
 * decoders give nearly the same pixels.
 */
import type { DecodeRequest } from './decode.js';

/** Decoded pixels: height * width * channels bytes, row by row. */
export interface Pixels {
  data: ArrayLike<number>;
  height: number;
  width: number;
  channels: number;
}

/**
 * The eight orientations of EXIF: how upright pixels lie in the file. `swap`: upright columns are rows of the
 * file. `flipRows`, `flipColumns`: the rows, the columns of the file run from bottom to top, from right to left.
 */
const ORIENTATIONS = [
  { swap: false, flipRows: false, flipColumns: false },
  { swap: false, flipRows: false, flipColumns: true },
  { swap: false, flipRows: true, flipColumns: true },
  { swap: false, flipRows: true, flipColumns: false },
  { swap: true, flipRows: false, flipColumns: false },
  { swap: true, flipRows: true, flipColumns: false },
  { swap: true, flipRows: true, flipColumns: true },
  { swap: true, flipRows: false, flipColumns: true },
] as const;

/** Weights of consecutive input pixels for one output pixel; they sum to 1. */
interface Taps {
  from: number;
  weights: Float64Array;
}

/**
 * A triangle filter for one axis. Where an axis grows it has a radius of one input pixel (bilinear). Where it
 * shrinks, its radius is the shrink factor, so that every input pixel counts. From a factor of 4 on,
 * groups of floor(factor / 2) input pixels are averaged first, as libvips does to save time.
 *
 * @param input pixels of the axis
 * @param shrink input pixels per output pixel
 * @param output pixels that the whole axis would have after resizing
 * @param first first pixel wanted of those
 * @param count pixels wanted
 */
function triangle(input: number, shrink: number, output: number, first: number, count: number): Taps[] {
  const group = Math.max(1, Math.floor(shrink / 2));
  const groups = Math.ceil(input / group);
  const step = shrink / group;
  const radius = Math.max(1, step);
  const middle = input / group / 2;
  return Array.from({ length: count }, (_, index) => {
    const centre = (first + index + 0.5 - output / 2) * step + middle - 0.5;
    const start = Math.ceil(centre - radius);
    const end = Math.floor(centre + radius);
    const clamp = (value: number, limit: number) => Math.min(Math.max(value, 0), limit - 1);
    const from = clamp(start, groups) * group;
    const weights = new Float64Array(Math.min((clamp(end, groups) + 1) * group, input) - from);
    let sum = 0;
    for (let at = start; at <= end; ++at) {
      const weight = Math.max(0, 1 - Math.abs(at - centre) / radius);
      sum += weight;
      // Beyond the edge the last pixel is repeated.
      for (let i = 0; i < group; ++i) {
        const pixel = clamp(clamp(at, groups) * group + i, input) - from;
        weights[pixel] = (weights[pixel] as number) + weight / group;
      }
    }
    for (let i = 0; i < weights.length; ++i) weights[i] = (weights[i] as number) / sum;
    return { from, weights };
  });
}

/**
 * Turns pixels upright, brings them to the wanted size and number of channels and lets the background through.
 *
 * @param orientation EXIF orientation of the pixels, 1 (upright) to 8
 * @returns height * width * channels bytes, row by row
 */
export function bringTo(pixels: Pixels, orientation: number, request: DecodeRequest): Uint8Array {
  // What shows through is mixed in first: colours of transparent pixels must not bleed into their neighbours.
  const hasAlpha = pixels.channels === 2 || pixels.channels === 4;
  const channels = hasAlpha ? 3 : pixels.channels;
  const bytes = hasAlpha ? withChannels(pixels.data, pixels.channels, 3, request.background) : pixels.data;
  const { swap, flipRows, flipColumns } = ORIENTATIONS[orientation - 1] ?? ORIENTATIONS[0];
  const rows = swap ? request.width : request.height;
  const columns = swap ? request.height : request.width;
  const rowShrink = pixels.height / rows;
  const columnShrink = pixels.width / columns;
  const cover = request.fit === 'cover' ? Math.min(rowShrink, columnShrink) : 0;
  const axis = (input: number, wanted: number, flip: boolean) => {
    const shrink = cover || input / wanted;
    const output = Math.max(wanted, Math.round(input / shrink));
    const before = Math.floor((output - wanted + 1) / 2);
    const taps = triangle(input, shrink, output, flip ? output - wanted - before : before, wanted);
    return flip ? taps.reverse() : taps;
  };
  const rowTaps = axis(pixels.height, rows, flipRows);
  const columnTaps = axis(pixels.width, columns, flipColumns);

  // Rows first: that walks through the many pixels of the file in the order of memory.
  const stride = pixels.width * channels;
  const line = new Float64Array(stride);
  const result = new Uint8Array(rows * columns * channels);
  rowTaps.forEach(({ from, weights }, row) => {
    line.fill(0);
    for (let i = 0; i < weights.length; ++i) {
      const weight = weights[i] as number;
      const offset = (from + i) * stride;
      for (let j = 0; j < stride; ++j) line[j] = (line[j] as number) + weight * (bytes[offset + j] as number);
    }
    columnTaps.forEach((taps, column) => {
      const target = (swap ? column * rows + row : row * columns + column) * channels;
      for (let c = 0; c < channels; ++c) {
        let sum = 0;
        let at = taps.from * channels + c;
        for (let i = 0; i < taps.weights.length; ++i, at += channels) {
          sum += (taps.weights[i] as number) * (line[at] as number);
        }
        result[target + c] = Math.min(255, Math.round(sum));
      }
    });
  });
  return withChannels(result, channels, request.channels, request.background);
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
  const hasAlpha = from === 2 || from === 4;
  const colours = from < 3 ? 1 : 3;
  const mixed = [0, 0, 0];
  const result = new Uint8Array(count * to);
  for (let i = 0; i < count; ++i) {
    const at = i * from;
    const alpha = hasAlpha ? (pixels[at + from - 1] as number) / 255 : 1;
    for (let c = 0; c < 3; ++c) {
      const value = pixels[at + (colours === 1 ? 0 : c)] as number;
      mixed[c] = value * alpha + (background[c] as number) * (1 - alpha);
    }
    const [red, green, blue] = mixed as [number, number, number];
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
