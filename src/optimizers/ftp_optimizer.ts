/** What the optimizers have in common, whatever their method: the step, its roll-back, state, saving. */

import {
  clone,
  dispose,
  engine,
  type NamedTensorMap,
  Optimizer,
  type Scalar,
  type serialization,
  type Tensor,
  type Variable,
} from '@tensorflow/tfjs-core';
import { activeBackend, type Selection, selectImplementation } from '../backends/select.js';
import {
  type Implementation,
  type ImplementationName,
  NonFiniteGradient,
  type StepSettings,
  slotsOf,
  type VariableUpdate,
} from '../backends/types.js';
import { FtpError } from '../errors.js';
import { attempt, describeConfig, INSPECT, type Inspect, summarize } from '../inspect.js';
import type { BoundMethod, Method, StepValues } from '../methods/method.js';
import { type LearningRate, type OptionTable, savedOptions } from '../options.js';
import { AnchorStore } from '../variables/anchors.js';
import { disposeWhenCollected } from '../variables/collected.js';
import type { ConstraintReport } from '../variables/constraint_report.js';
import { Exclusion } from '../variables/exclude.js';
import { migrateRecords } from '../variables/migrate.js';
import { OutputAxes } from '../variables/output_axis.js';
import {
  presentVariable,
  reanchorRecord,
  reanchorSaved,
  reportRecords,
  reportSaved,
} from '../variables/report.js';
import { RuleScales } from '../variables/rule_scales.js';
import {
  checkNamedTensors,
  disposeSaved,
  holdSaved,
  type NamedTensor,
  parseIterations,
  parseSaved,
  type SavedVariable,
} from '../variables/saved_state.js';
import { type StartedRecord, startRecords } from '../variables/start_records.js';
import { nameIterations, nameRecord, nameSaved, nameUnusedAnchor } from '../variables/state_names.js';
import {
  constraintSteps,
  countUpdate,
  nextUpdate,
  nonFiniteGradient,
  type VariableRecord,
} from '../variables/variable_record.js';
import { collectEntries, type GradientEntry } from './gradient_entries.js';
import { OPTIMIZER_OPTIONS, type OptimizerOptions, type OptimizerSettings, openOptions } from './options.js';

/** Step counts are saved and handed to the kernels as int32. */
const MOST_STEPS = 2 ** 31 - 1;

/** A step that is checked and has its states, but has not changed anything yet. */
export interface PreparedStep {
  implementation: Implementation;
  records: VariableRecord[];
  updates: VariableUpdate[];
  started: StartedRecord[];
}

/**
 * Base class of this package's optimizers; use the `ftp.*` factories to make one.
 *
 * A step is atomic: on any thrown error weights, state and counters are as before the call. State is keyed
 * by variable name. It is made at a variable's first step, outlives `tf.tidy`, and is freed by `dispose()`.
 */
export abstract class FtpOptimizer extends Optimizer {
  /** Steps left out because of a gradient that was not finite, with `nonFinite: 'skip'`. */
  skippedSteps = 0;

  protected readonly settings: OptimizerSettings;
  protected readonly method: BoundMethod;
  private readonly exclusion: Exclusion;
  private readonly axes: OutputAxes;
  private readonly anchors: AnchorStore;
  private readonly scales: RuleScales;
  private records = new Map<string, VariableRecord>();
  /** Loaded state of variables that no step has brought yet. */
  private pending: SavedVariable[] = [];
  private selection: Selection | null = null;
  /** Whether the options that name variables were checked against those that there are. */
  private namesChecked = false;
  private warnedOfRows = false;
  protected disposed = false;

  /** @internal */
  constructor(method: Method, options: OptimizerOptions) {
    super();
    const { given, settings, restored } = openOptions(options, method);
    this.settings = settings;
    this.method = method.with(given);
    this.axes =
      restored === undefined
        ? new OutputAxes(given.model, given.outputAxis)
        : OutputAxes.fromConfig(restored.layouts);
    const weightsOfLayer = (layer: string) => this.axes.weightsOfLayer(layer);
    this.exclusion =
      restored === undefined
        ? new Exclusion(given.exclude, [], given.model === undefined ? undefined : weightsOfLayer)
        : Exclusion.fromConfig(restored.exclusion);
    this.anchors = new AnchorStore(given.anchors);
    this.scales =
      restored === undefined
        ? new RuleScales(this.method)
        : RuleScales.fromConfig(this.method, restored.scales);
  }

  /** The learning rate that the method uses on the next step; throws where it is out of range. */
  protected stepRate(): number {
    return this.learningRate;
  }

  /** The learning rate of the next step. Settable, to a number or to a function of the step. */
  abstract get learningRate(): number;
  abstract set learningRate(value: LearningRate);

