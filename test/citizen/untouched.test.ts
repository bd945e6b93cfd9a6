/**
 * No step changes what the user holds: other tensors on the same memory as weights and gradients, the arrays they
 * were made from (TensorFlow shares those where they happen to be aligned, hence the many sizes), anchors, and what
 * the optimizer has given out.
 */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, expect, it } from 'vitest';
import type { FtpOptimizer, FtpOptions } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { numbers, randomTensor } from '../optimizers/support.js';
import { bytesOf, MAKERS, range, stateBytes } from './support.js';

const SIZES = [
  1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 100, 127, 128, 129, 255, 256,
];
const LARGER = [257, 512, 1000, 1023, 1024, 1025, 2048, 3001, 4096, 5000, 8192, 10_007, 20_002];

/** As one column, so that every element is compared with its own row's norm; even sizes have two columns. */
const shapeOf = (size: number): [number, number] => (size % 2 === 0 ? [size / 2, 2] : [size, 1]);

/** Everything that may share memory with a tensor. */
function aliasesOf(tensor: tf.Tensor): tf.Tensor[] {
  const [rows] = tensor.shape as [number, number];
  return [
    tensor.clone(),
    tf.reshape(tensor, [tensor.size]),
    tf.reshape(tensor, [1, ...tensor.shape]),
    tf.slice(tensor, [0, 0], [Math.ceil(rows / 2), tensor.shape[1] as number]),
    tf.slice(tf.reshape(tensor, [tensor.size]), [tensor.size - 1], [1]),
    ...(rows <= 16 ? tf.unstack(tensor) : []),
    tf.tidy(() => tf.split(tensor, [rows], 0)[0] as tf.Tensor),
    tf.tidy(() => tf.squeeze(tensor)),
    tf.tidy(() => tf.expandDims(tensor)),
  ];
}

/** Things whose bytes must not change. */
class Held {
  private readonly tensors: Array<[tf.Tensor, string]> = [];
  private readonly arrays: Array<[Float32Array, Float32Array]> = [];

  tensor(...tensors: tf.Tensor[]): void {
    for (const tensor of tensors) this.tensors.push([tensor, bytesOf(tensor)]);
  }

  array(array: Float32Array): Float32Array {
    this.arrays.push([array, array.slice()]);
    return array;
  }

  expectUntouched(): void {
    expect(this.tensors.filter(([tensor, bytes]) => bytesOf(tensor) !== bytes)).toEqual([]);
    expect(this.arrays.filter(([array, copy]) => array.some((x, i) => x !== copy[i]))).toEqual([]);
  }

  get count(): number {
    return this.tensors.length + this.arrays.length;
  }
}

