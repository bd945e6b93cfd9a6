/** Fused steps over arrays of one kind. */

/// <reference lib="esnext.disposable" preserve="true" />

import { NonFiniteGradient, type StepSettings, slotsOf, type VariableUpdate } from '../backends/types.js';
import { FtpError } from '../errors.js';
import { changedOptions, INSPECT, type Inspect, summarize } from '../inspect.js';
import { adamw } from '../methods/adamw.js';
import { digrap } from '../methods/digrap.js';
import { fixedRadius } from '../methods/fixed_radius.js';
import { ftp } from '../methods/ftp.js';
import { l2sp } from '../methods/l2_sp.js';
import { type BaseUpdate, type BoundMethod, compose, type Rule, type SlotName } from '../methods/method.js';
import { none } from '../methods/none.js';
import { sgd } from '../methods/sgd.js';
import { spd } from '../methods/spd.js';
import { checkLearningRate, RUN_OPTIONS, type RunSettings, resolveOptions } from '../options.js';
import {
  checkChoice,
  checkFloat32Array,
  checkInteger,
  checkLength,
  checkOptionKeys,
  describe,
} from '../validate.js';
import { anchorNorm } from '../variables/anchor_norm.js';
import { type ConstraintReport, excludedReport, reportOf } from '../variables/constraint_report.js';
import { filledState } from '../variables/filled_state.js';
import { product } from '../variables/row_layout.js';
import { RuleScales } from '../variables/rule_scales.js';
import { scaleRecord } from '../variables/scale_record.js';
import { checkStepCount } from '../variables/step_count.js';
import {
  constraintSteps,
  countsAt,
  countUpdate,
  newRecord,
  nextUpdate,
  nonFiniteGradient,
  replaceState,
  restartRecord,
} from '../variables/variable_record.js';
import { type NativeAddon, requireNative } from './addon.js';
import { DeviceBuffer } from './device_buffer.js';
import { DeviceStorage } from './device_storage.js';
import { makeDisposable } from './disposable.js';
import {
  type CheckedVariable,
  checkOverlap,
  checkVariables,
  type FusedRecord,
  WeightsMemory,
} from './entries.js';
import { HostStorage } from './host_storage.js';
import type { FusedArray, FusedStorage } from './storage.js';
import type { FusedState, FusedStepOptions, FusedVariable } from './types.js';

const BASES = { adamw, sgd } as Record<FusedStepOptions['base'], BaseUpdate>;
const RULES = { ftp, none, fixedRadius, spd, l2sp, digrap } as Record<
  NonNullable<FusedStepOptions['rule']>,
  Rule
>;

/** The piece that the option `name` chooses. */
function choose<T>(name: string, value: unknown, pieces: { readonly [name: string]: T }): T {
  return pieces[checkChoice(name, value, Object.keys(pieces))] as T;
}

/** The storage of the kind that the first variable's weights are of. */
function storageOf<A extends FusedArray>(
  addon: NativeAddon,
  variables: readonly FusedVariable<A>[],
): FusedStorage<A> {
  const first: unknown = variables[0]?.weights;
  const { device } = addon;
  const storage =
    first instanceof DeviceBuffer && device !== undefined
      ? new DeviceStorage(addon, device, first.device)
      : new HostStorage(addon);
  return storage as unknown as FusedStorage<A>;
}

