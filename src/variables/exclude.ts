/** Which variables are left out of the projection. */

import type { serialization } from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import { describe } from '../validate.js';
import { type ExcludedLayer, Patterns, type WeightsOfLayer } from './match.js';
import { savedString } from './names.js';

export type { ExcludedLayer } from './match.js';

/** A substring of variable names, a regular expression that they match, or a layer. */
export type ExcludePattern = string | RegExp | ExcludedLayer;

/** Patterns, or a predicate on the name of the variable. */
export type ExcludeOption = readonly ExcludePattern[] | ((name: string) => boolean);

const ACCEPTED =
  'exclude must be an array of non-empty strings, RegExps and {layer: name}, or a function of the variable name';
const TERMS = { option: 'exclude', accepted: ACCEPTED, ranks: false };

/** These patterns look at names alone. */
const named = (name: string) => ({ name, shape: [] });

/** Decides whether a variable is excluded; saved and restored with the optimizer. */
export class Exclusion {
  private readonly option: Patterns | ((name: string) => boolean);

  /**
   * @param weightsOfLayer where a model is given.
   * @param checked whether every pattern is known to match something.
   */
  constructor(
    option: ExcludeOption | Patterns = [],
    weightsOfLayer?: WeightsOfLayer,
    private checked = false,
  ) {
    if (typeof option === 'function' || option instanceof Patterns) {
      this.option = option;
      return;
    }
    if (!Array.isArray(option)) throw new TypeError(`${ACCEPTED}, got ${describe(option)}`);
    this.option = Patterns.of(TERMS, option, weightsOfLayer);
  }

  /** Whether the variable takes the plain base update. */
  matches(name: string): boolean {
    const { option } = this;
    if (typeof option !== 'function') return option.matches(named(name));
    const result: unknown = option(name);
    if (typeof result !== 'boolean') {
      throw new TypeError(`exclude('${name}') must return a boolean, got ${describe(result)}`);
    }
    return result;
  }

  /**
   * Checks once that every pattern matches one of `names`. A saved optimizer's patterns were checked before, against
   * variables that need not exist where it is loaded.
   *
   * @throws FtpError UNMATCHED_PATTERN.
   */
  check(names: readonly string[]): void {
    const { option } = this;
    if (this.checked || typeof option === 'function') return;
    option.check(names.map(named));
    this.checked = true;
  }

  /** As JSON: patterns as they are, a predicate as those of `names` that it excludes. */
  toConfig(names: Iterable<string>): serialization.ConfigDict {
    const { option } = this;
    if (typeof option === 'function') {
      const excluded = [...names].filter((name) => this.matches(name));
      return { patterns: [], names: excluded.map(savedString), checked: true };
    }
    return { ...option.toConfig([...names].map(named)), checked: this.checked };
  }

  /**
   * The inverse of {@link toConfig}.
   *
   * @throws FtpError STATE_MISMATCH for what toConfig does not give.
   */
  static fromConfig(config: unknown): Exclusion {
    try {
      const { checked, ...saved } = config as { patterns: unknown[]; names: unknown[]; checked?: unknown };
      return new Exclusion(Patterns.fromConfig(TERMS, saved), undefined, checked !== false);
    } catch (cause) {
      throw new FtpError(
        'STATE_MISMATCH',
        `the configuration's 'exclusion' is not what an FTP optimizer saves, got ${describe(config)}`,
        { cause },
      );
    }
  }
}
