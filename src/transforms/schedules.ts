/**
 * Learning rates by step, for `ftp.adamw(schedule)`, `ftp.sgd(schedule)` and `optimizer.learningRate`. Step 0 is the
 * first one.
 *
 * An optimizer saves a schedule of this module with its options, and has it again when it is loaded: training goes on
 * with the bits of a run without a break. A function of your own cannot be saved.
 *
 * The names of options are those of Keras where it has the schedule. Where PyTorch, Keras, optax and timm differ, an option
 * chooses; each function says which library does what.
 *
 * @module
 */

import { FtpError } from '../errors.js';
import { checkBoolean, checkChoice, checkNumber, checkOptionKeys, describe } from '../validate.js';
import {
  defineSchedule,
  isSchedule,
  type JsonValue,
  type Schedule,
  type ScheduleConfig,
} from './schedule.js';

export type { JsonValue, Schedule, ScheduleConfig };

const rateOf = (name: string, value: unknown) => checkNumber(name, value, { min: 0 });
const positive = (name: string, value: unknown) => checkNumber(name, value, { above: 0 });
const optional = <T>(check: (name: string, value: unknown) => T, name: string, value: unknown) =>
  value === null ? null : check(name, value);

/** From 1 at x = 0 to 0 at x = 1 and beyond, along half a cosine. */
const cosine = (x: number) => (1 + Math.cos(Math.PI * Math.min(x, 1))) / 2;
const line = (from: number, to: number, x: number) => from + (to - from) * x;

/** Options of {@link linearWarmup}. */
export interface LinearWarmupOptions {
  /** Learning rate of step 0, >= 0. Default: 0. */
  initialLearningRate?: number;
  /** Learning rate from step `warmupSteps` on, >= 0. */
  warmupTarget: number;
  /** Steps to get there, > 0. */
  warmupSteps: number;
}

/**
 * A straight line from one learning rate to another, then constant:
 *
 * ```
 * initialLearningRate + (warmupTarget - initialLearningRate) min(step / warmupSteps, 1)
 * ```
 *
 * Before another schedule: see {@link join}.
 *
 * @throws TypeError or RangeError for options of a wrong type or value.
 */
export function linearWarmup(options: LinearWarmupOptions): Schedule {
  const known = ['initialLearningRate', 'warmupTarget', 'warmupSteps'];
  checkOptionKeys('options', options, known);
  const { initialLearningRate = 0 } = options;
  const from = rateOf('initialLearningRate', initialLearningRate);
  const to = rateOf('warmupTarget', options.warmupTarget);
  const steps = positive('warmupSteps', options.warmupSteps);
  const config = { initialLearningRate: from, warmupTarget: to, warmupSteps: steps };
  return defineSchedule('linearWarmup', config, (step) => (step < steps ? line(from, to, step / steps) : to));
}

/** Options of {@link warmupCosine}. */
export interface WarmupCosineOptions {
  /** Learning rate of step 0, >= 0: where the warm-up begins, or the cosine if there is no warm-up. */
  initialLearningRate: number;
  /** Learning rate at the end of the warm-up, >= 0; null (default): no warm-up. */
  warmupTarget?: number | null;
  /** Steps of the warm-up, > 0 with `warmupTarget`. Default: 0. */
  warmupSteps?: number;
  /** Steps of the decay, > 0. */
  decaySteps: number;
  /** The last learning rate, as a fraction of the highest: 0 to 1. Default: 0. */
  alpha?: number;
  /**
   * Whether `decaySteps` counts the warm-up too, as in optax; it is more than `warmupSteps` then. Default: false, as in
   * Keras, PyTorch (`SequentialLR`) and timm with `warmup_prefix`.
   */
  warmupInDecaySteps?: boolean;
}

/**
 * A linear warm-up, or none, then half a cosine down to `alpha` of the peak, then constant:
 *
 * ```
 * peak (alpha + (1 - alpha) (1 + cos(pi min(x, 1))) / 2),   x = (step - warmupSteps) / decaySteps
 * ```
 *
 * - Keras `CosineDecay`: the same options.
 * - PyTorch `LinearLR`, then `CosineAnnealingLR`: `initialLearningRate` is `start_factor * lr`, `alpha` is `eta_min / lr`.
 *   Its rate rises again past the end; this one stays.
 * - optax `warmup_cosine_decay_schedule`: `warmupInDecaySteps: true`; `alpha` is `end_value / peak_value`. Its
 *   `exponent` is not offered.
 * - timm without `warmup_prefix`: the cosine begins at step 0 and the warm-up hides its beginning. That is a {@link join}
 *   of both with `restartSteps: false`. Its `k_decay` is not offered.
 *
 * @throws TypeError or RangeError for options of a wrong type or value.
 *
 * @example
 * ```ts
 * const schedule = schedules.warmupCosine({
 *   initialLearningRate: 0,
 *   warmupTarget: 1e-3,
 *   warmupSteps: 100,
 *   decaySteps: 900,
 * });
 * console.log(schedule(0), schedule(100), schedule(1000)); // 0 0.001 0
 * const optimizer = ftp.adamw(schedule);
 * ```
 */
