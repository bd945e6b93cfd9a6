/** Fused FTP steps over arrays of one kind. */

/// <reference lib="esnext.disposable" preserve="true" />

import { nativeFailure, nonFiniteIndex, sectionOf, slabLayout } from '../backends/native_state.js';
import { PlanEncoder, type StepSettings } from '../backends/plan.js';
import { FtpError } from '../errors.js';
import { changedOptions, INSPECT, type Inspect, summarize } from '../inspect.js';
import { adamw } from '../methods/adamw.js';
import { ftp } from '../methods/ftp.js';
import { type BoundMethod, compose, type Method, type SlotName } from '../methods/method.js';
import { sgd } from '../methods/sgd.js';
import { checkLearningRate, RUN_OPTIONS, type RunSettings, resolveOptions } from '../options.js';
import {
  checkChoice,
  checkFloat32Array,
  checkInteger,
  checkLength,
  checkOptionKeys,
  describe,
} from '../validate.js';
import {
  anchorNormOf,
  type ConstraintReport,
  excludedReport,
  reportOf,
} from '../variables/constraint_report.js';
import type { RowLayout } from '../variables/row_layout.js';
import { type NativeAddon, requireNative } from './addon.js';
import { DeviceBuffer } from './device_buffer.js';
import { DeviceStorage } from './device_storage.js';
import { makeDisposable } from './disposable.js';
import { checkOverlap, checkVariables, type Entry, makeEntries, WeightsMemory } from './entries.js';
import { HostStorage } from './host_storage.js';
import type { FusedArray, FusedStorage } from './storage.js';
import type { FusedState, FusedStepOptions, FusedVariable } from './types.js';

const METHODS: Readonly<Record<FusedStepOptions['base'], Method>> = {
  adamw: compose(adamw, ftp),
  sgd: compose(sgd, ftp),
};

/** The storage of the kind that the first variable's weights are of. */
function storageOf<A extends FusedArray>(
  addon: NativeAddon,
  variables: readonly FusedVariable<A>[],
): FusedStorage<A> {
  const first: unknown = variables[0]?.weights;
  const { device } = addon;
  const storage =
    first instanceof DeviceBuffer && device !== undefined
      ? new DeviceStorage(device, first.device)
      : new HostStorage(addon);
  return storage as FusedStorage<FusedArray> as FusedStorage<A>;
}

/**
 * FTP steps over a fixed list of variables; {@link createFusedStep} makes one.
 *
 * `A` is the kind of its arrays: Float32Array, or {@link DeviceBuffer} of one CUDA device.
 *
 * A step is atomic: on any thrown error weights and state are as before the call. (On a device this holds where it
 * still answers: after a fault of the device itself nothing is known of its memory.)
 */
export class FusedStep<A extends FusedArray = Float32Array> {
  /** Steps left out because of a gradient that was not finite, with `nonFinite: 'skip'`. */
  skippedSteps = 0;
  private done = 0;
  private rate: number;
  private readonly method: BoundMethod;
  private readonly settings: RunSettings;
  private readonly storage: FusedStorage<A>;
  private readonly all: Entry<A>[];
  private weightsMemory: WeightsMemory<A>;
  private disposed = false;
  private readonly encoder = new PlanEncoder();

  /** @internal */
  constructor(options: FusedStepOptions<A>) {
    const method = METHODS[checkChoice('base', options?.base, ['adamw', 'sgd'])];
    const known = [...method.optionNames, ...Object.keys(RUN_OPTIONS)];
    checkOptionKeys('options', options, ['base', 'learningRate', 'variables', ...known]);
    this.rate = checkLearningRate(options.learningRate);
    this.settings = resolveOptions(RUN_OPTIONS, options);
    this.method = method.with(options);
    const { variables } = options;
    if (!Array.isArray(variables)) {
      throw new TypeError(`variables must be an array, got ${describe(variables)}`);
    }
    const addon = requireNative();
    this.storage = storageOf(addon, variables);
    const checked = checkVariables(this.storage, variables, this.settings.nonFinite !== 'ignore');
    const layoutOf = (excluded: boolean, layout: RowLayout) =>
      slabLayout(addon, { method: excluded ? this.method.plain : this.method, excluded, layout });
    this.all = makeEntries(this.storage, checked, layoutOf);
    for (const entry of this.all) this.scale(entry);
    this.weightsMemory = new WeightsMemory(this.storage, this.all);
  }

  /** The variables, as long as there is something to be done with them. */
  private get entries(): Entry<A>[] {
    if (this.disposed) throw new FtpError('OPTIMIZER_DISPOSED', 'this fused step was disposed before');
    return this.all;
  }

  /** Steps so far, without skipped ones; {@link FusedStep.setState | setState} restores it. */
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

