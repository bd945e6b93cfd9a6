/**
 * Options that do not involve tfjs, and how they are declared: one table per group of options, with the check and the
 * default of each. The types with the docstrings stand beside the tables.
 */

import {
  checkBoolean,
  checkChoice,
  checkInteger,
  checkNumber,
  describe,
  MAX_THREADS,
  type NumberBounds,
} from './validate.js';

/** How one option is checked, and what stands for it where it is not given. */
export interface OptionSpec<T> {
  /** Returns `value` if it is acceptable for the option `name`; throws TypeError or RangeError. */
  check(name: string, value: unknown): T;
  /** Not checked. */
  default: T;
  /** What a saved configuration has in place of a value; default: the value itself. */
  saved?(value: T): unknown;
}

/** Every option of a group, in the order in which a saved configuration tells them. */
export type OptionTable<O> = { readonly [K in keyof O]: OptionSpec<O[K]> };

/** Bounds of a decay factor. */
export const UNIT: NumberBounds = { min: 0, below: 1 };

export function numberOption(byDefault: number, bounds: NumberBounds): OptionSpec<number> {
  return { default: byDefault, check: (name, value) => checkNumber(name, value, bounds) };
}

export function flagOption(byDefault: boolean): OptionSpec<boolean> {
  return { default: byDefault, check: checkBoolean };
}

export function choiceOption<T extends string>(byDefault: T, choices: readonly T[]): OptionSpec<T> {
  return { default: byDefault, check: (name, value) => checkChoice(name, value, choices) };
}

/**
 * The options of a table: those given, checked, and defaults for the others. Others than the table's are not looked at.
 * `prefix`: what stands before their names in messages.
 */
export function resolveOptions<O>(table: OptionTable<O>, given: object, prefix = ''): O {
  const resolved: Partial<O> = {};
  for (const name of Object.keys(table) as Array<keyof O & string>) {
    const spec = table[name];
    const value: unknown = (given as { [name: string]: unknown })[name];
    // undefined alone stands for the default: null is a wrong type.
    resolved[name] = value === undefined ? spec.default : spec.check(prefix + name, value);
  }
  return resolved as O;
}

/** The options of a table that a saved configuration tells. */
export function savedOptions(
  table: OptionTable<object>,
  options: { readonly [name: string]: unknown },
): { [name: string]: unknown } {
  const specs: Array<[string, OptionSpec<unknown>]> = Object.entries(table);
  return Object.fromEntries(
    specs.map(([name, { saved }]) => [name, saved ? saved(options[name]) : options[name]]),
  );
}

/** What to do when a gradient holds NaN or an infinity. */
export type NonFiniteAction = 'throw' | 'skip' | 'ignore';

/** How states are stored, by their codes in native code. */
export type StateFormat = 'float32' | 'bfloat16';
export const STATE_FORMATS = ['float32', 'bfloat16'] as const satisfies readonly StateFormat[];

/** Options of running a step, whatever it computes. */
export interface RunOptions {
  /**
   * What happens when a gradient holds NaN or an infinity. `'throw'` (default): `FtpError` with code
   * `NON_FINITE_GRADIENT`, before anything is written. `'skip'`: the whole step is left out and counted
   * in `skippedSteps`. `'ignore'`: no check (one read of the gradients less); NaN spreads, as it does in
   * the authors' code. A finite gradient so large that AdamW's `v` overflows float32 (about 5e20 with the default `beta2`)
   * passes every check: `v` stays infinite and that weight stops for good, as with `tf.train.adam`.
   *
   * With `'throw'` and `'skip'` the weights and the anchor that a variable starts with are checked too, once, at its
   * first step (`createFusedStep`: when it is called): `FtpError` with code `NON_FINITE_WEIGHTS`.
   */
  nonFinite?: NonFiniteAction;
  /**
   * Threads of the native CPU step, 1 to 256. Default: the environment variable `TFJS_FTP_THREADS` (1 to 256), else
   * all cores that the process may run on, or fewer where a container allows less processor time. The results are the
   * same bits for any number.
   */
  threads?: number;
  /**
   * How the state is stored. `'float32'` (default): 4 bytes per number. `'bfloat16'`: 2 bytes per number of the deviation,
   * the moments (`m`, `v`, `vmax`) and the momentum; the anchor, averages and numbers per row stay float32. With
   * `ftp.adamw` the state takes 10 bytes per weight instead of 16, and a step moves 26 instead of 40.
   *
   * Every step computes in float32 and rounds what it stores to nearest, ties to even, so that 8 significant bits remain.
   * What a step changes by less than about 1/500 is lost: a deviation stands still where the learning rate is that much
   * smaller than itself, and with `beta2` 0.999 a `v` rises where g^2 is 3 to 5 times larger, but never falls. With a `beta2`
   * of 0.99 or less it does.
   *
   * A saved state holds float32 numbers whatever the format: it can be loaded with another one. Loading with the same
   * format goes on with the same bits; into bfloat16 rounds; out of it loses nothing.
   */
  stateFormat?: StateFormat;
}

/** {@link RunOptions} with every default filled in; `threads` null: the native default. */
export interface RunSettings {
  nonFinite: NonFiniteAction;
  threads: number | null;
  stateFormat: StateFormat;
}

export const RUN_OPTIONS: OptionTable<RunSettings> = {
  nonFinite: choiceOption('throw', ['throw', 'skip', 'ignore']),
  threads: { default: null, check: (name, value) => checkInteger(name, value, 1, MAX_THREADS) },
  stateFormat: choiceOption('float32', STATE_FORMATS),
};

/**
 * A learning rate, or a function of the step (0 at the first one). What a function of `schedules` made is saved with the
 * optimizer. Another function is not: set `optimizer.learningRate` to it again after loading.
 */
export type LearningRate = number | ((step: number) => number);

/** The learning rate that a step uses: finite and >= 0 (0 is allowed, so that warm-up can start there). */
export function checkLearningRate(value: unknown): number {
  return checkNumber('learningRate', value, { min: 0 });
}

/** A number, or a function that maps the step (0-based) to a number; the function is not called here. */
export function checkLearningRateOrSchedule(value: unknown): void {
  if (typeof value === 'function') return;
  if (typeof value !== 'number') {
    throw new TypeError(
      `learningRate must be a finite number >= 0 or a function of the step, got ${describe(value)}`,
    );
  }
  checkLearningRate(value);
}
