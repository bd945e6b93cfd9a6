import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { disposeWhenCollected } from '../../src/variables/collected.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Collects until `done` or until it is clear that it will not be. */
async function collectUntil(done: () => boolean): Promise<void> {
  for (let round = 0; round < 50 && !done(); ++round) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('tensors that are handed out', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it('are freed when they are dropped', async () => {
    const start = tf.memory();
    (() => {
      for (let i = 0; i < 5; ++i) disposeWhenCollected(tf.zeros([10]));
    })();
    expect(tf.memory().numTensors).toBe(start.numTensors + 5);
    await collectUntil(() => tf.memory().numTensors === start.numTensors);
    expect(tf.memory().numTensors).toBe(start.numTensors);
    expect(tf.memory().numBytes).toBe(start.numBytes);
  });

  it('are freed once only if they were disposed by hand, clones of them staying alive', async () => {
    const start = tf.memory().numTensors;
    const clone = (() => {
      const tensor = disposeWhenCollected(tf.tensor1d([1, 2, 3]));
      const result = tensor.clone();
      tensor.dispose();
      return result;
    })();
    let released = 0;
    (() => {
      disposeWhenCollected(tf.zeros([1])); // tells when collection has come this far
    })();
    await collectUntil(() => {
      released = start + 2 - tf.memory().numTensors;
      return released === 1;
    });
    expect(released).toBe(1);
    expect(Array.from(clone.dataSync())).toEqual([1, 2, 3]);
    clone.dispose();
    expect(tf.memory().numTensors).toBe(start);
  });
});
