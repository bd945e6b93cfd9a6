// GraphModels of one operation family each: which constants are trained, their rows, gradients, saving, refusals.
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it, test } from 'vitest';
import '../../src/models/gradients/index.js';
import { ftp, spd } from '../../src/index.js';
import { type TrainableGraphModel, trainable } from '../../src/models/index.js';
import { OutputAxes } from '../../src/variables/output_axis.js';
import { numbers } from '../optimizers/support.js';
import { artifactsOf, type GraphOf, graphModel, load, memory, type Weight } from './graph_builder.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

afterEach(() => {
  tf.disposeVariables();
});

const w = (...shape: number[]): Weight => ({ shape });
const conv = { strides: [1, 1, 1, 1], padding: 'SAME', data_format: 'NHWC', dilations: [1, 1, 1, 1] };
const valid = { ...conv, padding: 'VALID' };

/** `[outer, rows, inner]` of each variable, as an optimizer sees it that is given the model. */
function rowsOf(model: TrainableGraphModel): Record<string, number[]> {
  const byModel = new OutputAxes(model, undefined);
  const byFunction = new OutputAxes(undefined, model.outputAxis);
  return Object.fromEntries(
    model.variables.map(({ name, shape }) => {
      const { outer, rows, inner } = byModel.layoutOf(name, shape);
      expect(byFunction.layoutOf(name, shape)).toEqual({ outer, rows, inner });
      return [name, [outer, rows, inner]];
    }),
  );
}

function inputOf(graph: GraphOf, batch = 2): tf.Tensor[] {
  return Object.values(graph.inputs).map((shape, i) => {
    const sizes = shape.map((size) => (size === -1 ? batch : size));
    return tf.tensor(numbers(tf.util.sizeFromShape(sizes), 900 + i), sizes);
  });
}

const single = (output: unknown) => output as tf.Tensor;

interface Family {
  name: string;
  graph: GraphOf;
  rows: Record<string, number[]>;
}