export function warmupCosine(options: WarmupCosineOptions): Schedule {
  checkOptionKeys('options', options, [
    ...['initialLearningRate', 'warmupTarget', 'warmupSteps', 'decaySteps', 'alpha', 'warmupInDecaySteps'],
  ]);
  const { warmupTarget = null, warmupSteps = 0, alpha = 0, warmupInDecaySteps = false } = options;
  const initial = rateOf('initialLearningRate', options.initialLearningRate);
  const target = optional(rateOf, 'warmupTarget', warmupTarget);
  checkNumber('warmupSteps', warmupSteps, { min: 0 });
  if ((target === null) !== (warmupSteps === 0)) {
    throw new RangeError(
      `warmupTarget and warmupSteps > 0 must be given together, got ${describe(target)} and ${warmupSteps}`,
    );
  }
  const decaySteps = positive('decaySteps', options.decaySteps);
  checkNumber('alpha', alpha, { min: 0, max: 1 });
  checkBoolean('warmupInDecaySteps', warmupInDecaySteps);
  if (warmupInDecaySteps && decaySteps <= warmupSteps) {
    throw new RangeError(
      `decaySteps must be more than warmupSteps (${warmupSteps}), which it counts, got ${decaySteps}`,
    );
  }
  const peak = target ?? initial;
  const steps = warmupInDecaySteps ? decaySteps - warmupSteps : decaySteps;
  const config = {
    ...{ initialLearningRate: initial, warmupTarget: target, warmupSteps },
    ...{ decaySteps, alpha, warmupInDecaySteps },
  };
  return defineSchedule('warmupCosine', config, (step) =>
    step < warmupSteps
      ? line(initial, peak, step / warmupSteps)
      : peak * line(alpha, 1, cosine((step - warmupSteps) / steps)),
  );
}

/** Options of {@link cosineRestarts}. */
export interface CosineRestartsOptions {
  /** Learning rate of step 0, >= 0. */
  initialLearningRate: number;
  /** Steps of the first cycle, > 0. */
  firstDecaySteps: number;
  /** How many times as long each cycle is as the one before it, >= 1. Default: 2. */
  tMul?: number;
  /** How many times as high each cycle begins as the one before it, > 0. Default: 1. */
  mMul?: number;
  /** Where each cycle ends, as a fraction of `initialLearningRate`: 0 to 1. Default: 0. */
  alpha?: number;
  /**
   * What `mMul` multiplies: `'amplitude'` (default), the height above the end, as in Keras; `'peak'`, the learning rate at
   * which a cycle begins, as in timm. The two are the same where `alpha` is 0.
   */
  mMulScales?: 'amplitude' | 'peak';
  /** Cycles, > 0, after which the rate stays at its end, as in timm; null (default): no end. */
  cycleLimit?: number | null;
}

/**
 * Half cosines one after another, each from its peak down to `alpha * initialLearningRate`; cycle i has
 * `firstDecaySteps * tMul^i` steps.
 *
 * - Keras `CosineDecayRestarts`: the same options.
 * - PyTorch `CosineAnnealingWarmRestarts`: `firstDecaySteps` is `T_0`, `tMul` is `T_mult` (1 by default there), `alpha` is
 *   `eta_min / lr`.
 * - timm `CosineLRScheduler`: `tMul` is `cycle_mul`, `mMul` is `cycle_decay` with `mMulScales: 'peak'`, `cycleLimit`.
 * - optax `sgdr_schedule`: a {@link join} of {@link warmupCosine}.
 *
 * @throws TypeError or RangeError for options of a wrong type or value.
 */
