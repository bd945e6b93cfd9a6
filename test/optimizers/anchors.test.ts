import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FtpError, ftp } from '../../src/index.js';
import { randomTensor, randomVariable, snapshot, stepOnce } from './support.js';

beforeAll(() => tf.setBackend('cpu'));
afterEach(() => tf.disposeVariables());

describe('anchors', () => {
  it('of names that no variable has throw at the first step', () => {
    const variables = [randomVariable('a', [2])];
    const optimizer = ftp.sgd(0.1, { anchors: { b: randomTensor([2], 1) } });
    expect(() => stepOnce(optimizer, variables, 1)).toThrow(FtpError);
    expect(() => stepOnce(optimizer, variables, 1)).toThrow(
      "anchors names 'b', which no variable has; registered variables: a",
    );
    expect(optimizer.iterations).toBe(0);
    optimizer.dispose();
  });

  it('of another shape throw with both shapes', () => {
    const variables = [randomVariable('a', [2])];
    const optimizer = ftp.sgd(0.1, { anchors: { a: randomTensor([3], 1) } });
    expect(() => stepOnce(optimizer, variables, 1)).toThrow(RangeError);
    expect(() => stepOnce(optimizer, variables, 1)).toThrow(
      "anchors['a'] must have its variable's shape [2], got [3]",
    );
    optimizer.dispose();
  });

  it('of other types and disposed ones are refused at once', () => {
    const int = tf.tensor1d([1, 2], 'int32');
    expect(() => ftp.sgd(0.1, { anchors: { a: int } })).toThrow(
      "anchors['a'] must be a float32 tensor, got a tensor of int32",
    );
    int.dispose();
    const gone = randomTensor([2], 1);
    gone.dispose();
    expect(() => ftp.sgd(0.1, { anchors: { a: gone } })).toThrow("anchors['a'] is disposed");
  });

  it('of a variable that is frozen at first are used when it gets its first gradient', async () => {
    const [a, b] = [randomVariable('a', [2]), randomVariable('b', [2])];
    const anchor = randomTensor([2], 5);
    const optimizer = ftp.sgd(0.1, { anchors: { b: anchor } });
    const expected = Array.from(anchor.dataSync());
    anchor.dispose();
    stepOnce(optimizer, [a], 1);
    stepOnce(optimizer, [a, b], 2);
    const { state } = await snapshot(optimizer, []);
    expect(state['b/anchor']).toEqual(expected);
    expect(state['b/steps']).toEqual([1, 1]);
    optimizer.dispose();
  });

  it('of a wrongly named variable leave no tensors behind after dispose', () => {
    const count = tf.memory().numTensors;
    const anchor = randomTensor([2], 1);
    const optimizer = ftp.sgd(0.1, { anchors: { nowhere: anchor } });
    anchor.dispose();
    optimizer.dispose();
    expect(tf.memory().numTensors).toBe(count);
  });
});
