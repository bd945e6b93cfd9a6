// What check() says, against what training does: before and after the gradients are registered, and on wasm.
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { ftp } from '../../src/index.js';
import { trainable } from '../../src/models/index.js';
import { whyNoTensorflow } from '../backends/skip.js';
import { numbers } from '../optimizers/support.js';
import { type GraphOf, graphModel } from './graph_builder.js';

const noTensorflow = await whyNoTensorflow();

afterEach(() => {
  tf.disposeVariables();
});

const conv = { strides: [1, 1, 1, 1], padding: 'SAME', data_format: 'NHWC', dilations: [1, 1, 1, 1] };
const dilated = { ...conv, dilations: [1, 2, 2, 1] };
const int = (values: number[], shape = [values.length]) => ({ shape, values, dtype: 'int32' }) as const;
const IMPORT = "import 'tfjs-ftp/models/gradients'";

/** A convolution, and behind it the nodes of a case; the last one is the output. */
function graph(nodes: GraphOf['nodes'], weights: GraphOf['weights'] = {}): GraphOf {
  return {
    inputs: { x: [1, 4, 4, 2] },
    weights: { f: { shape: [2, 2, 2, 4] }, ...weights },
    nodes: [['conv', 'Conv2D', ['x', 'f'], conv], ...nodes],
  };
}

interface Finding {
  name: string;
  graph: GraphOf;
  /** The node, and words of the reason. */
  found: [string, RegExp];
  /** Whether tfjs throws; else its gradient is wrong. */
  throws: boolean;
}

const FINDINGS: Finding[] = [
  {
    name: 'StridedSlice',
    graph: graph([['out', 'StridedSlice', ['conv', 'begin', 'end', 'steps'], {}]], {
      begin: [0, 0, 0, 0],
      end: [1, 3, 4, 4],
      steps: [1, 2, 1, 1],
    }),
    found: ['out', /no gradient for StridedSlice/],
    throws: true,
  },
  {
    name: 'a dilated convolution',
    graph: graph([['out', 'Conv2D', ['conv', 'g'], dilated]], { g: { shape: [2, 2, 4, 1] } }),
    found: ['out', /no gradient for a dilated Conv2D/],
    throws: true,
  },
  {
    name: 'a fused dilated depthwise convolution, which was taken apart',
    graph: graph(
      [
        [
          'out',
          'FusedDepthwiseConv2dNative',
          ['conv', 'd', 'b'],
          { ...dilated, fused_ops: ['BiasAdd'], num_args: 1 },
        ],
      ],
      { d: { shape: [2, 2, 4, 1] }, b: { shape: [4] } },
    ),
    found: ['out/tfjs_ftp_conv', /no gradient for a dilated DepthwiseConv2dNative/],
    throws: true,
  },
  {
    name: 'ResizeBilinear with half pixels',
    graph: graph([['out', 'ResizeBilinear', ['conv', 'size'], { half_pixel_centers: true }]], {
      size: [7, 3],
    }),
    found: ['out', /gradient of ResizeBilinear is wrong.*halfPixelCenters/],
    throws: false,
  },
  {
    name: 'a comparison and what it selects by',
    graph: graph(
      [
        ['positive', 'Greater', ['conv', 'zero']],
        ['out', 'SelectV2', ['positive', 'conv', 'zeros']],
      ],
      { zero: { shape: [], values: [0] }, zeros: { shape: [1, 4, 4, 4], values: new Float32Array(64) } },
    ),
    found: ['positive', /no gradient for Greater/],
    throws: true,
  },
  {
    name: 'a gather by places that were found',
    graph: graph(
      [
        ['flat', 'Reshape', ['conv', 'shape']],
        ['top', 'TopKV2', ['flat', 'k']],
        ['out', 'GatherV2', ['flat', 'top:1', 'axis']],
      ],
      { shape: [64], k: int([3], []), axis: int([0], []) },
    ),
    found: ['top', /no gradient for TopK/],
    throws: true,
  },
];

async function train(
  one: GraphOf,
): Promise<{ found: ReturnType<ReturnType<typeof trainable>['check']>; error: string | null }> {
  const model = trainable(await graphModel(one));
  const x = tf.tensor(numbers(32, 5), [1, 4, 4, 2]);
  const found = model.check();
  let error: string | null = null;
  try {
    tf.tidy(() =>
      tf.variableGrads(() => tf.sum(model.predict(x) as tf.Tensor) as tf.Scalar, [...model.variables]),
    );
  } catch (thrown) {
    error = (thrown as Error).message;
  }
  x.dispose();
  model.dispose();
  return { found, error };
}