export function cosineRestarts(options: CosineRestartsOptions): Schedule {
  checkOptionKeys('options', options, [
    ...['initialLearningRate', 'firstDecaySteps', 'tMul', 'mMul', 'alpha', 'mMulScales', 'cycleLimit'],
  ]);
  const { tMul = 2, mMul = 1, alpha = 0, mMulScales = 'amplitude', cycleLimit = null } = options;
  const initial = rateOf('initialLearningRate', options.initialLearningRate);
  const firstDecaySteps = positive('firstDecaySteps', options.firstDecaySteps);
  checkNumber('tMul', tMul, { min: 1 });
  checkNumber('mMul', mMul, { above: 0 });
  checkNumber('alpha', alpha, { min: 0, max: 1 });
  checkChoice('mMulScales', mMulScales, ['amplitude', 'peak']);
  optional(positive, 'cycleLimit', cycleLimit);
  const end = alpha * initial;
  const config = {
    ...{ initialLearningRate: initial, firstDecaySteps, tMul, mMul, alpha },
    ...{ mMulScales, cycleLimit },
  };
  return defineSchedule('cosineRestarts', config, (step) => {
    const { cycle, x } = cycleAt(step, firstDecaySteps, tMul);
    if (cycleLimit !== null && cycle >= cycleLimit) return end;
    const factor = mMul ** cycle;
    const height = mMulScales === 'amplitude' ? (initial - end) * factor : initial * factor - end;
    return end + height * cosine(x);
  });
}

/** The cycle that a step is in, and how far in it. */
function cycleAt(step: number, first: number, multiplier: number): { cycle: number; x: number } {
  if (multiplier === 1) {
    const cycle = Math.floor(step / first);
    return { cycle, x: (step - cycle * first) / first };
  }
  // Summed up rather than by a logarithm, whose rounding would move the boundaries.
  let [cycle, start, length] = [0, 0, first];
  while (step >= start + length) {
    start += length;
    length *= multiplier;
    ++cycle;
  }
  return { cycle, x: (step - start) / length };
}

/** Options of {@link oneCycle}. */
export interface OneCycleOptions {
  /** The highest learning rate, >= 0. */
  maxLearningRate: number;
  /** Steps of the whole cycle, > 0. */
  totalSteps: number;
  /** Part of the steps in which the rate rises: between 0 and 1. Default: 0.3. */
  pctStart?: number;
  /** Shape of every phase: `'cos'` (default) or `'linear'`. */
  annealStrategy?: 'cos' | 'linear';
  /** The first learning rate is `maxLearningRate / divFactor`; > 0. Default: 25. */
  divFactor?: number;
  /** The last learning rate is the first one over this; > 0. Default: 1e4. */
  finalDivFactor?: number;
  /** Whether the rate falls back to its first value, then to its last, in place of straight to the last. Default: false. */
  threePhase?: boolean;
  /** Where the phases meet: `'torch'` (default) or `'optax'`; see {@link oneCycle}. */
  turningPoints?: 'torch' | 'optax';
  /**
   * With `threePhase` and `turningPoints: 'optax'`: the part of the steps after which the first value is reached again;
   * more than `pctStart`, less than 1. Default there: 0.85. Otherwise it must be left out or null.
   */
  pctFinal?: number | null;
}

/**
 * The one-cycle policy: up to `maxLearningRate`, then down below where it began; constant after the end.
 *
 * With n `totalSteps`, the phases end at these steps:
 *
 * ```
 *            up                   down to the first value    last value
 * 'torch'    pctStart n - 1       2 pctStart n - 2           n - 1
 * 'optax'    floor(pctStart n)    floor(pctFinal n)          n
 * ```
 *
 * (the middle one with `threePhase` alone). PyTorch `OneCycleLR` has these names; `max_lr` is `maxLearningRate`. optax:
 * `cosine_onecycle_schedule`, and `linear_onecycle_schedule` with `annealStrategy: 'linear', threePhase: true`;
 * `transition_steps` is `totalSteps`. `'torch'` phases do not end at whole steps in general: the highest rate may lie
 * between two steps.
 *
 * @throws TypeError or RangeError for options of a wrong type or value, and where the phases would not follow one
 *   another.
 */
