/**
 * `tfjs-ftp/native`: the fused FTP step on plain Float32Arrays, for training code that does not use tfjs.
 * Nothing of tfjs is loaded.
 *
 * @packageDocumentation
 */

import {
  nativeFailure,
  newSlab,
  nonFiniteIndex,
  sectionOf,
  sectionView,
  slabLayout,
} from './backends/native_state.js';
import { type BaseConfig, type Hyper, PlanEncoder, type PlanVariable } from './backends/plan.js';
import { FtpError } from './errors.js';
import {
  findNative,
  type NativeAddon,
  type NativeBuildInfo,
  type NativeLookup,
  type NativeStateLayout,
  requireNative,
} from './native.js';
import type { FusedState, FusedStepOptions, FusedVariable } from './native_types.js';
import type { NonFiniteAction } from './options.js';
import { type ConstraintReport, excludedReport, reportOf } from './projection/constraint_report.js';
import { layoutOfAxis, type RowLayout, rowLayoutByRank } from './projection/row_layout.js';
import {
  ADAMW_KEYS,
  CONSTRAINT_KEYS,
  checkBoolean,
  checkChoice,
  checkInteger,
  checkLearningRate,
  checkOptionKeys,
  describe,
  resolveAdamWOptions,
  resolveConstraintOptions,
  resolveSgdOptions,
  SGD_KEYS,
} from './validate.js';

export { FtpError, type FtpErrorCode } from './errors.js';
export type { NativeBuildInfo } from './native.js';
export type {
  FusedAdamWOptions,
  FusedSgdOptions,
  FusedState,
  FusedStepOptions,
  FusedStepShared,
  FusedVariable,
} from './native_types.js';
export type { AdamWUpdateOptions, ConstraintOptions, NonFiniteAction, SgdUpdateOptions } from './options.js';
export type { ConstraintReport } from './projection/constraint_report.js';

/** A variable with its slab and counters. */
interface Entry {
  name: string;
  weights: Float32Array;
  elements: number;
  excluded: boolean;
  rows: RowLayout;
  layout: NativeStateLayout;
  slab: Float32Array;
  born: number | null;
  updates: number;
  fromWeights: boolean;
  plan: PlanVariable;
}

const VARIABLE_KEYS = ['name', 'weights', 'shape', 'outputAxis', 'anchor', 'excluded'];

function checkArray(what: string, value: unknown, elements: number): Float32Array {
  if (!(value instanceof Float32Array)) {
    throw new TypeError(`${what} must be a Float32Array, got ${describe(value)}`);
  }
  if (value.length !== elements) {
    throw new RangeError(`${what} must have ${elements} elements, got ${value.length}`);
  }
  return value;
}

function checkShape(name: string, shape: unknown): number[] {
  if (!Array.isArray(shape))
    throw new TypeError(`shape of '${name}' must be an array, got ${describe(shape)}`);
  return shape.map((extent, i) => checkInteger(`shape[${i}] of '${name}'`, extent, 1, 2 ** 40));
}

/** The same weights in two variables would be updated twice, in an order that nobody asked for. */
function checkOverlap(entries: readonly Entry[]): void {
  const start = ({ weights }: Entry) => weights.byteOffset;
  const sorted = [...entries].sort((a, b) => start(a) - start(b));
  const last = new Map<ArrayBufferLike, Entry>();
  for (const entry of sorted) {
    const previous = last.get(entry.weights.buffer);
    if (previous !== undefined && start(previous) + previous.weights.byteLength > start(entry)) {
      throw new RangeError(`weights of '${previous.name}' and '${entry.name}' must not share memory`);
    }
    last.set(entry.weights.buffer, entry);
  }
}

/**
 * FTP steps over a fixed list of variables; {@link createFusedStep} makes one.
 *
 * A step is atomic: on any thrown error weights and state are as before the call.
 */