const FAMILIES: Family[] = [
  {
    name: 'Conv2D, BiasAdd, Relu; a folded scale; the mean of the image and a grid stay',
    graph: {
      inputs: { x: [-1, 6, 5, 3] },
      weights: {
        mean: w(3),
        f: w(3, 2, 3, 4),
        b: w(4),
        scale: w(1, 1, 1, 4),
        half: w(),
        grid: w(1, 6, 5, 4),
      },
      nodes: [
        ['sub', 'Sub', ['x', 'mean']],
        ['conv', 'Conv2D', ['sub', 'f'], conv],
        ['bias', 'BiasAdd', ['conv', 'b']],
        ['scaled', 'Mul', ['bias', 'scale']],
        ['relu', 'Relu', ['scaled']],
        ['halved', 'Mul', ['relu', 'half']],
        ['out', 'AddV2', ['halved', 'grid']],
      ],
    },
    rows: { f: [18, 4, 1], b: [1, 1, 4], scale: [1, 1, 4] },
  },
  {
    name: 'fused convolutions with relu6 and prelu, depthwise with a multiplier',
    graph: {
      inputs: { x: [-1, 6, 5, 3] },
      weights: {
        f: w(2, 2, 3, 4),
        b: w(4),
        d: w(3, 3, 4, 2),
        db: w(8),
        g: w(1, 1, 8, 2),
        gb: w(2),
        alpha: w(2),
      },
      nodes: [
        ['a', '_FusedConv2D', ['x', 'f', 'b'], { ...conv, fused_ops: ['BiasAdd', 'Relu6'], num_args: 1 }],
        [
          'm',
          'FusedDepthwiseConv2dNative',
          ['a', 'd', 'db'],
          { ...conv, fused_ops: ['BiasAdd'], num_args: 1 },
        ],
        [
          'out',
          '_FusedConv2D',
          ['m', 'g', 'gb', 'alpha'],
          { ...conv, fused_ops: ['BiasAdd', 'Prelu'], num_args: 2 },
        ],
      ],
    },
    rows: {
      f: [12, 4, 1],
      b: [1, 1, 4],
      d: [9, 8, 1],
      db: [1, 1, 8],
      g: [8, 2, 1],
      gb: [1, 1, 2],
      alpha: [1, 1, 2],
    },
  },
  {
    name: 'depthwise and transposed convolution, prelu of each place',
    graph: {
      inputs: { x: [1, 4, 4, 3] },
      weights: {
        d: w(3, 3, 3, 1),
        t: w(2, 2, 5, 3),
        shape: [1, 8, 8, 5],
        alpha: w(8, 8, 5),
        slope: w(1, 1, 5),
      },
      nodes: [
        ['a', 'DepthwiseConv2dNative', ['x', 'd'], conv],
        ['up', 'Conv2DBackpropInput', ['shape', 't', 'a'], { ...conv, strides: [1, 2, 2, 1] }],
        ['p', 'Prelu', ['up', 'alpha']],
        ['out', 'Prelu', ['p', 'slope']],
      ],
    },
    rows: { d: [9, 3, 1], t: [4, 5, 3], alpha: [64, 5, 1], slope: [1, 1, 5] },
  },
  {
    name: 'MatMul with each transposition, one matrix read twice, fused with an activation',
    graph: {
      inputs: { x: [-1, 4] },
      weights: { a: w(4, 6), b: w(3, 6), c: w(3, 3), bias: w(3), left: w(3, 5) },
      nodes: [
        ['p', 'MatMul', ['x', 'a'], { transpose_a: false, transpose_b: false }],
        ['q', 'MatMul', ['p', 'b'], { transpose_a: false, transpose_b: true }],
        ['kept', 'Identity', ['c']],
        ['r', '_FusedMatMul', ['q', 'kept', 'bias'], { fused_ops: ['BiasAdd', 'Relu'], num_args: 1 }],
        ['s', 'MatMul', ['r', 'c'], {}],
        ['out', 'MatMul', ['left', 's'], { transpose_a: true, transpose_b: true }],
      ],
    },
    rows: { a: [4, 6, 1], b: [1, 3, 6], c: [3, 3, 1], bias: [1, 1, 3], left: [3, 5, 1] },
  },
  {
    name: 'batch normalization: scale and offset are trained, mean and variance stay',
    graph: {
      inputs: { x: [-1, 3, 3, 4] },
      weights: {
        scale: w(4),
        offset: w(4),
        mean: w(4),
        variance: { shape: [4], values: [1, 2, 0.5, 1] },
        dims: [1, 2],
        fc: w(4, 2),
      },
      nodes: [
        ['bn', 'FusedBatchNormV3', ['x', 'scale', 'offset', 'mean', 'variance'], { epsilon: { f: 0.001 } }],
        ['pool', 'Mean', ['bn', 'dims'], { keep_dims: false }],
        ['out', 'MatMul', ['pool', 'fc']],
      ],
    },
    rows: { scale: [1, 1, 4], offset: [1, 1, 4], fc: [4, 2, 1] },
  },
  {
    name: 'embeddings and Einsum, several labels together',
    graph: {
      inputs: { x: [-1, 3, 4] },
      weights: {
        table: w(5, 4),
        ids: [0, 3, 3],
        axis: { shape: [], values: [0], dtype: 'int32' },
        heads: w(4, 2, 3),
      },
      nodes: [
        ['e', 'GatherV2', ['table', 'ids', 'axis']],
        ['sum', 'AddV2', ['x', 'e']],
        ['out', 'Einsum', ['sum', 'heads'], { equation: 'bsd,dhk->bshk', N: 2 }],
      ],
    },
    rows: { table: [1, 5, 4], heads: [4, 6, 1] },
  },
  {
    name: 'moving elements: StridedSlice, DepthToSpace, GatherNd, half-pixel resize, dilation',
    graph: {
      inputs: { x: [1, 6, 6, 3] },
      weights: {
        f: w(3, 3, 3, 8),
        size: [5, 7],
        begin: [0, 1, 0, 0],
        end: [1, 5, 7, 8],
        steps: [1, 2, 1, 1],
        at: { shape: [3, 2], values: [0, 1, 0, 1, 0, 3], dtype: 'int32' },
      },
      nodes: [
        ['conv', 'Conv2D', ['x', 'f'], { ...valid, dilations: [1, 2, 2, 1] }],
        ['big', 'ResizeBilinear', ['conv', 'size'], { half_pixel_centers: true, align_corners: false }],
        ['cut', 'StridedSlice', ['big', 'begin', 'end', 'steps'], { begin_mask: 0, end_mask: 0 }],
        ['deep', 'DepthToSpace', ['cut'], { block_size: 2, data_format: 'NHWC' }],
        ['out', 'GatherNd', ['deep', 'at']],
      ],
    },
    rows: { f: [27, 8, 1] },
  },
  {
    name: 'fused convolutions that are taken apart: NCHW with an activation, dilated without',
    graph: {
      inputs: { x: [1, 3, 6, 5] },
      weights: { f: w(3, 3, 3, 4), b: w(4), alpha: w(4), g: w(2, 2, 4, 2), gb: w(2), perm: [0, 2, 3, 1] },
      nodes: [
        [
          'a',
          '_FusedConv2D',
          ['x', 'f', 'b', 'alpha'],
          { ...conv, data_format: 'NCHW', fused_ops: ['BiasAdd', 'Prelu'], num_args: 2 },
        ],
        ['t', 'Transpose', ['a', 'perm']],
        [
          'out',
          '_FusedConv2D',
          ['t', 'g', 'gb'],
          { ...valid, dilations: [1, 2, 2, 1], fused_ops: ['BiasAdd'], num_args: 1 },
        ],
      ],
    },
    rows: { f: [27, 4, 1], b: [1, 1, 4], alpha: [1, 1, 4], g: [16, 2, 1], gb: [1, 1, 2] },
  },
];

