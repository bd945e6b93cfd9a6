/** What `console.log` shows of an optimizer or a fused step: a few lines in place of its whole state. No tfjs here. */

import type { OptionTable } from './options.js';

/** The method that Node calls to show an object. */
export const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

/** Node's `util.inspect`, which it passes to the method. */
export type Inspect = (value: unknown, options?: object) => string;

/** The options of a table that are not what they are by default; null and undefined stand for a default. */
export function changedOptions(
  table: OptionTable<object>,
  options: { readonly [option: string]: unknown },
): { [option: string]: unknown } {
  const specs: Array<[string, { default: unknown }]> = Object.entries(table);
  return Object.fromEntries(
    specs
      .map(([name, spec]) => [name, options[name] ?? spec.default, spec.default] as const)
      .filter(([, value, byDefault]) => value !== byDefault)
      .map(([name, value]) => [name, value]),
  );
}

/** What is worth seeing of an optimizer's `getConfig()` but its learning rate; `table`: its options. */
export function describeConfig(
  table: OptionTable<object>,
  config: { [option: string]: unknown },
): { [option: string]: unknown } {
  const { base, exclusion, perVariable } = config;
  const { groups = [] } = (perVariable ?? {}) as { groups?: unknown[] };
  const { patterns = [], names = [] } = (exclusion ?? {}) as { patterns?: Saved[]; names?: Saved[] };
  const exclude = [...patterns, ...names].map(({ name, regexp, flags }) =>
    regexp === undefined ? name : new RegExp(regexp.name, flags),
  );
  const shown = {
    ...changedOptions(table, config),
    base: (base as { className?: string } | undefined)?.className,
    groups: groups.length || undefined,
  };
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
