/**
 * Argument checks. Every message says the parameter, what is accepted and what came: wrong types throw
 * `TypeError`, wrong values `RangeError`. Nothing here knows tfjs.
 */

import type { AdamWUpdateOptions, ConstraintOptions, NonFiniteAction, SgdUpdateOptions } from './options.js';

/** A short, safe rendering of any value for an error message. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'string') return value.length > 60 ? `'${value.slice(0, 57)}...'` : `'${value}'`;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return 'a symbol';
  if (Array.isArray(value)) return value.length > 6 ? `an array of ${value.length}` : `an array`;
  const className = (value as object).constructor?.name;
  if (!className || className === 'Object') return 'an object';
  return `${/^([AEIO]|Ftp)/i.test(className) ? 'an' : 'a'} ${className}`; // Ftp is spoken letter by letter
}

/** Bounds of a number; `above` and `below` are exclusive. */
interface Bounds {
  min?: number;
  above?: number;
  max?: number;
  below?: number;
}

function boundsText({ min, above, max, below }: Bounds): string {
  const parts: string[] = [];
  if (min !== undefined) parts.push(`>= ${min}`);
  if (above !== undefined) parts.push(`> ${above}`);
  if (max !== undefined) parts.push(`<= ${max}`);
  if (below !== undefined) parts.push(`< ${below}`);
  return parts.length > 0 ? ` ${parts.join(' and ')}` : '';
}

/** Checks a finite number within bounds. */
export function checkNumber(name: string, value: unknown, bounds: Bounds = {}): number {
  const accepted = `${name} must be a finite number${boundsText(bounds)}`;
  if (typeof value !== 'number') throw new TypeError(`${accepted}, got ${describe(value)}`);
  const { min, above, max, below } = bounds;
  const inside =
    Number.isFinite(value) &&
    (min === undefined || value >= min) &&
    (above === undefined || value > above) &&
    (max === undefined || value <= max) &&
    (below === undefined || value < below);
  if (!inside) throw new RangeError(`${accepted}, got ${value}`);
  return value;
}

/** Checks a whole number within inclusive bounds. */
export function checkInteger(name: string, value: unknown, min: number, max: number): number {
  const accepted = `${name} must be a whole number from ${min} to ${max}`;
  if (typeof value !== 'number') throw new TypeError(`${accepted}, got ${describe(value)}`);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${accepted}, got ${value}`);
  }
  return value;
}

export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${name} must be a boolean, got ${describe(value)}`);
  return value;
}

export function checkFloat32Array(name: string, value: unknown): Float32Array {
  if (!(value instanceof Float32Array)) {
    throw new TypeError(`${name} must be a Float32Array, got ${describe(value)}`);
  }
  return value;
}

/** Checks how many elements an array has. */
export function checkLength(name: string, { length }: { length: number }, elements: number): void {
  if (length !== elements) throw new RangeError(`${name} must have ${elements} elements, got ${length}`);
}

/** Checks one of a fixed set of strings. */
export function checkChoice<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  const accepted = `${name} must be one of ${choices.map((choice) => `'${choice}'`).join(', ')}`;
  if (typeof value !== 'string') throw new TypeError(`${accepted}, got ${describe(value)}`);
  if (!choices.includes(value as T)) throw new RangeError(`${accepted}, got ${describe(value)}`);
  return value as T;
}

/** Checks that `options` is a plain object with known keys only, so that a typing error is not a default. */
export function checkOptionKeys(name: string, options: unknown, known: readonly string[]): void {
  if (options === null || typeof options !== 'object' || Array.isArray(options)) {
    throw new TypeError(`${name} must be an object, got ${describe(options)}`);
  }
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) {
      throw new TypeError(`${name} has no option '${key}'; accepted: ${known.join(', ')}`);
    }
  }
}

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

/** The most threads of a step; as kMaxThreads in native/kernels/cpu/thread_pool.h. */
export const MAX_THREADS = 256;

/** {@link ConstraintOptions} with every default filled in; `threads` 0 means the native default. */
export interface ConstraintSettings {
  k: number;
  constraintLearningRate: number;
  constraintBeta1: number;
  constraintBeta2: number;
  nonFinite: NonFiniteAction;
  threads: number;
}

export const CONSTRAINT_KEYS = [
  'k',
  'constraintLearningRate',
  'constraintBeta1',
  'constraintBeta2',
  'nonFinite',
  'threads',
] as const;

export function resolveConstraintOptions(options: ConstraintOptions): ConstraintSettings {
  // Defaults of destructuring, since they stand for undefined alone: null is a wrong type, not a default.
  const { k = 1, constraintLearningRate = 1e-2, constraintBeta1 = 0.9, constraintBeta2 = 0.999 } = options;
  const { nonFinite = 'throw', threads } = options;
  const unit = { min: 0, below: 1 };
  return {
    k: checkNumber('k', k, { min: 0, max: 1 }),
    constraintLearningRate: checkNumber('constraintLearningRate', constraintLearningRate, { min: 0 }),
    constraintBeta1: checkNumber('constraintBeta1', constraintBeta1, unit),
    constraintBeta2: checkNumber('constraintBeta2', constraintBeta2, unit),
    nonFinite: checkChoice('nonFinite', nonFinite, ['throw', 'skip', 'ignore']),
    threads: threads === undefined ? 0 : checkInteger('threads', threads, 1, MAX_THREADS),
  };
}

export const ADAMW_KEYS = ['beta1', 'beta2', 'epsilon', 'weightDecay', 'amsgrad'] as const;

export function resolveAdamWOptions(options: AdamWUpdateOptions): Required<AdamWUpdateOptions> {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0, amsgrad = false } = options;
  const unit = { min: 0, below: 1 };
  checkNumber('epsilon', epsilon, { above: 0 });
  if (Math.fround(epsilon) === 0) {
    throw new RangeError(`epsilon must be > 0 in float32 (at least 1e-45), got ${epsilon}`);
  }
  return {
    beta1: checkNumber('beta1', beta1, unit),
    beta2: checkNumber('beta2', beta2, unit),
    epsilon,
    weightDecay: checkNumber('weightDecay', weightDecay, { min: 0 }),
    amsgrad: checkBoolean('amsgrad', amsgrad),
  };
}

export const SGD_KEYS = ['momentum', 'dampening', 'nesterov', 'weightDecay'] as const;

export function resolveSgdOptions(options: SgdUpdateOptions): Required<SgdUpdateOptions> {
  const { momentum = 0, dampening = 0, nesterov = false, weightDecay = 0 } = options;
  checkNumber('momentum', momentum, { min: 0, below: 1 });
  checkNumber('dampening', dampening, { min: 0, max: 1 });
  checkBoolean('nesterov', nesterov);
  if (nesterov && (momentum === 0 || dampening !== 0)) {
    throw new RangeError(
      `nesterov needs momentum > 0 and dampening 0, got momentum ${momentum} and dampening ${dampening}`,
    );
  }
  checkNumber('weightDecay', weightDecay, { min: 0 });
  return { momentum, dampening, nesterov, weightDecay };
}
