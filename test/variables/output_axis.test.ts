import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as layers from '@tensorflow/tfjs-layers';
import { afterAll, describe, expect, it } from 'vitest';
import { type ModelLike, OutputAxes } from '../../src/variables/output_axis.js';

afterAll(() => tf.disposeVariables());

const l = layers.layers;

// The default, orthogonal, needs the chained operations of the whole tfjs.
const recurrent = { recurrentInitializer: 'glorotUniform' } as const;

/** `[outer, rows, inner]` of every weight of a model, by its name in the layer. */
function layouts(
  model: layers.LayersModel,
  axes = new OutputAxes(model, undefined),
): Record<string, number[]> {
  const result: Record<string, number[]> = {};
  for (const weight of model.weights) {
    const { outer, rows, inner } = axes.layoutOf(weight.name, weight.shape as number[]);
    result[weight.name.replace(/_\d+$/, '')] = [outer, rows, inner];
  }
  return result;
}

function sequential(...stack: layers.layers.Layer[]): layers.Sequential {
  return layers.sequential({ layers: stack });
}

describe('output axis from the layer class', () => {
  it('dense, convolutions and their transposed, depthwise and separable kinds', () => {
    const model = sequential(
      l.conv2d({ filters: 6, kernelSize: [3, 5], inputShape: [12, 12, 4], name: 'c2', padding: 'same' }),
      l.batchNormalization({ name: 'bn' }),
      l.conv2dTranspose({ filters: 5, kernelSize: 2, name: 't2', padding: 'same' }),
      l.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, name: 'dw', padding: 'same' }),
      l.separableConv2d({ filters: 7, kernelSize: 3, depthMultiplier: 3, name: 'sep', padding: 'same' }),
      l.prelu({ name: 'pre' }),
      l.globalAveragePooling2d({}),
      l.dense({ units: 3, name: 'fc' }),
    );
    expect(layouts(model)).toEqual({
      'c2/kernel': [60, 6, 1],
      'c2/bias': [1, 1, 6],
      'bn/gamma': [1, 1, 6],
      'bn/beta': [1, 1, 6],
      'bn/moving_mean': [1, 1, 6],
      'bn/moving_variance': [1, 1, 6],
      't2/kernel': [4, 5, 6], // [2, 2, out 5, in 6]
      't2/bias': [1, 1, 5],
      'dw/depthwise_kernel': [9, 10, 1], // [3, 3, in 5, mult 2]
      'dw/bias': [1, 1, 10],
      'sep/depthwise_kernel': [9, 30, 1], // [3, 3, in 10, mult 3]
      'sep/pointwise_kernel': [30, 7, 1],
      'sep/bias': [1, 1, 7],
      'pre/alpha': [144, 7, 1],
      'fc/kernel': [7, 3, 1],
      'fc/bias': [1, 1, 3],
    });
  });

  it('one- and three-dimensional convolutions', () => {
    const one = sequential(l.conv1d({ filters: 6, kernelSize: 3, inputShape: [12, 4], name: 'c1' }));
    expect(layouts(one)['c1/kernel']).toEqual([12, 6, 1]);
    const three = sequential(
      l.conv3d({ filters: 6, kernelSize: 2, inputShape: [4, 4, 4, 2], name: 'c3' }),
      l.conv3dTranspose({ filters: 3, kernelSize: 2, name: 't3' }),
    );
    expect(layouts(three)['c3/kernel']).toEqual([16, 6, 1]);
    expect(layouts(three)['t3/kernel']).toEqual([8, 3, 6]);
  });

  it('embeddings, recurrent layers, wrappers and nested models', () => {
    const inner = sequential(
      l.timeDistributed({ layer: l.dense({ units: 5, name: 'td_fc' }), inputShape: [7, 4], name: 'td' }),
    );
    inner.name = 'inner';
    const model = sequential(
      l.embedding({ inputDim: 11, outputDim: 4, inputLength: 7, name: 'emb' }),
      inner,
      l.lstm({ units: 3, returnSequences: true, name: 'lstm', ...recurrent }),
      l.bidirectional({
        layer: l.gru({ units: 2, name: 'gru', ...recurrent }) as layers.RNN,
        mergeMode: 'concat',
        name: 'bi',
      }),
    );
    const found = layouts(model);
    const shapes = Object.fromEntries(Object.entries(found).map(([name, layout]) => [name, String(layout)]));
    expect(shapes['emb/embeddings']).toBe('1,11,4'); // vocabulary entries are the rows
    const kernels = Object.entries(shapes).filter(([name]) => name.endsWith('kernel'));
    expect(
      Object.fromEntries(kernels.map(([name, layout]) => [name.split('/').slice(-2).join('/'), layout])),
    ).toEqual(expect.objectContaining({ 'lstm/kernel': '5,12,1', 'lstm/recurrent_kernel': '3,12,1' }));
    expect(Object.values(shapes)).toContain('4,5,1'); // time-distributed dense
    expect(Object.values(shapes).filter((layout) => layout === '3,6,1')).toHaveLength(2); // both directions
  });

  it('an embedding inside of a nested model and a wrapper is found', () => {
    const inner = sequential(l.embedding({ inputDim: 9, outputDim: 4, inputLength: 3, name: 'deep_emb' }));
    const input = layers.input({ shape: [3] });
    const model = layers.model({ inputs: input, outputs: inner.apply(input) as layers.SymbolicTensor });
    expect(Object.values(layouts(model))).toEqual([[1, 9, 4]]);
  });

  it('a layer that is added later is found too', () => {
    const model = sequential(l.dense({ units: 4, inputShape: [9], name: 'early' }));
    const axes = new OutputAxes(model, undefined);
    layouts(model, axes);
    model.add(l.reshape({ targetShape: [2, 2, 1] }));
    model.add(l.conv2dTranspose({ filters: 5, kernelSize: 2, name: 'late' }));
    expect(layouts(model, axes)['late/kernel']).toEqual([4, 5, 1]);
  });
});