export function oneCycle(options: OneCycleOptions): Schedule {
  checkOptionKeys('options', options, [
    ...['maxLearningRate', 'totalSteps', 'pctStart', 'annealStrategy', 'divFactor', 'finalDivFactor'],
    ...['threePhase', 'turningPoints', 'pctFinal'],
  ]);
  const { pctStart = 0.3, annealStrategy = 'cos', divFactor = 25, finalDivFactor = 1e4 } = options;
  const { threePhase = false, turningPoints = 'torch' } = options;
  const peak = rateOf('maxLearningRate', options.maxLearningRate);
  const totalSteps = positive('totalSteps', options.totalSteps);
  checkNumber('pctStart', pctStart, { above: 0, below: 1 });
  checkChoice('annealStrategy', annealStrategy, ['cos', 'linear']);
  positive('divFactor', divFactor);
  positive('finalDivFactor', finalDivFactor);
  checkBoolean('threePhase', threePhase);
  checkChoice('turningPoints', turningPoints, ['torch', 'optax']);
  const hasFinal = threePhase && turningPoints === 'optax';
  const pctFinal = options.pctFinal ?? (hasFinal ? 0.85 : null);
  if (pctFinal !== null && !hasFinal) {
    throw new RangeError(
      `pctFinal must be left out unless threePhase is true and turningPoints 'optax', got ${describe(pctFinal)}`,
    );
  }
  if (pctFinal !== null) checkNumber('pctFinal', pctFinal, { above: 0, below: 1 });

  const ends =
    turningPoints === 'torch'
      ? [pctStart * totalSteps - 1, 2 * pctStart * totalSteps - 2, totalSteps - 1]
      : [Math.floor(pctStart * totalSteps), Math.floor((pctFinal ?? 0) * totalSteps), totalSteps];
  if (!threePhase) ends.splice(1, 1);
  const first = peak / divFactor;
  const last = first / finalDivFactor;
  const points = [0, ...ends];
  const values = [first, peak, ...(threePhase ? [first] : []), last];
  if (points.some((point, i) => i > 0 && point <= (points[i - 1] as number))) {
    throw new RangeError(
      `pctStart, pctFinal and totalSteps must put the ends of the phases one after another, got ${ends.join(', ')}`,
    );
  }
  const shape = annealStrategy === 'cos' ? (x: number) => 1 - cosine(x) : (x: number) => x;
  const config = {
    ...{ maxLearningRate: peak, totalSteps, pctStart, annealStrategy, divFactor, finalDivFactor },
    ...{ threePhase, turningPoints, pctFinal },
  };
  return defineSchedule('oneCycle', config, (step) => {
    const phase = ends.findIndex((end) => step < end);
    if (phase < 0) return last;
    const [start, end] = points.slice(phase) as [number, number];
    const [from, to] = values.slice(phase) as [number, number];
    return line(from, to, shape((step - start) / (end - start)));
  });
}

/** Options of {@link polynomial}. */
export interface PolynomialOptions {
  /** Learning rate of step 0, >= 0. */
  initialLearningRate: number;
  /** Steps to the end, > 0. */
  decaySteps: number;
  /** Learning rate at the end, >= 0. Default: 0, as in PyTorch; Keras takes 1e-4. */
  endLearningRate?: number;
  /** Exponent, > 0. Default: 1, a straight line. */
  power?: number;
  /** Whether `decaySteps` grows to its next multiple when the end is reached, as in Keras, in place of staying there. Default: false. */
  cycle?: boolean;
}

/**
 * A power of the way that is left:
 *
 * ```
 * endLearningRate + (initialLearningRate - endLearningRate) (1 - min(step / decaySteps, 1))^power
 * ```
 *
 * - Keras `PolynomialDecay`: the same options, except that its `end_learning_rate` is 1e-4 if left out.
 * - PyTorch `PolynomialLR`: `decaySteps` is `total_iters`.
 * - optax `polynomial_schedule`: `transition_begin` is a {@link join} with a number before this.
 * - timm `PolyLRScheduler`: a {@link join} of the warm-up and this, with `restartSteps: false` where it has no
 *   `warmup_prefix`. Its cycles and `k_decay` are not offered.
 *
 * @throws TypeError or RangeError for options of a wrong type or value.
 */
export function polynomial(options: PolynomialOptions): Schedule {
  checkOptionKeys('options', options, [
    ...['initialLearningRate', 'decaySteps', 'endLearningRate', 'power', 'cycle'],
  ]);
  const { endLearningRate = 0, power = 1, cycle = false } = options;
  const initial = rateOf('initialLearningRate', options.initialLearningRate);
  const decaySteps = positive('decaySteps', options.decaySteps);
  const end = rateOf('endLearningRate', endLearningRate);
  positive('power', power);
  checkBoolean('cycle', cycle);
  const config = { initialLearningRate: initial, decaySteps, endLearningRate, power, cycle };
  return defineSchedule('polynomial', config, (step) => {
    const steps = cycle ? decaySteps * Math.max(1, Math.ceil(step / decaySteps)) : decaySteps;
    return line(end, initial, Math.max(0, 1 - step / steps) ** power);
  });
}

