/** What a user says about learning, checked. */

import type { HyperParameter } from '../methods/method.js';
import type { OptionSpec } from '../options.js';
import { checkChoice, checkNumber, checkOptionKeys, describe, type NumberBounds } from '../validate.js';
import { type Above, type Bounds, isUnit, scalarMethod, type Tower, type TowerMethod } from './tower.js';

/** How a number is learned. */
export type LearnMethod = 'normalized' | 'baydin' | 'sgd' | 'adam';

/** How one number is learned; `true` stands for all defaults. */
export interface LearnSpec {
  /**
   * - `'normalized'` (default): Adam on the logarithm of the number (the logit, log(x / (1 - x)), of momentum and betas), fed
   *   the hyper-gradient without units, h / (|G| |X|), from -1 to 1. A step changes the number (the odds x / (1 - x)) by a
   *   factor from 0.8 to 1.25 at most. The number must start above 0.
   * - `'sgd'`: the number itself, by `rate` times its hyper-gradient, whose unit is the loss's over the number's; with
   *   `momentum` if wanted. Betas are learned through (tanh x + 1) / 2.
   * - `'adam'`: the same by Adam.
   * - `'baydin'`: the learning rate alone, as `'sgd'` without momentum, with the authors' rate (SGD-HD, Adam-HD).
   */
  method?: LearnMethod;
  /**
   * Step size, >= 0. `'normalized'`: of the logarithm, default 0.02: at most about 2 % per step. `'baydin'`: default 1e-6 with
   * SGD, 1e-8 with AdamW. `'sgd'` and `'adam'`: to be given.
   */
  rate?: number;
  /** Of `'sgd'`: in [0, 1); default 0. */
  momentum?: number;
  /** Of `'adam'` and `'normalized'`: decay of the first moment, in [0, 1); default 0.9. */
  beta1?: number;
  /** Of `'adam'` and `'normalized'`: decay of the second moment, in [0, 1); default 0.999. */
  beta2?: number;
  /**
   * `'global'` (default): one number for all variables that do not have their own by a group. `'variable'`: one number each,
   * all starting at the option's value. Numbers of `learn` inside `learn` belong to the level below and have no scope.
   */
  scope?: 'global' | 'variable';
  /**
   * Lowest and highest value. Default: with `'normalized'` 1e-3 and 1e3 times the start (the odds of momentum and betas);
   * else from 0, or from 1e-6 to 1 - 1e-6 for momentum and betas. With a schedule as learning rate: bounds of the factor on it.
   */
  bounds?: readonly [number, number];
  /** Learns the numbers above by their own hyper-gradients, to any depth. */
  learn?: { rate?: LearnChoice; momentum?: LearnChoice; beta1?: LearnChoice; beta2?: LearnChoice };
}

/** Learned with all defaults, or as said. */
export type LearnChoice = true | LearnSpec;

/**
 * Which numbers of the optimizer are learned, by differentiating the loss through the last step. `learningRate` and
 * `weightDecay`: of AdamW and SGD. `beta1`, `beta2`: of AdamW. `momentum`: of SGD with momentum > 0. `strength`: of `spd`,
 * and of `l2sp` with `coupled` false. Wrapped optimizers keep their numbers to themselves: they have no `learn`.
 */
export type LearnOptions = { [name in HyperParameter]?: LearnChoice };

/** The option of optimizers whose numbers can be learned. */
export interface LearningOptions {
  /** Which numbers are learned while training, and how; see {@link LearnOptions}. Default: none. */
  learn?: LearnOptions;
}

/** One number that is learned. */
export interface Learning {
  name: HyperParameter;
  scope: 'global' | 'variable';
  /** Null: by the start. */
  bounds: Bounds | null;
  tower: Tower;
}

/** Closest to 0 and to 1 that momentum and betas come where nothing else is said. */
const EDGE = 1e-6;
/** How far a number may go from its start, as a factor. */
const FARTHEST = 1e3;

const METHODS: readonly LearnMethod[] = ['normalized', 'baydin', 'sgd', 'adam'];
const SCOPES = ['global', 'variable'] as const;
const BAYDIN_RATES: { readonly [base: string]: number } = { sgd: 1e-6, adamw: 1e-8 };

const NUMBER_BOUNDS: { readonly [name: string]: NumberBounds } = {
  rate: { min: 0 },
  momentum: { min: 0, below: 1 },
  beta1: { min: 0, below: 1 },
  beta2: { min: 0, below: 1 },
};

/** A deep copy of what was given, which is JSON; its meaning is checked when the method is known. */
export const learnOption: OptionSpec<LearnOptions | null> = {
  default: null,
  check(name, value) {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
      throw new TypeError(`${name} must be an object of numbers to learn, got ${describe(value)}`);
    }
    return structuredClone(value) as LearnOptions;
  },
};

/**
 * The numbers that are learned, in a fixed order.
 *
 * @param learns names of those that can be.
 * @param base name of the base update.
 * @throws TypeError or RangeError.
 */
