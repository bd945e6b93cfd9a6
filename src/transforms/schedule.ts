/** What a schedule is: a function of the step that carries its own description, so that it can be saved. */

import { checkNumber } from '../validate.js';

/** A value that is the same after JSON. */
export type JsonValue =
  | number
  | string
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** A schedule as plain data: the name of the function that made it and all of its options. */
export interface ScheduleConfig {
  /** Name of a function of `schedules`. */
  readonly name: string;
  /** Its options, those that were left out included. */
  readonly options: { readonly [option: string]: JsonValue };
}

/** A learning rate by step, which an optimizer saves and restores. */
export interface Schedule {
  /**
   * The learning rate of a step.
   *
   * @param step number >= 0; 0 is the first step.
   * @throws TypeError or RangeError for anything else.
   */
  (step: number): number;
  /** What the schedule is, as JSON; frozen. `schedules.fromConfig` makes it a schedule again. */
  readonly config: ScheduleConfig;
}

/** Of the registry of symbols, so that the two module systems' builds of this package know each other's schedules. */
const SCHEDULE = Symbol.for('tfjs-ftp.schedule');

/** Makes a schedule of checked options and of the rate that follows from them. */
export function defineSchedule(
  name: string,
  options: ScheduleConfig['options'],
  rate: (step: number) => number,
): Schedule {
  const schedule = (step: number) => rate(checkNumber('step', step, { min: 0 }));
  return Object.defineProperties(schedule, {
    name: { value: name },
    config: { value: freeze({ name, options }), enumerable: true },
    [SCHEDULE]: { value: true },
  }) as typeof schedule & { config: ScheduleConfig };
}

/** Whether a value is a schedule of this package. */
export function isSchedule(value: unknown): value is Schedule {
  return typeof value === 'function' && (value as { [SCHEDULE]?: unknown })[SCHEDULE] === true;
}

function freeze<T extends JsonValue | ScheduleConfig>(value: T): T {
  if (value !== null && typeof value === 'object') Object.values(value).forEach(freeze);
  return Object.freeze(value);
}
