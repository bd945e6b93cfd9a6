/** An optimizer at work on its own copy of a variable list, with gradients that are ready. */

import * as tf from '@tensorflow/tfjs-core';
import type { StepContender } from './contenders.js';
import { elementsOf, type VariableList } from './lists/index.js';
import type { Runnable } from './measure.js';
import { Unavailable } from './specs.js';
import { makeValues } from './values.js';

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

export class Subject implements Runnable {
  readonly name: string;
  readonly variables: tf.Variable[];
  private readonly optimizer: ReturnType<StepContender['create']>;
  private readonly gradients: tf.NamedTensorMap;
  private readonly smallest: tf.Variable;

  constructor(
    readonly contender: StepContender,
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
