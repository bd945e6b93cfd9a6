/**
 * What a step computes. A method is composed of two pieces: a *base update*, which says what a plain optimizer would
 * subtract from the weights, and a *rule*, which holds the weights near their anchor. A piece is one file here; native
 * code knows it by its code, its flags, the numbers of a step and the names of its state slots. Formulas take tfjs's
 * operations as an argument: nothing in this folder loads tfjs.
 */

import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { type OptionTable, resolveOptions } from '../options.js';
import { none } from './none.js';

/** The operations of tfjs. */
export type Ops = typeof tfjs;

/** All parts that a variable's state may have, in the order in which they are saved. */
export const SLOT_NAMES = [
  'anchor',
  'deviation',
  'm',
  'v',
  'vmax',
  'momentum',
  'norms',
  'constraint',
  // not a method's: the average of the weights, and the gradient that the last step saw
  'ema',
  'gradient',
] as const;
export type SlotName = (typeof SLOT_NAMES)[number];

/** The slots that are stored in the state's format; all others are float32. As in native/kernels/slots.h. */
export const FORMATTED_SLOTS: readonly string[] = ['deviation', 'm', 'v', 'vmax', 'momentum'];

/** Numbers of a method that can be learned by their hyper-gradients. */
export type HyperParameter = 'learningRate' | 'weightDecay' | 'beta1' | 'momentum' | 'beta2' | 'strength';

/** A part of a variable's state. */
export interface SlotSpec<O = object> {
  name: SlotName;
  /** The variable's shape, one number per row, or so many numbers. */
  shape: 'variable' | 'rows' | number;
  /** With which options it exists; default: with all. */
  when?(options: O): boolean;
  /** What re-anchoring puts in: one number, or one for each element; default 0. Not looked at for `anchor`. */
  restart?: number | readonly number[];
}

/** Slots before a step. Those that the method's options do not bring are not there. */
export type Slots = Readonly<Record<SlotName, Tensor>>;
/** Slots after a step. */
export type NextSlots = Partial<Slots>;

/** The options of a method, and the learning rate of the step. */
export interface StepValues {
  readonly learningRate: number;
  readonly [option: string]: unknown;
}

/** Factors on three of a step's numbers that a variable has of its own. */
export interface Scales {
  learningRate: number;
  weightDecay: number;
  /** On the rule's {@link Rule.scaled} number. */
  rule: number;
}

/** What a variable is called, and where it is in the model. */
export interface Place {
  name: string;
  shape: readonly number[];
  /** Index of its layer, from 0. */
  layer: number;
  /** How many layers there are. */
  layers: number;
}

/** What the last step of a variable left, for a report. */
export interface LastStep {
  /** The slot `constraint`; empty where the rule has none. */
  constraint: ArrayLike<number>;
  /** The slot `norms`; empty where the rule has none. */
  norms: ArrayLike<number>;
  /** Mean over the rows of sum_j |A[r, j]|. */
  anchorNorm: number;
  /** {@link Scales.rule} */
  scale: number;
}

/** What a report tells of a variable; null: the rule has no such number. */
export interface RuleReport {
  gamma: number | null;
  relative: number | null;
  norm: number | null;
  maxNorm: number | null;
  meanRatio: number | null;
  atBoundary: number | null;
  radius?: number;
  strength?: number;
  omega?: number;
  scale?: number;
}

/** The rows of a variable: one row per output unit. */
export interface Rows {
  /** How many. */
  readonly count: number;
  /** Sum over each row: the variable's shape -> [rows]. */
  sum(x: Tensor): Tensor;
  /** `x`, in the variable's shape, with each row multiplied by its factor of `factors` [rows]. */
  scale(x: Tensor, factors: Tensor): Tensor;
}

/** One variable in a step. Tensors are in the variable's shape, but for the slots of another. */
export interface VariableView {
  /** Weights before the step. */
  w: Tensor;
  g: Tensor;
  /** With the base update `proposal`: the weights that another optimizer proposes. */
  proposal: Tensor | null;
  slots: Slots;
  rows: Rows;
  /** Steps since the variable's first gradient, this one included, gaps too. */
  t: number;
  /** Updates of the variable, this one included. */
  n: number;
  /** Whether `w` is not what the last step left: at the first step, and after an assignment from outside. */
  fromWeights: boolean;
  /** Sums over all variables of the step of what {@link Rule.gather} gives; null for a rule that has none. */
  totals: Tensor | null;
  /** `x` as a slot will hold it; default: as it is. For formulas that go on from what is stored. */
  stored?: ((slot: SlotName, x: Tensor) => Tensor) | undefined;
}

/** What bases and rules have in common. `O`: the options, complete. */
interface Piece<O> {
  readonly name: string;
  /** Its number in native code. */
  readonly code: number;
  readonly options: OptionTable<O>;
  /** Checks options against each other. */
  check?(options: O): void;
  /** What native code must know at compile time or to find the slots, as bits. */
  flags(options: O): number;
  readonly slots: ReadonlyArray<SlotSpec<O>>;
  /** The options that native code takes as numbers, in this order; `learningRate` may be among them. */
  readonly numbers: readonly string[];
}

