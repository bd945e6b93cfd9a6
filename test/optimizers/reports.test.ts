/** What `constraints()` says, and how it and an optimizer are printed. */
import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { inspect } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { constraintTable, type FtpOptions, ftp } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { randomTensor, randomVariable, stepOnce, withWeights } from './support.js';

const oneLine = (text: string) => text.replace(/\s+/g, ' ');

describeImplementations('constraints()', (implementation) => {
  beforeAll(() => useBackend(implementation));
  afterEach(() => tf.disposeVariables());
  const options: FtpOptions = { implementation: implementation.implementation, exclude: ['head'] };

  /** Sum of absolute values of each column. */
  const columnNorms = (values: ArrayLike<number>, columns: number) => {
    const norms = new Array<number>(columns).fill(0);
    for (let i = 0; i < values.length; ++i)
      norms[i % columns] = (norms[i % columns] as number) + Math.abs(values[i] as number);
    return norms;
  };
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

  it('tells how far a variable went, and the scale to judge it by', async () => {
    const [w, head, zero] = [
      randomVariable('w', [6, 4], 1),
      randomVariable('head', [5], 2),
      tf.variable(tf.zeros([3]), true, 'zero'),
    ];
    const anchor = Float32Array.from(w.dataSync());
    const optimizer = ftp.adamw(0.1, options);
    for (let step = 0; step < 8; ++step) stepOnce(optimizer, [w, head, zero], step);
    const tensors = tf.memory().numTensors;
    const [report, excluded, fromZero] = await optimizer.constraints();
    expect(tf.memory().numTensors).toBe(tensors);
    const { gamma, norm, relative, anchorNorm, maxNorm } = report as unknown as Record<string, number>;
    expect(anchorNorm).toBeCloseTo(mean(columnNorms(anchor, 4)), 12);
    expect(relative).toBe((gamma as number) / (anchorNorm as number));
    const went = columnNorms(
      w.dataSync().map((value, i) => value - (anchor[i] as number)),
      4,
    );
    expect(norm).toBeCloseTo(Math.max(...went), 5);
    expect(norm).toBeLessThanOrEqual(gamma as number);
    expect(maxNorm).toBeGreaterThan(norm as number); // the projection cuts this early in training
    expect(excluded).toMatchObject({ gamma: null, norm: null, relative: null, anchorNorm: null, rows: 1 });
    expect(fromZero).toMatchObject({ anchorNorm: 0, relative: null });
    expect(fromZero?.gamma).toBeGreaterThan(0);
    // A new anchor, another scale.
    const other = randomTensor([6, 4], 77);
    w.assign(other);
    other.dispose();
    optimizer.reanchor();
    const [again] = await optimizer.constraints();
    expect(again?.anchorNorm).toBeCloseTo(mean(columnNorms(w.dataSync(), 4)), 12);
    optimizer.dispose();
  });

  it('says the same of a state that was loaded and waits', async () => {
    const w = randomVariable('w', [6, 4], 1);
    const all = { ...options, exclude: [] };
    const optimizer = ftp.sgd(0.1, all);
    for (let step = 0; step < 3; ++step) stepOnce(optimizer, [w], step);
    const loaded = ftp.sgd(0.1, all);
    await withWeights(optimizer, (weights) => loaded.setWeights(weights));
    expect(await loaded.constraints()).toEqual(await optimizer.constraints());
    optimizer.dispose();
    loaded.dispose();
  });
});

describe('constraintTable', () => {
  const report = {
    name: 'dense/kernel',
    gamma: 0.012345678,
    relative: 1.23456e-8,
    norm: 123456.7,
    maxNorm: Number.NaN,
    meanRatio: 1,
    atBoundary: 0.125,
    anchorNorm: null,
    rows: 30522,
    excluded: false,
  };

  it('rounds numbers but the count of rows, by name', () => {
    expect(constraintTable([report])).toEqual({
      'dense/kernel': {
        gamma: 0.01235,
        relative: 1.235e-8,
        norm: 123500,
        maxNorm: Number.NaN,
        meanRatio: 1,
        atBoundary: 0.125,
        anchorNorm: null,
        rows: 30522,
        excluded: false,
      },
    });
    expect(constraintTable([report], 2)['dense/kernel']?.gamma).toBe(0.012);
    expect(report.gamma).toBe(0.012345678);
  });

  it('is what console.table prints in short numbers', () => {
    const lines: string[] = [];
    const stdout = new Writable({ write: (chunk, _encoding, done) => done(void lines.push(String(chunk))) });
    new Console({ stdout }).table(constraintTable([report]));
    expect(lines.join('')).toMatch(/dense\/kernel +│ +0\.01235 +│ +1\.235e-8 +│ +123500 +│/);
  });
});

describe('an optimizer that is printed', () => {
  beforeAll(async () => {
    await import('@tensorflow/tfjs-backend-cpu');
    await tf.setBackend('cpu');
  });
  afterEach(() => tf.disposeVariables());

  it('takes a few lines: the rate, what differs from the defaults, what runs, counts', () => {
    const w = randomVariable('head/w', [6, 4], 1);
    randomVariable('top', [2], 2);
    const optimizer = ftp.adamw(0.1, {
      k: 0.5,
      weightDecay: 0.01,
      threads: 2,
      exclude: ['head/', /^top/i],
      implementation: 'reference',
    });
    stepOnce(optimizer, [w], 1);
    expect(oneLine(inspect(optimizer))).toBe(
      "FtpAdamWOptimizer { learningRate: 0.1, weightDecay: 0.01, k: 0.5, threads: 2, implementation: 'reference', " +
        "exclude: [ 'head/', /^top/i ], runs: 'reference', iterations: 1, variables: 1 }",
    );
    expect(inspect(optimizer).split('\n').length).toBeLessThan(14);
    optimizer.dispose();
    expect(inspect(optimizer)).toContain("runs: 'disposed'");
  });

  it('shows defaults by leaving them out, and the optimizer that it wraps', () => {
    expect(oneLine(inspect(ftp.sgd(1, { implementation: 'reference' })))).toBe(
      "FtpSgdOptimizer { learningRate: 1, implementation: 'reference', runs: 'reference', iterations: 0, variables: 0 }",
    );
    const wrapped = ftp.wrap(tf.train.adam(0.25), { implementation: 'reference', nonFinite: 'skip' });
    expect(oneLine(inspect(wrapped))).toBe(
      "FtpWrapOptimizer { learningRate: 0.25, nonFinite: 'skip', implementation: 'reference', base: 'Adam', " +
        "runs: 'reference', iterations: 0, variables: 0 }",
    );
    wrapped.dispose();
  });

  it('never throws: a schedule that does is shown as such', () => {
    const optimizer = ftp.sgd(() => {
      throw new Error('no rate today');
    });
    expect(inspect(optimizer)).toContain("learningRate: '(no rate today)'");
    expect(inspect({ deep: { in: { it: optimizer } } }, { depth: 2 })).toContain('[FtpSgdOptimizer]');
  });
});
