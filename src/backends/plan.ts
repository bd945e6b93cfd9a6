/**
 * The plan of a step: one Int32Array with every number that changes from step to step, for the addon
 * call and for the TensorFlow op alike (native/kernels/plan.h reads it). Float64 and int64 take two
 * words each, low word first.
 */

import type { BoundMethod, StepValues } from '../methods/method.js';
import { STATE_FORMATS, type StateFormat } from '../options.js';
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
  /** Whether every state has the slot `ema`, a running average of the weights; default false. */
  ema?: boolean | undefined;
  /** Whether every state has the slot `gradient`, the gradient that the last step saw; default false. */
  keepGradient?: boolean | undefined;
}

/** One variable in the plan. */
export interface PlanVariable {
  readonly spec: {
    readonly layout: RowLayout;
    readonly excluded: boolean;
    /** Default float32. */
    readonly format?: StateFormat | undefined;
  };
  /** Constraint step, from 1. */
  t: number;
  /** Update of this variable, from 1. */
  n: number;
  /** Whether the weights are not what the last step left (first step, or assigned from outside). */
  fromWeights: boolean;
  /** The method's numbers as they are for this variable; default: {@link StepSettings.values}. */
  values?: StepValues | undefined;
  /** Factor on the gradient; default 1. */
  gradientScale?: number | undefined;
  /** Limit of the gradient's elements, behind the factor; default: none. */
  clipValue?: number | undefined;
  /** What the slot `ema` keeps of itself; 0 at the variable's first update, and by default. */
  emaMomentum?: number | undefined;
}

const MAGIC = 0x46545033; // 'FTP3'
const HEADER_WORDS = 10;
/** Of a variable, in front of its numbers. */
const FRONT_WORDS = 16;
const WORD = 2 ** 32;

const CHECK_FINITE = 1;
const EMA = 2;
const KEEP_GRADIENT = 4;

/** The step flags that decide which slots a state has. */
export function slotFlags({ ema, keepGradient }: Pick<StepSettings, 'ema' | 'keepGradient'>): number {
  return (ema ? EMA : 0) | (keepGradient ? KEEP_GRADIENT : 0);
}

/** The code of a state's format. */
export function formatCode(format: StateFormat = 'float32'): number {
  return STATE_FORMATS.indexOf(format);
}

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
  /** What is written already of each variable, since it never changes. */
  private layouts: RowLayout[] = [];

  /** The returned array is valid until the next call. */
  encode(settings: StepSettings, variables: readonly PlanVariable[]): Int32Array {
    const { base, rule } = settings.method;
    const names = [...base.numbers, ...rule.numbers];
    const count = variables.length;
    const variableWords = FRONT_WORDS + 2 * names.length;
    const length = HEADER_WORDS + variableWords * count;
    if (this.words.length !== length || this.layouts.length !== count) {
      this.words = new Int32Array(length);
      this.doubles = new Float64Array(this.words.buffer);
      this.layouts = new Array(count);
    }
    this.encodeHeader(settings, count);
    let last: StepValues | null = null;
    for (let i = 0; i < count; ++i) {
      const variable = variables[i] as PlanVariable;
      const at = HEADER_WORDS + variableWords * i;
      this.encodeVariable(i, at, variable);
      const { values = settings.values } = variable;
      const numbers = (at + FRONT_WORDS) / 2;
      if (values === last) {
        this.doubles.copyWithin(numbers, numbers - variableWords / 2, numbers - FRONT_WORDS / 2);
      } else {
        for (let j = 0; j < names.length; ++j) {
          this.doubles[numbers + j] = values[names[j] as string] as number;
        }
        last = values;
      }
    }
    return this.words;
  }

  private encodeHeader(settings: StepSettings, count: number): void {
    const { words } = this;
    const { method, checkFinite, threads } = settings;
    const { base, rule } = method;
    words[0] = MAGIC;
    words[1] = base.code;
    words[2] = rule.code;
    words[3] = method.baseFlags;
    words[4] = method.ruleFlags;
    words[5] = (checkFinite ? CHECK_FINITE : 0) | slotFlags(settings);
    words[6] = count;
    words[7] = threads ?? 0;
    words[8] = base.numbers.length;
    words[9] = rule.numbers.length;
  }

  private encodeVariable(i: number, at: number, variable: PlanVariable): void {
    const { words, doubles } = this;
    const { spec, gradientScale = 1, clipValue = Number.POSITIVE_INFINITY, emaMomentum = 0 } = variable;
    const { layout } = spec;
    words[at] = (spec.excluded ? 1 : 0) | (variable.fromWeights ? 2 : 0);
    words[at + 1] = formatCode(spec.format);
    if (this.layouts[i] !== layout) {
      putInt64(words, at + 2, layout.outer);
      putInt64(words, at + 4, layout.rows);
      putInt64(words, at + 6, layout.inner);
      this.layouts[i] = layout;
    }
    words[at + 8] = variable.t;
    words[at + 9] = variable.n;
    doubles[at / 2 + 5] = gradientScale;
    doubles[at / 2 + 6] = clipValue;
    doubles[at / 2 + 7] = emaMomentum;
  }
}