  /**
   * One step: updates every variable's weights in place.
   *
   * On a device the gradients are read, and the weights written, behind all work on the device's legacy default stream
   * ({@link DeviceBuffer} says what that means for CUDA code of your own). With `nonFinite: 'ignore'` the call returns
   * without waiting for the device, and errors of the device are thrown by a later call; otherwise it waits until the
   * step has run, and throws at once.
   *
   * @param gradients one for each variable, in order, in memory of their own; null leaves the variable alone, with its
   *   state.
   * @param options `learningRate` of this step only.
   * @throws TypeError or RangeError for gradients that do not fit; FtpError NON_FINITE_GRADIENT, naming the variable,
   *   BUFFER_FREED, OUT_OF_MEMORY and NATIVE_FAILURE. Nothing has changed then.
   */
  step(gradients: ReadonlyArray<A | null>, options: { learningRate?: number } = {}): void {
    const { entries, storage } = this;
    checkOptionKeys('options', options, ['learningRate']);
    const { learningRate = this.rate } = options;
    const { nonFinite, threads } = this.settings;
    const settings = {
      method: this.method,
      values: this.method.values(checkLearningRate(learningRate)),
      checkFinite: nonFinite !== 'ignore',
      threads,
    };
    if (!Array.isArray(gradients)) {
      throw new TypeError(`gradients must be an array, got ${describe(gradients)}`);
    }
    if (gradients.length !== entries.length) {
      throw new RangeError(`gradients must have ${entries.length} entries, got ${gradients.length}`);
    }
    const present: Entry<A>[] = [];
    const given: A[] = [];
    for (const [i, entry] of entries.entries()) {
      const gradient: unknown = gradients[i];
      if (gradient === null) continue;
      if (gradient === undefined) {
        throw new TypeError(`gradient of '${entry.name}' must be an array, or null for none, got undefined`);
      }
      const checked = storage.checkArray(`gradient of '${entry.name}'`, gradient, entry.elements);
      this.checkWeights(entry);
      if (entry.elements === 0) continue;
      this.weightsMemory.checkGradient(entry.name, checked);
      given.push(checked);
      const { plan } = entry;
      plan.t = entry.born === null ? 1 : this.done - entry.born + 1;
      plan.n = entry.updates + 1;
      plan.fromWeights = plan.t === 1 || entry.fromWeights;
      plan.values = this.method.scaled(settings.values, {
        learningRate: 1,
        weightDecay: 1,
        rule: entry.ruleScale,
      });
      present.push(entry);
    }
    if (present.length > 0 && !this.run(settings, present, given)) return;
    for (const entry of present) {
      entry.born ??= this.done;
      entry.fromWeights = false;
      ++entry.updates;
    }
    ++this.done;
  }

