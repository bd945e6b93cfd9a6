/** What variables have of their own: numbers of the method, factors on the learning rate, exclusion. */

import type { serialization } from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import type { LearningOptions } from '../learn/options.js';
import type { BoundMethod } from '../methods/method.js';
import { none } from '../methods/none.js';
import { proposal } from '../methods/proposal.js';
import { checkBoolean, checkNumber, checkOptionKeys, describe } from '../validate.js';
import { LayerDecay, type LayerDecayOption } from './layer_decay.js';
import { type NamedShape, type Pattern, Patterns, type WeightsOfLayer } from './match.js';
import { savedString } from './names.js';
import type { ModelLike } from './output_axis.js';

/**
 * Which variables a group has: a pattern, an array of patterns, or a predicate on a variable's name and shape. A pattern is
 * one of those of {@link OptimizerOptions.exclude | exclude}, or `{rank: 1}`: all variables of that rank.
 */
export type GroupMatch = Pattern | readonly Pattern[] | ((name: string, shape: number[]) => boolean);

/**
 * Numbers that the variables of a group have in place of the optimizer's. Every number of the optimizer's method may be
 * given, within the bounds of the option of that name; one that the method has not, is an error. A number of a group
 * cannot bring or take state: with `momentum: 0` of the optimizer, a group cannot have momentum.
 */
export interface VariableGroup {
  /** Which variables belong to the group. A variable belongs to the first group that matches it. */
  match: GroupMatch;
  /** Factor on the learning rate, >= 0; default 1. Not around another optimizer. */
  learningRateScale?: number;
  /** Whether the variables take the plain base update, as if `exclude` named them; default false. */
  exclude?: boolean;
  /** Of AdamW and SGD. */
  weightDecay?: number;
  /** Of AdamW. */
  beta1?: number;
  /** Of AdamW. */
  beta2?: number;
  /** Of AdamW. */
  epsilon?: number;
  /** Of SGD with momentum. */
  momentum?: number;
  /** Of SGD. */
  dampening?: number;
  /** Of `spd` and `l2sp`. */
  strength?: number;
  /** Of `fixedRadius`, where the optimizer's radius is a number. */
  radius?: number;
  /** Of `ftp`. */
  k?: number;
  /** Of `ftp`. */
  constraintLearningRate?: number;
  /** Of `ftp`. */
  constraintBeta1?: number;
  /** Of `ftp`. */
  constraintBeta2?: number;
  /** Of `digrap`. */
  strengthLearningRate?: number;
  /** Of `digrap`. */
  strengthBeta1?: number;
  /** Of `digrap`. */
  strengthBeta2?: number;
}

/** Options of optimizers that compute their own base update. */
export interface PerVariableOptions extends LearningOptions {
  /**
   * Factor on the learning rate from a layer to the one before it, > 0 and <= 1, for layers near the input to move less
   * than those near the output. With L layers, layer i from 0 at the input has
   *
   *     learningRate layerDecay^(L - 1 - i)
   *
   * as timm's `param_groups_layer_decay`; 0.75 is usual for transformers. A number needs `model`, whose layers with
   * weights count one by one, in order, those of nested models too. A block of a transformer is many such layers:
   * `{decay, layers}` names them instead, from the input to the output, with a pattern or an array of patterns each, as
   * in `groups`; the first that matches counts. Variables of no layer have the factor 1. Default: 1 for all. It
   * multiplies a group's `learningRateScale`.
   */
  layerDecay?: LayerDecayOption;
  /**
   * Whether `weightDecay` leaves out variables of rank 0 and 1, such as biases and the scales of normalizations, as is
   * usual in PyTorch (timm, BERT). Default false. A group that has a `weightDecay` keeps it.
   */
  decayMatricesOnly?: boolean;
}

/** The options that this file checks. */
export interface GroupingOptions extends PerVariableOptions {
  groups?: readonly VariableGroup[];
}

/** Names of {@link PerVariableOptions}. */
export const PER_VARIABLE_OPTIONS = ['layerDecay', 'decayMatricesOnly'];

/** What one variable has of its own. */
export interface OwnValues {
  /** Factor on the learning rate. */
  readonly learningRateScale: number;
  /** In place of the optimizer's options. */
  readonly numbers: { readonly [option: string]: number };
  /** Whether a group excludes it. */
  readonly excluded: boolean;
}

