/** What `console.log` shows of an optimizer or a fused step: a few lines in place of its whole state. No tfjs here. */

import { resolveAdamWOptions, resolveConstraintOptions, resolveSgdOptions } from './validate.js';

/** The method that Node calls to show an object. */
export const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

/** Node's `util.inspect`, which it passes to the method. */
export type Inspect = (value: unknown, options?: object) => string;

const DEFAULTS: { [option: string]: unknown } = {
  ...resolveSgdOptions({}),
  ...resolveAdamWOptions({}),
  ...resolveConstraintOptions({}),
  implementation: 'auto',
};

/** The plain values among `options` that are not what they are by default; null and undefined stand for a default. */
export function changedOptions(options: object): { [option: string]: unknown } {
  const isPlain = (value: unknown) => ['number', 'string', 'boolean'].includes(typeof value);
  return Object.fromEntries(
    Object.entries(options).filter(([name, value]) => isPlain(value) && value !== DEFAULTS[name]),
  );
}

/** What is worth seeing of an optimizer's `getConfig()` but its learning rate. */
export function describeConfig(config: { [option: string]: unknown }): { [option: string]: unknown } {
  const { learningRate: _, base, exclusion, ...rest } = config;
  const { patterns = [], names = [] } = (exclusion ?? {}) as { patterns?: Saved[]; names?: Saved[] };
  const exclude = [...patterns, ...names].map(({ name, regexp, flags }) =>
    regexp === undefined ? name : new RegExp(regexp.name, flags),
  );
  const shown = { ...changedOptions(rest), base: (base as { className?: string } | undefined)?.className };
  return exclude.length > 0 ? { ...shown, exclude } : shown;
}

/** A pattern or name of a saved exclusion. */
interface Saved {
  name?: string;
  regexp?: { name: string };
  flags?: string;
}

/** What a getter gives, or the message of what it throws: showing an object must not fail. */
export function attempt(get: () => unknown): unknown {
  try {
    return get();
  } catch (error) {
    return `(${error instanceof Error ? error.message : String(error)})`;
  }
}

/** The class name and the given properties; undefined ones are left out. */
export function summarize(
  className: string,
  properties: { [name: string]: unknown },
  depth: number,
  options: object,
  inspect: Inspect = (value) => JSON.stringify(value),
): string {
  if (depth < 0) return `[${className}]`;
  const shown = Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined));
  return `${className} ${inspect(shown, { ...options, depth: 2 })}`;
}