/** Options of {@link exponential}. */
export interface ExponentialOptions {
  /** Learning rate of step 0, >= 0. */
  initialLearningRate: number;
  /** Steps in which the rate is multiplied by `decayRate` once, > 0. */
  decaySteps: number;
  /** Factor, > 0. */
  decayRate: number;
  /** Whether the factor comes all at once every `decaySteps`, in place of bit by bit. Default: false. */
  staircase?: boolean;
  /** Bound that the rate does not pass, >= 0: the lowest rate if `decayRate` is below 1, else the highest. Default: null, none. */
  endLearningRate?: number | null;
}

/**
 * A factor per `decaySteps`:
 *
 * ```
 * initialLearningRate decayRate^(step / decaySteps)       with staircase: decayRate^floor(step / decaySteps)
 * ```
 *
 * - Keras `ExponentialDecay`: the same options, but `endLearningRate`.
 * - PyTorch `ExponentialLR`: `decayRate` is `gamma`, `decaySteps` 1; `StepLR`: `decaySteps` is `step_size`, `staircase: true`.
 * - optax `exponential_decay`: `endLearningRate` is `end_value`; `transition_begin` is a {@link join} with a number before
 *   this.
 * - timm `StepLRScheduler`: `decaySteps` is `decay_t`, `staircase: true`; its warm-up is a {@link join} with
 *   `restartSteps: false`.
 *
 * @throws TypeError or RangeError for options of a wrong type or value.
 */
export function exponential(options: ExponentialOptions): Schedule {
  checkOptionKeys('options', options, [
    ...['initialLearningRate', 'decaySteps', 'decayRate', 'staircase', 'endLearningRate'],
  ]);
  const { staircase = false, endLearningRate = null } = options;
  const initial = rateOf('initialLearningRate', options.initialLearningRate);
  const decaySteps = positive('decaySteps', options.decaySteps);
  const decayRate = positive('decayRate', options.decayRate);
  checkBoolean('staircase', staircase);
  const end = optional(rateOf, 'endLearningRate', endLearningRate);
  const bound = decayRate < 1 ? Math.max : Math.min;
  const config = { initialLearningRate: initial, decaySteps, decayRate, staircase, endLearningRate: end };
  return defineSchedule('exponential', config, (step) => {
    const exponent = step / decaySteps;
    const rate = initial * decayRate ** (staircase ? Math.floor(exponent) : exponent);
    return end === null ? rate : bound(rate, end);
  });
}

/** Options of {@link piecewise}. */
export interface PiecewiseOptions {
  /** Steps at which the value changes, >= 0, each greater than the one before it. */
  boundaries: readonly number[];
  /** Learning rates, >= 0: one more than `boundaries`. */
  values: readonly number[];
  /**
   * When the next value holds: `'>'` (default), for steps greater than the boundary, as in Keras; `'>='`, from the
   * boundary on, one step earlier, as in PyTorch and optax.
   */
  changeAt?: '>' | '>=';
}

/**
 * Constant between boundaries.
 *
 * - Keras `PiecewiseConstantDecay`: the same options.
 * - PyTorch `MultiStepLR` and optax `piecewise_constant_schedule`: `changeAt: '>='`; their factors are multiplied out into
 *   `values`.
 *
 * @throws TypeError or RangeError for options of a wrong type or value.
 */
export function piecewise(options: PiecewiseOptions): Schedule {
  checkOptionKeys('options', options, ['boundaries', 'values', 'changeAt']);
  const { changeAt = '>' } = options;
  const boundaries = checkBoundaries(options.boundaries, options.values, 'values');
  const values = options.values.map((value, i) => rateOf(`values[${i}]`, value));
  checkChoice('changeAt', changeAt, ['>', '>=']);
  const isBefore = (step: number, boundary: number) =>
    changeAt === '>' ? step <= boundary : step < boundary;
  return defineSchedule('piecewise', { boundaries, values, changeAt }, (step) => {
    const piece = boundaries.findIndex((boundary) => isBefore(step, boundary));
    return values.at(piece) as number;
  });
}