/**
 * Steps over a fixed list of variables; {@link createFusedStep} makes one.
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
  private readonly all: FusedRecord<A>[];
  private weightsMemory: WeightsMemory<A>;
  private disposed = false;

  /** @internal */
  constructor(options: FusedStepOptions<A>) {
    const base = choose('base', options?.base, BASES);
    const { rule = 'ftp' } = options;
    const method = compose(base, choose('rule', rule, RULES));
    const known = [...method.optionNames, ...Object.keys(RUN_OPTIONS)];
    checkOptionKeys('options', options, ['base', 'rule', 'learningRate', 'variables', ...known]);
    this.rate = checkLearningRate(options.learningRate);
    this.settings = resolveOptions(RUN_OPTIONS, options);
    this.method = method.with(options);
    const { variables } = options;
    if (!Array.isArray(variables)) {
      throw new TypeError(`variables must be an array, got ${describe(variables)}`);
    }
    this.storage = storageOf(requireNative(), variables);
    const checked = checkVariables(this.storage, variables, this.method, this.settings);
    this.storage.checkFormat(this.settings.stateFormat);
    this.all = this.start(checked);
    this.weightsMemory = new WeightsMemory(this.storage, this.all);
  }

  /** A record with new state for each variable; where one cannot be made, those made before are given up. */
  private start(variables: CheckedVariable<A>[]): FusedRecord<A>[] {
    const { method, storage } = this;
    const scales = new RuleScales(method);
    const specs = variables.map(({ spec }) => spec);
    scales.see(specs.filter(({ excluded }) => !excluded).map(({ name }) => name));
    const placeScales = specs.map(({ name, shape, excluded }) => (excluded ? 1 : scales.of(name, shape)));
    const records: FusedRecord<A>[] = [];
    try {
      for (const [i, { spec, weights, anchor, elements }] of variables.entries()) {
        const state = storage.createState(spec, spec.method.has('anchor') ? anchor : null);
        records.push({ ...newRecord(weights, state, placeScales[i]), elements, assigned: true });
      }
      for (const record of records) scaleRecord(storage, record);
      return records;
    } catch (error) {
      for (const { state } of records) storage.disposeState(state);
      throw error;
    }
  }

  /** The variables, as long as there is something to be done with them. */
  private get records(): FusedRecord<A>[] {
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
   *   BUFFER_FREED, OUT_OF_MEMORY, NATIVE_FAILURE, and STATE_MISMATCH for a step beyond 2^31 - 1. Nothing has changed then.
   */
  step(gradients: ReadonlyArray<A | null>, options: { learningRate?: number } = {}): void {
    const { records, storage } = this;
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
    if (gradients.length !== records.length) {
      throw new RangeError(`gradients must have ${records.length} entries, got ${gradients.length}`);
    }
    const present: FusedRecord<A>[] = [];
    const updates: VariableUpdate<A>[] = [];
    for (const [i, record] of records.entries()) {
      const { name, elements, update, assigned } = record;
      const gradient: unknown = gradients[i];
      if (gradient === null) continue;
      if (gradient === undefined) {
        throw new TypeError(`gradient of '${name}' must be an array, or null for none, got undefined`);
      }
      const checked = storage.checkArray(`gradient of '${name}'`, gradient, elements);
      this.checkWeights(record);
      if (elements === 0) continue;
      this.weightsMemory.checkGradient(name, checked);
      present.push(record);
      updates.push(nextUpdate(record, this.done, settings.values, update.weights, checked, assigned));
    }
    checkStepCount(updates.reduce((most, { t, n }) => Math.max(most, t, n), this.done + 1));
    if (present.length > 0 && !this.run(settings, updates)) return;
    for (const record of present) {
      countUpdate(record, this.done);
      record.assigned = false;
    }
    ++this.done;
  }

  /** The native call; false if the step was skipped. */
  private run(settings: StepSettings, updates: VariableUpdate<A>[]): boolean {
    try {
      this.storage.step(settings, updates);
      return true;
    } catch (error) {
      if (!(error instanceof NonFiniteGradient)) throw error;
      if (this.settings.nonFinite !== 'skip') {
        throw nonFiniteGradient(updates[error.index]?.spec.name, this.done);
      }
      ++this.skippedSteps;
      return false;
    }
  }

  /** The weights may have gone since they were given: WASM memory that grew, a buffer that was freed. */
  private checkWeights({ name, update, elements }: FusedRecord<A>): void {
    this.storage.checkArray(`weights of '${name}'`, update.weights, elements);
  }

  /**
   * How far each variable may go from its anchor (gamma) and how far it went (norm), with the scale to judge them by;
   * null in place of numbers for excluded ones. Zero before its first step. Variables without elements are left out.
   * From a device these numbers are downloaded after all steps so far, and each anchor once.
   */
  constraints(): ConstraintReport[] {
    const { storage } = this;
    return this.records
      .filter(({ elements }) => elements > 0)
      .map(({ name, state, ruleScale: scale }) => {
        const { excluded, method, layout } = state.spec;
        if (excluded) return excludedReport(name, layout.rows);
        if (!method.has('anchor')) return reportOf(name, layout.rows, method, null);
        const read = (slot: SlotName) => (method.has(slot) ? storage.read(state, slot) : []);
        return reportOf(name, layout.rows, method, {
          constraint: read('constraint'),
          norms: read('norms'),
          scale,
          anchorNorm: anchorNorm(storage, state),
        });
      });
  }

  private record(index: number): FusedRecord<A> {
    const { records } = this;
    return records[checkInteger('index', index, 0, records.length - 1)] as FusedRecord<A>;
  }

  /** A copy of the state of variable `index`, in Float32Arrays whatever the kind of the step's arrays. */
  state(index: number): FusedState {
    const record = this.record(index);
    const { state, updates: n } = record;
    const slots = slotsOf(state.spec).map(({ name }) => [name, this.storage.read(state, name)] as const);
    return {
      t: constraintSteps(record, this.done),
      n,
      iterations: this.done,
      slots: Object.fromEntries(slots),
    };
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
    const record = this.record(index);
    const { storage } = this;
    const { name } = record;
    const { spec } = record.state;
    const t = checkInteger(`t of '${name}'`, state?.t, 0, 2 ** 31 - 1);
    const n = checkInteger(`n of '${name}'`, state.n, 0, 2 ** 31 - 1);
    const { iterations = this.done } = state;
    checkInteger(`iterations of '${name}'`, iterations, 0, 2 ** 31 - 1);
    const slots = slotsOf(spec);
    checkOptionKeys(
      `slots of '${name}'`,
      state.slots,
      slots.map((slot) => slot.name),
    );
    const values = new Map<string, Float32Array>();
    for (const { name: slot, shape } of slots) {
      const what = `slot ${slot} of '${name}'`;
      const array = checkFloat32Array(what, state.slots[slot]);
      checkLength(what, array, product(shape));
      values.set(slot, array);
    }
    const next = filledState(storage, spec, values, null);
    storage.disposeState(record.state);
    replaceState(record, next);
    const moved = iterations - this.done;
    for (const other of this.all) if (other.born !== null) other.born += moved;
    this.done = iterations;
    Object.assign(record, countsAt(iterations, { t, n }), { assigned: false });
    scaleRecord(storage, record);
  }

  /** Tells that weights were changed from outside: the next step starts from what they are then. */
  weightsChanged(index: number): void {
    this.record(index).assigned = true;
  }

  /** Another array for the weights of a variable, e.g. after WASM memory has grown. Same length, same values. */
  rebind(index: number, weights: A): void {
    const record = this.record(index);
    const { name, elements, update } = record;
    const checked = this.storage.checkArray(`weights of '${name}'`, weights, elements);
    checkOverlap(
      this.storage,
      this.all.map((other) => ({
        name: other.name,
        weights: other === record ? checked : other.update.weights,
      })),
    );
    update.weights = checked;
    this.weightsMemory = new WeightsMemory(this.storage, this.all);
  }

  /**
   * Makes the present weights the anchors and starts the constraints anew; the base update's moments are
   * kept. The next step puts every projected variable back on its (new) anchor.
   */
  reanchor(): void {
    const { records, storage } = this;
    for (const record of records) this.checkWeights(record);
    for (const record of records) {
      restartRecord(storage, record, record.update.weights, (_shape, restart) =>
        typeof restart === 'number' ? restart : Float32Array.from(restart),
      );
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
    for (const { state } of this.all.splice(0)) this.storage.disposeState(state);
    this.storage.dispose();
  }

  /** @internal What `console.log` shows. */
  [INSPECT](depth: number, options: object, inspect?: Inspect): string {
    const { method, settings } = this;
    const properties = {
      base: method.base.name,
      rule: method.rule.name,
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
