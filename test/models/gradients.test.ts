// The gradients that tfjs lacks, by finite differences, on every backend that has the operation itself.
import '../../compat.cjs';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { describeOrSkip, whyNoTensorflow } from '../backends/skip.js';
import { type Case, expectGradients } from './finite_differences.js';

const noTensorflow = await whyNoTensorflow();

/** What plain tfjs does before the gradients are registered: the reason why each of them is there. */
const half = tf.image.resizeBilinear;
await tf.setBackend('cpu');
const wrongBefore = tf.tidy(() => {
  const x = tf.ones([1, 2, 2, 1]) as tf.Tensor4D;
  return tf
    .grad((image: tf.Tensor) =>
      tf.sum(
        tf.mul(half(image as tf.Tensor4D, [4, 4], false, true), tf.reshape(tf.range(0, 16), [1, 4, 4, 1])),
      ),
    )(x)
    .dataSync();
});
const stridedBefore = ((): string => {
  try {
    tf.tidy(() =>
      tf.grad((x: tf.Tensor) => tf.sum(tf.stridedSlice(x, [0], [4], [2])))(tf.tensor1d([1, 2, 3, 4])),
    );
    return 'no error';
  } catch (error) {
    return (error as Error).message;
  }
})();
const { GRADIENTS } = await import('../../src/models/gradients/index.js');

const conv = (dilation: number, pad: 'same' | 'valid', shape = [2, 9, 8, 3]): Case => ({
  name: `conv2d, dilation ${dilation}, ${pad}`,
  shapes: [shape, [3, 2, 3, 4]],
  f: (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, pad, 'NHWC', dilation),
});
const depthwise = (dilation: number, pad: 'same' | 'valid', multiplier: number): Case => ({
  name: `depthwiseConv2d, dilation ${dilation}, ${pad}, multiplier ${multiplier}`,
  shapes: [
    [2, 9, 8, 3],
    [3, 2, 3, multiplier],
  ],
  f: (x, w) => tf.depthwiseConv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, pad, 'NHWC', dilation),
});
const strided = (name: string, shape: number[], ...args: unknown[]): Case => ({
  name: `stridedSlice ${name}`,
  shapes: [shape],
  f: (x) => (tf.stridedSlice as (...all: unknown[]) => tf.Tensor)(x, ...args),
});
const einsum = (equation: string, ...shapes: number[][]): Case => ({
  name: `einsum ${equation}`,
  shapes,
  f: (...args) => tf.einsum(equation, ...args),
});
const cumprod = (exclusive: boolean, reverse: boolean): Case => ({
  name: `cumprod, exclusive ${exclusive}, reverse ${reverse}`,
  shapes: [[2, 5, 2]],
  f: (x) => tf.cumprod(x, 1, exclusive, reverse),
});

