/** Clipping, against torch, Keras and optax, and the norm that it needs. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, expect, it, vi } from 'vitest';
import { adamw, type ClipOptions, type FtpOptimizer, ftp, sgd } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { bytesOf, codeOf, everything } from '../citizen/support.js';
import { randomVariable, stepOnce } from '../optimizers/support.js';
import type { JsonObject } from '../reference/golden.js';
import { distance2, norm2 } from '../reference/measures.js';
import { readRaw } from './cases.js';

const table = readRaw('clip_gradients') as unknown as {
  params: { name: string; shape: number[] }[];
  grads: { [name: string]: number[] };
  global_norm: number;
  clips: { kind: string; value: number; clipped: { [name: string]: number[] } }[];
  tolerance: { grad_rel: number };
};

/** The option of each kind. torch_norm has 1e-6 more in its norm; the 1-norm is not offered. */
const OPTION: { [kind: string]: keyof ClipOptions } = {
  torch_norm: 'globalClipNorm',
  torch_value: 'clipValue',
  keras_global: 'globalClipNorm',
  keras_each: 'clipNorm',
  optax_global: 'globalClipNorm',
};
const clips = table.clips.filter(({ kind }) => kind in OPTION);

it('all kinds of the file but the 1-norm are compared', () => {
  expect(clips.length).toBe(table.clips.length - 1);
  expect((readRaw('clip_gradients').clips as JsonObject[]).length).toBe(8);
});