/** A tensor that depends on the weights before a step: `constant` + `slope` W. */
export interface Linear {
  constant(): Tensor;
  slope: number;
}

/**
 * What the state tells of the update that led to the present weights. The base subtracted learningRate (direction + decay W)
 * from the weights W before it.
 */
export interface LastUpdate {
  direction: Tensor;
  decay: number;
  /** Derivative of what the base subtracted by its other numbers, as far as they can be learned; `w` gives W. */
  by: { readonly [number: string]: (w: () => Tensor) => Tensor };
}

/** What a rule did with the update that led to the present weights. What is not there did not happen. */
export interface LastRule {
  /** Added to the gradient that the base saw. */
  gradient?: Linear;
  /** Subtracted besides U, times the learning rate. */
  pull?: Linear;
  /** W - U, where the new weights are not that. */
  unprojected?(): Tensor;
  /** W, where the state holds it. */
  before?(): Tensor;
  /** The change of the new weights that the change `x` of W - U makes, other numbers held. */
  through?(x: Tensor): Tensor;
  /** Derivative of the new weights by the rule's strength, where it can be learned. */
  byStrength?(w: () => Tensor): Tensor;
}

/** What a plain optimizer does with the weights: either what it subtracts, `u`, or the weights that it `proposes`. */
export type BaseResult = { u: Tensor; slots: NextSlots } | { proposes: Tensor };

/** A base update. */
export interface BaseUpdate<O = object> extends Piece<O> {
  /** The formula; `g` and `w` may be others than the view's. */
  update(
    ops: Ops,
    values: O & { learningRate: number },
    g: Tensor,
    w: Tensor,
    view: VariableView,
  ): BaseResult;
  /** Names of the numbers that can be learned with these options; default: none. */
  learns?(options: O): readonly HyperParameter[];
  /** By the slots that its last update left; `g` is the gradient that it saw, `n` which update it was. */
  last?(ops: Ops, values: O & { learningRate: number }, slots: Slots, g: Linear, n: number): LastUpdate;
}

/** A base update that has been computed, as a rule sees it. */
export interface BaseStep {
  /** U, what a plain optimizer would subtract. */
  u(): Tensor;
  /** W - U */
  weights(): Tensor;
  /**
   * C = W - U - A, as the slot `deviation` will hold it. `held` gives W - A where it is known other than by subtracting, which loses less to rounding; with
   * `held` null it follows from the weights.
   */
  deviation(anchor: Tensor, held: (() => Tensor) | null): Tensor;
}

/** What holds a variable near its anchor. */
export interface Rule<O = object> extends Piece<O> {
  /** The option that {@link Scales.rule} multiplies. */
  readonly scaled?: string;
  /** A variable's factor on that option from the mean over the rows of sum_j |A[r, j]|; null: 1 with these options. */
  anchorScale?(options: O): ((anchorNorm: number) => number) | null;
  /** The same from the variable's place in the model; saved with the optimizer. Both are multiplied. */
  placeScale?(options: O): ((place: Place) => number) | null;
  /**
   * Whether it changes what the base update sees or gives, in place of A + s C. Native code has no such step around
   * another optimizer.
   */
  readonly onePass?: boolean;
  /** Whether native code lacks it. */
  readonly notNative?: boolean;
  /** What a report tells; default: nothing. */
  report?(options: O, last: LastStep): Partial<RuleReport>;
  /** Numbers, [k], whose sum over all variables the step of each of them needs. */
  gather?(ops: Ops, values: O & { learningRate: number }, view: VariableView): Tensor;
  /**
   * The formula: new weights, and the rule's slots. `base` computes the base update, from the gradient and the weights
   * that it is given; to be called once. The last operation should be done in the variable's shape, not be a reshape:
   * tfjs moves a tensor to another backend with the shape that its data had first.
   */
  step(
    ops: Ops,
    values: O & { learningRate: number },
    view: VariableView,
    base: (g: Tensor, w: Tensor) => BaseStep,
  ): { weights: Tensor; slots: NextSlots };
  /**
   * The weights that the last step left, by the rule's slots. Only for a rule that goes on from them: `fromWeights` then
   * matters.
   */
  left?(ops: Ops, options: O, slots: Slots, rows: Rows): Tensor;
  /** As {@link BaseUpdate.learns}. */
  learns?(options: O): readonly HyperParameter[];
  /** By the slots that its last step left. */
  last?(ops: Ops, values: O & { learningRate: number }, slots: Slots, rows: Rows): LastRule;
}

/** A base update and a rule, before their options are known. */
export interface Method {
  readonly base: BaseUpdate;
  readonly rule: Rule;
  /** Names of all options. */
  readonly optionNames: readonly string[];
  /** @throws TypeError or RangeError for options of a wrong type or value. Others than the method's are not looked at. */
  with(options: object): BoundMethod;
}