describe.each(FAMILIES)('$name', ({ graph, rows }) => {
  it('has the weights as variables, with the rows of the operation that reads them', async () => {
    const model = trainable(await graphModel(graph));
    expect(rowsOf(model)).toEqual(rows);
    expect(model.check()).toEqual([]);
    model.dispose();
  });

  it('computes what it did, and its gradients agree with differences', async () => {
    const loaded = await graphModel(graph);
    const x = inputOf(graph);
    const before = single(loaded.predict(x));
    const model = trainable(loaded);
    const after = single(model.predict(x));
    expect(after.shape).toEqual(before.shape);
    const values = before.dataSync();
    for (const [i, value] of after.dataSync().entries()) expect(value).toBeCloseTo(values[i] as number, 5);
    const weights = tf.tensor(numbers(before.size, 77), before.shape);
    const loss = () => tf.sum(tf.mul(single(model.predict(x)), weights)) as tf.Scalar;
    const { grads } = tf.variableGrads(loss, [...model.variables]);
    // Small, so that no activation meets its kink within h of these numbers; float32 rounds the difference of losses below 16
    // in size to 2^-20 / h = 0.002.
    const h = 2 ** -11;
    for (const variable of model.variables) {
      const start = variable.dataSync().slice();
      const gradient = grads[variable.name]?.dataSync() as Float32Array;
      for (let j = 0; j < start.length; j += Math.max(1, Math.floor(start.length / 5))) {
        const at = (offset: number) => {
          const moved = Float32Array.from(start);
          moved[j] = (start[j] as number) + offset;
          tf.tidy(() => variable.assign(tf.tensor(moved, variable.shape)));
          return tf.tidy(() => loss().dataSync()[0] as number);
        };
        const difference = (at(h) - at(-h)) / (2 * h);
        expect(Math.abs((gradient[j] as number) - difference), `${variable.name}[${j}]`).toBeLessThan(
          0.01 + 0.01 * Math.abs(difference),
        );
      }
      tf.tidy(() => variable.assign(tf.tensor(start, variable.shape)));
    }
    tf.dispose([x, before, after, weights, grads]);
    model.dispose();
  });

  it('is saved with its present weights, in the topology that it came with', async () => {
    const artifacts = artifactsOf(graph);
    const model = trainable(await load(artifacts));
    const x = inputOf(graph);
    const optimizer = ftp.adamw(0.05, { model, constraintLearningRate: 0.1 });
    const start = single(model.predict(x));
    for (let i = 0; i < 3; ++i) {
      optimizer.minimize(() => tf.mean(tf.square(tf.sub(single(model.predict(x)), 0.3))) as tf.Scalar);
    }
    const trained = single(model.predict(x));
    expect(Array.from(trained.dataSync())).not.toEqual(Array.from(start.dataSync()));
    const { handler, saved } = memory();
    await model.save(handler);
    expect(saved().modelTopology).toEqual(artifacts.modelTopology);
    const again = await load(saved());
    const loaded = single(again.predict(x));
    expect(loaded.shape).toEqual(trained.shape);
    const values = trained.dataSync();
    for (const [i, value] of loaded.dataSync().entries()) expect(value).toBeCloseTo(values[i] as number, 5);
    tf.dispose([x, start, trained, loaded]);
    optimizer.dispose();
    model.dispose();
    again.dispose();
  });

  it('leaves no tensor behind: making, training, predicting, saving, disposing', async () => {
    const x = inputOf(graph);
    const once = async () => {
      const model = trainable(await graphModel(graph));
      const optimizer = ftp.sgd(0.01, { model });
      const loss = () => tf.mean(tf.square(single(model.predict(x)))) as tf.Scalar;
      optimizer.minimize(loss);
      const during = tf.memory().numTensors;
      for (let i = 0; i < 2; ++i) optimizer.minimize(loss);
      single(model.predict(x)).dispose();
      await model.save(memory().handler);
      expect(tf.memory().numTensors).toBe(during);
      optimizer.dispose();
      model.dispose();
      model.dispose();
    };
    await once();
    const before = tf.memory().numTensors;
    await once();
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose(x);
  });
});

