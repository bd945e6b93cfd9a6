/**
 * Variable names across save and load. tfjs makes names unique in a process by a suffix `_1`, `_2`, ...,
 * so the same weight may be `dense/kernel` in one process and `dense/kernel_1` in another.
 */

import { describe } from '../validate.js';

/** `name` without tfjs's uniquifying suffix. */
export function stripSuffix(name: string): string {
  return name.replace(/_\d+$/, '');
}

/**
 * The first of `candidates` that `name` stands for: the same name, else the name without its suffix, else
 * a candidate whose name without suffix is `name`, else both without suffix.
 */
export function findByName<T>(
  candidates: Iterable<T>,
  nameOf: (candidate: T) => string,
  name: string,
  accept: (candidate: T) => boolean = () => true,
): T | undefined {
  const stripped = stripSuffix(name);
  const ranks: Array<(saved: string) => boolean> = [
    (saved) => saved === name,
    (saved) => saved === stripped,
    (saved) => stripSuffix(saved) === name,
    (saved) => stripSuffix(saved) === stripped,
  ];
  const list = [...candidates];
  for (const matches of ranks) {
    const found = list.find((candidate) => matches(nameOf(candidate)) && accept(candidate));
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Strings in an optimizer's saved configuration. tfjs converts snake_case strings of a loaded configuration
 * to camelCase, except those under the key `name`.
 */
export interface SavedString {
  [key: string]: string;
  name: string;
}

export function savedString(name: string): SavedString {
  return { name };
}

/** The string of a {@link SavedString}; @throws TypeError for anything else. */
export function stringOf(saved: unknown): string {
  const { name } = (saved ?? {}) as Partial<SavedString>;
  if (typeof name !== 'string') throw new TypeError(`expected {name: string}, got ${describe(saved)}`);
  return name;
}