/** The method of a base update and a rule. */
export function compose<B, R>(base: BaseUpdate<B>, rule: Rule<R>): Method {
  const optionNames = [...Object.keys(base.options), ...Object.keys(rule.options)];
  return {
    base: base as BaseUpdate,
    rule: rule as Rule,
    optionNames,
    with: (options) => new BoundMethod(base as BaseUpdate, rule as Rule, options),
  };
}

/** A method with its options: all that fixes a variable's state and its step but the numbers of the step itself. */
export class BoundMethod {
  /** Complete and checked. */
  readonly options: { readonly [name: string]: unknown };
  readonly baseFlags: number;
  readonly ruleFlags: number;
  /** In the order of {@link SLOT_NAMES}. */
  readonly slots: readonly SlotSpec[];
  /** The same without the rule: what excluded variables take. */
  readonly plain: BoundMethod;

  constructor(
    readonly base: BaseUpdate,
    readonly rule: Rule,
    given: object,
  ) {
    this.options = { ...resolvePiece(base, given), ...resolvePiece(rule, given) };
    this.baseFlags = base.flags(this.options);
    this.ruleFlags = rule.flags(this.options);
    this.slots = [...base.slots, ...rule.slots]
      .filter((slot) => slot.when?.(this.options) ?? true)
      .sort((a, b) => SLOT_NAMES.indexOf(a.name) - SLOT_NAMES.indexOf(b.name));
    this.plain = rule === none ? this : new BoundMethod(base, none, given);
  }

  /** {@link Rule.anchorScale} with the options. */
  get anchorScale(): ((anchorNorm: number) => number) | null {
    return this.rule.anchorScale?.(this.options) ?? null;
  }

  /** Whether there is a slot of this name. */
  has(slot: SlotName): boolean {
    return this.slots.some(({ name }) => name === slot);
  }

  /** The slots of the rule alone. */
  get ruleSlots(): readonly SlotSpec[] {
    return this.slots.filter(({ name }) => !this.plain.has(name));
  }

  /** All options. */
  get table(): OptionTable<object> {
    return { ...this.base.options, ...this.rule.options };
  }

  /** An option that is a function gives every variable its factor: the number itself is 1 then. */
  values(learningRate: number): StepValues {
    const numbers = Object.entries(this.options).map(([name, value]) => [
      name,
      typeof value === 'function' ? 1 : value,
    ]);
    return { ...Object.fromEntries(numbers), learningRate };
  }

  /** The numbers of a step for a variable that has scales of its own. */
  scaled(values: StepValues, { learningRate, weightDecay, rule }: Scales): StepValues {
    if (learningRate === 1 && weightDecay === 1 && rule === 1) return values;
    const { scaled } = this.rule;
    return {
      ...values,
      learningRate: values.learningRate * learningRate,
      ...('weightDecay' in values ? { weightDecay: (values.weightDecay as number) * weightDecay } : {}),
      ...(scaled === undefined ? {} : { [scaled]: (values[scaled] as number) * rule }),
    };
  }

  /** Names of the numbers that can be learned. */
  get learns(): readonly HyperParameter[] {
    const { base, rule, options } = this;
    return [...(base.learns?.(options) ?? []), ...(rule.learns?.(options) ?? [])];
  }

  /** The gradient that the rule lets the base update see. */
  gradient(ops: Ops, values: StepValues, view: VariableView): Tensor {
    let seen = view.g;
    this.rule.step(ops, values, view, (g, w) => {
      seen = g;
      return baseStep(ops, w, { proposes: w }, view);
    });
    return seen;
  }

  /** One step of one variable in tfjs operations. */
  step(ops: Ops, values: StepValues, view: VariableView): { weights: Tensor; slots: NextSlots } {
    let baseSlots: NextSlots = {};
    const { weights, slots } = this.rule.step(ops, values, view, (g, w) => {
      const result = this.base.update(ops, values, g, w, view);
      if ('u' in result) baseSlots = result.slots;
      return baseStep(ops, w, result, view);
    });
    return { weights, slots: { ...baseSlots, ...slots } };
  }
}

function resolvePiece<O>(piece: Piece<O>, given: object): O {
  const options = resolveOptions(piece.options, given);
  piece.check?.(options);
  return options;
}

function baseStep({ clone, sub }: Ops, w: Tensor, result: BaseResult, view: VariableView): BaseStep {
  const stored = (x: Tensor) => view.stored?.('deviation', x) ?? x;
  if ('proposes' in result) {
    const { proposes } = result;
    return {
      u: () => sub(w, proposes),
      // It may be the variable itself, which is not the step's to dispose.
      weights: () => clone(proposes),
      deviation: (anchor) => stored(sub(proposes, anchor)),
    };
  }
  const { u } = result;
  return {
    u: () => u,
    weights: () => sub(w, u),
    deviation: (anchor, held) => stored(held === null ? sub(sub(w, u), anchor) : sub(held(), u)),
  };
}