/** By the kernel whose forward pass a backend must have. */
const CASES: Record<string, Case[]> = {
  Conv2D: [
    conv(2, 'valid'),
    conv(2, 'same'),
    conv(3, 'same'),
    { ...conv(2, 'valid', [1, 5, 3, 3]), name: 'conv2d, one place' },
    {
      name: 'conv2d, dilation 2 by 3, explicit padding',
      shapes: [
        [1, 7, 8, 2],
        [2, 3, 2, 2],
      ],
      f: (x, w) =>
        tf.conv2d(
          x as tf.Tensor4D,
          w as tf.Tensor4D,
          1,
          [
            [0, 0],
            [2, 1],
            [0, 3],
            [0, 0],
          ],
          'NHWC',
          [2, 3],
        ),
    },
  ],
  DepthwiseConv2dNative: [depthwise(2, 'valid', 1), depthwise(2, 'same', 2), depthwise(3, 'same', 1)],
  StridedSlice: [
    strided('every other', [7], [0], [7], [2]),
    strided('of rank 3', [5, 6, 3], [1, 5, 0], [4, 0, 3], [1, -2, 2]),
    strided('backwards, to the start', [6, 2], [-1, 0], [0, 2], [-3, 1], 0, 1),
    strided('a row (shrink)', [4, 3], [2, 0], [3, 3], [1, 1], 0, 0, 0, 0, 1),
    strided('ellipsis and new axis', [4, 3, 2], [0, 0, 1], [0, 0, 2], [1, 1, 1], 0, 0, 1, 2, 0),
    strided('one element of a step', [5], [3], [5], [4]),
  ],
  DepthToSpace: [
    {
      name: 'depthToSpace 2',
      shapes: [[2, 2, 3, 12]],
      f: (x) => tf.depthToSpace(x as tf.Tensor4D, 2, 'NHWC'),
    },
    {
      name: 'depthToSpace 3',
      shapes: [[1, 1, 2, 9]],
      f: (x) => tf.depthToSpace(x as tf.Tensor4D, 3, 'NHWC'),
    },
  ],
  GatherNd: [
    {
      name: 'gatherND of elements, one twice',
      shapes: [[4, 3]],
      f: (x) =>
        tf.gatherND(
          x,
          tf.tensor2d(
            [
              [0, 1],
              [3, 2],
              [0, 1],
            ],
            undefined,
            'int32',
          ),
        ),
    },
    {
      name: 'gatherND of rows',
      shapes: [[4, 3, 2]],
      f: (x) => tf.gatherND(x, tf.tensor2d([[2], [0]], [2, 1], 'int32')),
    },
  ],
  TopK: [
    {
      name: 'topk',
      shapes: [[2, 5]],
      values: [[0.1, 0.9, -0.7, 0.5, 0.3, 0.2, -0.4, 0.8, 0, -0.9]],
      f: (x) => tf.topk(x, 3).values,
      h: 0.04,
    },
  ],
  ResizeBilinear: [
    [4, 7],
    [9, 4],
    [3, 2],
  ].map((size) => ({
    name: `resizeBilinear to ${size}`,
    shapes: [[2, 5, 4, 2]],
    f: (x: tf.Tensor) => tf.image.resizeBilinear(x as tf.Tensor4D, size as [number, number], false, true),
  })),
  ResizeNearestNeighbor: [
    [4, 7],
    [10, 8],
    [3, 2],
  ].map((size) => ({
    name: `resizeNearestNeighbor to ${size}`,
    shapes: [[2, 5, 4, 2]],
    f: (x: tf.Tensor) =>
      tf.image.resizeNearestNeighbor(x as tf.Tensor4D, size as [number, number], false, true),
  })),
  BatchMatMul: [
    {
      name: 'matMul with one matrix for all of a batch',
      shapes: [
        [2, 3, 4],
        [4, 2],
      ],
      f: (a, b) => tf.matMul(a, b),
    },
    {
      name: 'matMul with batches that are broadcast, transposed',
      shapes: [
        [1, 3, 4],
        [3, 2, 4],
      ],
      f: (a, b) => tf.matMul(a, b, false, true),
    },
  ],
  SquaredDifference: [
    {
      name: 'squaredDifference, broadcast',
      shapes: [
        [2, 3, 4],
        [1, 4],
      ],
      f: (a, b) => tf.squaredDifference(a, b), // quadratic: differences are exact
    },
  ],
  ...Object.fromEntries(
    [tf.maximum, tf.minimum].map((f) => [
      f === tf.maximum ? 'Maximum' : 'Minimum',
      [
        {
          name: 'broadcast',
          shapes: [[2, 3], [3]],
          values: [
            [1, -2, 3, -1, 2, -3],
            [0, 0.1, 0.2],
          ],
          f,
        },
      ] as Case[],
    ]),
  ),
  Einsum: [
    einsum('ij,jk->ik', [3, 4], [4, 2]),
    einsum('abc,cde->abde', [2, 3, 4], [4, 2, 2]),
    einsum('bhq,bhk->bqk', [2, 3, 4], [2, 3, 2]),
    einsum('ijk->ki', [2, 3, 4]),
    einsum('ab->b', [2, 3]),
    einsum('ab,ab->', [2, 3], [2, 3]),
  ],
  Cumprod: [cumprod(false, false), cumprod(true, false), cumprod(false, true), cumprod(true, true)].flatMap(
    (one) => [
      one,
      {
        ...one,
        name: `${one.name}, with zeros`,
        values: [[0, 1, 2, 0, 0.5, 1, 0, 0, 1, 0.5, 1, 1, 2, 1, 0, 1, 1, 1, 0.5, 2]],
      },
    ],
  ),
};

/**
 * Convolutions whose gradients tfjs has. wasm takes them from the kernels that are added; TensorFlow would overwrite memory
 * for the filters of 1 by 1 with a stride.
 */
const PLAIN_CASES: Case[] = [1, 2, 3].flatMap((stride) =>
  (['same', 'valid'] as const).flatMap((pad): Case[] => [
    {
      name: `conv2d, stride ${stride}, ${pad}`,
      shapes: [
        [2, 8, 7, 3],
        [3, 2, 3, 4],
      ],
      f: (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, stride, pad),
    },
    {
      name: `depthwiseConv2d, stride ${stride}, ${pad}`,
      shapes: [
        [2, 8, 7, 3],
        [3, 2, 3, 2],
      ],
      f: (x, w) => tf.depthwiseConv2d(x as tf.Tensor4D, w as tf.Tensor4D, stride, pad),
    },
    {
      name: `conv2d 1 by 1, stride ${stride}, ${pad}`,
      shapes: [
        [2, 8, 7, 3],
        [1, 1, 3, 4],
      ],
      f: (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, stride, pad),
    },
  ]),
);