export function checkLearn(
  options: LearnOptions | null,
  learns: readonly HyperParameter[],
  base: string,
): Learning[] {
  if (options === null) return [];
  checkOptionKeys('learn', options, learns);
  return learns
    .filter((name) => options[name] !== undefined)
    .map((name) => {
      const where = `learn.${name}`;
      const spec = specOf(where, options[name]);
      const known = ['scope', 'bounds', ...keysOf(where, spec, name === 'learningRate')];
      checkOptionKeys(where, spec, known);
      return {
        name,
        scope: spec.scope === undefined ? 'global' : checkChoice(`${where}.scope`, spec.scope, SCOPES),
        bounds: checkBounds(where, name, spec.bounds),
        tower: towerOf(where, spec, base),
      };
    });
}

function specOf(where: string, choice: unknown): LearnSpec {
  if (choice === true) return {};
  if (choice === null || typeof choice !== 'object' || Array.isArray(choice)) {
    throw new TypeError(`${where} must be true or an object {method, rate, ...}, got ${describe(choice)}`);
  }
  return choice as LearnSpec;
}

/** What a method is here: Baydin's is SGD without momentum. */
function towerMethod(method: LearnMethod): TowerMethod {
  return method === 'baydin' ? 'sgd' : method;
}

/** Options of the method that a spec names. */
function keysOf(where: string, { method = 'normalized' }: LearnSpec, ofLearningRate: boolean): string[] {
  const methods = ofLearningRate ? METHODS : METHODS.filter((name) => name !== 'baydin');
  checkChoice(`${where}.method`, method, methods);
  const numbers = Object.keys(scalarMethod(towerMethod(method)).numbers);
  return ['method', 'learn', ...(method === 'baydin' ? ['rate'] : numbers)];
}

function towerOf(where: string, spec: LearnSpec, base: string): Tower {
  const { method = 'normalized', learn = {} } = spec;
  const kind = towerMethod(method);
  const defaults = scalarMethod(kind).numbers;
  const numbers: { [name: string]: number } = {};
  for (const name of Object.keys(defaults)) {
    const given = (spec as { [name: string]: unknown })[name];
    const byDefault = method === 'baydin' && name === 'rate' ? BAYDIN_RATES[base] : defaults[name];
    numbers[name] = checkNumber(
      `${where}.${name}`,
      given === undefined ? byDefault : given,
      NUMBER_BOUNDS[name],
    );
  }
  const learned = Object.keys(method === 'baydin' ? { rate: 0 } : defaults);
  checkOptionKeys(`${where}.learn`, learn, learned);
  const above = learned
    .filter((name) => learn[name as keyof typeof learn] !== undefined)
    .map((name): Above => {
      const at = `${where}.learn.${name}`;
      const own = specOf(at, learn[name as keyof typeof learn]);
      checkOptionKeys(at, own, ['bounds', ...keysOf(at, own, false)]);
      const tower = towerOf(at, own, base);
      const start = numbers[name] as number;
      const given = checkBounds(at, name, own.bounds);
      return { tower, bounds: { [name]: boundsOf(at, name, tower.method, start, given) } };
    });
  return { method: kind, numbers, above };
}

function checkBounds(where: string, name: string, bounds: unknown): Bounds | null {
  if (bounds === undefined) return null;
  const accepted = `${where}.bounds must be [lowest, highest]`;
  if (!Array.isArray(bounds) || bounds.length !== 2) {
    throw new TypeError(`${accepted}, got ${describe(bounds)}`);
  }
  const limits = isUnit(name) ? { min: 0, below: 1 } : { min: 0 };
  const [low, high] = bounds.map((bound, i) => checkNumber(`${where}.bounds[${i}]`, bound, limits));
  if ((low as number) > (high as number)) throw new RangeError(`${accepted}, got [${low}, ${high}]`);
  return [low as number, high as number];
}

/**
 * Where a number may go that starts at `start`.
 *
 * @throws RangeError for a start from which it cannot be learned, or outside of the bounds.
 */
export function boundsOf(
  where: string,
  name: string,
  method: TowerMethod,
  start: number,
  given: Bounds | null,
): Bounds {
  const unit = isUnit(name);
  // The logarithm, the logit and gdtuo's tanh have no place for 0; a momentum of 0 keeps nothing to learn it from.
  if (start === 0 && (unit || method === 'normalized')) {
    throw new RangeError(`${where} must start above 0 to be learned like this, got 0`);
  }
  const bounds = given ?? defaultBounds(unit, method, start);
  if (start < bounds[0] || start > bounds[1]) {
    throw new RangeError(`${where} must start within its bounds [${bounds[0]}, ${bounds[1]}], got ${start}`);
  }
  return bounds;
}

function defaultBounds(unit: boolean, method: TowerMethod, start: number): Bounds {
  if (method !== 'normalized')
    return unit ? [Math.min(EDGE, start), Math.max(1 - EDGE, start)] : [0, Number.MAX_VALUE];
  if (!unit) return [start / FARTHEST, Math.min(start * FARTHEST, Number.MAX_VALUE)];
  const odds = start / (1 - start);
  const of = (x: number) => x / (1 + x);
  return [of(odds / FARTHEST), of(odds * FARTHEST)];
}
