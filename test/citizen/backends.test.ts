/** tf.setBackend between steps, and between everything else: the state follows. */

import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Implementation } from '../../src/backends/types.js';
import type { FtpOptimizer } from '../../src/index.js';
import { IMPLEMENTATIONS } from '../backends/implementations.js';
import { randomTensor, randomVariable, stepOnce } from '../optimizers/support.js';
import { bytesOf, everything, MAKERS, range } from './support.js';

const native = IMPLEMENTATIONS.filter((one) => one.missing === null && one.implementation === 'native').map(
  ({ backend }) => backend as string,
);
const OTHER = 'no-native-step';
const SHAPES: Record<string, number[]> = { a: [5, 4], b: [3], 'head/c': [4] };

const makeVariables = () => Object.entries(SHAPES).map(([name, shape], i) => randomVariable(name, shape, i));

describe('a change of backend', () => {
  beforeAll(() => {
    // The cpu backend under a name for which there is no native step.
    tf.registerBackend(OTHER, () => new MathBackendCPU());
    for (const kernel of tf.getKernelsForBackend('cpu')) tf.registerKernel({ ...kernel, backendName: OTHER });
  });
  afterAll(async () => {
    await tf.setBackend('cpu');
    tf.removeBackend(OTHER);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    tf.disposeVariables();
  });

  /** Steps on the given backends; what ran, and the bytes of everything after that. */
  async function run(make: (typeof MAKERS)[string], backends: string[]) {
    await tf.setBackend(backends[0] as string);
    const variables = makeVariables();
    const optimizer = make({});
    const ran: string[] = [];
    for (const [step, backend] of backends.entries()) {
      await tf.setBackend(backend);
      stepOnce(optimizer, variables, step);
      ran.push(optimizer.implementation);
    }
    const { weights, state } = await everything(optimizer, variables);
    optimizer.dispose();
    for (const variable of variables) variable.dispose();
    return { ran, weights, state };
  }

  it.each(Object.entries(MAKERS).filter(([name]) => !name.startsWith('wrap(adam)')))(
    '%s: through every native backend, the bits of staying on one',
    async (_, make) => {
      expect(native.length).toBeGreaterThanOrEqual(2);
      const wandering = [...native, ...native.toReversed(), ...native];
      const { ran, ...result } = await run(make, wandering);
      expect(ran.map((name) => name.replace(/-cpu$|-gpu$/, ''))).toEqual(wandering);
      const { ran: _ran, ...resting } = await run(
        make,
        wandering.map(() => 'cpu'),
      );
      expect(result).toEqual(resting);
    },
  );

  it.each(Object.entries(MAKERS))(
    '%s: to one without a native step and back, near staying on one',
    async (_, make) => {
      const wandering = native.flatMap((backend) => [backend, OTHER, backend]);
      const { ran, weights, state } = await run(make, wandering);
      expect(ran.filter((name) => name === 'reference')).toHaveLength(native.length);
      expect(ran.filter((name) => name !== 'reference')).toHaveLength(2 * native.length);
      const resting = await run(
        make,
        wandering.map(() => 'cpu'),
      );
      expect(Object.keys(state)).toEqual(Object.keys(resting.state));
      const floats = (entries: Array<Array<string | number | undefined>>) =>
        entries.flatMap(([, bytes]) => {
          const buffer = Buffer.from(String(bytes), 'hex');
          return range(buffer.length / 4).map((i) => buffer.readFloatLE(4 * i));
        });
      const [here, there] = [floats(weights), floats(resting.weights)];
      for (const [i, weight] of here.entries()) expect(weight).toBeCloseTo(there[i] as number, 5);
      expect(state.iterations).toBe(wandering.length);
    },
  );

  it.each(Object.entries(MAKERS))(
    '%s: reading, reanchoring, setWeights and dispose while another backend is active',
    async (_, make) => {
      for (const home of native) {
        for (const away of [...native, OTHER].filter((backend) => backend !== home)) {
          await tf.setBackend(home);
          const variables = makeVariables();
          const optimizer = make({});
          for (const step of range(3)) stepOnce(optimizer, variables, step);
          const before = await everything(optimizer, variables);
          const reports = await optimizer.constraints();
          await tf.setBackend(away);
          expect((await everything(optimizer, variables)).state).toEqual(before.state);
          expect(await optimizer.constraints()).toEqual(reports);
          const weights = await optimizer.getWeights();
          const copy = make({});
          await copy.setWeights(weights);
          await tf.setBackend(home);
          tf.dispose(weights.map(({ tensor }) => tensor));
          expect((await everything(copy, variables)).state).toEqual(before.state);
          copy.dispose();
          await tf.setBackend(away);
          optimizer.reanchor();
          await tf.setBackend(home);
          const anchor = (await optimizer.getWeights()).find(({ name }) => name === 'a/anchor')?.tensor;
          expect(bytesOf(anchor as tf.Tensor)).toBe(bytesOf(variables[0] as tf.Variable));
          for (const { tensor } of await optimizer.getWeights()) tensor.dispose();
          anchor?.dispose();
          await tf.setBackend(away);
          optimizer.dispose();
          for (const variable of variables) variable.dispose();
          await tf.setBackend(home);
        }
      }
    },
  );

  it('a variable made by reshaping on one backend keeps its shape on another', async () => {
    for (const home of native) {
      for (const away of [...native, OTHER].filter((backend) => backend !== home)) {
        const finish = async (first: string) => {
          await tf.setBackend(first);
          const flat = randomTensor([20], 3);
          const variable = tf.tidy(() => tf.variable(tf.reshape(flat, [5, 4]), true, 'reshaped'));
          await tf.setBackend(home);
          const optimizer = MAKERS.sgd?.({ exclude: [] }) as FtpOptimizer;
          for (const step of range(3)) stepOnce(optimizer, [variable], step);
          expect(variable.shape).toEqual([5, 4]);
          const result = bytesOf(variable);
          for (const disposable of [optimizer, variable, flat]) disposable.dispose();
          return result;
        };
        expect(await finish(away)).toBe(await finish(home));
      }
    }
  });

  it('anchors and loaded state may come from another backend', async () => {
    for (const home of native) {
      for (const away of native.filter((backend) => backend !== home)) {
        const finish = async (first: string) => {
          await tf.setBackend(first);
          const variables = makeVariables();
          const anchors = { a: randomTensor([5, 4], 50), b: randomTensor([3], 51) };
          const optimizer = MAKERS.adamw?.({ anchors }) as FtpOptimizer;
          tf.dispose(anchors);
          await tf.setBackend(home);
          for (const step of range(2)) stepOnce(optimizer, variables, step);
          await tf.setBackend(first);
          const weights = await optimizer.getWeights();
          const loaded = MAKERS.adamw?.({}) as FtpOptimizer;
          await loaded.setWeights(weights);
          tf.dispose(weights.map(({ tensor }) => tensor));
          await tf.setBackend(home);
          for (const step of range(2, 2)) stepOnce(loaded, variables, step);
          const { state, weights: values } = await everything(loaded, variables);
          for (const disposable of [optimizer, loaded, ...variables]) disposable.dispose();
          return { state, values };
        };
        expect(await finish(away)).toEqual(await finish(home));
      }
    }
  });

  it.each(Object.entries(MAKERS))('%s: a move of the state that fails has moved nothing', async (_, make) => {
    for (const [i, home] of native.entries()) {
      const away = native[(i + 1) % native.length] as string;
      await tf.setBackend(home);
      const variables = makeVariables();
      const optimizer = make({});
      for (const step of range(2)) stepOnce(optimizer, variables, step);
      const before = await everything(optimizer, variables);
      const { implementation } = (
        optimizer as unknown as { states: { selection: { implementation: Implementation } } }
      ).states.selection;
      await tf.setBackend(away);
      const read = implementation.read.bind(implementation);
      let calls = 0;
      vi.spyOn(implementation, 'read').mockImplementation((state, slot) => {
        if (++calls === 6) throw new Error('lost on the way'); // when the first state has been moved
        return read(state, slot);
      });
      const tensors = tf.memory().numTensors;
      expect(() => stepOnce(optimizer, variables, 2)).toThrow('lost on the way');
      expect(tf.memory().numTensors).toBe(tensors);
      vi.restoreAllMocks();
      await tf.setBackend(home);
      expect(await everything(optimizer, variables)).toEqual(before);
      await tf.setBackend(away);
      stepOnce(optimizer, variables, 2);
      expect(optimizer.implementation).not.toBe(implementation.name);
      for (const disposable of [optimizer, ...variables]) disposable.dispose();
    }
  });
});
