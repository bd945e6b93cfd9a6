/**
 * Gradients of conv2d and depthwiseConv2d out of forward convolutions alone.
 *
 * With x (N, H, W, C), filter F (kh, kw, C, M), stride s, dilation d and padding p at the start of an axis,
 *
 *     y[o] = sum_k x[o s + k d - p] F[k]
 *
 * per spatial axis. So the gradient of x is a convolution of stride 1 and dilation d of dy, spread to stride s, with F
 * turned round; and the gradient of F is a convolution of x with dy for a filter, where stride and dilation have swapped
 * their parts. tfjs's own gradients refuse d > 1, and the wasm backend has no kernels for most of them.
 */

import * as tf from '@tensorflow/tfjs-core';
import { isSmallerThanStride } from './names.js';
import { extend, registerMissingKernel, replace } from './register.js';

type Pair = [number, number];
type Pad = Parameters<typeof tf.conv2d>[3];
type Rounding = 'floor' | 'round' | 'ceil';

/** What the two gradients need to know of a convolution; pairs are of height and width. */
interface Geometry {
  input: Pair;
  output: Pair;
  filter: Pair;
  stride: Pair;
  dilation: Pair;
  padding: Pair;
}

function geometryOf(
  xShape: number[],
  filterShape: number[],
  attrs: Record<string, unknown>,
  depthwise: boolean,
): Geometry {
  const { strides, dilations, pad, dimRoundingMode } = attrs as {
    strides: number | Pair;
    dilations?: number | Pair;
    pad: Pad;
    dimRoundingMode?: Rounding;
  };
  const info = tf.backend_util.computeConv2DInfo(
    xShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    strides,
    dilations ?? 1,
    pad,
    dimRoundingMode,
    depthwise,
  );
  return {
    input: [info.inHeight, info.inWidth],
    output: [info.outHeight, info.outWidth],
    filter: [info.filterHeight, info.filterWidth],
    stride: [info.strideHeight, info.strideWidth],
    dilation: [info.dilationHeight, info.dilationWidth],
    padding: [info.padInfo.top, info.padInfo.left],
  };
}

/** Of x (N, H, W, C): `start` zeros before height and width, or that many fewer where negative, `size` in all. */
function window(x: tf.Tensor4D, start: Pair, size: Pair): tf.Tensor4D {
  const [n, height, width, channels] = x.shape;
  const end: Pair = [size[0] - height - start[0], size[1] - width - start[1]];
  const cut = (value: number) => Math.max(0, -value);
  const add = (value: number) => Math.max(0, value);
  const begin = [0, cut(start[0]), cut(start[1]), 0] as [number, number, number, number];
  const kept = [n, height - cut(start[0]) - cut(end[0]), width - cut(start[1]) - cut(end[1]), channels];
  const sliced = tf.slice(x, begin, kept as typeof begin);
  const zeros = (axis: 0 | 1): Pair => [add(start[axis]), add(end[axis])];
  return tf.pad(sliced, [[0, 0], zeros(0), zeros(1), [0, 0]]);
}

/** Puts `stride - 1` zeros after every row and column of y (N, H, W, C). */
function spread(y: tf.Tensor4D, [sh, sw]: Pair): tf.Tensor4D {
  const [n, height, width, channels] = y.shape;
  let result: tf.Tensor4D = y;
  if (sh > 1) {
    const rows = tf.reshape(result, [n, height, 1, width * channels]);
    const padded = tf.pad(rows, [
      [0, 0],
      [0, 0],
      [0, sh - 1],
      [0, 0],
    ]);
    result = tf.reshape(padded, [n, height * sh, width, channels]);
  }
  if (sw > 1) {
    const columns = tf.reshape(result, [n * height * sh, width, 1, channels]);
    const padded = tf.pad(columns, [
      [0, 0],
      [0, 0],
      [0, sw - 1],
      [0, 0],
    ]);
    result = tf.reshape(padded, [n, height * sh, width * sw, channels]);
  }
  return result;
}

/** dy, spread and placed so that a convolution of stride 1 gives the gradient of x. */
function placed(dy: tf.Tensor4D, { input, filter, stride, dilation, padding }: Geometry): tf.Tensor4D {
  const reach = (axis: 0 | 1) => (filter[axis] - 1) * dilation[axis];
  const start: Pair = [reach(0) - padding[0], reach(1) - padding[1]];
  return window(spread(dy, stride), start, [input[0] + reach(0), input[1] + reach(1)]);
}

/** What of x the filter passes over. */
function covered(x: tf.Tensor4D, { output, filter, stride, dilation, padding }: Geometry): tf.Tensor4D {
  const extent = (axis: 0 | 1) => (output[axis] - 1) * stride[axis] + (filter[axis] - 1) * dilation[axis] + 1;
  return window(x, padding, [extent(0), extent(1)]);
}

function convInputGradient(dy: tf.Tensor4D, filter: tf.Tensor4D, geometry: Geometry): tf.Tensor4D {
  const turned = tf.transpose(tf.reverse(filter, [0, 1]), [0, 1, 3, 2]);
  return tf.conv2d(placed(dy, geometry), turned, 1, 'valid', 'NHWC', geometry.dilation);
}

function convFilterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, geometry: Geometry): tf.Tensor4D {
  const { filter: size, stride } = geometry;
  if (size[0] === 1 && size[1] === 1) {
    const part = covered(x, geometry);
    const read = tf.stridedSlice(part, [0, 0, 0, 0], part.shape, [1, ...stride, 1]);
    const [c, m] = [x.shape[3], dy.shape[3]];
    return tf.reshape(tf.matMul(tf.reshape(read, [-1, c]), tf.reshape(dy, [-1, m]), true), [1, 1, c, m]);
  }
  const images = tf.transpose(covered(x, geometry), [3, 1, 2, 0]); // (C, H, W, N): channels are the batch
  const filter = tf.transpose(dy, [1, 2, 0, 3]); // (oh, ow, N, M)
  const result = tf.conv2d(images, filter, geometry.dilation, 'valid', 'NHWC', geometry.stride);
  return tf.transpose(result, [1, 2, 0, 3]);
}

