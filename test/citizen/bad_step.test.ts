/** Steps that are refused, whatever is wrong: the error says what, and weights, state and tensors are the same bytes. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { FtpError, type FtpOptimizer, type FtpOptions } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { randomTensor, randomVariable, stepOnce } from '../optimizers/support.js';
import { batch, denseModel, everything, MAKERS, range, stateBytes, train, weightBytes } from './support.js';

const SHAPES: Record<string, number[]> = { a: [3, 4], b: [4], 'head/c': [2, 2] };

/** What is wrong with a step: a gradient for a name, and what the error says. */
interface Wrong {
  name: string;
  gradient: () => unknown;
  error: typeof TypeError | typeof RangeError | typeof FtpError;
  code?: string;
  message: string | RegExp;
}

const WRONG: Record<string, Wrong> = {
  'a longer gradient': {
    name: 'b',
    gradient: () => tf.ones([5]),
    error: RangeError,
    message: "gradient of 'b' must have the variable's shape [4], got [5]",
  },
  'a gradient of the same size and another shape': {
    name: 'a',
    gradient: () => tf.ones([4, 3]),
    error: RangeError,
    message: "gradient of 'a' must have the variable's shape [3,4], got [4,3]",
  },
  'a gradient of another rank': {
    name: 'b',
    gradient: () => tf.ones([1, 4]),
    error: RangeError,
    message: "gradient of 'b' must have the variable's shape [4], got [1,4]",
  },
  'an int32 gradient': {
    name: 'b',
    gradient: () => tf.ones([4], 'int32'),
    error: TypeError,
    message: "gradient of 'b' must be float32, got int32",
  },
  'a bool gradient': {
    name: 'head/c',
    gradient: () => tf.ones([2, 2], 'bool'),
    error: TypeError,
    message: "gradient of 'head/c' must be float32, got bool",
  },
  'an array for a gradient': {
    name: 'b',
    gradient: () => [1, 2, 3, 4],
    error: TypeError,
    message: "gradient of 'b' must be a tensor, got an array",
  },
  'a typed array for a gradient': {
    name: 'b',
    gradient: () => new Float32Array(4),
    error: TypeError,
    message: "gradient of 'b' must be a tensor, got a Float32Array",
  },
  'a disposed gradient': {
    name: 'b',
    gradient: () => {
      const gradient = tf.ones([4]);
      gradient.dispose();
      return gradient;
    },
    error: RangeError,
    message: "gradient of 'b' is disposed",
  },
  'a name that no variable has': {
    name: 'zebra',
    gradient: () => tf.ones([4]),
    error: FtpError,
    code: 'UNKNOWN_VARIABLE',
    message: "there is no variable 'zebra'",
  },
  'a name of every object': {
    name: 'constructor',
    gradient: () => tf.ones([4]),
    error: FtpError,
    code: 'UNKNOWN_VARIABLE',
    message: "there is no variable 'constructor'",
  },
  'an int32 variable': {
    name: 'int',
    gradient: () => tf.ones([4]),
    error: FtpError,
    code: 'UNSUPPORTED_DTYPE',
    message: "variable 'int' must be float32, got int32",
  },
  'a bool variable': {
    name: 'bool',
    gradient: () => tf.ones([4]),
    error: FtpError,
    code: 'UNSUPPORTED_DTYPE',
    message: "variable 'bool' must be float32, got bool",
  },
};

