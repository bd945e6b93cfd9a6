/** Patterns of variables: by name, by layer, by rank. */

import type { serialization } from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import { describe } from '../validate.js';
import { findByName, type SavedString, savedString, stringOf } from './names.js';

/** All variables of the layer of this name. */
export interface ExcludedLayer {
  layer: string;
}

/** All variables of this rank. */
export interface VariablesOfRank {
  rank: number;
}

export type Pattern = string | RegExp | ExcludedLayer | VariablesOfRank;

/** A variable, as far as patterns look at it. */
export interface NamedShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** The names of all weights of the layers of a name. */
export type WeightsOfLayer = (layer: string) => ReadonlySet<string>;

/** What a list of patterns is called, and what it accepts. */
export interface PatternTerms {
  /** Name of the option. */
  option: string;
  /** What the option accepts, for messages. */
  accepted: string;
  /** Whether `{rank: n}` is a pattern. */
  ranks: boolean;
}

/** The largest rank of a tensor in tfjs. */
const MOST_AXES = 6;

function onlyKey(item: unknown, key: string): boolean {
  return typeof item === 'object' && item !== null && Object.keys(item).join() === key;
}

function checkPattern(terms: PatternTerms, item: unknown, i: number | null): Pattern {
  if (item instanceof RegExp) return item;
  const position = i === null ? '' : ` at position ${i}`;
  if (terms.ranks && onlyKey(item, 'rank')) {
    const { rank } = item as { rank: unknown };
    if (Number.isInteger(rank) && (rank as number) >= 0 && (rank as number) <= MOST_AXES) {
      return { rank: rank as number };
    }
    const wrong = typeof rank === 'number' ? RangeError : TypeError;
    throw new wrong(
      `${terms.accepted}, with a rank from 0 to ${MOST_AXES}, got {rank: ${describe(rank)}}${position}`,
    );
  }
  const ofLayer = onlyKey(item, 'layer');
  const text: unknown = ofLayer ? (item as ExcludedLayer).layer : item;
  if (typeof text !== 'string') {
    const came = ofLayer ? `{layer: ${describe(text)}}` : describe(item);
    throw new TypeError(`${terms.accepted}, got ${came}${position}`);
  }
  if (text === '')
    throw new RangeError(`${terms.accepted}, got ${ofLayer ? "{layer: ''}" : "''"}${position}`);
  return ofLayer ? { layer: text } : text;
}

/** Whether a segment of the variable's path, but the last one, is `layer`; layers may have slashes in their names. */
function hasSegment(name: string, layer: string): boolean {
  return `/${name}`.includes(`/${layer}/`);
}

function isLayer(item: Pattern): item is ExcludedLayer {
  return typeof item === 'object' && 'layer' in item;
}

function isRank(item: Pattern): item is VariablesOfRank {
  return typeof item === 'object' && 'rank' in item;
}

function patternText(item: Pattern): string {
  if (item instanceof RegExp) return String(item);
  if (typeof item === 'string') return `'${item}'`;
  return isRank(item) ? `{rank: ${item.rank}}` : `{layer: '${item.layer}'}`;
}

function patternConfig(item: Pattern): serialization.ConfigDict {
  if (typeof item === 'string') return savedString(item);
  if (item instanceof RegExp) return { regexp: savedString(item.source), flags: item.flags };
  return isRank(item) ? { rank: item.rank } : { layer: savedString(item.layer) };
}

function patternOf(saved: unknown): Pattern {
  const { regexp, flags, layer, rank } = saved as { [key: string]: unknown };
  if (regexp !== undefined) return new RegExp(stringOf(regexp), flags as string);
  if (rank !== undefined) return { rank: Number(rank) };
  return layer !== undefined ? { layer: stringOf(layer) } : stringOf(saved);
}

/** A list of patterns; a variable that one of them matches is of the list. */
export class Patterns {
  private constructor(
    private readonly terms: PatternTerms,
    private readonly list: readonly Pattern[],
    /** Names that match too: of a saved layer, or of a predicate that could not be saved. */
    private readonly savedNames: readonly string[],
    private readonly weightsOfLayer: WeightsOfLayer | undefined,
  ) {}

  /** @throws TypeError or RangeError for what is no pattern. */
  static of(terms: PatternTerms, items: readonly unknown[], weightsOfLayer?: WeightsOfLayer): Patterns {
    return new Patterns(
      terms,
      items.map((item, i) => checkPattern(terms, item, i)),
      [],
      weightsOfLayer,
    );
  }

  /** The list of one pattern. */
  static single(terms: PatternTerms, item: unknown, weightsOfLayer?: WeightsOfLayer): Patterns {
    return new Patterns(terms, [checkPattern(terms, item, null)], [], weightsOfLayer);
  }

  matches(variable: NamedShape): boolean {
    const { savedNames, list } = this;
    if (savedNames.length > 0 && findByName(savedNames, (saved) => saved, variable.name) !== undefined) {
      return true;
    }
    return list.some((item) => this.matcher(item)(variable));
  }

  /** Tells which variables a pattern matches now. */
  private matcher(item: Pattern): (variable: NamedShape) => boolean {
    if (typeof item === 'string') return ({ name }) => name.includes(item);
    if (item instanceof RegExp) {
      return ({ name }) => {
        item.lastIndex = 0; // of a global or sticky expression
        const found = item.test(name);
        item.lastIndex = 0;
        return found;
      };
    }
    if (isRank(item)) return ({ shape }) => shape.length === item.rank;
    const weights = this.weightsOfLayer?.(item.layer);
    return ({ name }) => weights?.has(name) ?? hasSegment(name, item.layer);
  }

  /**
   * Checks that every pattern matches one of `variables`.
   *
   * @throws FtpError UNMATCHED_PATTERN.
   */
  check(variables: readonly NamedShape[]): void {
    for (const item of this.list) {
      if (variables.some(this.matcher(item))) continue;
      const hint =
        typeof item === 'string' && /[\\^$*|]/.test(item) ? ' (a string is a substring; give a RegExp)' : '';
      const names = variables.map(({ name }) => name);
      throw new FtpError(
        'UNMATCHED_PATTERN',
        `${this.terms.option} has ${patternText(item)}, which matches no variable${hint}; variables: ` +
          `${names.slice(0, 8).join(', ')}${names.length > 8 ? ', ...' : ''}`,
      );
    }
  }

  /** As JSON. The model is not saved: weights of a layer that their names do not give away are saved by name. */
  toConfig(variables: readonly NamedShape[]): { patterns: serialization.ConfigDict[]; names: SavedString[] } {
    const ofLayers = this.list
      .filter(isLayer)
      .flatMap((item) =>
        variables.filter(this.matcher(item)).filter(({ name }) => !hasSegment(name, item.layer)),
      );
    const names = new Set([...this.savedNames, ...ofLayers.map(({ name }) => name)]);
    return { patterns: this.list.map(patternConfig), names: [...names].map(savedString) };
  }

  /** The inverse of {@link toConfig}; throws for what it does not give. */
  static fromConfig(terms: PatternTerms, config: { patterns: unknown[]; names: unknown[] }): Patterns {
    return new Patterns(terms, config.patterns.map(patternOf), config.names.map(stringOf), undefined);
  }
}