export const NOTHING_OWN: OwnValues = { learningRateScale: 1, numbers: {}, excluded: false };

/** A variable of this rank has a bias's shape. */
const VECTOR = 1;

type Predicate = (name: string, shape: number[]) => boolean;

interface Group extends Omit<OwnValues, 'excluded'> {
  match: Patterns | Predicate;
  exclude: boolean;
}

/** Where groups come from besides their options. */
export interface GroupSources {
  method: BoundMethod;
  /** The method with other options in place of its own. */
  bind(numbers: { readonly [option: string]: number }): BoundMethod;
  model: ModelLike | undefined;
  weightsOfLayer: WeightsOfLayer | undefined;
}

function termsOf(i: number) {
  const option = `groups[${i}].match`;
  const accepted =
    `${option} must be a non-empty string, a RegExp, {layer: name}, {rank: n}, an array of these, or a function of ` +
    'name and shape';
  return { option, accepted, ranks: true };
}

function checkMatch(
  i: number,
  match: unknown,
  weightsOfLayer: WeightsOfLayer | undefined,
): Patterns | Predicate {
  if (typeof match === 'function') return match as Predicate;
  if (!Array.isArray(match)) return Patterns.single(termsOf(i), match, weightsOfLayer);
  if (match.length === 0) throw new RangeError(`${termsOf(i).accepted}, got an empty array`);
  return Patterns.of(termsOf(i), match, weightsOfLayer);
}

/** Names of the numbers that a group may have. */
function numbersOf({ base, rule }: BoundMethod): string[] {
  return [...base.numbers, ...rule.numbers].filter((name) => name !== 'learningRate');
}

/** Checks the numbers of a group, one by one and together. */
function checkNumbers(where: string, given: { [option: string]: unknown }, sources: GroupSources) {
  const { method } = sources;
  const numbers: { [option: string]: number } = {};
  for (const name of numbersOf(method)) {
    const value = given[name];
    if (value === undefined) continue;
    if (typeof value !== 'number') {
      throw new TypeError(`${where}.${name} must be a number, got ${describe(value)}`);
    }
    if (typeof method.options[name] === 'function') {
      throw new RangeError(
        `${where}.${name} must be left out where ${name} is a function, which gives every variable its own; got ${value}`,
      );
    }
    const specs = method.table as { [option: string]: { check(name: string, value: unknown): unknown } };
    numbers[name] = specs[name]?.check(`${where}.${name}`, value) as number;
  }
  const own = sources.bind(numbers);
  if (own.baseFlags !== method.baseFlags || own.ruleFlags !== method.ruleFlags) {
    const shown = Object.entries(numbers).map(([name, value]) => `${name} ${value}`);
    throw new RangeError(
      `${where} must leave each variable the state that the optimizer's options give it (momentum 0 has none), got ` +
        shown.join(', '),
    );
  }
  return numbers;
}

function checkGroup(i: number, group: unknown, sources: GroupSources): Group {
  const where = `groups[${i}]`;
  const { base, rule } = sources.method;
  const rates = base === proposal ? [] : ['learningRateScale'];
  const exclusions = rule === none ? [] : ['exclude'];
  checkOptionKeys(where, group, ['match', ...rates, ...exclusions, ...numbersOf(sources.method)]);
  const given = group as { [option: string]: unknown };
  const { learningRateScale = 1, exclude = false } = given;
  return {
    match: checkMatch(i, given.match, sources.weightsOfLayer),
    learningRateScale: checkNumber(`${where}.learningRateScale`, learningRateScale, { min: 0 }),
    exclude: checkBoolean(`${where}.exclude`, exclude),
    numbers: checkNumbers(where, given, sources),
  };
}

/** Knows what each variable has of its own; saved and restored with the optimizer. */
export class VariableGroups {
  private constructor(
    private readonly groups: readonly Group[],
    private readonly layerDecay: LayerDecay | null,
    private readonly decayMatricesOnly: boolean,
    /** Whether the method has a weight decay that variables of rank 0 and 1 can be left out of. */
    private readonly hasDecay: boolean,
    private checked: boolean,
  ) {}