  /** All options as JSON; of a learning rate that is a function, its present value. */
  abstract override getConfig(): serialization.ConfigDict;

  /**
   * What computes the steps: `'tensorflow-gpu'`, `'tensorflow-cpu'`, `'wasm'`, `'cpu'` (fused native steps)
   * or `'reference'` (tfjs operations). Before the first step: what would run now, under the active
   * tfjs backend.
   *
   * @throws FtpError before the first step, if `implementation: 'native'` was asked for and cannot run; after
   *   `dispose()`.
   */
  get implementation(): ImplementationName {
    this.assertUsable();
    return (this.selection ?? selectImplementation(this.settings.implementation, this.method)).implementation
      .name;
  }

  /**
   * Why {@link implementation} is `'reference'`, with each path that was tried; null where it is not.
   *
   * @throws FtpError as {@link implementation} does.
   */
  get fallbackReason(): string | null {
    this.assertUsable();
    return (this.selection ?? selectImplementation(this.settings.implementation, this.method)).reason;
  }

  /**
   * Updates variables in place of the base optimizer. Entries that are null or undefined, and variables
   * that are not named, are left alone and keep their state.
   *
   * @param gradients by variable name, as a map or an array; they stay the caller's to dispose.
   * @throws RangeError or TypeError for a gradient of another shape or type, and for a promise of gradients; FtpError
   *   for variables that are unknown, disposed or not float32, for gradients that are not finite, for failures of
   *   the native step, and at the first step for options that name variables that there are not. Nothing has
   *   changed then.
   */
  override applyGradients(gradients: NamedTensorMap | NamedTensor[]): void {
    this.assertUsable();
    const entries = collectEntries(gradients, this.records);
    this.anchors.check();
    this.checkNames(entries);
    const { nonFinite, threads } = this.settings;
    const values = this.method.values(this.stepRate());
    const settings = { method: this.method, values, checkFinite: nonFinite !== 'ignore', threads };
    this.assertUsable(); // a function of the user's may have disposed it
    this.checkSteps(entries);
    const step = this.prepare(entries, values);
    let outputs: Array<Tensor | null>;
    try {
      this.assertUsable(); // so may `exclude` and `outputAxis`
      outputs = this.compute(step, settings);
    } catch (error) {
      for (const { record } of step.started) step.implementation.disposeState(record.state);
      if (!(error instanceof NonFiniteGradient)) throw error;
      if (nonFinite === 'skip') {
        ++this.skippedSteps;
        return;
      }
      throw nonFiniteGradient(step.records[error.index]?.name, this.iterations);
    }
    this.commit(step, outputs);
  }

  /**
   * Computes gradients of `f` and applies them; as `tf.Optimizer.minimize`, but frees gradients and value
   * even if the step throws.
   */
  override minimize(f: () => Scalar, returnCost = false, varList?: Variable[]): Scalar | null {
    this.assertUsable();
    const { value, grads } = this.computeGradients(f, varList);
    try {
      this.applyGradients(
        varList === undefined || varList === null
          ? grads
          : varList.map(({ name }) => ({ name, tensor: grads[name] as Tensor })),
      );
    } catch (error) {
      value.dispose();
      throw error;
    } finally {
      dispose(grads);
    }
    if (returnCost) return value;
    value.dispose();
    return null;
  }

  /** New weights of the step; null where the variable holds its new value already. */
  protected compute(step: PreparedStep, settings: StepSettings): Array<Tensor | null> {
    if (step.updates.length === 0) return [];
    return step.implementation.step(settings, step.updates);
  }

  /** At the first step that brings variables, checks the options that name some. */
  private checkNames(entries: GradientEntry[]): void {
    if (this.namesChecked || entries.length === 0) return;
    const names = entries.map(({ variable }) => variable.name);
    this.axes.checkModel(names);
    this.exclusion.check([
      ...new Set([...names, ...Object.keys(engine().registeredVariables), ...this.axes.names()]),
    ]);
    this.namesChecked = true;
  }

  /** Checks that the counts after this step are int32: a loaded state can bring them close to the end. */
  private checkSteps(entries: GradientEntry[]): void {
    let count = this.iterations + 1;
    for (const { record } of entries) if (record !== undefined) count = Math.max(count, record.updates + 1);
    for (const { t, n } of this.pending) count = Math.max(count, t + 1, n + 1);
    if (count > MOST_STEPS) {
      throw new FtpError(
        'STATE_MISMATCH',
        `this would be step ${count}, but step counts are int32 and end at ${MOST_STEPS}; nothing was changed. Loaded ` +
          "state has the counts of its steps in 'iter' and '<variable>/steps'",
      );
    }
  }

