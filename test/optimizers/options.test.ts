import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as layers from '@tensorflow/tfjs-layers';
import { afterEach, describe, expect, it } from 'vitest';
import { FtpError, ftp } from '../../src/index.js';
import { randomVariable, stepOnce } from './support.js';

afterEach(() => tf.disposeVariables());

/** Calls without types, as JavaScript users can. */
const adamw = ftp.adamw as (...args: unknown[]) => ReturnType<typeof ftp.adamw>;
const sgd = ftp.sgd as (...args: unknown[]) => ReturnType<typeof ftp.sgd>;
const wrap = ftp.wrap as (...args: unknown[]) => ReturnType<typeof ftp.wrap>;

describe('options of a wrong type', () => {
  it.each([
    ['learningRate as text', () => adamw('1e-3'), "learningRate must be .*, got '1e-3'"],
    ['no learningRate', () => sgd(), 'learningRate must be .*, got undefined'],
    ['beta1', () => adamw(1, { beta1: '0.9' }), "beta1 must be a finite number >= 0 and < 1, got '0.9'"],
    ['amsgrad', () => adamw(1, { amsgrad: 1 }), 'amsgrad must be a boolean, got 1'],
    ['nesterov', () => sgd(1, { nesterov: 'yes' }), "nesterov must be a boolean, got 'yes'"],
    ['options', () => adamw(1, 0.9), 'options must be an object, got 0.9'],
    [
      'a model for options',
      () => adamw(1, layers.sequential()),
      'options must be an object of options, got a Sequential; did you mean {model}\\?',
    ],
    [
      'exclude of an object',
      () => adamw(1, { exclude: [{}] }),
      'RegExps and {layer: name}.*got an object at',
    ],
    [
      'exclude of a layer by number',
      () => adamw(1, { exclude: [{ layer: 3 }] }),
      'got {layer: 3} at position 0',
    ],
    [
      'exclude of a layer and more',
      () => adamw(1, { exclude: ['a', { layer: 'a', name: 'b' }] }),
      'got an object at position 1',
    ],
    ['null options', () => adamw(1, null), 'options must be an object, got null'],
    [
      'an unknown option',
      () => adamw(1, { weigthDecay: 0.1 }),
      "options has no option 'weigthDecay'; accepted: beta1",
    ],
    ['an option of another base', () => sgd(1, { beta1: 0.9 }), "no option 'beta1'"],
    ['exclude as text', () => adamw(1, { exclude: 'head' }), "exclude must be an array .*, got 'head'"],
    ['exclude of numbers', () => adamw(1, { exclude: ['a', 3] }), 'got 3 at position 1'],
    ['anchors as array', () => adamw(1, { anchors: [] }), 'anchors must map variable names to tensors'],
    [
      'anchor as numbers',
      () => adamw(1, { anchors: { w: [1] } }),
      "anchors\\['w'\\] must be a float32 tensor, got an array",
    ],
    ['model', () => adamw(1, { model: {} }), 'model must be a tf.LayersModel, got an object'],
    [
      'outputAxis',
      () => adamw(1, { outputAxis: 1 }),
      'outputAxis must be a function of name and shape, got 1',
    ],
    ['implementation', () => adamw(1, { implementation: 3 }), 'implementation must be one of'],
    ['threads', () => adamw(1, { threads: '2' }), 'threads must be a whole number'],
    ['base of wrap', () => wrap(null), 'base must be a tf.Optimizer, got null'],
    ['base of wrap by name', () => wrap('adam'), "base must be a tf.Optimizer, got 'adam'"],
    ['an FTP base', () => wrap(adamw(1)), 'base must not project itself, got an FtpAdamWOptimizer'],
  ])('%s', (_what, make, message) => {
    expect(make).toThrow(TypeError);
    expect(make).toThrow(new RegExp(message));
  });
});