describeImplementations('a step that is refused', (implementation) => {
  const options: FtpOptions = { implementation: implementation.implementation };
  let variables: tf.Variable[];

  beforeAll(() => useBackend(implementation));
  beforeEach(() => {
    variables = Object.entries(SHAPES).map(([name, shape], i) => randomVariable(name, shape, i));
    tf.tidy(() => {
      tf.variable(tf.ones([4], 'int32'), true, 'int');
      tf.variable(tf.ones([4], 'bool'), true, 'bool');
    });
  });
  afterEach(() => tf.disposeVariables());

  const cases = Object.entries(WRONG).flatMap(([what, wrong]) =>
    Object.entries(MAKERS)
      // The checks are the same code for all; two optimizers are enough of a cross-section.
      .filter(([name]) => name === 'adamw' || name === 'wrap(adam)')
      .map(([name, make]) => ({ what, name, make, wrong })),
  );

  it.each(cases)('$name: $what', async ({ make, wrong }) => {
    const optimizer = make(options);
    for (const started of [false, true]) {
      if (started) for (const step of range(2)) stepOnce(optimizer, variables, step);
      // Among good ones, of which one is new to the optimizer, and last, so that others came before it.
      const fresh = randomVariable('fresh', [2, 3], 8);
      const before = await everything(optimizer, [...variables, fresh]);
      const good = Object.entries({ ...SHAPES, fresh: [2, 3] })
        .filter(([name]) => name !== wrong.name)
        .map(([name, shape]) => ({ name, tensor: randomTensor(shape, 5) }));
      const bad = { name: wrong.name, tensor: wrong.gradient() as tf.Tensor };
      const attempts = [
        () => optimizer.applyGradients([...good, bad]),
        () => optimizer.applyGradients([bad, ...good]),
        () =>
          optimizer.applyGradients(
            Object.fromEntries([...good, bad].map(({ name, tensor }) => [name, tensor])),
          ),
      ];
      for (const attempt of attempts) {
        expect(attempt).toThrow(wrong.error);
        expect(attempt).toThrow(wrong.message);
        if (wrong.code !== undefined) expect(attempt).toThrow(expect.objectContaining({ code: wrong.code }));
      }
      tf.dispose([...good.map(({ tensor }) => tensor), bad.tensor]);
      expect(await everything(optimizer, [...variables, fresh])).toEqual(before);
      fresh.dispose();
    }
    optimizer.dispose();
  });

  it('gradients that are neither map nor array, or hold something else', async () => {
    const optimizer = MAKERS.adamw?.(options) as FtpOptimizer;
    stepOnce(optimizer, variables, 0);
    const g = randomTensor([4], 1);
    const before = await everything(optimizer, variables);
    for (const [given, message] of [
      [null, /^applyGradients takes a map of tensors or an array of {name, tensor}, got null/],
      [undefined, /got undefined/],
      ['b', /got 'b'/],
      [Promise.resolve({ b: g }), /{name, tensor}, got a promise; did you forget await\?$/],
      [new Map([['b', g]]), /got a Map$/],
      [new Set([g]), /got a Set$/],
      [new (class Gradients {})(), /got a Gradients$/],
      [g, /^applyGradients takes .*, got a Tensor$/],
      [
        { b: Promise.resolve(g) },
        /^gradient of 'b' must be a tensor, got a promise; did you forget await\?$/,
      ],
      [[Promise.resolve({ name: 'b', tensor: g })], /^gradients must be {name, tensor}, got a Promise at/],
      [[g], /^gradients must be {name, tensor}, got a Tensor at position 0/],
      [[{ name: 'b', tensor: g }, null], /got null at position 1/],
      [[{ tensor: g }], /got an object at position 0/],
    ] as Array<[unknown, RegExp]>) {
      expect(() => optimizer.applyGradients(given as tf.NamedTensorMap)).toThrow(TypeError);
      expect(() => optimizer.applyGradients(given as tf.NamedTensorMap)).toThrow(message);
    }
    const twice = [
      { name: 'b', tensor: g },
      { name: 'b', tensor: g },
    ];
    expect(() => optimizer.applyGradients(twice)).toThrow(RangeError);
    expect(await everything(optimizer, variables)).toEqual(before);
    // Objects of a class, or without one, that do hold tensors are maps of tensors.
    optimizer.applyGradients(
      Object.assign(new (class Gradients {})() as object, { b: g, a: null as unknown as tf.Tensor }),
    );
    optimizer.applyGradients(Object.assign(Object.create(null), { b: g }));
    optimizer.applyGradients(Object.create(null));
    expect(optimizer.iterations).toBe(4);
    g.dispose();
    optimizer.dispose();
  });

  it.each(Object.entries(MAKERS))('%s: a variable that is disposed after some steps', async (_, make) => {
    const optimizer = make(options);
    for (const step of range(2)) stepOnce(optimizer, variables, step);
    const rest = variables.filter(({ name }) => name !== 'b');
    const gradients = variables.map(({ name, shape }) => ({ name, tensor: randomTensor(shape, 3) }));
    variables[1]?.dispose();
    const before = await everything(optimizer, rest);
    expect(() => optimizer.applyGradients(gradients)).toThrow(
      expect.objectContaining({
        code: 'VARIABLE_DISPOSED',
        message: expect.stringContaining("'b' was disposed"),
      }),
    );
    expect(await everything(optimizer, rest)).toEqual(before);
    optimizer.applyGradients(gradients.filter(({ name }) => name !== 'b')); // the others go on
    expect(optimizer.iterations).toBe(3);
    tf.dispose(gradients.map(({ tensor }) => tensor));
    optimizer.dispose();
  });

  it.each(Object.entries(MAKERS))('%s: anchors that do not fit', async (_, make) => {
    const check = async (anchors: tf.NamedTensorMap, error: object, message: string) => {
      const optimizer = make({ ...options, anchors });
      tf.dispose(anchors);
      const before = await everything(optimizer, variables);
      for (const _ of range(2)) {
        expect(() => stepOnce(optimizer, variables, 0)).toThrow(expect.objectContaining(error));
        expect(() => stepOnce(optimizer, variables, 0)).toThrow(message);
      }
      expect(await everything(optimizer, variables)).toEqual(before);
      optimizer.dispose();
    };
    const a = () => tf.ones([3, 4]);
    await check(
      { a: a(), zebra: tf.ones([4]) },
      { code: 'UNKNOWN_VARIABLE' },
      "anchors names 'zebra', which no variable has; registered variables: ",
    );
    await check(
      { a: a(), b: tf.ones([5]) },
      { name: 'RangeError' },
      "anchors['b'] must have its variable's shape [4], got [5]",
    );
    await check(
      { a: tf.ones([4, 3]) },
      { name: 'RangeError' },
      "anchors['a'] must have its variable's shape [3,4], got [4,3]",
    );
    await check(
      { constructor: tf.ones([4]) } as unknown as tf.NamedTensorMap,
      { code: 'UNKNOWN_VARIABLE' },
      "anchors names 'constructor', which no variable has",
    );
    await check(
      { b: tf.scalar(1) },
      { name: 'RangeError' },
      "anchors['b'] must have its variable's shape [4], got []",
    );
  });

  it('in the middle of training with tfjs-layers: the model goes on as if it had not been', async () => {
    const run = async (interrupted: boolean) => {
      const model = denseModel();
      const optimizer = MAKERS['adamw with amsgrad']?.(options) as FtpOptimizer;
      model.compile({ optimizer, loss: 'categoricalCrossentropy' });
      await train(model, range(3));
      if (interrupted) {
        const before = [weightBytes(model), await stateBytes(optimizer)];
        const { xs, ys } = batch(3);
        const broken = tf.tidy(() => tf.mul(xs, Number.NaN)) as tf.Tensor2D;
        await expect(model.trainOnBatch(broken, ys)).rejects.toThrow(
          expect.objectContaining({ code: 'NON_FINITE_GRADIENT' }),
        );
        await expect(model.fit(broken, ys, { epochs: 2, verbose: 0 })).rejects.toThrow('holds NaN');
        tf.dispose([xs, ys, broken]);
        expect([weightBytes(model), await stateBytes(optimizer)]).toEqual(before);
      }
      await train(model, range(3, 3));
      const result = [weightBytes(model), Object.values(await stateBytes(optimizer))];
      optimizer.dispose();
      model.dispose();
      return result;
    };
    expect(await run(true)).toEqual(await run(false));
  });
});
