/** An optimizer at work on its own copy of a variable list, with gradients that are ready. */

import * as tf from '@tensorflow/tfjs-core';
import type { FtpOptimizer } from 'tfjs-ftp';
import { elementsOf, type VariableList } from './lists.js';
import type { Runnable } from './measure.js';
import { Unavailable } from './suite.js';

/** A prime, so that tiles of one variable and of the next do not line up. */
const PATTERN_LENGTH = 1_048_583;
let pattern: Float32Array | undefined;

/** Uniform in (-1, 1), never 0. */
function makePattern(): Float32Array {
  const values = new Float32Array(PATTERN_LENGTH);
  let state = 1;
  for (let i = 0; i < PATTERN_LENGTH; ++i) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0; // Numerical Recipes' generator
    values[i] = (state | 128) / 2 ** 31;
  }
  return values;
}

/** Values in (-scale, scale); the same for the same arguments. */
export function makeValues(length: number, seed: number, scale: number): Float32Array {
  pattern ??= makePattern();
  const values = new Float32Array(length);
  let start = (seed * 7919) % PATTERN_LENGTH;
  for (let done = 0; done < length; start = 0) {
    const tile = pattern.subarray(start, start + Math.min(length - done, PATTERN_LENGTH - start));
    for (let i = 0; i < tile.length; ++i) values[done + i] = scale * (tile[i] as number);
    done += tile.length;
  }
  return values;
}

const WEIGHT_SCALE = 0.1;
const GRADIENT_SCALE = 0.01;

/** One gradient tensor for each variable of the list; all contenders read the same. */
export function makeGradients(list: VariableList): tf.Tensor[] {
  return list.variables.map(({ shape }, i) =>
    tf.tensor(makeValues(elementsOf(shape), 2 * i + 1, GRADIENT_SCALE), [...shape]),
  );
}

/** Initial weights; made anew when they are compared with, so that they take no memory meanwhile. */
function initialWeights(list: VariableList, i: number): Float32Array {
  const { shape } = list.variables[i] as VariableList['variables'][number];
  return makeValues(elementsOf(shape), 2 * i, WEIGHT_SCALE);
}

/** What Subject asks of a contender. */
interface Contender {
  name: string;
  label: string;
  create(): tf.Optimizer | FtpOptimizer;
}

export class Subject<C extends Contender = Contender> implements Runnable {
  readonly name: string;
  readonly variables: tf.Variable[];
  private readonly optimizer: tf.Optimizer | FtpOptimizer;
  private readonly gradients: tf.NamedTensorMap;
  private readonly smallest: tf.Variable;

  constructor(
    readonly contender: C,
    private readonly list: VariableList,
    gradients: readonly tf.Tensor[],
  ) {
    this.name = contender.name;
    try {
      this.optimizer = contender.create();
      void this.implementation;
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (
        code === 'ADDON_NOT_FOUND' ||
        code === 'TENSORFLOW_API_MISSING' ||
        code === 'TENSORFLOW_NOT_FOUND'
      ) {
        throw new Unavailable((error as Error).message.split('\n')[0]);
      }
      throw error;
    }
    this.variables = list.variables.map(({ name, shape }, i) => {
      const value = tf.tensor(initialWeights(list, i), [...shape]);
      const variable = tf.variable(value, true, `${contender.name}/${name}`);
      value.dispose();
      return variable;
    });
    this.gradients = Object.fromEntries(
      this.variables.map((variable, i) => [variable.name, gradients[i] as tf.Tensor]),
    );
    this.smallest = this.variables.reduce((least, variable) =>
      variable.size < least.size ? variable : least,
    );
  }

  /** What computes the step; null for stock optimizers. */
  get implementation(): string | null {
    return 'implementation' in this.optimizer ? this.optimizer.implementation : null;
  }

  run(): void {
    this.optimizer.applyGradients(this.gradients);
  }

  /** Reads the smallest variable, so that no backend can have put work off. */
  finish(): void {
    this.smallest.dataSync();
  }

  /** Throws unless every variable is finite and most of its elements have moved. */
  check(): void {
    for (const [i, variable] of this.variables.entries()) {
      const before = initialWeights(this.list, i);
      const now = variable.dataSync<'float32'>();
      let moved = 0;
      for (let j = 0; j < now.length; ++j) {
        if (!Number.isFinite(now[j])) throw new Error(`${variable.name} is not finite after the run`);
        if (now[j] !== before[j]) ++moved;
      }
      if (2 * moved < now.length) {
        throw new Error(`${variable.name}: only ${moved} of ${now.length} elements have moved`);
      }
    }
  }
}