describe('output axis without a model', () => {
  const axes = new OutputAxes(undefined, undefined);
  it.each([
    [[], [1, 1, 1]],
    [[5], [1, 1, 5]],
    [
      [3, 4],
      [3, 4, 1],
    ],
    [
      [2, 3, 4, 5],
      [24, 5, 1],
    ],
    [
      [2, 1, 2, 1, 2, 7],
      [8, 7, 1],
    ],
  ])('shape [%s]', (shape, expected) => {
    const { outer, rows, inner } = axes.layoutOf('w', shape);
    expect([outer, rows, inner]).toEqual(expected);
  });
});

describe('override', () => {
  const layoutOf = (axis: unknown, shape = [2, 3, 4, 5]) => {
    const { outer, rows, inner } = new OutputAxes(undefined, () => axis as number).layoutOf('w', shape);
    return [outer, rows, inner];
  };

  it.each([
    [0, [1, 2, 60]],
    [1, [2, 3, 20]],
    [3, [24, 5, 1]],
    [-1, [24, 5, 1]],
    [-2, [6, 4, 5]],
    [-4, [1, 2, 60]],
    [null, [1, 1, 120]],
    [undefined, [24, 5, 1]],
    [
      [-2, -1],
      [6, 20, 1],
    ],
    [
      [0, 1],
      [1, 6, 20],
    ],
    [
      [1, 2],
      [2, 12, 5],
    ],
    [[-2], [6, 4, 5]],
    [[], [1, 1, 120]],
  ])('%s', (axis, expected) => expect(layoutOf(axis)).toEqual(expected));

  it.each([4, -5, 1.5, Number.NaN])('%s is out of range', (axis) => {
    expect(() => layoutOf(axis)).toThrow(RangeError);
    expect(() => layoutOf(axis)).toThrow(
      `output axis of 'w' [2,3,4,5] must be a whole number from -4 to 3, got ${axis}`,
    );
  });

  it('an axis of a scalar, and something that is no axis', () => {
    expect(() => layoutOf(0, [])).toThrow("output axis of 'w' must be null for a scalar, got 0");
    expect(() => layoutOf('last')).toThrow(TypeError);
    expect(() => layoutOf('last')).toThrow(
      "outputAxis('w', [2,3,4,5]) must return an axis, an array of axes, null or undefined, got 'last'",
    );
  });

  it.each([
    [[0, 2], 'must be neighbours in ascending order, got [0,2]'],
    [[2, 1], 'must be neighbours in ascending order, got [2,1]'],
    [[-1, 4], 'must be a whole number from -4 to 3, got 4'],
  ])('axes %s are refused', (axes, message) => {
    expect(() => layoutOf(axes)).toThrow(RangeError);
    expect(() => layoutOf(axes)).toThrow(message);
    expect(() => layoutOf(['last'])).toThrow(TypeError);
  });

  it('comes before the model, and leaves the rest to it', () => {
    const model = sequential(
      l.embedding({ inputDim: 6, outputDim: 2, inputLength: 3, name: 'e1' }),
      l.flatten(),
      l.dense({ units: 4, name: 'd1' }),
    );
    const axes = new OutputAxes(model, (name) => (name.startsWith('d1') ? null : undefined));
    expect(layouts(model, axes)).toEqual({
      'e1/embeddings': [1, 6, 2],
      'd1/kernel': [1, 1, 24],
      'd1/bias': [1, 1, 4],
    });
  });

  it('gets a copy of the shape', () => {
    const shape = [3, 4];
    new OutputAxes(undefined, (_name, given) => {
      given.length = 0;
      return undefined;
    }).layoutOf('w', shape);
    expect(shape).toEqual([3, 4]);
  });
});

describe('saved layouts', () => {
  it('come back for the same names, also with another suffix', () => {
    const model = sequential(l.embedding({ inputDim: 6, outputDim: 2, inputLength: 3, name: 'saved_emb' }));
    const config = JSON.parse(JSON.stringify(new OutputAxes(model as ModelLike, undefined).toConfig()));
    const restored = OutputAxes.fromConfig(config);
    expect(restored.toConfig()).toEqual(config);
    expect(restored.layoutOf('saved_emb/embeddings_4', [6, 2])).toEqual({ outer: 1, rows: 6, inner: 2 });
    expect(restored.layoutOf('saved_emb/embeddings', [6, 3])).toEqual({ outer: 6, rows: 3, inner: 1 });
    expect(restored.layoutOf('other', [6, 2])).toEqual({ outer: 6, rows: 2, inner: 1 });
  });
});