  private prepare(entries: GradientEntry[], values: StepValues): PreparedStep {
    const { implementation } = this.select();
    const iterations = this.iterations;
    const started = startRecords(
      {
        implementation,
        method: this.method,
        exclusion: this.exclusion,
        axes: this.axes,
        anchors: this.anchors,
        scales: this.scales,
        pending: this.pending,
        iterations,
        started: this.records.size > 0,
        checkFinite: this.settings.nonFinite !== 'ignore',
      },
      entries.filter(({ record }) => record === undefined).map(({ variable }) => variable),
    );
    let nextStarted = 0;
    const records: VariableRecord[] = [];
    const updates: VariableUpdate[] = [];
    for (const { variable, gradient, record: known } of entries) {
      const record = known ?? (started[nextStarted++] as StartedRecord).record;
      const assigned = record.dataId !== variable.dataId;
      records.push(record);
      updates.push(nextUpdate<Tensor>(record, iterations, values, variable, gradient, assigned));
    }
    return { implementation, records, updates, started };
  }

  /** The implementation for the active backend; state follows a change of backend. */
  private select(): Selection {
    const { selection } = this;
    const { implementation: choice } = this.settings;
    if (selection !== null && (choice === 'reference' || selection.backend === activeBackend())) {
      return selection;
    }
    const next = selectImplementation(choice, this.method);
    if (selection !== null) {
      if (selection.implementation.name === 'reference' && next.implementation.name === 'reference') {
        next.implementation = selection.implementation; // its state is in tensors, which tfjs moves
      } else {
        migrateRecords([...this.records.values()], selection.implementation, next.implementation);
      }
    }
    this.selection = next;
    return next;
  }

  /** Takes over the results; nothing here is expected to fail. */
  private commit({ records, updates, started }: PreparedStep, outputs: Array<Tensor | null>): void {
    const iterations = this.iterations;
    for (const { record, saved } of started) {
      this.records.set(record.name, record);
      this.anchors.release(record.name);
      if (saved !== undefined) {
        this.pending = this.pending.filter((other) => other !== saved);
        disposeSaved(saved);
      }
    }
    for (let i = 0; i < records.length; ++i) {
      const record = records[i] as VariableRecord;
      const variable = (updates[i] as VariableUpdate).weights as Variable;
      const output = outputs[i] as Tensor | null;
      if (output !== null) {
        variable.assign(output);
        output.dispose();
      }
      record.variable = variable;
      record.dataId = variable.dataId;
      countUpdate(record, iterations);
    }
    this.incrementIterations();
    if (started.length > 0) this.warnOfRows(started);
  }

  /** Says once which variables have rows that are likely wrong for their layers, which are not known. */
  private warnOfRows(started: StartedRecord[]): void {
    if (this.warnedOfRows || !this.method.slots.some(({ shape }) => shape === 'rows')) return;
    const names = started
      // Loaded state has its rows from the run that saved it.
      .filter(({ record, saved }) => saved === undefined && !record.state.spec.excluded)
      .map(({ record }) => record.name)
      .filter((name) => this.axes.isDoubtful(name));
    if (names.length === 0) return;
    this.warnedOfRows = true;
    console.warn(
      `tfjs-ftp: the rows of ${names.map((name) => `'${name}'`).join(', ')} are taken along the last axis, which is likely ` +
        'wrong: by their names they belong to embeddings, depthwise or transposed convolutions. Give the option ' +
        '`model`, whose layers tell the rows, or `outputAxis` (returning -1 keeps the last axis, without this warning)',
    );
  }

  /**
   * The constraint of every variable seen so far, in that order.
   *
   * @returns how far each variable may go from its anchor (gamma) and how far it went (norm), with the scale to judge
   *   them by; see {@link ConstraintReport}. For `console.table`: {@link constraintTable}. The anchors are read for it,
   *   once each.
   */
  async constraints(): Promise<ConstraintReport[]> {
    this.assertUsable();
    const current = this.selection?.implementation;
    const records = current === undefined ? [] : reportRecords(current, this.records.values());
    const [seen, waiting] = await Promise.all([records, reportSaved(this.pending, this.method)]);
    return [...seen, ...waiting];
  }

  /**
   * Makes the present weights the anchors and starts the constraints anew, for the next task in continual
   * learning. The base update's moments are kept. As at the very start, the next step puts every
   * projected variable back on its (new) anchor, and the one after moves it.
   *
   * State of variables that no longer exist is dropped; anchors given for variables that no step has
   * brought yet are dropped too (they will be anchored where they are then).
   */
  reanchor(): void {
    this.assertUsable();
    for (const record of [...this.records.values()]) {
      const { implementation } = this.selection as Selection;
      const variable = presentVariable(record);
      if (variable === null) {
        implementation.disposeState(record.state);
        this.records.delete(record.name);
      } else {
        reanchorRecord(implementation, record, variable);
      }
    }
    this.pending = this.pending.map((saved) => reanchorSaved(saved, this.method));
    this.anchors.dispose();
  }