export class FusedStep {
  /** Steps left out because of a gradient that was not finite, with `nonFinite: 'skip'`. */
  skippedSteps = 0;
  private done = 0;
  private rate: number;
  private readonly addon: NativeAddon;
  private readonly config: BaseConfig;
  private readonly hyper: Hyper;
  private readonly nonFinite: NonFiniteAction;
  private readonly entries: Entry[];
  private readonly encoder = new PlanEncoder();

  /** @internal */
  constructor(options: FusedStepOptions) {
    const base = checkChoice('base', options?.base, ['adamw', 'sgd']);
    const keys = [...(base === 'adamw' ? ADAMW_KEYS : SGD_KEYS), ...CONSTRAINT_KEYS];
    checkOptionKeys('options', options, ['base', 'learningRate', 'variables', ...keys]);
    this.rate = checkLearningRate(options.learningRate);
    const { nonFinite, ...constraint } = resolveConstraintOptions(options);
    this.nonFinite = nonFinite;
    const none = { beta1: 0, beta2: 0, epsilon: 0, momentum: 0, dampening: 0, nesterov: false };
    const update = options.base === 'adamw' ? resolveAdamWOptions(options) : resolveSgdOptions(options);
    this.config = {
      base,
      amsgrad: 'amsgrad' in update && update.amsgrad,
      momentum: 'momentum' in update && update.momentum > 0,
    };
    this.hyper = {
      ...none,
      ...update,
      ...constraint,
      learningRate: this.rate,
      checkFinite: nonFinite !== 'ignore',
    };
    this.addon = requireNative();
    this.entries = this.makeEntries(options.variables);
  }

  /** Steps so far, without skipped ones. */
  get iterations(): number {
    return this.done;
  }

  /** Learning rate of steps that are not given another; settable. */
  get learningRate(): number {
    return this.rate;
  }

  set learningRate(value: number) {
    this.rate = checkLearningRate(value);
  }

  private makeEntries(variables: readonly FusedVariable[]): Entry[] {
    if (!Array.isArray(variables)) {
      throw new TypeError(`variables must be an array, got ${describe(variables)}`);
    }
    const names = new Set<string>();
    const entries = variables.map((variable: FusedVariable, i) => {
      checkOptionKeys(`variables[${i}]`, variable, VARIABLE_KEYS);
      const { name } = variable;
      if (typeof name !== 'string') {
        throw new TypeError(`variables[${i}].name must be a string, got ${describe(name)}`);
      }
      if (names.has(name)) throw new RangeError(`variables has '${name}' twice`);
      names.add(name);
      return this.makeEntry(variable);
    });
    checkOverlap(entries);
    return entries;
  }

  private makeEntry(variable: FusedVariable): Entry {
    const { name, outputAxis } = variable;
    const shape = checkShape(name, variable.shape);
    const elements = shape.reduce((product, extent) => product * extent, 1);
    const weights = checkArray(`weights of '${name}' [${shape}]`, variable.weights, elements);
    const excluded = checkBoolean(`excluded of '${name}'`, variable.excluded ?? false);
    const rows = outputAxis === undefined ? rowLayoutByRank(shape) : layoutOfAxis(name, shape, outputAxis);
    const anchor =
      variable.anchor === undefined
        ? weights
        : checkArray(`anchor of '${name}' [${shape}]`, variable.anchor, elements);
    const layout = slabLayout(this.addon, this.config, excluded, rows);
    const slab = newSlab(this.addon, layout.length);
    if (!excluded) sectionView(slab, layout, 'anchor').set(anchor);
    const plan = { layout: rows, excluded, t: 1, n: 1, fromWeights: true };
    const counters = { born: null, updates: 0, fromWeights: true };
    return { name, weights, elements, excluded, rows, layout, slab, plan, ...counters };
  }