/** Copies boundaries after a check of them, and of the number of what lies between them. */
function checkBoundaries(boundaries: unknown, pieces: unknown, name: string): number[] {
  for (const [list, value] of [
    ['boundaries', boundaries],
    [name, pieces],
  ]) {
    if (!Array.isArray(value)) throw new TypeError(`${list} must be an array, got ${describe(value)}`);
  }
  const numbers = (boundaries as unknown[]).map((boundary, i) =>
    checkNumber(`boundaries[${i}]`, boundary, { min: 0 }),
  );
  if (numbers.some((boundary, i) => i > 0 && boundary <= (numbers[i - 1] as number))) {
    throw new RangeError(`boundaries must be in ascending order, got ${numbers.join(', ')}`);
  }
  const { length } = pieces as unknown[];
  if (length !== numbers.length + 1) {
    throw new RangeError(
      `${name} must have one more element than boundaries (${numbers.length}), got ${length}`,
    );
  }
  return numbers;
}

/** Options of {@link join}. */
export interface JoinOptions {
  /** One more than `boundaries`: schedules of this module, or numbers >= 0 for constant rates. */
  schedules: ReadonlyArray<Schedule | ScheduleConfig | number>;
  /** Steps from which on the next schedule holds, >= 0, each greater than the one before it. */
  boundaries: readonly number[];
  /**
   * Whether each schedule counts its steps from where it begins, as in optax and PyTorch. Default: true. With false it
   * is asked for the step of the whole, as timm does without `warmup_prefix`: it has gone on behind the one before it.
   */
  restartSteps?: boolean;
}

/**
 * Schedules one after another. optax: `join_schedules`; PyTorch: `SequentialLR`.
 *
 * @throws TypeError or RangeError for options of a wrong type or value. A function of your own is refused, since it
 *   cannot be saved.
 *
 * @example
 * ```ts
 * const schedule = schedules.join({
 *   schedules: [
 *     schedules.linearWarmup({ warmupTarget: 0.1, warmupSteps: 5 }),
 *     schedules.polynomial({ initialLearningRate: 0.1, decaySteps: 20, power: 2 }),
 *     1e-4,
 *   ],
 *   boundaries: [5, 20],
 * });
 * console.log(schedule(0), schedule(5), schedule(20)); // 0 0.1 0.0001
 * ```
 */
export function join(options: JoinOptions): Schedule {
  checkOptionKeys('options', options, ['schedules', 'boundaries', 'restartSteps']);
  const { restartSteps = true } = options;
  const boundaries = checkBoundaries(options.boundaries, options.schedules, 'schedules');
  const parts = options.schedules.map((part, i): Schedule | number => {
    if (typeof part === 'number') return rateOf(`schedules[${i}]`, part);
    if (isSchedule(part)) return part;
    if (part !== null && typeof part === 'object') return fromConfig(part);
    throw new TypeError(
      `schedules[${i}] must be a number or made by a function of schedules, got ${describe(part)}`,
    );
  });
  checkBoolean('restartSteps', restartSteps);
  const config = {
    schedules: parts.map((part) => (typeof part === 'number' ? part : { ...part.config })),
    boundaries,
    restartSteps,
  };
  return defineSchedule('join', config, (step) => {
    const found = boundaries.findIndex((boundary) => step < boundary);
    const index = found < 0 ? boundaries.length : found;
    const part = parts[index] as Schedule | number;
    if (typeof part === 'number') return part;
    return part(restartSteps && index > 0 ? step - (boundaries[index - 1] as number) : step);
  });
}

const FACTORIES: { readonly [name: string]: (options: never) => Schedule } = {
  ...{ linearWarmup, warmupCosine, cosineRestarts, oneCycle },
  ...{ polynomial, exponential, piecewise, join },
};

/**
 * The schedule that a description is of; the inverse of `schedule.config`.
 *
 * @param config `{name, options}`, such as JSON gives it.
 * @throws TypeError or RangeError for what is no description of a schedule of this module.
 */
export function fromConfig(config: ScheduleConfig): Schedule {
  checkOptionKeys('config', config, ['name', 'options']);
  const factory = FACTORIES[checkChoice('name', config.name, Object.keys(FACTORIES))];
  return (factory as (options: ScheduleConfig['options']) => Schedule)(config.options);
}

/**
 * The schedule that an optimizer's saved configuration holds.
 *
 * @internal
 */
export function restoreSchedule(saved: object): Schedule {
  try {
    return fromConfig(saved as ScheduleConfig);
  } catch (cause) {
    throw new FtpError(
      'STATE_MISMATCH',
      `the configuration's 'schedule' is none that this version has: ${(cause as Error).message}`,
      { cause },
    );
  }
}