describeImplementations('what the user holds', (implementation) => {
  const options: FtpOptions = { implementation: implementation.implementation };

  beforeAll(() => useBackend(implementation));
  afterEach(() => tf.disposeVariables());

  it.each(Object.entries(MAKERS))('%s: is untouched by steps', (_, make) => {
    const held = new Held();
    const names: string[] = [];
    const anchors: tf.NamedTensorMap = {};
    const gradients: tf.NamedTensorMap = {};
    for (const size of implementation.runs === 'reference' ? SIZES : [...SIZES, ...LARGER]) {
      const shape = shapeOf(size);
      for (const [i, prefix] of ['body', 'head'].entries()) {
        const name = `${prefix}/${size}`;
        const initial = tf.tensor(held.array(numbers(size, 2 * size + i)), shape);
        const variable = tf.variable(initial, true, name);
        held.tensor(initial, ...aliasesOf(initial), ...aliasesOf(variable));
        held.array(variable.dataSync() as Float32Array);
        const gradient = tf.tensor(held.array(numbers(size, 3 * size + i)), shape);
        held.tensor(gradient, ...aliasesOf(gradient));
        gradients[name] = gradient;
        if (prefix === 'body' && size % 3 === 0) {
          const anchor = tf.tensor(held.array(numbers(size, 5 * size)), shape);
          held.tensor(anchor, ...aliasesOf(anchor));
          anchors[name] = anchor;
        }
        names.push(name);
      }
    }
    const optimizer = make({ ...options, anchors });
    const registered = (name: string) => tf.engine().registeredVariables[name] as tf.Variable;
    const before = names.map((name) => bytesOf(registered(name)));
    expect(held.count).toBeGreaterThan(500);
    for (const step of range(3)) {
      optimizer.applyGradients(gradients);
      held.expectUntouched();
      // What a step has written belongs to the user too.
      for (const name of names) held.tensor(...aliasesOf(registered(name)));
      held.array(registered(names[step] as string).dataSync() as Float32Array);
    }
    expect(optimizer.implementation).toBe(implementation.runs);
    const unmoved = names.filter((name, i) => bytesOf(registered(name)) === before[i]);
    expect(unmoved).toEqual([]); // else there would have been nothing to see
    optimizer.dispose();
    held.expectUntouched();
  });

  it.each(Object.entries(MAKERS))('%s: what getWeights gave, and what setWeights took', async (_, make) => {
    const variables = [4, 17, 64, 300].map((size) =>
      tf.variable(randomTensor(shapeOf(size), size), true, `body/${size}`),
    );
    const gradients = Object.fromEntries(
      variables.map(({ name, shape }, i) => [name, randomTensor(shape, 40 + i)]),
    );
    const optimizer = make({ ...options, exclude: [] });
    for (const _ of range(2)) optimizer.applyGradients(gradients);
    const held = new Held();
    const given = await optimizer.getWeights();
    for (const { tensor } of given) held.tensor(tensor, tf.reshape(tensor, [tensor.size]));
    for (const _ of range(2)) optimizer.applyGradients(gradients);
    held.expectUntouched();

    const other = make({ ...options, exclude: [] });
    const saved: tf.Tensor[] = [];
    await other.setWeights(
      given.map(({ name, tensor }) => {
        const array = tensor.dataSync().slice() as Float32Array;
        const copy = tf.tensor(array, tensor.shape, tensor.dtype);
        if (tensor.dtype === 'float32') held.array(array);
        saved.push(copy);
        return { name, tensor: copy };
      }),
    );
    held.tensor(...saved);
    for (const _ of range(3)) other.applyGradients(gradients);
    held.expectUntouched();
    other.dispose();
    optimizer.dispose();
    held.expectUntouched(); // and not disposed: bytesOf would throw
  });

  it.each(Object.entries(MAKERS))(
    '%s: and the user may change an array after the first step has used it',
    async (_, make) => {
      const run = async (overwrite: boolean) => {
        const [source, gradientSource, anchorSource] = [1, 2, 3].map((seed) => numbers(64, seed)) as [
          Float32Array,
          Float32Array,
          Float32Array,
        ];
        const initial = tf.tensor(source, [32, 2]);
        const variable = tf.variable(initial, true, 'body/w');
        const anchored = tf.variable(initial, true, 'body/anchored');
        const anchor = tf.tensor(anchorSource, [32, 2]);
        const optimizer: FtpOptimizer = make({
          ...options,
          exclude: [],
          anchors: { 'body/anchored': anchor },
        });
        if (overwrite) anchorSource.fill(99); // copied when the optimizer was made
        const gradient = tf.tensor(gradientSource, [32, 2]);
        optimizer.applyGradients({ 'body/w': gradient, 'body/anchored': gradient });
        if (overwrite) for (const array of [source, gradientSource]) array.fill(99);
        for (const step of range(3)) {
          const next = randomTensor([32, 2], 7 + step);
          optimizer.applyGradients({ 'body/w': next, 'body/anchored': next });
        }
        const result = [bytesOf(variable), bytesOf(anchored), await stateBytes(optimizer)];
        optimizer.dispose();
        variable.dispose();
        anchored.dispose();
        return result;
      };
      expect(await run(true)).toEqual(await run(false));
    },
  );
});