// In this order: the registry is one per process.
describe('before the gradients are imported', () => {
  beforeEach(async () => {
    await tf.setBackend('cpu');
  });

  test.each(FINDINGS)('$name', async ({ graph: one, found: [node, reason], throws }) => {
    const { found, error } = await train(one);
    expect(found[0]?.node).toBe(node);
    expect(found[0]?.reason).toMatch(reason);
    expect(found[0]?.advice).toBe(IMPORT);
    if (throws) expect(error).toMatch(/gradient/);
    else expect(error).toBeNull();
  });

  it('says nothing of what can be trained, nor of nodes beside the way', async () => {
    const shape = graph(
      [
        ['cut', 'StridedSlice', ['x', 'begin', 'end', 'steps'], {}],
        ['shape', 'Shape', ['conv']],
        ['last', 'StridedSlice', ['shape', 'first', 'second', 'one'], { shrink_axis_mask: 1 }],
        ['sum', 'AddV2', ['conv', 'cut']],
        ['out', 'Relu', ['sum']],
      ],
      { begin: [0, 0, 0, 0], end: [1, 4, 4, 1], steps: [1, 1, 1, 1], first: [0], second: [1], one: [1] },
    );
    expect(await train(shape)).toEqual({ found: [], error: null });
  });

  it('advises another output where no import helps', async () => {
    const scatter = graph(
      [
        ['flat', 'Reshape', ['conv', 'shape']],
        ['out', 'ScatterNd', ['at', 'flat', 'size']],
      ],
      {
        shape: [64],
        at: int(
          Array.from({ length: 64 }, (_, i) => i),
          [64, 1],
        ),
        size: [70],
      },
    );
    const { found, error } = await train(scatter);
    expect(found).toEqual([
      {
        node: 'out',
        op: 'ScatterNd',
        reason: 'tfjs has no gradient for ScatterNd',
        advice: "train on what comes before it, with outputs: ['flat']",
      },
    ]);
    expect(error).toMatch(/ScatterNd/);
  });

  it('finds the kernels that the wasm backend lacks, and they are lacking', async () => {
    await tf.setBackend('wasm');
    const { found, error } = await train(graph([]));
    expect(found).toEqual([
      {
        node: 'conv',
        op: 'Conv2D',
        reason: 'the wasm backend has no kernel Conv2DBackpropFilter',
        advice: IMPORT,
      },
    ]);
    expect(error).toMatch(/Conv2DBackpropFilter/);
  });

  it.skipIf(noTensorflow !== null)('names what TensorFlow may not be asked for', async () => {
    await tf.setBackend('tensorflow');
    const nodes: GraphOf['nodes'] = [
      [
        'out',
        '_FusedConv2D',
        ['conv', 'g', 'b'],
        { ...conv, strides: [1, 2, 2, 1], fused_ops: ['BiasAdd'], num_args: 1 },
      ],
    ];
    const model = trainable(
      await graphModel(graph(nodes, { g: { shape: [1, 1, 4, 3] }, b: { shape: [3] } })),
    );
    const [found] = model.check(); // training might end this process
    expect(found).toMatchObject({ node: 'out/tfjs_ftp_conv', advice: IMPORT });
    expect(found?.reason).toMatch(/TensorFlow can end the process/);
    model.dispose();
  });

  it('names a custom operation', async () => {
    tf.registerOp('TfjsFtpTest', (node) => tf.relu(node.inputs[0] as tf.Tensor));
    const { found, error } = await train(graph([['out', 'TfjsFtpTest', ['conv']]]));
    expect(found.map(({ node, reason }) => [node, reason])).toEqual([['out', 'it is a custom operation']]);
    expect(error).toBeNull();
    tf.deregisterOp('TfjsFtpTest');
  });
});

describe('after the gradients are imported', () => {
  test.each(FINDINGS)('$name', async ({ graph: one }) => {
    await import('../../src/models/gradients/index.js');
    await tf.setBackend('cpu');
    expect(await train(one)).toEqual({ found: [], error: null });
  });

  it('a convolutional net is fine-tuned on wasm as on cpu', async () => {
    await import('../../src/models/gradients/index.js');
    const net: GraphOf = {
      inputs: { x: [-1, 8, 8, 3] },
      weights: {
        f: { shape: [3, 3, 3, 6] },
        b: { shape: [6] },
        d: { shape: [3, 3, 6, 1] },
        p: { shape: [1, 1, 6, 5] },
        axes: [1, 2],
        fc: { shape: [5, 3] },
      },
      nodes: [
        [
          'c1',
          '_FusedConv2D',
          ['x', 'f', 'b'],
          { ...conv, strides: [1, 2, 2, 1], fused_ops: ['BiasAdd', 'Relu'], num_args: 1 },
        ],
        ['c2', 'DepthwiseConv2dNative', ['c1', 'd'], conv],
        ['c3', 'Conv2D', ['c2', 'p'], conv],
        ['act', 'Relu6', ['c3']],
        ['pool', 'Mean', ['act', 'axes'], { keep_dims: false }],
        ['out', 'MatMul', ['pool', 'fc']],
      ],
    };
    const losses: Record<string, number[]> = {};
    for (const backend of ['cpu', 'wasm']) {
      await tf.setBackend(backend);
      const model = trainable(await graphModel(net));
      expect(model.check()).toEqual([]);
      const x = tf.tensor(numbers(4 * 192, 3), [4, 8, 8, 3]);
      const targets = tf.tensor(numbers(12, 4), [4, 3]);
      const optimizer = ftp.adamw(0.01, { model, constraintLearningRate: 0.1 });
      losses[backend] = [];
      for (let i = 0; i < 8; ++i) {
        const value = optimizer.minimize(
          () => tf.mean(tf.squaredDifference(model.predict(x) as tf.Tensor, targets)) as tf.Scalar,
          true,
        ) as tf.Scalar;
        losses[backend].push(value.dataSync()[0] as number);
        value.dispose();
      }
      tf.dispose([x, targets]);
      optimizer.dispose();
      model.dispose();
    }
    const { cpu, wasm } = losses as { cpu: number[]; wasm: number[] };
    expect(cpu.at(-1)).toBeLessThan(0.9 * (cpu[0] as number));
    // Adam divides by the gradient's size, so that rounding grows with the steps: three digits are left of seven.
    for (const [i, value] of wasm.entries())
      expect(Math.abs(value / (cpu[i] as number) - 1)).toBeLessThan(1e-3);
  });
});
