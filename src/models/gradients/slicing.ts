/** Gradients of operations that pick or move elements: each puts dy back to where the elements came from. */

import * as tf from '@tensorflow/tfjs-core';
import { register, registerMissingKernel, replace } from './register.js';

/** Zeros between the elements of `axis`, `step - 1` after each but the last. */
function spreadAxis(x: tf.Tensor, axis: number, step: number): tf.Tensor {
  const before = x.shape.slice(0, axis);
  const after = x.shape.slice(axis + 1);
  const count = x.shape[axis] as number;
  const outer = tf.util.sizeFromShape(before);
  const inner = tf.util.sizeFromShape(after);
  const rows = tf.reshape(x, [outer * count, 1, inner]);
  const padded = tf.reshape(
    tf.pad(rows, [
      [0, 0],
      [0, step - 1],
      [0, 0],
    ]),
    [outer, count * step, inner],
  );
  const cut = tf.slice(padded, [0, 0, 0], [outer, (count - 1) * step + 1, inner]);
  return tf.reshape(cut, [...before, (count - 1) * step + 1, ...after]);
}

interface StridedSliceAttrs {
  begin: number[];
  end: number[];
  strides: number[];
  beginMask: number;
  endMask: number;
  ellipsisMask: number;
  newAxisMask: number;
  shrinkAxisMask: number;
}

/** Of x[begin : end : strides], per axis; axes that the result lost or gained are restored first. */
function stridedSliceGradient(dy: tf.Tensor, shape: number[], attrs: StridedSliceAttrs): tf.Tensor {
  const { begin, end, strides } = tf.slice_util.sliceInfo(
    shape,
    attrs.begin,
    attrs.end,
    attrs.strides,
    attrs.beginMask,
    attrs.endMask,
    attrs.ellipsisMask,
    attrs.newAxisMask,
    attrs.shrinkAxisMask,
  ) as { begin: number[]; end: number[]; strides: number[] };
  if (dy.size === 0) return tf.zeros(shape);
  const counts = strides.map((step, i) => Math.ceil(((end[i] as number) - (begin[i] as number)) / step));
  let result = tf.reshape(dy, counts);
  const padding: [number, number][] = [];
  for (const [axis, size] of shape.entries()) {
    const step = strides[axis] as number;
    const count = counts[axis] as number;
    let start = begin[axis] as number;
    if (Math.abs(step) > 1 && count > 1) result = spreadAxis(result, axis, Math.abs(step));
    if (step < 0) {
      result = tf.reverse(result, axis);
      start += (count - 1) * step;
    }
    padding.push([start, size - start - (result.shape[axis] as number)]);
  }
  return padding.length === 0 ? result : tf.pad(result, padding);
}

/** Space to depth, the inverse of depthToSpace. */
function depthToSpaceGradient(dy: tf.Tensor, attrs: { blockSize: number; dataFormat: string }): tf.Tensor {
  const { blockSize: b, dataFormat } = attrs;
  if (dataFormat === 'NCHW') {
    const [n, c, height, width] = dy.shape as [number, number, number, number];
    const blocks = tf.reshape(dy, [n, c, height / b, b, width / b, b]);
    return tf.reshape(tf.transpose(blocks, [0, 3, 5, 1, 2, 4]), [n, b * b * c, height / b, width / b]);
  }
  const [n, height, width, c] = dy.shape as [number, number, number, number];
  const blocks = tf.reshape(dy, [n, height / b, b, width / b, b, c]);
  return tf.reshape(tf.transpose(blocks, [0, 1, 3, 2, 4, 5]), [n, height / b, width / b, b * b * c]);
}

/** Registers the gradients of StridedSlice, DepthToSpace, GatherNd and TopK, and of what the wasm backend lacks for gather's. */
export function registerSlicing(): void {
  register({
    kernelName: 'StridedSlice',
    inputsToSave: ['x'],
    gradFunc: (dy, saved, attrs) => {
      const { shape } = saved[0] as tf.Tensor;
      return { x: () => stridedSliceGradient(dy as tf.Tensor, shape, attrs as unknown as StridedSliceAttrs) };
    },
  });
  register({
    kernelName: 'DepthToSpace',
    gradFunc: (dy, _saved, attrs) => ({
      x: () => depthToSpaceGradient(dy as tf.Tensor, attrs as { blockSize: number; dataFormat: string }),
    }),
  });
  register({
    kernelName: 'GatherNd',
    inputsToSave: ['params', 'indices'],
    gradFunc: (dy, saved) => {
      const [params, indices] = saved as [tf.Tensor, tf.Tensor];
      return {
        params: () => tf.scatterND(indices, dy as tf.Tensor, params.shape as [number]),
        indices: () => tf.zeros(indices.shape),
      };
    },
  });
  // tfjs's own answers int32 zeros for the indices, which the engine refuses where they depend on a variable.
  replace('GatherV2', (own) => (dy, saved, attrs) => ({
    ...own(dy, saved, attrs),
    indices: () => tf.zeros((saved[1] as tf.Tensor).shape),
  }));
  register({
    kernelName: 'TopK',
    inputsToSave: ['x'],
    outputsToSave: [false, true],
    gradFunc: (dys, saved) => {
      const [x, indices] = saved as [tf.Tensor, tf.Tensor];
      const [dy] = dys as tf.Tensor[];
      const size = x.shape[x.rank - 1] as number;
      const chosen = () => tf.cast(tf.oneHot(tf.cast(indices, 'int32'), size), 'float32');
      return { x: () => tf.sum(tf.mul(tf.expandDims(dy as tf.Tensor, -1), chosen()), -2) };
    },
  });
  registerMissingKernel('wasm', 'UnsortedSegmentSum', ({ x, segmentIds }, attrs) => {
    const values = x as tf.Tensor;
    const ids = segmentIds as tf.Tensor;
    return tf.scatterND(tf.expandDims(tf.cast(ids, 'int32'), -1), values, [
      attrs.numSegments as number,
      ...values.shape.slice(ids.rank),
    ] as [number]);
  });
}
