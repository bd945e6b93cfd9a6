/** Averages of the weights over the steps (EMA). */

import { clone, keep, type Tensor, type Variable } from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import {
  flagOption,
  numberOption,
  type OptionSpec,
  type OptionTable,
  resolveOptions,
  UNIT,
} from '../options.js';
import { checkInteger, checkOptionKeys } from '../validate.js';
import type { VariableRecord } from '../variables/variable_record.js';

/**
 * An exponential moving average of the weights, kept beside them: `ema = mu ema + (1 - mu) W` after each update of a
 * variable, in float32, where mu is
 *
 *     0                                                       at the first 1 + startStep updates, which copy the weights
 *     momentum                                                later
 *     max(minMomentum, min(momentum, 1 - (1 + q / warmupGamma)^-warmupPower))      later, with `warmup`
 *
 * with q = updates of the variable - startStep - 1. Excluded variables are averaged too.
 */
export interface EmaOptions {
  /** What the average keeps of itself, in [0, 1); default 0.99, as Keras's `ema_momentum`. */
  momentum?: number;
  /** The average moves at every so many updates of a variable; a whole number >= 1, default 1. */
  every?: number;
  /**
   * After every so many steps the weights of the step's variables become their averages, as with Keras's
   * `ema_overwrite_frequency`; a whole number >= 1. Default: never.
   */
  overwriteEvery?: number;
  /** Whether mu grows with the updates, as timm's `use_warmup`; default false. */
  warmup?: boolean;
  /** > 0; default 1. Larger: slower growth. */
  warmupGamma?: number;
  /** > 0; default 2/3, for long runs; 3/4 reaches `momentum` sooner. */
  warmupPower?: number;
  /** Least mu of the warm-up, in [0, 1); default 0. */
  minMomentum?: number;
  /** Updates after the first that still copy the weights, as timm's `update_after_step`; a whole number >= 0, default 0. */
  startStep?: number;
}

/** {@link EmaOptions}, complete. */
export interface EmaSettings {
  momentum: number;
  every: number;
  overwriteEvery: number | null;
  warmup: boolean;
  warmupGamma: number;
  warmupPower: number;
  minMomentum: number;
  startStep: number;
}

const MOST = 2 ** 31 - 1;

function count<T extends number | null>(byDefault: T, least: number): OptionSpec<T> {
  return { default: byDefault, check: (name, value) => checkInteger(name, value, least, MOST) as T };
}

const TABLE: OptionTable<EmaSettings> = {
  momentum: numberOption(0.99, UNIT),
  every: count(1, 1),
  overwriteEvery: count<number | null>(null, 1),
  warmup: flagOption(false),
  warmupGamma: numberOption(1, { above: 0 }),
  warmupPower: numberOption(2 / 3, { above: 0 }),
  minMomentum: numberOption(0, UNIT),
  startStep: count(0, 0),
};

export const emaOption: OptionSpec<EmaSettings | null> = {
  default: null,
  check(name, value) {
    checkOptionKeys(name, value, Object.keys(TABLE));
    return resolveOptions(TABLE, value as object, `${name}.`);
  },
  saved: (settings) =>
    settings && Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null)),
};

/** mu of update `n` (from 1) of a variable; 1 where the average does not move. */
export function emaMomentumOf(settings: EmaSettings, n: number): number {
  const { momentum, every, warmup, warmupGamma, warmupPower, minMomentum, startStep } = settings;
  const q = n - startStep - 1;
  if (q <= 0) return 0;
  if (n % every !== 0) return 1;
  if (!warmup) return momentum;
  return Math.max(minMomentum, Math.min(momentum, 1 - (1 + q / warmupGamma) ** -warmupPower));
}

/** A variable with the average that takes its place; `record` where a step has brought the variable. */
export interface Averaged {
  variable: Variable;
  average: Tensor;
  record: VariableRecord | null;
}

interface SwappedOut {
  variable: Variable;
  trained: Tensor;
  record: VariableRecord | null;
  /** Whether the weights were those that the last step left. */
  left: boolean;
}

/** The trained weights while the averages are in their place. */
export class EmaSwap {
  private held: SwappedOut[] | null = null;

  /** Whether the averages are in place. */
  get isIn(): boolean {
    return this.held !== null;
  }

  /** @throws FtpError EMA_SWAPPED_IN while the averages are in place. */
  assertOut(what: string): void {
    if (!this.isIn) return;
    throw new FtpError(
      'EMA_SWAPPED_IN',
      `${what} needs the trained weights, but their averages are in place: call optimizer.swapEma() before`,
    );
  }

  /** Assigns the averages, which it disposes; all or, on an error, none. */
  swapIn(averaged: readonly Averaged[]): void {
    const held = averaged.map(({ variable, record }): SwappedOut => {
      const left = record !== null && record.dataId === variable.dataId;
      return { variable, trained: keep(clone(variable)), record, left };
    });
    try {
      for (const { variable, average } of averaged) variable.assign(average);
    } catch (error) {
      putBack(held);
      throw error;
    } finally {
      for (const { average } of averaged) average.dispose();
    }
    this.held = held;
  }

  /** Puts the trained weights back; the next step goes on as if there had been no swap. */
  swapOut(): void {
    putBack(this.held ?? []);
    this.held = null;
  }

  /** Frees the trained weights; the averages stay in place. */
  dispose(): void {
    for (const { trained } of this.held ?? []) trained.dispose();
    this.held = null;
  }
}

function putBack(held: readonly SwappedOut[]): void {
  for (const { variable, trained, record, left } of held) {
    if (!variable.isDisposed) {
      variable.assign(trained);
      // On some backends a clone is a copy; it must not count as assigned from outside.
      if (left && record !== null) record.dataId = variable.dataId;
    }
    trained.dispose();
  }
}