function depthwiseInputGradient(dy: tf.Tensor4D, filter: tf.Tensor4D, geometry: Geometry): tf.Tensor4D {
  const [kh, kw, channels, multiplier] = filter.shape;
  const turned = tf.reshape(tf.reverse(filter, [0, 1]), [kh, kw, channels * multiplier, 1]);
  const each = tf.depthwiseConv2d(
    placed(dy, geometry),
    turned as tf.Tensor4D,
    1,
    'valid',
    'NHWC',
    geometry.dilation,
  );
  if (multiplier === 1) return each;
  const [n, height, width] = each.shape;
  return tf.sum(tf.reshape(each, [n, height, width, channels, multiplier]), 4);
}

function depthwiseFilterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, geometry: Geometry): tf.Tensor4D {
  const part = covered(x, geometry);
  const [n, height, width, channels] = part.shape;
  const [, oh, ow, outputs] = dy.shape;
  const multiplier = outputs / channels;
  // One image whose channels are those of every image of the batch.
  const image = tf.reshape(tf.transpose(part, [1, 2, 0, 3]), [1, height, width, n * channels]);
  const filter = tf.reshape(tf.transpose(dy, [1, 2, 0, 3]), [oh, ow, n * channels, multiplier]);
  const each = tf.depthwiseConv2d(
    image as tf.Tensor4D,
    filter as tf.Tensor4D,
    geometry.dilation,
    'valid',
    'NHWC',
    geometry.stride,
  );
  const [kh, kw] = geometry.filter;
  return tf.sum(tf.reshape(each, [kh, kw, n, channels, multiplier]), 2);
}

const TO_LAST = [0, 2, 3, 1];
const TO_FIRST = [0, 3, 1, 2];

function isDilated({ dilations }: tf.NamedAttrMap): boolean {
  const all = dilations as unknown as number | number[] | undefined;
  return [all ?? 1].flat().some((dilation) => dilation !== 1);
}

/**
 * Whether TensorFlow must not be asked for the filter's gradient: where the filter is smaller than the stride, as the 1 by 1 of
 * stride 2 in residual nets, its processor kernel writes past its memory and ends the process (seen in TensorFlow 2.21, with
 * 8 channels in and 16 out).
 */
function isUnsafe(filterShape: number[], { strides }: tf.NamedAttrMap): boolean {
  return (
    tf.getBackend() === 'tensorflow' && isSmallerThanStride(filterShape, strides as unknown as number | Pair)
  );
}

/** Registers the gradients of dilated convolutions and of those that TensorFlow cannot be asked for, and the kernels that the wasm backend lacks. */
export function registerConvolutions(): void {
  replace('Conv2D', (own) => (dy, saved, attrs) => {
    const [x, filter] = saved as [tf.Tensor4D, tf.Tensor4D];
    const dilated = isDilated(attrs);
    if (!dilated && !isUnsafe(filter.shape, attrs)) return own(dy, saved, attrs);
    const first = (attrs as { dataFormat?: unknown }).dataFormat === 'NCHW';
    const last = (tensor: tf.Tensor4D) => (first ? tf.transpose(tensor, TO_LAST) : tensor);
    const shape = first ? TO_LAST.map((axis) => x.shape[axis] as number) : x.shape;
    const geometry = geometryOf(shape, filter.shape, attrs as never, false);
    const forInput = () => {
      const gradient = convInputGradient(last(dy as tf.Tensor4D), filter, geometry);
      return first ? tf.transpose(gradient, TO_FIRST) : gradient;
    };
    return {
      ...(dilated ? { x: forInput } : own(dy, saved, attrs)),
      filter: () => convFilterGradient(last(x), last(dy as tf.Tensor4D), geometry),
    };
  });
  extend('DepthwiseConv2dNative', isDilated, (dy, saved, attrs) => {
    const [x, filter] = saved as [tf.Tensor4D, tf.Tensor4D];
    const geometry = geometryOf(x.shape, filter.shape, attrs as never, true);
    return {
      x: () => depthwiseInputGradient(dy as tf.Tensor4D, filter, geometry),
      filter: () => depthwiseFilterGradient(x, dy as tf.Tensor4D, geometry),
    };
  });

  registerMissingKernel('wasm', 'Conv2DBackpropFilter', ({ x, dy }, attrs) => {
    const geometry = geometryOf((x as tf.Tensor).shape, attrs.filterShape as number[], attrs, false);
    return convFilterGradient(x as tf.Tensor4D, dy as tf.Tensor4D, geometry);
  });
  registerMissingKernel('wasm', 'DepthwiseConv2dNativeBackpropInput', ({ dy, filter }, attrs) => {
    const geometry = geometryOf(attrs.inputShape as number[], (filter as tf.Tensor).shape, attrs, true);
    return depthwiseInputGradient(dy as tf.Tensor4D, filter as tf.Tensor4D, geometry);
  });
  registerMissingKernel('wasm', 'DepthwiseConv2dNativeBackpropFilter', ({ x, dy }, attrs) => {
    const geometry = geometryOf((x as tf.Tensor).shape, attrs.filterShape as number[], attrs, true);
    return depthwiseFilterGradient(x as tf.Tensor4D, dy as tf.Tensor4D, geometry);
  });
}