  /** @throws TypeError or RangeError for options of a wrong type or value. */
  static of(
    { groups = [], layerDecay, decayMatricesOnly = false }: GroupingOptions,
    sources: GroupSources,
  ): VariableGroups {
    if (!Array.isArray(groups)) {
      throw new TypeError(`groups must be an array of {match, ...}, got ${describe(groups)}`);
    }
    return new VariableGroups(
      groups.map((group, i) => checkGroup(i, group, sources)),
      layerDecay === undefined ? null : LayerDecay.of(layerDecay, sources.model, sources.weightsOfLayer),
      checkBoolean('decayMatricesOnly', decayMatricesOnly),
      'weightDecay' in sources.method.table,
      false,
    );
  }

  /**
   * What a variable has of its own.
   *
   * @throws TypeError for what a predicate returns.
   */
  of(variable: NamedShape): OwnValues {
    const group = this.groups.find((candidate, i) => isOf(candidate, i, variable));
    const depth = this.layerDecay?.of(variable) ?? 1;
    const undecayed = this.hasDecay && this.decayMatricesOnly && variable.shape.length <= VECTOR;
    if (group === undefined && depth === 1 && !undecayed) return NOTHING_OWN;
    return {
      learningRateScale: depth * (group?.learningRateScale ?? 1),
      numbers: { ...(undecayed ? { weightDecay: 0 } : {}), ...group?.numbers },
      excluded: group?.exclude ?? false,
    };
  }

  /**
   * Checks once that every pattern matches one of the variables.
   *
   * @throws FtpError UNMATCHED_PATTERN.
   */
  check(variables: readonly NamedShape[]): void {
    if (this.checked) return;
    for (const { match } of this.groups) if (match instanceof Patterns) match.check(variables);
    this.layerDecay?.check(variables);
    this.checked = true;
  }

  /** As JSON, under the key `perVariable`; a predicate as those of `variables` that it matches. Nothing where all is default. */
  toConfig(variables: readonly NamedShape[]): serialization.ConfigDict {
    const { groups, layerDecay, decayMatricesOnly, checked } = this;
    if (groups.length === 0 && layerDecay === null && !decayMatricesOnly) return {};
    const saved = groups.map((group, i) => {
      const { match, learningRateScale, exclude, numbers } = group;
      const matched =
        match instanceof Patterns
          ? match.toConfig(variables)
          : {
              patterns: [],
              names: variables.filter((one) => isOf(group, i, one)).map(({ name }) => savedString(name)),
            };
      return { match: matched, learningRateScale, exclude, numbers };
    });
    const decay = layerDecay?.toConfig(variables) ?? null;
    return {
      perVariable: { groups: saved, layerDecay: decay, decayMatricesOnly, checked },
    } as serialization.ConfigDict;
  }

  /**
   * The inverse of {@link toConfig}.
   *
   * @throws FtpError STATE_MISMATCH for what toConfig does not give.
   */
  static fromConfig(config: unknown, sources: GroupSources): VariableGroups {
    if (config === undefined || config === null) return VariableGroups.of({}, sources);
    try {
      const { groups, layerDecay, decayMatricesOnly, checked } = config as {
        groups: Array<{
          match: { patterns: unknown[]; names: unknown[] };
          numbers: object;
          [key: string]: unknown;
        }>;
        layerDecay: unknown;
        decayMatricesOnly: unknown;
        checked: unknown;
      };
      return new VariableGroups(
        groups.map(({ match, learningRateScale, exclude, numbers }, i) => ({
          match: Patterns.fromConfig(termsOf(i), match),
          learningRateScale: checkNumber('learningRateScale', learningRateScale, { min: 0 }),
          exclude: checkBoolean('exclude', exclude),
          numbers: checkNumbers(`groups[${i}]`, { ...numbers }, sources),
        })),
        layerDecay === null ? null : LayerDecay.fromConfig(layerDecay),
        checkBoolean('decayMatricesOnly', decayMatricesOnly),
        'weightDecay' in sources.method.table,
        checked !== false,
      );
    } catch (cause) {
      throw new FtpError(
        'STATE_MISMATCH',
        `the configuration's 'perVariable' is not what an optimizer saves, got ${describe(config)}`,
        { cause },
      );
    }
  }
}

function isOf({ match }: Group, i: number, variable: NamedShape): boolean {
  if (match instanceof Patterns) return match.matches(variable);
  const result: unknown = match(variable.name, [...variable.shape]);
  if (typeof result !== 'boolean') {
    throw new TypeError(
      `groups[${i}].match('${variable.name}') must return a boolean, got ${describe(result)}`,
    );
  }
  return result;
}