function suite(backend: string): void {
  beforeAll(async () => {
    await tf.setBackend(backend);
  });
  for (const [kernel, cases] of Object.entries(CASES)) {
    const missing = tf.getKernel(kernel, backend) === undefined;
    describe.skipIf(missing)(missing ? `${kernel} (skipped: ${backend} has no such kernel)` : kernel, () => {
      test.each(cases)('$name', (one) => {
        expectGradients(one);
      });
    });
  }

  test.each(PLAIN_CASES)('$name', (one) => {
    expectGradients(one);
  });

  test('gather sums what was taken twice', () => {
    const f = (x: tf.Tensor) => tf.gather(x, tf.tensor1d([2, 0, 2], 'int32'), 0);
    expectGradients({ name: 'gather', shapes: [[4, 3]], f });
  });

  test('gather by indices that depend on what is differentiated', () => {
    tf.tidy(() => {
      const f = (x: tf.Tensor) => tf.sum(tf.square(tf.gather(x, tf.topk(x, 2).indices))) as tf.Scalar;
      expect(
        Array.from(
          tf
            .grad(f)(tf.tensor1d([1, 3, 2]))
            .dataSync(),
        ),
      ).toEqual([0, 6, 4]);
    });
  });

  test('comparisons do not stop a gradient, and add none', () => {
    tf.tidy(() => {
      const x = tf.tensor1d([-2, 0.5, 3]);
      const f = (value: tf.Tensor) => {
        const inside = tf.logicalAnd(tf.less(value, 2), tf.logicalNot(tf.equal(value, 1)));
        return tf.sum(tf.where(inside, tf.mul(value, 5), tf.square(value))) as tf.Scalar;
      };
      expect(Array.from(tf.grad(f)(x).dataSync())).toEqual([5, 5, 6]);
    });
  });

  test('no tensor is left behind', () => {
    const before = tf.memory().numTensors;
    const cases = Object.entries(CASES).flatMap(([kernel, list]) =>
      tf.getKernel(kernel, backend) ? list : [],
    );
    for (const one of cases) expectGradients(one, 2);
    expect(tf.memory().numTensors).toBe(before);
  });
}

describe('on cpu', () => suite('cpu'));

describe('on wasm', () => {
  suite('wasm');
});

describeOrSkip('on tensorflow', noTensorflow, () => {
  suite('tensorflow');

  test('a filter of 1 by 1 and stride 2 does not end the process', () => {
    const f = (w: tf.Tensor) =>
      tf.sum(tf.conv2d(tf.ones([1, 60, 60, 8]) as tf.Tensor4D, w as tf.Tensor4D, 2, 'same')) as tf.Scalar;
    for (let i = 0; i < 5; ++i) {
      tf.tidy(() => {
        const gradient = tf.grad(f)(tf.ones([1, 1, 8, 16]) as tf.Tensor4D);
        expect(gradient.dataSync().every((value) => value === 900)).toBe(true);
      });
    }
  });
});

describe('against plain tfjs', () => {
  beforeAll(async () => {
    await tf.setBackend('cpu');
  });

  test('resizeBilinear had a wrong gradient, and stridedSlice none', () => {
    expect(stridedBefore).toContain('gradient function not found for StridedSlice');
    const sum = (values: ArrayLike<number>) => Array.from(values).reduce((total, value) => total + value, 0);
    const now = tf.tidy(() => {
      const x = tf.ones([1, 2, 2, 1]) as tf.Tensor4D;
      const f = (image: tf.Tensor) =>
        tf.sum(
          tf.mul(half(image as tf.Tensor4D, [4, 4], false, true), tf.reshape(tf.range(0, 16), [1, 4, 4, 1])),
        ) as tf.Scalar;
      return tf.grad(f)(x).dataSync();
    });
    expect(sum(now)).toBeCloseTo(120, 4); // each output is a mean of inputs: weights of 0 to 15 are all passed on
    expect(Array.from(now)).not.toEqual(Array.from(wrongBefore));
  });

  test('bandPart needs no gradient of its own', () => {
    const f = (x: tf.Tensor) => tf.linalg.bandPart(x, 1, 0);
    expectGradients({ name: 'bandPart', shapes: [[2, 4, 3]], f });
  });

  test('what tfjs has for its own attributes stays: convolutions that are not dilated', () => {
    expectGradients({ ...conv(1, 'same'), name: 'conv2d' });
    expectGradients(depthwise(1, 'same', 2));
  });

  test('every name that is listed has a gradient now', () => {
    for (const name of GRADIENTS) expect(tf.getGradient(name), name).toBeDefined();
  });
});