describeImplementations('clipping', (implementation) => {
  const options = { implementation: implementation.implementation } as const;
  beforeAll(() => useBackend(implementation));
  afterEach(() => {
    vi.restoreAllMocks();
    tf.disposeVariables();
  });

  /** The gradients that a step of plain SGD took, from zero at a rate of 1. */
  function seen(given: ClipOptions, make: (given: ClipOptions) => FtpOptimizer, scale = 1) {
    const list = table.params.map(({ name, shape }) => {
      return tf.tidy(() => tf.variable(tf.zeros(shape), true, name));
    });
    const optimizer = make(given);
    const gradients = Object.fromEntries(
      table.params.map(({ name, shape }) => {
        return [
          name,
          tf.tensor(
            (table.grads[name] as number[]).map((g) => g * scale),
            shape,
          ),
        ];
      }),
    );
    expect(optimizer.lastGradientNorm).toBeNull();
    optimizer.applyGradients(gradients);
    const result = new Map(list.map((one) => [one.name, Array.from(one.dataSync(), (w) => -w)]));
    const norm = optimizer.lastGradientNorm;
    optimizer.dispose();
    tf.dispose([gradients, ...list]);
    return { result, norm };
  }

  it.each(clips.map((clip) => [`${clip.kind} ${clip.value}`, clip] as const))('%s', (_name, clip) => {
    const given = { [OPTION[clip.kind] as string]: clip.value };
    const makers = [
      (own: ClipOptions) => sgd(1, { ...options, ...own }),
      (own: ClipOptions) => ftp.wrap(tf.train.sgd(1), { ...options, exclude: () => true, ...own }),
    ];
    for (const make of makers) {
      const { result, norm } = seen(given, make);
      for (const [name, expected] of Object.entries(clip.clipped)) {
        const difference = distance2(result.get(name) as number[], expected) / norm2(expected);
        expect(difference, name).toBeLessThanOrEqual(table.tolerance.grad_rel);
      }
      if (clip.kind === 'torch_value') expect(norm).toBeNull();
      else expect(norm).toBeCloseTo(table.global_norm, 4);
    }
  });

  it('below the limit: the same bits as without', () => {
    const make = (own: ClipOptions) => adamw(0.01, { ...options, ...own });
    const plain = seen({}, make);
    expect(plain.norm).toBeNull();
    for (const own of [
      { clipNorm: 1e3 },
      { globalClipNorm: 1e3 },
      { clipValue: 1e3 },
      { gradientNorm: true },
    ]) {
      const { result, norm } = seen(own, make);
      expect(result).toEqual(plain.result);
      if (!('clipValue' in own)) expect((norm as number) / table.global_norm).toBeCloseTo(1, 6);
    }
  });

  it('norms that float32 cannot hold', () => {
    const make = (own: ClipOptions) => sgd(1, { ...options, ...own });
    for (const [scale, globalClipNorm] of [
      [1e30, 1],
      [1e-30, 1e-31],
    ] as const) {
      const { result, norm } = seen({ globalClipNorm }, make, scale);
      expect((norm as number) / scale / table.global_norm).toBeCloseTo(1, 5);
      const clipped = norm2([...result.values()].flat().map((g) => g / globalClipNorm));
      expect(clipped).toBeCloseTo(1, 4);
    }
  });

  it('zero gradients stay zero', () => {
    const make = (own: ClipOptions) => sgd(1, { ...options, ...own });
    for (const own of [{ clipNorm: 1 }, { globalClipNorm: 1 }]) {
      const { result, norm } = seen(own, make, 0);
      expect(norm).toBe(0);
      expect([...result.values()].flat().every((g) => g === 0)).toBe(true);
    }
  });

  it('what the rule sees is clipped: a step as with the clipped gradient', () => {
    const [given, clipped] = [randomVariable('given', [3, 2]), randomVariable('clipped', [3, 2])];
    const one = ftp.sgd(0.1, { ...options, clipValue: 0.25 });
    const two = ftp.sgd(0.1, options);
    for (const step of [1, 2, 3]) {
      const gradient = tf.tidy(() => tf.mul(tf.randomNormal([3, 2], 0, 1, 'float32', step), 1));
      const bounded = tf.clipByValue(gradient, -0.25, 0.25);
      one.applyGradients({ given: gradient });
      two.applyGradients({ clipped: bounded });
      expect(bytesOf(given)).toBe(bytesOf(clipped));
      tf.dispose([gradient, bounded]);
    }
    one.dispose();
    two.dispose();
  });

  it('a gradient that is not finite is found in the same read; nothing has changed', async () => {
    const all = [randomVariable('a', [3, 2]), randomVariable('b', [4])];
    for (const nonFinite of ['throw', 'skip'] as const) {
      const optimizer = ftp.adamw(0.01, { ...options, globalClipNorm: 1, nonFinite });
      stepOnce(optimizer, all, 1);
      const before = await everything(optimizer, all);
      const norm = optimizer.lastGradientNorm;
      expect(norm).toBeGreaterThan(0);
      const bad = { a: tf.ones([3, 2]), b: tf.tensor1d([1, Number.NaN, 1, 1]) };
      if (nonFinite === 'throw') {
        expect(codeOf(() => optimizer.applyGradients(bad))).toBe('NON_FINITE_GRADIENT');
        expect(() => optimizer.applyGradients(bad)).toThrow("gradient of 'b' holds NaN");
      } else {
        optimizer.applyGradients(bad);
        expect(optimizer.skippedSteps).toBe(1);
        optimizer.skippedSteps = 0;
      }
      tf.dispose(bad);
      expect(await everything(optimizer, all)).toEqual(before);
      expect(optimizer.lastGradientNorm).toBe(norm);
      optimizer.dispose();
    }
  });
});

it('more than one way to clip is refused, and so are bounds that are none', () => {
  expect(() => sgd(1, { clipNorm: 1, clipValue: 2 })).toThrow(RangeError);
  expect(() => sgd(1, { clipNorm: 1, clipValue: 2 })).toThrow(
    'at most one of clipNorm, globalClipNorm and clipValue must be given, got clipNorm 1, clipValue 2',
  );
  expect(() => ftp.adamw(1, { globalClipNorm: 0 })).toThrow(
    'globalClipNorm must be a finite number > 0, got 0',
  );
});
