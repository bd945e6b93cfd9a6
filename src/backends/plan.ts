/**
 * The plan of a step: one Int32Array with every number that changes from step to step, for the addon
 * call and for the TensorFlow op alike (native/kernels/plan.h reads it). Float64 and int64 take two
 * words each, low word first.
 */

import type { BoundMethod, Scales, StepValues } from '../methods/method.js';
import type { RowLayout } from '../variables/row_layout.js';

/** What is the same for all variables of a step. */
export interface StepSettings {
  method: BoundMethod;
  /** The method's options, with the numbers of this step. */
  values: StepValues;
  /** Whether gradients that are not finite are refused. */
  checkFinite: boolean;
  /** Of the native step on a CPU; null: its default. */
  threads: number | null;
}

/** One variable in the plan. */
export interface PlanVariable {
  readonly spec: { readonly layout: RowLayout; readonly excluded: boolean };
  /** Constraint step, from 1. */
  t: number;
  /** Update of this variable, from 1. */
  n: number;
  /** Whether the weights are not what the last step left (first step, or assigned from outside). */
  fromWeights: boolean;
  /** Default: 1 for all. */
  scales?: Readonly<Scales> | undefined;
}

const MAGIC = 0x46545032; // 'FTP2'
const FIRST_NUMBER = 10;
const VARIABLE_WORDS = 16;
const WORD = 2 ** 32;
const NO_SCALES: Readonly<Scales> = { learningRate: 1, weightDecay: 1, rule: 1 };

/** Writes `value`, a whole number >= 0, as a little-endian int64. */
export function putInt64(words: Int32Array, index: number, value: number): void {
  words[index] = (value % WORD) | 0;
  words[index + 1] = Math.floor(value / WORD);
}

/** Encodes plans into one buffer that is reused while the method and the number of variables stay the same. */
export class PlanEncoder {
  private words = new Int32Array(0);
  /** The same memory: float64 lie at even words. */
  private doubles = new Float64Array(0);
  /** What is written already of each variable, since it rarely changes. */
  private layouts: RowLayout[] = [];
  private scales: Array<Readonly<Scales>> = [];

  /** The returned array is valid until the next call. */
  encode(settings: StepSettings, variables: readonly PlanVariable[]): Int32Array {
    const { base, rule } = settings.method;
    const count = variables.length;
    const headerWords = FIRST_NUMBER + 2 * (base.numbers.length + rule.numbers.length);
    const length = headerWords + VARIABLE_WORDS * count;
    if (this.words.length !== length || this.layouts.length !== count) {
      this.words = new Int32Array(length);
      this.doubles = new Float64Array(this.words.buffer);
      this.layouts = new Array(count);
      this.scales = new Array(count);
    }
    this.encodeHeader(settings, count);
    for (let i = 0; i < count; ++i) {
      this.encodeVariable(i, headerWords + VARIABLE_WORDS * i, variables[i] as PlanVariable);
    }
    return this.words;
  }

  private encodeHeader({ method, values, checkFinite, threads }: StepSettings, count: number): void {
    const { words, doubles } = this;
    const { base, rule } = method;
    words[0] = MAGIC;
    words[1] = base.code;
    words[2] = rule.code;
    words[3] = method.baseFlags;
    words[4] = method.ruleFlags;
    words[5] = checkFinite ? 1 : 0;
    words[6] = count;
    words[7] = threads ?? 0;
    words[8] = base.numbers.length;
    words[9] = rule.numbers.length;
    let next = FIRST_NUMBER / 2;
    for (const name of base.numbers) doubles[next++] = values[name] as number;
    for (const name of rule.numbers) doubles[next++] = values[name] as number;
  }

  private encodeVariable(i: number, at: number, variable: PlanVariable): void {
    const { words } = this;
    const { spec, scales = NO_SCALES } = variable;
    const { layout } = spec;
    words[at] = (spec.excluded ? 1 : 0) | (variable.fromWeights ? 2 : 0);
    if (this.layouts[i] !== layout) {
      putInt64(words, at + 2, layout.outer);
      putInt64(words, at + 4, layout.rows);
      putInt64(words, at + 6, layout.inner);
      this.layouts[i] = layout;
    }
    words[at + 8] = variable.t;
    words[at + 9] = variable.n;
    if (this.scales[i] !== scales) {
      this.doubles.set([scales.learningRate, scales.weightDecay, scales.rule], (at + 10) / 2);
      this.scales[i] = scales;
    }
  }
}
