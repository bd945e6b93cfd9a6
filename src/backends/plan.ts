/**
 * The plan of a step: one Int32Array with every number that changes from step to step, for the addon
 * call and for the TensorFlow op alike (native/kernels/plan.h reads it). Float64 and int64 take two
 * words each, low word first.
 */

import type { RowLayout } from '../projection/row_layout.js';

/** The update that is projected; fixes which state slots exist. */
export interface BaseConfig {
  /** 'proposal': the weights already hold what another optimizer proposes. */
  base: 'adamw' | 'sgd' | 'proposal';
  amsgrad: boolean;
  /** Whether there is a momentum slot. */
  momentum: boolean;
}

/** The numbers of a step that are the same for all variables. */
export interface Hyper {
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  momentum: number;
  dampening: number;
  nesterov: boolean;
  k: number;
  constraintLearningRate: number;
  constraintBeta1: number;
  constraintBeta2: number;
  checkFinite: boolean;
  /** 0: the native default. */
  threads: number;
}

/** One variable in the plan. */
export interface PlanVariable {
  layout: RowLayout;
  excluded: boolean;
  t: number;
  n: number;
  fromWeights: boolean;
}

const MAGIC = 0x46545031; // 'FTP1'
const HEADER_WORDS = 40;
const VARIABLE_WORDS = 16;
const FIRST_DOUBLE = 6;
const WORD = 2 ** 32;

/** Code of the base update in the plan. */
export function baseCode(config: BaseConfig): number {
  return { adamw: 0, sgd: 1, proposal: 2 }[config.base];
}

/** Flags that fix the state's layout. */
export function configFlags(config: BaseConfig): number {
  return (config.amsgrad ? 1 : 0) | (config.momentum ? 2 : 0);
}

/** Writes `value`, a whole number >= 0, as a little-endian int64. */
export function putInt64(words: Int32Array, index: number, value: number): void {
  words[index] = (value % WORD) | 0;
  words[index + 1] = Math.floor(value / WORD);
}

/** Encodes plans into one buffer that is reused while the number of variables stays the same. */
export class PlanEncoder {
  private words = new Int32Array(0);
  private layouts: RowLayout[] = [];
  private readonly numbers = new Float64Array(11);
  private readonly numberWords = new Int32Array(this.numbers.buffer);

  /** The returned array is valid until the next call. */
  encode(config: BaseConfig, hyper: Hyper, variables: readonly PlanVariable[]): Int32Array {
    const count = variables.length;
    const length = HEADER_WORDS + VARIABLE_WORDS * count;
    if (this.words.length !== length) {
      this.words = new Int32Array(length);
      this.layouts = new Array(count);
    }
    this.encodeHeader(config, hyper, count);
    for (let i = 0; i < count; ++i) this.encodeVariable(i, variables[i] as PlanVariable);
    return this.words;
  }

  private encodeHeader(config: BaseConfig, hyper: Hyper, count: number): void {
    const { words, numbers } = this;
    words[0] = MAGIC;
    words[1] = baseCode(config);
    words[2] = configFlags(config) | (hyper.nesterov ? 4 : 0) | (hyper.checkFinite ? 8 : 0);
    words[3] = count;
    words[4] = hyper.threads;
    numbers[0] = hyper.learningRate;
    numbers[1] = hyper.beta1;
    numbers[2] = hyper.beta2;
    numbers[3] = hyper.epsilon;
    numbers[4] = hyper.weightDecay;
    numbers[5] = hyper.momentum;
    numbers[6] = hyper.dampening;
    numbers[7] = hyper.k;
    numbers[8] = hyper.constraintLearningRate;
    numbers[9] = hyper.constraintBeta1;
    numbers[10] = hyper.constraintBeta2;
    words.set(this.numberWords, FIRST_DOUBLE);
  }

  private encodeVariable(i: number, variable: PlanVariable): void {
    const { words } = this;
    const at = HEADER_WORDS + VARIABLE_WORDS * i;
    const { layout } = variable;
    words[at] = (variable.excluded ? 1 : 0) | (variable.fromWeights ? 2 : 0);
    if (this.layouts[i] !== layout) {
      putInt64(words, at + 2, layout.outer);
      putInt64(words, at + 4, layout.rows);
      putInt64(words, at + 6, layout.inner);
      this.layouts[i] = layout;
    }
    words[at + 8] = variable.t;
    words[at + 9] = variable.n;
  }
}
