/** Which variables are left out of the projection. */

import type { serialization } from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import { describe } from '../validate.js';
import { findByName, savedString, stringOf } from './names.js';

/** All variables of the layer of this name. */
export interface ExcludedLayer {
  layer: string;
}

/** A substring of variable names, a regular expression that they match, or a layer. */
export type ExcludePattern = string | RegExp | ExcludedLayer;

/** Patterns, or a predicate on the name of the variable. */
export type ExcludeOption = readonly ExcludePattern[] | ((name: string) => boolean);

/** The names of all weights of the layers of a name. */
type WeightsOfLayer = (layer: string) => ReadonlySet<string>;

const ACCEPTED =
  'exclude must be an array of non-empty strings, RegExps and {layer: name}, or a function of the variable name';

function checkPattern(item: unknown, i: number): ExcludePattern {
  if (item instanceof RegExp) return item;
  const ofLayer = typeof item === 'object' && item !== null && Object.keys(item).join() === 'layer';
  const text: unknown = ofLayer ? (item as ExcludedLayer).layer : item;
  if (typeof text !== 'string') {
    const came = ofLayer ? `{layer: ${describe(text)}}` : describe(item);
    throw new TypeError(`${ACCEPTED}, got ${came} at position ${i}`);
  }
  if (text === '') {
    throw new RangeError(`${ACCEPTED}, got ${ofLayer ? "{layer: ''}" : "''"} at position ${i}`);
  }
  return ofLayer ? { layer: text } : text;
}

/** Whether a segment of the variable's path, but the last one, is `layer`; layers may have slashes in their names. */
function hasSegment(name: string, layer: string): boolean {
  return `/${name}`.includes(`/${layer}/`);
}

function isLayer(item: ExcludePattern): item is ExcludedLayer {
  return typeof item === 'object' && !(item instanceof RegExp);
}

function patternText(item: ExcludePattern): string {
  if (item instanceof RegExp) return String(item);
  return typeof item === 'string' ? `'${item}'` : `{layer: '${item.layer}'}`;
}

/** Decides whether a variable is excluded; saved and restored with the optimizer. */
export class Exclusion {
  private readonly option: ExcludeOption;

  /**
   * @param savedNames that a saved predicate had excluded, or that belonged to a saved layer.
   * @param weightsOfLayer where a model is given.
   * @param checked whether every pattern is known to match something.
   */
  constructor(
    option: ExcludeOption = [],
    private readonly savedNames: readonly string[] = [],
    private readonly weightsOfLayer?: WeightsOfLayer,
    private checked = false,
  ) {
    if (typeof option === 'function') {
      this.option = option;
      return;
    }
    if (!Array.isArray(option)) throw new TypeError(`${ACCEPTED}, got ${describe(option)}`);
    this.option = option.map(checkPattern);
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
    return option.some((item) => this.matcher(item)(name));
  }

  /** Tells which names a pattern matches now. */
  private matcher(item: ExcludePattern): (name: string) => boolean {
    if (typeof item === 'string') return (name) => name.includes(item);
    if (isLayer(item)) {
      const weights = this.weightsOfLayer?.(item.layer);
      return (name) => weights?.has(name) ?? hasSegment(name, item.layer);
    }
    return (name) => {
      item.lastIndex = 0; // of a global or sticky expression
      const found = item.test(name);
      item.lastIndex = 0;
      return found;
    };
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
    for (const item of option) {
      if (names.some(this.matcher(item))) continue;
      const hint =
        typeof item === 'string' && /[\\^$*|]/.test(item) ? ' (a string is a substring; give a RegExp)' : '';
      throw new FtpError(
        'UNMATCHED_PATTERN',
        `exclude has ${patternText(item)}, which matches no variable${hint}; variables: ` +
          `${names.slice(0, 8).join(', ')}${names.length > 8 ? ', ...' : ''}`,
      );
    }
    this.checked = true;
  }

  /** As JSON: patterns as they are, a predicate as those of `names` that it excludes. */
  toConfig(names: Iterable<string>): serialization.ConfigDict {
    const { option } = this;
    if (typeof option === 'function') {
      const excluded = [...names].filter((name) => this.matches(name));
      return { patterns: [], names: excluded.map(savedString), checked: true };
    }
    const patterns = option.map((item): serialization.ConfigDict => {
      if (typeof item === 'string') return savedString(item);
      if (item instanceof RegExp) return { regexp: savedString(item.source), flags: item.flags };
      return { layer: savedString(item.layer) };
    });
    // The model is not saved: weights of a layer that their names do not give away are saved by name.
    const all = [...names];
    const ofLayers = option
      .filter(isLayer)
      .flatMap((item) => all.filter(this.matcher(item)).filter((name) => !hasSegment(name, item.layer)));
    const saved = new Set([...this.savedNames, ...ofLayers]);
    return { patterns, names: [...saved].map(savedString), checked: this.checked };
  }

  /**
   * The inverse of {@link toConfig}.
   *
   * @throws FtpError STATE_MISMATCH for what toConfig does not give.
   */
  static fromConfig(config: unknown): Exclusion {
    try {
      const { patterns, names, checked } = config as {
        patterns: unknown[];
        names: unknown[];
        checked?: unknown;
      };
      const option = patterns.map((item) => {
        const { regexp, flags, layer } = item as { regexp?: unknown; flags: string; layer?: unknown };
        if (regexp !== undefined) return new RegExp(stringOf(regexp), flags);
        return layer !== undefined ? { layer: stringOf(layer) } : stringOf(item);
      });
      return new Exclusion(option, names.map(stringOf), undefined, checked !== false);
    } catch (cause) {
      throw new FtpError(
        'STATE_MISMATCH',
        `the configuration's 'exclusion' is not what an FTP optimizer saves, got ${describe(config)}`,
        { cause },
      );
    }
  }
}