  /**
   * One step: updates every variable's weights in place.
   *
   * @param gradients one for each variable, in order; null leaves the variable alone, with its state.
   * @param options `learningRate` of this step only.
   * @throws TypeError or RangeError for gradients that do not fit; FtpError NON_FINITE_GRADIENT, naming the variable,
   *   and NATIVE_FAILURE. Nothing has changed then.
   */
  step(gradients: ReadonlyArray<Float32Array | null>, options: { learningRate?: number } = {}): void {
    const { entries, hyper } = this;
    checkOptionKeys('options', options, ['learningRate']);
    const { learningRate = this.rate } = options;
    hyper.learningRate = checkLearningRate(learningRate);
    if (!Array.isArray(gradients)) {
      throw new TypeError(`gradients must be an array, got ${describe(gradients)}`);
    }
    if (gradients.length !== entries.length) {
      throw new RangeError(`gradients must have ${entries.length} entries, got ${gradients.length}`);
    }
    const present: Entry[] = [];
    const given: Float32Array[] = [];
    for (const [i, entry] of entries.entries()) {
      const gradient: unknown = gradients[i];
      if (gradient === null || gradient === undefined) continue;
      given.push(checkArray(`gradient of '${entry.name}'`, gradient, entry.elements));
      checkArray(`weights of '${entry.name}'`, entry.weights, entry.elements);
      const { plan } = entry;
      plan.t = entry.born === null ? 1 : this.done - entry.born + 1;
      plan.n = entry.updates + 1;
      plan.fromWeights = plan.t === 1 || entry.fromWeights;
      present.push(entry);
    }
    if (present.length > 0 && !this.run(present, given)) return;
    for (const entry of present) {
      entry.born ??= this.done;
      entry.fromWeights = false;
      ++entry.updates;
    }
    ++this.done;
  }

  /** The native call; false if the step was skipped. */
  private run(present: Entry[], gradients: Float32Array[]): boolean {
    const plans = present.map((entry) => entry.plan);
    const plan = this.encoder.encode(this.config, this.hyper, plans);
    const weights = present.map((entry) => entry.weights);
    const slabs = present.map((entry) => entry.slab);
    try {
      this.addon.step(plan, slabs, weights, gradients, weights);
      return true;
    } catch (error) {
      const index = nonFiniteIndex(error);
      if (index === null) throw nativeFailure('the native step', error);
      if (this.nonFinite === 'skip') {
        ++this.skippedSteps;
        return false;
      }
      throw new FtpError(
        'NON_FINITE_GRADIENT',
        `gradient of '${present[index]?.name}' holds NaN or an infinity in step ${this.done} (counted from 0); ` +
          'nothing was changed',
      );
    }
  }

  /** The constraint of every variable; null in place of numbers for excluded ones. Zero before its first step. */
  constraints(): ConstraintReport[] {
    return this.entries.map(({ name, excluded, rows, slab, layout }) => {
      if (excluded) return excludedReport(name, rows.rows);
      const gamma = sectionView(slab, layout, 'constraint')[0] as number;
      return reportOf(name, gamma, sectionView(slab, layout, 'norms'));
    });
  }

  private entry(index: number): Entry {
    return this.entries[checkInteger('index', index, 0, this.entries.length - 1)] as Entry;
  }

  /** A copy of the state of variable `index`. */
  state(index: number): FusedState {
    const { layout, slab, born, updates } = this.entry(index);
    const slots: FusedState['slots'] = {};
    for (const slot of Object.keys(layout.sections)) slots[slot] = sectionView(slab, layout, slot).slice();
    return { t: born === null ? 0 : this.done - born, n: updates, slots };
  }

