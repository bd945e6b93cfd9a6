/** The mean of several calls' gradients as one step. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, expect, it, vi } from 'vitest';
import type { Implementation } from '../../src/backends/types.js';
import { type FtpOptimizer, ftp, type NamedTensor, sgd, spd, type TrainingOptions } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { bytesOf, codeOf, everything, range, stateBytes } from '../citizen/support.js';
import { fromConfigOf, randomTensor, randomVariable, stepOnce } from '../optimizers/support.js';

const SHAPES: ReadonlyArray<[string, number[]]> = [
  ['a', [3, 4]],
  ['b', [5]],
  ['head/c', [2, 2]],
];

describeImplementations('accumulate', (implementation) => {
  const options = { implementation: implementation.implementation, exclude: ['head'] };
  let variables: tf.Variable[];
  const gradientsOf = (seed: number) =>
    Object.fromEntries(SHAPES.map(([name, shape], i) => [name, randomTensor(shape, seed * 31 + i)]));
  const weights = () => variables.map(bytesOf);
  const reset = () => {
    tf.disposeVariables();
    variables = SHAPES.map(([name, shape], i) => randomVariable(name, shape, i));
  };

  beforeAll(() => useBackend(implementation));
  afterEach(() => {
    vi.restoreAllMocks();
    tf.disposeVariables();
  });

  const makers: Record<string, (own: TrainingOptions) => FtpOptimizer> = {
    'ftp.adamw': (own) => ftp.adamw(0.01, { ...options, ...own }),
    'ftp.sgd': (own) => ftp.sgd(0.05, { ...options, momentum: 0.9, ...own }),
    'spd.wrap(adam)': (own) => spd.wrap(tf.train.adam(0.01), { ...options, ...own }),
  };

  it.each(Object.entries(makers))('%s: as one step with the mean, and nothing before', (_name, make) => {
    reset();
    const count = tf.memory().numTensors;
    const accumulating = make({ accumulate: 4, globalClipNorm: 0.5 });
    const seen: string[][] = [];
    for (const call of range(8)) {
      const before = weights();
      stepOnce(accumulating, variables, call);
      if (call % 4 === 3) seen.push(weights());
      else expect(weights()).toEqual(before);
      expect(accumulating.iterations).toBe(Math.floor((call + 1) / 4));
    }
    accumulating.dispose();
    expect(tf.memory().numTensors).toBe(count);

    reset();
    const plain = make({ globalClipNorm: 0.5 });
    for (const step of range(2)) {
      const calls = range(4, 4 * step).map(gradientsOf);
      // Halves and quarters are exact: the same bits.
      const sums = Object.fromEntries(
        SHAPES.map(([name]) => [
          name,
          tf.tidy(() => {
            const [first, ...others] = calls.map((call) => call[name] as tf.Tensor);
            return tf.mul(
              others.reduce((sum, g) => tf.add(sum, g), first as tf.Tensor),
              0.25,
            );
          }),
        ]),
      );
      plain.applyGradients(sums);
      tf.dispose([calls, sums]);
      const own = variables.map((variable) => Array.from(variable.dataSync()));
      for (const [i, bytes] of (seen[step] as string[]).entries()) {
        const theirs = new Float32Array(Uint8Array.from(Buffer.from(bytes, 'hex')).buffer);
        // Two factors at once, or one after the other: a rounding apart.
        for (const [j, w] of theirs.entries()) expect(w).toBeCloseTo((own[i] as number[])[j] as number, 6);
      }
    }
    plain.dispose();
  });

  it('without clipping, by a power of 2: the bits of a step with the mean', () => {
    reset();
    const accumulating = ftp.adamw(0.01, { ...options, accumulate: 2 });
    for (const call of range(6)) stepOnce(accumulating, variables, call);
    const accumulated = weights();
    accumulating.dispose();
    reset();
    const plain = ftp.adamw(0.01, options);
    for (const step of range(3)) {
      const [one, two] = [gradientsOf(2 * step), gradientsOf(2 * step + 1)];
      const means = Object.fromEntries(
        SHAPES.map(([name]) => [
          name,
          tf.tidy(() => tf.mul(tf.add(one[name] as tf.Tensor, two[name] as tf.Tensor), 0.5)),
        ]),
      );
      plain.applyGradients(means);
      tf.dispose([one, two, means]);
    }
    expect(weights()).toEqual(accumulated);
    plain.dispose();
  });

  it('a variable without a gradient in some calls has zeros there, without any it is left alone', () => {
    reset();
    const optimizer = sgd(1, { implementation: options.implementation, accumulate: 2 });
    const [a, b, c] = variables as [tf.Variable, tf.Variable, tf.Variable];
    const before = weights();
    const initial = a.dataSync().slice();
    const ones = { a: tf.ones([3, 4]) };
    const more = { b: tf.ones([5]) };
    optimizer.applyGradients(ones);
    optimizer.applyGradients(more);
    for (const [i, w] of a.dataSync().entries()) expect(w).toBeCloseTo((initial[i] as number) - 0.5, 6);
    expect(bytesOf(b)).not.toBe(before[1]);
    expect(bytesOf(c)).toBe(before[2]);
    tf.dispose([ones, more]);
    optimizer.dispose();
  });

  it('a schedule counts steps', () => {
    reset();
    const asked: number[] = [];
    const rate = (step: number) => {
      asked.push(step);
      return 0.1;
    };
    const optimizer = sgd(rate, { implementation: options.implementation, accumulate: 3 });
    for (const call of range(9)) stepOnce(optimizer, variables, call);
    expect(asked).toEqual([0, 1, 2]);
    optimizer.dispose();
  });

  it.each(Object.entries(makers))(
    '%s: saved between the calls and resumed: the same bits',
    async (_name, make) => {
      reset();
      const optimizer = make({ accumulate: 3, clipNorm: 0.7, ema: { momentum: 0.5 } });
      for (const call of range(5)) stepOnce(optimizer, variables, call); // one step and two calls
      const saved = await optimizer.getWeights();
      expect(saved.map(({ name }) => name)).toContain('head/c/accumulated');
      const left = variables.map((variable) => variable.clone());
      for (const call of range(4, 5)) stepOnce(optimizer, variables, call);
      const [expected, state] = [weights(), await stateBytes(optimizer)];

      const resumed = fromConfigOf(optimizer);
      await resumed.setWeights(saved);
      const kept = await stateBytes(resumed);
      expect(Object.keys(kept).length).toBe(saved.length + 2);
      for (const [i, variable] of variables.entries()) variable.assign(left[i] as tf.Tensor);
      for (const call of range(4, 5)) stepOnce(resumed, variables, call);
      expect(weights()).toEqual(expected);
      expect(await stateBytes(resumed)).toEqual(state);
      tf.dispose([saved.map(({ tensor }: NamedTensor) => tensor), left]);
      optimizer.dispose();
      resumed.dispose();
    },
  );

  it('resumed under names with another suffix', async () => {
    reset();
    const optimizer = sgd(0.1, { implementation: options.implementation, accumulate: 2 });
    stepOnce(optimizer, variables, 1);
    const saved = await optimizer.getWeights();
    const resumed = fromConfigOf(optimizer);
    await resumed.setWeights(saved);
    stepOnce(optimizer, variables, 2);
    const expected = weights();
    tf.disposeVariables();
    const others = SHAPES.map(([name, shape], i) => randomVariable(`${name}_1`, shape, i));
    stepOnce(resumed, others.slice(1), 2); // 'a' has a gradient in the saved call alone
    expect(others.slice(1).map(bytesOf)).toEqual(
      // stepOnce numbers its gradients by position
      await (async () => {
        const again = fromConfigOf(optimizer);
        await again.setWeights(saved);
        const same = SHAPES.map(([name, shape], i) => randomVariable(name, shape, i));
        stepOnce(again, same.slice(1), 2);
        again.dispose();
        expect(bytesOf(same[0] as tf.Variable)).toBe(bytesOf(others[0] as tf.Variable));
        return same.slice(1).map(bytesOf);
      })(),
    );
    expect(expected).toHaveLength(3);
    tf.dispose(saved.map(({ tensor }: NamedTensor) => tensor));
    optimizer.dispose();
    resumed.dispose();
  });

  it.each(range(3))(
    'a gradient that is not finite in call %i: an error at that call, and nothing has changed',
    async (bad) => {
      reset();
      const run = async (fails: boolean) => {
        reset();
        const optimizer = ftp.adamw(0.01, { ...options, accumulate: 3 });
        for (const call of range(6)) {
          if (fails && call === 3 + bad) {
            const before = await everything(optimizer, variables);
            const given = { ...gradientsOf(7), b: tf.fill([5], Number.POSITIVE_INFINITY) };
            expect(codeOf(() => optimizer.applyGradients(given))).toBe('NON_FINITE_GRADIENT');
            expect(() => optimizer.applyGradients(given)).toThrow("gradient of 'b'");
            tf.dispose(given);
            expect({ ...(await everything(optimizer, variables)), tensors: 0 }).toEqual({
              ...before,
              tensors: 0,
            });
          }
          stepOnce(optimizer, variables, call);
        }
        const result = weights();
        optimizer.dispose();
        return result;
      };
      expect(await run(true)).toEqual(await run(false));
    },
  );

  it("a call that nonFinite: 'skip' leaves out is none of those of the mean", () => {
    const run = (skips: boolean) => {
      reset();
      const optimizer = ftp.adamw(0.01, { ...options, accumulate: 2, nonFinite: 'skip' });
      for (const call of range(4)) {
        if (skips) {
          const bad = { a: tf.fill([3, 4], Number.NaN) };
          optimizer.applyGradients(bad);
          bad.a.dispose();
          expect(optimizer.skippedSteps).toBe(call + 1);
        }
        stepOnce(optimizer, variables, call);
      }
      expect(optimizer.iterations).toBe(2);
      const result = weights();
      optimizer.dispose();
      return result;
    };
    expect(run(true)).toEqual(run(false));
  });

  it('a failure at the last call: the sums are as before, and the call can be made again', async () => {
    const run = async (fails: boolean) => {
      reset();
      const optimizer = ftp.adamw(0.01, { ...options, accumulate: 2 });
      for (const call of range(4)) {
        if (fails && call === 3) {
          const before = await everything(optimizer, variables);
          const { selection } = (
            optimizer as unknown as { states: { selection: { implementation: Implementation } } }
          ).states;
          const spy = vi.spyOn(selection.implementation, 'step').mockImplementation(() => {
            throw new Error('injected');
          });
          expect(() => stepOnce(optimizer, variables, 9)).toThrow('injected');
          spy.mockRestore();
          expect(await everything(optimizer, variables)).toEqual(before);
        }
        stepOnce(optimizer, variables, call);
      }
      const result = weights();
      optimizer.dispose();
      return result;
    };
    expect(await run(true)).toEqual(await run(false));
  });

  it('sums of a variable that is gone are left out', () => {
    reset();
    const optimizer = sgd(0.1, { implementation: options.implementation, accumulate: 2 });
    stepOnce(optimizer, variables, 1);
    variables[0]?.dispose();
    stepOnce(optimizer, variables.slice(1), 2);
    expect(optimizer.iterations).toBe(1);
    optimizer.dispose();
  });

  it('state with another number of calls: STATE_MISMATCH', async () => {
    reset();
    const optimizer = sgd(0.1, { implementation: options.implementation, accumulate: 4 });
    for (const call of range(3)) stepOnce(optimizer, variables, call);
    const saved = await optimizer.getWeights();
    for (const accumulate of [1, 2, 3]) {
      const other = sgd(0.1, { implementation: options.implementation, accumulate });
      await expect(other.setWeights(saved)).rejects.toThrow(
        "'accumulation' must be from 1 to accumulate - 1",
      );
      other.dispose();
    }
    const without = saved.filter(({ name }) => name !== 'accumulation');
    await expect(optimizer.setWeights(without)).rejects.toThrow('got none');
    tf.dispose(saved.map(({ tensor }: NamedTensor) => tensor));
    optimizer.dispose();
  });
});