  /** The native call; false if the step was skipped. */
  private run(settings: StepSettings, present: Entry<A>[], gradients: A[]): boolean {
    const plans = present.map((entry) => entry.plan);
    const plan = this.encoder.encode(settings, plans);
    const weights = present.map((entry) => entry.weights);
    const slabs = present.map((entry) => entry.slab);
    try {
      this.storage.step(plan, slabs, weights, gradients);
      return true;
    } catch (error) {
      const index = nonFiniteIndex(error);
      if (index === null) throw nativeFailure('the native step', error);
      if (this.settings.nonFinite === 'skip') {
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

  /** The weights may have gone since they were given: WASM memory that grew, a buffer that was freed. */
  private checkWeights({ name, weights, elements }: Entry<A>): void {
    this.storage.checkArray(`weights of '${name}'`, weights, elements);
  }

  private read({ slab, layout }: Entry<A>, slot: string): Float32Array {
    return this.storage.read(slab, sectionOf(layout, slot));
  }

  /**
   * How far each variable may go from its anchor (gamma) and how far it went (norm), with the scale to judge them by;
   * null in place of numbers for excluded ones. Zero before its first step. Variables without elements are left out.
   * From a device these numbers are downloaded after all steps so far, and each anchor once.
   */
  constraints(): ConstraintReport[] {
    return this.entries
      .filter(({ elements }) => elements > 0)
      .map((entry) => {
        const { name, excluded, rows, ruleScale: scale } = entry;
        if (excluded) return excludedReport(name, rows.rows);
        const { method } = this;
        const read = (slot: SlotName) => (method.has(slot) ? this.read(entry, slot) : []);
        const last = { constraint: read('constraint'), norms: read('norms'), scale };
        return reportOf(name, rows.rows, method, { ...last, anchorNorm: this.anchorNorm(entry) });
      });
  }

  private anchorNorm(entry: Entry<A>): number {
    entry.anchorNorm ??= anchorNormOf(this.read(entry, 'anchor'), entry.rows.rows);
    return entry.anchorNorm;
  }

  /** Works out a variable's factor on its rule's number, when its anchor is new. */
  private scale(entry: Entry<A>): void {
    const { anchorScale } = this.method;
    if (anchorScale === null || entry.excluded || entry.elements === 0) return;
    entry.ruleScale = anchorScale(this.anchorNorm(entry));
  }

  private entry(index: number): Entry<A> {
    const { entries } = this;
    return entries[checkInteger('index', index, 0, entries.length - 1)] as Entry<A>;
  }

  /** A copy of the state of variable `index`, in Float32Arrays whatever the kind of the step's arrays. */
  state(index: number): FusedState {
    const entry = this.entry(index);
    const slots: FusedState['slots'] = {};
    for (const slot of Object.keys(entry.layout.sections)) slots[slot] = this.read(entry, slot);
    const t = entry.born === null ? 0 : this.done - entry.born;
    return { t, n: entry.updates, iterations: this.done, slots };
  }

  /**
   * Puts back a state that {@link FusedStep.state | state} gave, over the same weights: the next step goes on as if
   * there had been no stop. {@link FusedStep.iterations | iterations} of the whole step becomes the state's, where it
   * has one; the other variables keep their counts. Call {@link FusedStep.weightsChanged | weightsChanged} if the
   * weights are others. The state is written to new memory that then replaces the old.
   *
   * @throws TypeError or RangeError for a state that does not fit; FtpError OUT_OF_MEMORY and NATIVE_FAILURE. Nothing
   *   has changed then.
   */
  setState(index: number, state: FusedState): void {
    const entry = this.entry(index);
    const { storage } = this;
    const { layout, name } = entry;
    const t = checkInteger(`t of '${name}'`, state?.t, 0, 2 ** 31 - 1);
    const n = checkInteger(`n of '${name}'`, state.n, 0, 2 ** 31 - 1);
    const { iterations = this.done } = state;
    checkInteger(`iterations of '${name}'`, iterations, 0, 2 ** 31 - 1);
    checkOptionKeys(`slots of '${name}'`, state.slots, Object.keys(layout.sections));
    const values = Object.keys(layout.sections).map((slot) => {
      const what = `slot ${slot} of '${name}'`;
      const section = sectionOf(layout, slot);
      const array = checkFloat32Array(what, state.slots[slot]);
      checkLength(what, array, section.length);
      return { section, array };
    });
    const slab = storage.newSlab(layout.length);
    try {
      for (const { section, array } of values) storage.write(slab, section, array);
    } catch (error) {
      storage.freeSlab(slab);
      throw error;
    }
    storage.freeSlab(entry.slab);
    const moved = iterations - this.done;
    for (const other of this.all) if (other.born !== null) other.born += moved;
    this.done = iterations;
    const born = t === 0 ? null : iterations - t;
    Object.assign(entry, { slab, born, updates: n, fromWeights: false, anchorNorm: null });
    this.scale(entry);
  }

  /** Tells that weights were changed from outside: the next step starts from what they are then. */
  weightsChanged(index: number): void {
    this.entry(index).fromWeights = true;
  }

  /** Another array for the weights of a variable, e.g. after WASM memory has grown. Same length, same values. */
  rebind(index: number, weights: A): void {
    const entry = this.entry(index);
    const checked = this.storage.checkArray(`weights of '${entry.name}'`, weights, entry.elements);
    const others = this.entries.map((other) => (other === entry ? { ...entry, weights: checked } : other));
    checkOverlap(this.storage, others);
    entry.weights = checked;
    this.weightsMemory = new WeightsMemory(this.storage, this.entries);
  }

  /**
   * Makes the present weights the anchors and starts the constraints anew; the base update's moments are
   * kept. The next step puts every projected variable back on its (new) anchor.
   */
  reanchor(): void {
    const { entries, storage } = this;
    for (const entry of entries) this.checkWeights(entry);
    for (const { excluded, slab, layout, weights, rows } of entries) {
      if (excluded) continue;
      storage.copy(slab, sectionOf(layout, 'anchor'), weights);
      storage.clear(slab, sectionOf(layout, 'deviation'));
      storage.write(slab, sectionOf(layout, 'norms'), new Float32Array(rows.rows).fill(1e-8));
      storage.write(slab, sectionOf(layout, 'constraint'), new Float32Array([1e-8, 0, 0, 0]));
    }
    for (const entry of entries) {
      Object.assign(entry, { born: null, anchorNorm: null });
      this.scale(entry);
    }
  }

  /**
   * Gives up the state and the scratch memory at once; weights and gradients are yours. Without it they go when the
   * step is dropped, as {@link DeviceBuffer | DeviceBuffers} do. Harmless the second time; any other call throws
   * FtpError OPTIMIZER_DISPOSED.
   */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    for (const { slab } of this.all.splice(0)) this.storage.freeSlab(slab);
    this.storage.dispose();
  }

  /** @internal What `console.log` shows. */
  [INSPECT](depth: number, options: object, inspect?: Inspect): string {
    const { method, settings } = this;
    const properties = {
      base: method.base.name,
      learningRate: this.rate,
      ...changedOptions({ ...method.table, ...RUN_OPTIONS }, { ...method.options, ...settings }),
      iterations: this.done,
      skippedSteps: this.skippedSteps || undefined,
      variables: this.disposed ? 'disposed' : this.all.length,
    };
    return summarize(this.constructor.name, properties, depth, options, inspect);
  }

  /** As {@link FusedStep.dispose | dispose}; on Nodes that have `Symbol.dispose`. */
  declare readonly [Symbol.dispose]: () => void;
}

makeDisposable(FusedStep.prototype, FusedStep.prototype.dispose);