  /**
   * Puts back a state that {@link FusedStep.state | state} gave, over the same weights: the next step goes on as if
   * there had been no stop. Call {@link FusedStep.weightsChanged | weightsChanged} if the weights are others.
   *
   * @throws TypeError or RangeError for a state that does not fit; nothing has changed then.
   */
  setState(index: number, state: FusedState): void {
    const entry = this.entry(index);
    const { layout, slab, name } = entry;
    const t = checkInteger(`t of '${name}'`, state?.t, 0, 2 ** 31 - 1);
    const n = checkInteger(`n of '${name}'`, state.n, 0, 2 ** 31 - 1);
    checkOptionKeys(`slots of '${name}'`, state.slots, Object.keys(layout.sections));
    for (const slot of Object.keys(layout.sections)) {
      checkArray(`slot ${slot} of '${name}'`, state.slots[slot], sectionOf(layout, slot).length);
    }
    for (const slot of Object.keys(layout.sections)) {
      sectionView(slab, layout, slot).set(state.slots[slot] as Float32Array);
    }
    entry.born = t === 0 ? null : this.done - t;
    entry.updates = n;
    entry.fromWeights = false;
  }

  /** Tells that weights were changed from outside: the next step starts from what they are then. */
  weightsChanged(index: number): void {
    this.entry(index).fromWeights = true;
  }

  /** Another array for the weights of a variable, e.g. after WASM memory has grown. Same length, same values. */
  rebind(index: number, weights: Float32Array): void {
    const entry = this.entry(index);
    const checked = checkArray(`weights of '${entry.name}'`, weights, entry.elements);
    const others = this.entries.map((other) => (other === entry ? { ...entry, weights: checked } : other));
    checkOverlap(others);
    entry.weights = checked;
  }

  /**
   * Makes the present weights the anchors and starts the constraints anew; the base update's moments are
   * kept. The next step puts every projected variable back on its (new) anchor.
   */
  reanchor(): void {
    for (const entry of this.entries) checkArray(`weights of '${entry.name}'`, entry.weights, entry.elements);
    for (const { excluded, slab, layout, weights } of this.entries) {
      if (excluded) continue;
      sectionView(slab, layout, 'anchor').set(weights);
      sectionView(slab, layout, 'deviation').fill(0);
      sectionView(slab, layout, 'norms').fill(1e-8);
      sectionView(slab, layout, 'constraint').set([1e-8, 0, 0, 0]);
    }
    for (const entry of this.entries) entry.born = null;
  }
}

/**
 * Makes fused FTP steps over plain Float32Arrays: the same update as `ftp.adamw` and `ftp.sgd`, whose
 * documentation has the equations, computed by the same native code.
 *
 * @param options the base update with its options, the learning rate, FTP's options and the variables.
 * @returns a {@link FusedStep}; it needs no disposal.
 * @throws TypeError or RangeError for options of a wrong type or value; FtpError ADDON_NOT_FOUND with every
 *   path tried. There is no fallback without the addon.
 *
 * @example
 * ```ts
 * import { createFusedStep } from 'tfjs-ftp/native';
 *
 * const weights = new Float32Array([0.1, -0.2, 0.3, 0.4, 0.5, -0.6]);
 * const fused = createFusedStep({
 *   base: 'adamw',
 *   learningRate: 1e-3,
 *   variables: [{ name: 'kernel', weights, shape: [3, 2] }],
 * });
 * fused.step([new Float32Array([1, 0, -1, 0.5, 2, 1])]);
 * console.log(fused.constraints());
 * ```
 */
export function createFusedStep(options: FusedStepOptions): FusedStep {
  return new FusedStep(options);
}

/** Whether the compiled addon can be loaded here. Never throws. */
export function isNativeAvailable(): boolean {
  return findNative().addon !== null;
}

/** What is known of the addon. */
export interface NativeInfo {
  available: boolean;
  /** The file that was loaded. */
  path: string | null;
  version: string | null;
  build: NativeBuildInfo | null;
  /** Each path that did not work, with its reason. */
  tried: NativeLookup['tried'];
}

/** Where the addon was found and how it was built, or what was tried. Never throws. */
export function nativeInfo(): NativeInfo {
  const { addon, path, tried } = findNative();
  return {
    available: addon !== null,
    path,
    version: addon?.version ?? null,
    build: addon?.buildInfo() ?? null,
    tried: tried.map((attempt) => ({ ...attempt })),
  };
}
