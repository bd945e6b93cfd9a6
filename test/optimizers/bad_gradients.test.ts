/** A step that throws, for whatever reason, has changed nothing. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import type { Implementation } from '../../src/backends/types.js';
import { FtpError, type FtpOptimizer, ftp } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { randomTensor, randomVariable, type Snapshot, snapshot, stepOnce } from './support.js';

function codeOf(action: () => void): string {
  try {
    action();
  } catch (error) {
    if (error instanceof FtpError) return error.code;
    throw error;
  }
  return 'nothing was thrown';
}

describeImplementations('a step that fails', (implementation) => {
  let variables: tf.Variable[];
  let optimizer: FtpOptimizer;
  let before: Snapshot;
  let tensors: number;

  beforeAll(() => useBackend(implementation));

  beforeEach(async () => {
    variables = [randomVariable('a', [3, 4]), randomVariable('b', [4]), randomVariable('head/c', [2, 2])];
    optimizer = ftp.adamw(1e-2, { implementation: implementation.implementation, exclude: ['head/'] });
    stepOnce(optimizer, variables, 1);
    stepOnce(optimizer, variables, 2);
    before = await snapshot(optimizer, variables);
    tensors = tf.memory().numTensors;
  });

  afterEach(() => {
    optimizer.dispose();
    tf.disposeVariables();
  });

  async function expectUnchanged(): Promise<void> {
    expect(tf.memory().numTensors).toBe(tensors);
    expect(await snapshot(optimizer, variables)).toEqual(before);
    expect(optimizer.iterations).toBe(2);
  }

  /** Gradients of `a` and of a variable that is new in this step, besides `bad`. */
  function attempt(bad: tf.NamedTensorMap): () => void {
    return () => {
      const good = { a: randomTensor([3, 4], 5) };
      try {
        optimizer.applyGradients({ ...good, ...bad });
      } finally {
        tf.dispose([good, bad]);
      }
    };
  }

  it('for a gradient of another shape names the variable and both shapes', async () => {
    const step = attempt({ b: randomTensor([5], 1) });
    expect(step).toThrow(RangeError);
    expect(attempt({ b: randomTensor([2, 2], 1) })).toThrow(
      "gradient of 'b' must have the variable's shape [4], got [2,2]",
    );
    await expectUnchanged();
  });

  it('for a gradient of another type', async () => {
    expect(attempt({ b: tf.tensor1d([1, 2, 3, 4], 'int32') })).toThrow(
      "gradient of 'b' must be float32, got int32",
    );
    expect(attempt({ b: [1, 2, 3, 4] as unknown as tf.Tensor })).toThrow(TypeError);
    await expectUnchanged();
  });

  it('for an unknown variable', async () => {
    expect(codeOf(attempt({ z: randomTensor([4], 1) }))).toBe('UNKNOWN_VARIABLE');
    await expectUnchanged();
  });

  it('for a variable that is not float32', async () => {
    const int = tf.variable(tf.tensor1d([1, 2], 'int32'), true, 'int');
    tensors = tf.memory().numTensors;
    expect(codeOf(attempt({ int: randomTensor([2], 1) }))).toBe('UNSUPPORTED_DTYPE');
    await expectUnchanged();
    int.dispose();
  });

  it('for a variable that was disposed', async () => {
    variables[1]?.dispose();
    expect(codeOf(attempt({ b: randomTensor([4], 1) }))).toBe('VARIABLE_DISPOSED');
    expect(optimizer.iterations).toBe(2);
  });

  it('for a variable of another shape under a known name', async () => {
    variables[1]?.dispose();
    variables[1] = randomVariable('b', [5]);
    expect(codeOf(attempt({ b: randomTensor([5], 1) }))).toBe('STATE_MISMATCH');
    expect(optimizer.iterations).toBe(2);
  });

  it('for a gradient that is not finite, naming the variable; also where variables are new', async () => {
    for (const value of [Number.NaN, Infinity, -Infinity]) {
      const c = randomTensor([2, 2], 3);
      const values = c.dataSync().slice();
      values[3] = value;
      c.dispose();
      expect(attempt({ 'head/c': tf.tensor(values, [2, 2]) })).toThrow("gradient of 'head/c' holds NaN");
      await expectUnchanged();
    }
    const fresh = randomVariable('fresh', [2]);
    tensors = tf.memory().numTensors;
    expect(codeOf(attempt({ fresh: tf.tensor1d([0, Number.NaN]) }))).toBe('NON_FINITE_GRADIENT');
    await expectUnchanged();
    fresh.dispose();
  });

  it('for a variable twice in an array', async () => {
    const g = randomTensor([4], 1);
    const twice = [
      { name: 'b', tensor: g },
      { name: 'b', tensor: g },
    ];
    expect(() => optimizer.applyGradients(twice)).toThrow("gradients has variable 'b' twice");
    g.dispose();
    await expectUnchanged();
  });

  it('for a throwing outputAxis of a new variable', async () => {
    const axis = ftp.adamw(1e-2, {
      implementation: implementation.implementation,
      outputAxis: (name) => (name === 'head/c' ? 2 : undefined),
    });
    const count = tf.memory().numTensors;
    const weights = variables.map((variable) => Array.from(variable.dataSync()));
    expect(() => stepOnce(axis, variables, 1)).toThrow(RangeError);
    expect(() => stepOnce(axis, variables, 1)).toThrow(
      "output axis of 'head/c' [2,2] must be a whole number from -2 to 1, got 2",
    );
    expect(tf.memory().numTensors).toBe(count);
    expect(variables.map((variable) => Array.from(variable.dataSync()))).toEqual(weights);
    expect(axis.iterations).toBe(0);
    axis.dispose();
  });

  it.each(['step', 'createState'] as const)('when the implementation fails in %s', async (method) => {
    const fresh = [randomVariable('new/1', [2]), randomVariable('new/2', [3])];
    tensors = tf.memory().numTensors;
    const { selection } = (
      optimizer as unknown as { states: { selection: { implementation: Implementation } } }
    ).states;
    const { implementation: used } = selection;
    const original = used[method] as (...args: unknown[]) => unknown;
    let calls = 0;
    const spy = vi.spyOn(used, method).mockImplementation((...args: unknown[]) => {
      if (++calls === (method === 'step' ? 1 : 2)) throw new FtpError('NATIVE_FAILURE', 'injected');
      return original.apply(used, args) as never;
    });
    expect(() => stepOnce(optimizer, [...variables, ...fresh], 3)).toThrow('injected');
    spy.mockRestore();
    await expectUnchanged();
    stepOnce(optimizer, [...variables, ...fresh], 3); // and the next step works
    expect(optimizer.iterations).toBe(3);
    for (const variable of fresh) variable.dispose();
  });

  it('frees gradients and value when minimize throws', async () => {
    const loss = () => tf.sum(tf.mul(variables[1] as tf.Variable, Number.NaN)) as tf.Scalar;
    expect(() => optimizer.minimize(loss, true, [variables[1] as tf.Variable])).toThrow(FtpError);
    await expectUnchanged();
  });

  it('is left out and counted with nonFinite skip, and not looked for with ignore', async () => {
    const options = { implementation: implementation.implementation } as const;
    const skip = ftp.sgd(0.1, { ...options, nonFinite: 'skip' });
    const w = [variables[1] as tf.Variable];
    stepOnce(skip, w, 1);
    const present = await snapshot(skip, w);
    const bad = tf.tensor1d([1, Number.NaN, 0, 0]);
    skip.applyGradients({ b: bad });
    expect(skip.skippedSteps).toBe(1);
    expect(await snapshot(skip, w)).toEqual(present);
    const ignore = ftp.sgd(0.1, { ...options, nonFinite: 'ignore', exclude: ['b'] });
    ignore.applyGradients({ b: bad });
    expect(Number.isNaN(w[0]?.dataSync()[1])).toBe(true);
    bad.dispose();
    skip.dispose();
    ignore.dispose();
  });

  it('when another copy of tfjs-core made the variable', () => {
    const [a] = variables as [tf.Variable];
    class OtherVariable {}
    const methods = {
      data: a.data,
      dataSync: a.dataSync,
      throwIfDisposed: a.throwIfDisposed,
      assign: a.assign,
    };
    const other = Object.assign(Object.create(Object.assign(OtherVariable.prototype, methods)), {
      name: 'other',
      shape: [2],
      dtype: 'float32',
      size: 2,
      dataId: {},
      dispose: vi.fn(),
    });
    tf.engine().registeredVariables.other = other;
    try {
      expect(other).toBeInstanceOf(tf.Variable); // which is why instanceof cannot tell
      expect(codeOf(attempt({ other: randomTensor([2], 1) }))).toBe('DUPLICATE_TFJS');
    } finally {
      delete tf.engine().registeredVariables.other;
    }
  });
});