const NET = (FAMILIES[0] as Family).graph;

describe('which constants', () => {
  const names = async (options: Parameters<typeof trainable>[1]) => {
    const model = trainable(await graphModel(NET), options);
    const result = model.variables.map(({ name }) => name);
    model.dispose();
    return result;
  };

  it('by rank, by name, by function', async () => {
    expect(await names({ minRank: 2 })).toEqual(['f', 'scale']);
    expect(await names({ match: ['grid', /^m/] })).toEqual(['mean', 'grid']);
    expect(await names({ match: (name, shape) => name === 'half' || shape[0] === 4, minRank: 0 })).toEqual([
      'b',
      'half',
    ]);
    expect(await names({ prefix: 'teacher/', minRank: 2 })).toEqual(['teacher/f', 'teacher/scale']);
  });

  it('only those that the outputs depend on, of any node', async () => {
    const model = trainable(await graphModel(NET), { outputs: ['conv'] });
    expect(model.variables.map(({ name }) => name)).toEqual(['f']);
    const x = inputOf(NET);
    expect(single(model.predict(x)).shape).toEqual([2, 6, 5, 4]);
    const both = model.predict(x, ['conv', 'relu']) as tf.Tensor[];
    expect(both.map(({ shape }) => shape)).toEqual([
      [2, 6, 5, 4],
      [2, 6, 5, 4],
    ]);
    tf.dispose([x, both]);
    model.dispose();
  });

  it("gives an optimizer the layers' names for exclude", async () => {
    const model = trainable(await graphModel(NET));
    const optimizer = spd.sgd(0.1, { model, exclude: [{ layer: 'bias' }] });
    const x = inputOf(NET);
    optimizer.minimize(() => tf.mean(tf.square(single(model.predict(x)))) as tf.Scalar);
    const excluded = (await optimizer.constraints()).filter((one) => one.excluded).map(({ name }) => name);
    expect(excluded).toEqual(['b']);
    tf.dispose(x);
    optimizer.dispose();
    model.dispose();
  });

  it('takes other sizes where inputShapes says so, and saves them', async () => {
    const graph = { ...NET, inputs: { x: [1, 6, 5, 3] } };
    const x = inputOf({ ...NET, inputs: { x: [3, 6, 5, 3] } });
    const loaded = await graphModel(graph);
    expect(() => loaded.predict(x)).toThrow(/shape/);
    const model = trainable(loaded, { inputShapes: { x: [-1, 6, 5, 3] } });
    const here = single(model.predict(x));
    const { handler, saved } = memory();
    await model.save(handler);
    const again = await load(saved());
    const there = single(again.predict(x));
    expect(Array.from(there.dataSync())).toEqual(Array.from(here.dataSync()));
    tf.dispose([x, here, there]);
    model.dispose();
    again.dispose();
  });
});