  /**
   * The state as named tensors: `iter`, then per variable `<variable>/anchor`, `/deviation`, the base
   * update's slots, `/norms`, `/constraint` (gamma, its two moments, the last hyper-gradient) and `/steps`.
   *
   * @returns copies, the caller's to dispose; those that are dropped instead (as `model.save` does) are freed
   *   when they are garbage collected.
   */
  override async getWeights(): Promise<NamedTensor[]> {
    this.assertUsable();
    const weights = [nameIterations(this.iterations)];
    for (const record of this.records.values()) {
      const { implementation } = this.selection as Selection;
      const { state } = record;
      const slots = slotsOf(state.spec).map(({ name }) => [name, implementation.read(state, name)] as const);
      weights.push(
        ...nameRecord(record.name, slots, constraintSteps(record, this.iterations), record.updates),
      );
    }
    for (const saved of this.pending) weights.push(...nameSaved(saved));
    for (const [name, anchor] of this.anchors.entries()) {
      if (this.pending.some((saved) => saved.name === name)) continue;
      weights.push(...nameUnusedAnchor(name, clone(anchor)));
    }
    for (const { tensor } of weights) disposeWhenCollected(tensor);
    return weights;
  }

  /**
   * Replaces the whole state by one that {@link getWeights} gave, before the first step or later. Variables are
   * matched when a step brings them: by name, else by the name without the suffix `_1`, `_2`, ... that tfjs
   * adds to names in use, by shape and order. State of variables that no step brings is kept, and saved again.
   *
   * A weight that has another shape now, such as a head with more classes, does not fit, whether its name has got a
   * suffix (in the process that saved it) or not (in another one). To start it anew, leave out the tensors of its name:
   * `weights.filter(({ name }) => !name.startsWith('head/'))`.
   *
   * @param weights copied; they stay the caller's to dispose.
   * @throws FtpError STATE_MISMATCH, at once or at the next step, if the state does not fit.
   */
  override async setWeights(weights: NamedTensor[]): Promise<void> {
    const commit = await this.parseState(weights);
    commit();
  }

  /** Reads and checks a whole state; the result puts it in place. */
  protected async parseState(weights: NamedTensor[]): Promise<() => void> {
    this.assertUsable();
    checkNamedTensors(weights);
    const iterations = await parseIterations(weights);
    const parsed = await parseSaved(weights.slice(1), this.method);
    return () => {
      this.assertUsable();
      const pending = holdSaved(parsed);
      this.releaseState();
      this.pending = pending;
      this.iterations_ = iterations;
    };
  }

  private releaseState(): void {
    for (const { state } of this.records.values()) this.selection?.implementation.disposeState(state);
    for (const saved of this.pending) disposeSaved(saved);
    this.records = new Map();
    this.pending = [];
  }

  private get table(): OptionTable<object> {
    return { ...this.method.table, ...OPTIMIZER_OPTIONS };
  }

  /** @internal What `console.log` shows. */
  [INSPECT](depth: number, options: object, inspect?: Inspect): string {
    const config = attempt(() => this.getConfig());
    const properties = {
      learningRate: attempt(() => this.learningRate),
      ...(typeof config === 'object' ? describeConfig(this.table, config as serialization.ConfigDict) : {}),
      runs: this.disposed ? 'disposed' : attempt(() => this.implementation),
      iterations: this.iterations,
      skippedSteps: this.skippedSteps || undefined,
      variables: this.records.size,
    };
    return summarize(this.constructor.name, properties, depth, options, inspect);
  }

  /**
   * Frees the state. Calling it again does nothing. Using the optimizer afterwards throws; its counters, learning rate
   * and configuration can still be read.
   */
  override dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.releaseState();
    this.anchors.dispose();
  }

  protected assertUsable(): void {
    if (this.disposed) throw new FtpError('OPTIMIZER_DISPOSED', 'the optimizer was disposed');
  }

  /** The shared part of getConfig, as JSON: the method's options, then those of all optimizers. */
  protected sharedConfig(): serialization.ConfigDict {
    const names = new Set([
      ...this.axes.names(),
      ...this.records.keys(),
      ...this.pending.map((saved) => saved.name),
    ]);
    return {
      ...savedOptions(this.table, { ...this.method.options, ...this.settings }),
      exclusion: this.exclusion.toConfig(names),
      layouts: this.axes.toConfig(),
      ...this.scales.toConfig(),
    } as serialization.ConfigDict;
  }
}
