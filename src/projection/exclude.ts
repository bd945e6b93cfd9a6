/** Which variables are left out of the projection. */

import type { serialization } from '@tensorflow/tfjs-core';
import { describe } from '../validate.js';
import { findByName, type SavedString } from './names.js';

/** Substrings or regular expressions of variable names, or a predicate on the name. */
export type ExcludeOption = ReadonlyArray<string | RegExp> | ((name: string) => boolean);

const ACCEPTED =
  'exclude must be an array of non-empty strings and RegExps, or a function of the variable name';

/** Decides whether a variable is excluded; saved and restored with the optimizer. */
export class Exclusion {
  private readonly option: ExcludeOption;
  /** Names that a saved predicate had excluded. */
  private readonly savedNames: readonly string[];

  constructor(option: ExcludeOption = [], savedNames: readonly string[] = []) {
    this.savedNames = savedNames;
    if (typeof option === 'function') {
      this.option = option;
      return;
    }
    if (!Array.isArray(option)) throw new TypeError(`${ACCEPTED}, got ${describe(option)}`);
    for (const [i, item] of option.entries()) {
      if (typeof item !== 'string' && !(item instanceof RegExp)) {
        throw new TypeError(`${ACCEPTED}, got ${describe(item)} at position ${i}`);
      }
      if (item === '') throw new RangeError(`${ACCEPTED}, got '' at position ${i}`);
    }
    this.option = [...option];
  }

  /** Whether the variable takes the plain base update. */
  matches(name: string): boolean {
    const { option } = this;
    if (typeof option === 'function') {
      const result: unknown = option(name);
      if (typeof result !== 'boolean') {
        throw new TypeError(`exclude('${name}') must return a boolean, got ${describe(result)}`);
      }
      return result;
    }
    if (this.savedNames.length > 0 && findByName(this.savedNames, (saved) => saved, name) !== undefined) {
      return true;
    }
    return option.some((item) => {
      if (typeof item === 'string') return name.includes(item);
      item.lastIndex = 0; // of a global or sticky expression
      const found = item.test(name);
      item.lastIndex = 0;
      return found;
    });
  }

  /** As JSON: patterns as they are, a predicate as those of `names` that it excludes. */
  toConfig(names: Iterable<string>): serialization.ConfigDict {
    const { option } = this;
    if (typeof option === 'function') {
      return { patterns: [], names: [...names].filter((name) => this.matches(name)).map(savedString) };
    }
    const patterns = option.map((item) =>
      typeof item === 'string' ? savedString(item) : { regexp: savedString(item.source), flags: item.flags },
    );
    return { patterns, names: this.savedNames.map(savedString) };
  }

  /** The inverse of {@link toConfig}. */
  static fromConfig(config: unknown): Exclusion {
    const { patterns, names } = config as {
      patterns: Array<SavedString | { regexp: SavedString; flags: string }>;
      names: SavedString[];
    };
    const option = patterns.map((item) =>
      typeof item.regexp === 'object' ? new RegExp(item.regexp.name, item.flags) : (item as SavedString).name,
    );
    return new Exclusion(
      option,
      names.map(({ name }) => name),
    );
  }
}

function savedString(name: string): SavedString {
  return { name };
}