describe('save', () => {
  it.each([
    ['float16', 2 ** -11],
    ['uint16', 1 / 65535],
    ['uint8', 1 / 255],
  ] as const)('quantized to %s is as near as the format allows, and loads', async (quantization, step) => {
    const model = trainable(await graphModel(NET));
    const { handler, saved } = memory();
    await model.save(handler, { quantization });
    const bytes = (saved().weightData as ArrayBuffer).byteLength;
    const elements = (saved().weightSpecs ?? []).reduce(
      (sum, { shape }) => sum + tf.util.sizeFromShape(shape),
      0,
    );
    expect(bytes).toBe(elements * (quantization === 'uint8' ? 1 : 2));
    const again = trainable(await load(saved()), { prefix: 'again/' });
    for (const [i, variable] of model.variables.entries()) {
      const restored = again.variables[i]?.dataSync() as Float32Array;
      // Values are in (-1, 1): a range below 2 for the levels, and 2^-11 relative for the half.
      for (const [j, value] of variable.dataSync().entries()) {
        expect(Math.abs(value - (restored[j] as number))).toBeLessThanOrEqual(1.01 * step);
      }
    }
    const second = memory();
    await again.save(second.handler, { quantization: 'original' });
    expect((second.saved().weightData as ArrayBuffer).byteLength).toBe(bytes);
    await again.save(second.handler);
    expect((second.saved().weightData as ArrayBuffer).byteLength).toBe(elements * 4);
    model.dispose();
    again.dispose();
  });

  it('rounds halves as IEEE 754 says, at ties, subnormals and the ends', async () => {
    // 1 + 2^-11 is a tie to 1, 1 + 3 * 2^-11 one to 1 + 2^-9; 2^-24 is the least half, half of it a tie to 0.
    const values = [
      1 + 2 ** -11,
      1 + 3 * 2 ** -11,
      65504,
      -65504,
      2 ** -24,
      2 ** -25,
      1.5 * 2 ** -24,
      -0.1,
      0,
      2 ** -14,
    ];
    const halves = [1, 1 + 2 ** -9, 65504, -65504, 2 ** -24, 0, 2 ** -23, -0.0999755859375, 0, 2 ** -14];
    const graph: GraphOf = {
      inputs: { x: [1, 1] },
      weights: { m: { shape: [1, values.length], values } },
      nodes: [['out', 'MatMul', ['x', 'm']]],
    };
    const model = trainable(await graphModel(graph));
    const { handler, saved } = memory();
    await model.save(handler, { quantization: 'float16' });
    const again = trainable(await load(saved()), { prefix: 'again/' });
    expect(Array.from(again.variables[0]?.dataSync() ?? [])).toEqual(halves);
    tf.tidy(() => model.variables[0]?.assign(tf.fill([1, values.length], 7e4)));
    await expect(model.save(handler, { quantization: 'float16' })).rejects.toThrow(
      "quantization 'float16' must have finite weights up to 65504, got 70000 in 'm'",
    );
    model.dispose();
    again.dispose();
  });

  it('refuses handlers and options that will not do', async () => {
    const model = trainable(await graphModel(NET));
    await expect(model.save('nowhere://x')).rejects.toThrow(/handler must be .*, got 'nowhere:\/\/x'/);
    await expect(model.save({})).rejects.toThrow(TypeError);
    await expect(model.save(memory().handler, { quantization: 'int4' as 'uint8' })).rejects.toThrow(
      /'original'/,
    );
    await expect(model.save(memory().handler, { quantize: 'uint8' } as never)).rejects.toThrow(/quantize/);
    model.dispose();
    await expect(model.save(memory().handler)).rejects.toMatchObject({ code: 'VARIABLE_DISPOSED' });
    expect(() => model.predict([])).toThrow(/disposed/);
    expect(() => model.check()).toThrow(/disposed/);
  });
});