describe('options of a wrong value', () => {
  it.each([
    ['learningRate', () => adamw(-1), 'learningRate must be a finite number >= 0, got -1'],
    ['learningRate NaN', () => adamw(Number.NaN), 'got NaN'],
    ['beta1', () => adamw(1, { beta1: 1 }), 'beta1 must be a finite number >= 0 and < 1, got 1'],
    ['beta2', () => adamw(1, { beta2: -0.1 }), 'beta2 must be .*, got -0.1'],
    ['epsilon', () => adamw(1, { epsilon: 0 }), 'epsilon must be a finite number > 0, got 0'],
    ['epsilon that is 0 in float32', () => adamw(1, { epsilon: 1e-60 }), 'epsilon must be > 0 in float32'],
    ['weightDecay', () => adamw(1, { weightDecay: -1 }), 'weightDecay must be a finite number >= 0, got -1'],
    ['momentum', () => sgd(1, { momentum: 1 }), 'momentum must be .* < 1, got 1'],
    ['dampening', () => sgd(1, { dampening: 2 }), 'dampening must be .* <= 1, got 2'],
    [
      'nesterov without momentum',
      () => sgd(1, { nesterov: true }),
      'nesterov needs momentum > 0 and dampening 0',
    ],
    [
      'nesterov with dampening',
      () => sgd(1, { nesterov: true, momentum: 0.9, dampening: 0.1 }),
      'got momentum 0.9 and dampening 0.1',
    ],
    ['k', () => adamw(1, { k: 1.5 }), 'k must be a finite number >= 0 and <= 1, got 1.5'],
    [
      'constraintLearningRate',
      () => adamw(1, { constraintLearningRate: -1 }),
      'constraintLearningRate must be',
    ],
    ['constraintBeta1', () => adamw(1, { constraintBeta1: 1 }), 'constraintBeta1 must be'],
    [
      'constraintBeta2',
      () => adamw(1, { constraintBeta2: Infinity }),
      'constraintBeta2 must be .*, got Infinity',
    ],
    [
      'nonFinite',
      () => adamw(1, { nonFinite: 'maybe' }),
      "nonFinite must be one of 'throw', 'skip', 'ignore', got 'maybe'",
    ],
    ['implementation', () => adamw(1, { implementation: 'gpu' }), "got 'gpu'"],
    ['threads', () => adamw(1, { threads: 0 }), 'threads must be a whole number from 1 to 256, got 0'],
    ['threads, a fraction', () => adamw(1, { threads: 1.5 }), 'got 1.5'],
    ['an empty substring', () => adamw(1, { exclude: [''] }), "got '' at position 0"],
    ['a layer without a name', () => adamw(1, { exclude: [{ layer: '' }] }), "got {layer: ''} at position 0"],
  ])('%s', (_what, make, message) => {
    expect(make).toThrow(RangeError);
    expect(make).toThrow(new RegExp(message));
  });
});

describe('learning rate', () => {
  it('is settable, to a number or a schedule that starts with step 0', () => {
    const w = randomVariable('w', [2, 3]);
    const optimizer = ftp.sgd(0.5);
    expect(optimizer.learningRate).toBe(0.5);
    const asked: number[] = [];
    optimizer.learningRate = (step) => {
      asked.push(step);
      return 0.1 / (step + 1);
    };
    stepOnce(optimizer, [w], 1);
    stepOnce(optimizer, [w], 2);
    expect(asked).toEqual([0, 1]);
    expect(optimizer.learningRate).toBeCloseTo(0.1 / 3, 12);
    optimizer.learningRate = 0;
    expect(optimizer.learningRate).toBe(0);
    optimizer.dispose();
  });

  it('is checked when set and at each step', () => {
    const w = randomVariable('w', [2, 3]);
    const optimizer = ftp.adamw((step) => (step < 1 ? 1e-3 : Number.NaN));
    expect(() => {
      optimizer.learningRate = -1;
    }).toThrow(RangeError);
    expect(() => {
      (optimizer as { learningRate: unknown }).learningRate = null;
    }).toThrow(TypeError);
    stepOnce(optimizer, [w], 1);
    const before = Array.from(w.dataSync());
    expect(() => stepOnce(optimizer, [w], 2)).toThrow('learningRate must be a finite number >= 0, got NaN');
    expect(Array.from(w.dataSync())).toEqual(before);
    expect(optimizer.iterations).toBe(1);
    optimizer.dispose();
  });
});

describe('implementation', () => {
  it('says before the first step what would run', () => {
    expect(ftp.adamw(1e-3, { implementation: 'reference' }).implementation).toBe('reference');
    expect(['cpu', 'reference']).toContain(ftp.adamw(1e-3).implementation);
  });

  it("throws what was tried, with 'native' on a backend without a native step", async () => {
    class OddBackend extends tf.KernelBackend {
      override dispose(): void {}
    }
    tf.registerBackend('odd', () => new OddBackend());
    await tf.setBackend('odd');
    try {
      const optimizer = ftp.adamw(1e-3, { implementation: 'native' });
      expect(() => optimizer.implementation).toThrow(FtpError);
      expect(() => optimizer.implementation).toThrow("the tfjs backend is 'odd'");
      expect(ftp.adamw(1e-3).implementation).toBe('reference');
    } finally {
      await tf.setBackend('cpu');
      tf.removeBackend('odd');
    }
  });
});