describe('refusals leave the model as it was', () => {
  const CONTROL: GraphOf = {
    inputs: { x: [1, 2] },
    weights: { m: w(2, 2), c: { shape: [], values: [1], dtype: 'int32' } },
    nodes: [
      ['y', 'MatMul', ['x', 'm']],
      ['branch', 'Switch', ['y', 'c']],
      ['out', 'Merge', ['branch', 'branch:1']],
    ],
  };

  it('control flow, by the name of the node; but not before it', async () => {
    const loaded = await graphModel(CONTROL);
    expect(() => trainable(loaded)).toThrow(/node 'branch' \(Switch\) is control flow.*executeAsync/);
    const model = trainable(loaded, { outputs: ['y'] });
    expect(model.variables.map(({ name }) => name)).toEqual(['m']);
    model.dispose();
  });

  test.each<[string, GraphOf['nodes'], RegExp]>([
    ['a shape by values', [['out', 'Where', ['x']]], /'out' \(Where\) has a shape that depends on values/],
    ['a table', [['out', 'HashTableV2', ['x']]], /'out' \(HashTableV2\) is a lookup table/],
    ['a list', [['out', 'TensorListStack', ['x', 'm']]], /'out' \(TensorListStack\) is a list of a loop/],
  ])('%s', async (_name, nodes, message) => {
    const loaded = await graphModel({ ...CONTROL, nodes });
    expect(() => trainable(loaded)).toThrow(message);
    loaded.dispose();
  });

  it('wrong arguments', async () => {
    const loaded = await graphModel((FAMILIES.at(-1) as Family).graph);
    const before = tf.memory().numTensors;
    const attempt = (options: unknown) => () => trainable(loaded, options as object);
    expect(() => trainable({} as never)).toThrow(
      'graphModel must be a tf.GraphModel that is loaded, got an object',
    );
    expect(attempt({ matches: [] })).toThrow(/no option 'matches'/);
    expect(attempt({ match: 'f' })).toThrow(TypeError);
    expect(attempt({ match: [''] })).toThrow(RangeError);
    expect(attempt({ match: [3] })).toThrow(TypeError);
    expect(attempt({ match: () => 1 })).toThrow('must return a boolean, got 1');
    expect(attempt({ match: ['nothing'] })).toThrow(expect.objectContaining({ code: 'UNMATCHED_PATTERN' }));
    expect(attempt({ minRank: 1.5 })).toThrow(RangeError);
    expect(attempt({ outputs: [] })).toThrow('got an empty one');
    expect(attempt({ outputs: 'out' })).toThrow(TypeError);
    expect(attempt({ outputs: ['nowhere/ou'] })).toThrow(/got 'nowhere\/ou'; similar: out/);
    expect(attempt({ prefix: 1 })).toThrow('prefix must be a string, got 1');
    expect(attempt({ inputShapes: { f: [1] } })).toThrow(RangeError);
    expect(attempt({ inputShapes: { x: [0.5] } })).toThrow(RangeError);
    expect(attempt({ inputShapes: { x: 1 } })).toThrow(TypeError);
    const variable = tf.variable(tf.scalar(1), true, 'g');
    expect(attempt({})).toThrow(expect.objectContaining({ code: 'VARIABLE_EXISTS' }));
    variable.dispose();
    expect(tf.memory().numTensors).toBeLessThanOrEqual(before + 1); // the scalar
    const model = trainable(loaded);
    expect(attempt({})).toThrow(/not trainable yet, got one that is/);
    model.dispose();
    expect(attempt({})).toThrow(/disposed|trainable/);
  });
});
