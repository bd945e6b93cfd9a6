/** What the optimizers have in common, whatever their method: the step, its roll-back, state, saving. */

import {
  dispose,
  engine,
  type NamedTensorMap,
  Optimizer,
  type Scalar,
  type serialization,
  type Tensor,
  type Variable,
} from '@tensorflow/tfjs-core';
import { findNonFinite, sumsOfSquares } from '../backends/reference.js';
import {
  type Implementation,
  type ImplementationName,
  NonFiniteGradient,
  type StepSettings,
  type VariableUpdate,
  WANT_SQUARES,
} from '../backends/types.js';
import { FtpError } from '../errors.js';
import { attempt, describeConfig, INSPECT, type Inspect, summarize } from '../inspect.js';
import type { LearnedNumber } from '../learn/learned_numbers.js';
import type { BoundMethod, Method, StepValues } from '../methods/method.js';
import { type LearningRate, type OptionTable, savedOptions } from '../options.js';
import { AnchorStore } from '../variables/anchors.js';
import { disposeWhenCollected } from '../variables/collected.js';
import type { ConstraintReport } from '../variables/constraint_report.js';
import type { ModelLike } from '../variables/output_axis.js';
import { registeredVariable } from '../variables/registered.js';
import {
  checkNamedTensors,
  holdSaved,
  type NamedTensor,
  type OptionalSlot,
  parseIterations,
  parseSaved,
} from '../variables/saved_state.js';
import { continueFromState, type StartedRecord, startRecords } from '../variables/start_records.js';
import { nameIterations } from '../variables/state_names.js';
import { checkStepCount } from '../variables/step_count.js';
import { VariableOptions } from '../variables/variable_options.js';
import {
  countUpdate,
  nextUpdate,
  nonFiniteGradient,
  type VariableRecord,
} from '../variables/variable_record.js';
import { Accumulator } from './accumulate.js';
import { clipUpdates, needsNorms, totalOfSquares } from './clip.js';
import { EmaSwap, emaMomentumOf } from './ema.js';
import { collectEntries, type GradientEntry } from './gradient_entries.js';
import { OptimizerLearning } from './learning.js';
import { OPTIMIZER_OPTIONS, type OptimizerOptions, type OptimizerSettings, openOptions } from './options.js';
import type { Peers, SharedGradients, Shares } from './peers.js';
import { VariableStates } from './states.js';

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
  private readonly variables: VariableOptions;
  private readonly states: VariableStates;
  private readonly accumulator: Accumulator | null;
  private readonly swap = new EmaSwap();
  private gradientNorm: number | null = null;
  protected readonly learning: OptimizerLearning | null;
  private peers: Peers | null = null;
  protected disposed = false;

  /** @internal */
  constructor(method: Method, options: OptimizerOptions) {
    super();
    const { given, settings, restored } = openOptions(options, method);
    this.settings = settings;
    this.method = method.with(given);
    const bind = (numbers: object) => method.with({ ...given, ...numbers });
    this.variables = new VariableOptions(given, { method: this.method, bind }, restored);
    this.learning = OptimizerLearning.of(this.method, settings.learn);
    this.accumulator = settings.accumulate > 1 ? new Accumulator(settings.accumulate) : null;
    const anchors = new AnchorStore(given.anchors);
    const { implementation, stateFormat } = settings;
    this.states = new VariableStates(this.method, implementation, anchors, stateFormat);
  }

  /** The learning rate that was given for the next step, before it is learned; throws where it is out of range. */
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
    return this.states.current().implementation.name;
  }

  /**
   * Why {@link implementation} is `'reference'`, with each path that was tried; null where it is not.
   *
   * @throws FtpError as {@link implementation} does.
   */
  get fallbackReason(): string | null {
    this.assertUsable();
    return this.states.current().reason;
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
    const check = () => {
      this.assertUsable();
      this.assertTrained('a step');
      const entries = collectEntries(gradients, this.states.records);
      this.states.anchors.check();
      this.variables.check(entries.map(({ variable }) => variable));
      return entries;
    };
    if (this.peers === null) this.take({ entries: check(), nonFinite: null });
    else this.peers.step(check, this.iterations, (shared) => this.take(shared));
  }

  /** A call. Returns whether weights may have changed. */
  private take({ entries, nonFinite }: SharedGradients): boolean {
    if (nonFinite !== null && this.checksFinite) {
      this.leaveOut(nonFinite);
      return false;
    }
    if (this.accumulator === null) return this.takeStep(entries, 1);
    return this.accumulate(entries, this.accumulator);
  }

  /** @internal Lets all steps be those of the ranks of a parallel training. */
  join(peers: (optimizer: { method: BoundMethod; learns: boolean; steps: number }) => Peers): void {
    if (this.peers !== null) throw new RangeError('optimizer must not be parallel already');
    this.peers = peers({
      method: this.method,
      learns: this.learning !== null,
      steps: this.states.records.size,
    });
  }

  /** A call of several whose mean makes a step. Returns whether that was taken. */
  private accumulate(entries: GradientEntry[], accumulator: Accumulator): boolean {
    const call = accumulator.add(entries);
    try {
      if (accumulator.isLast) {
        const { accumulate } = this.settings;
        // A gradient of this call that is not finite makes its sum so, which the step checks.
        const taken = this.takeStep(
          this.withoutOthers(accumulator.entries(call, this.states.records)),
          1 / accumulate,
        );
        if (taken) accumulator.restart(call);
        else accumulator.drop(call);
        return taken;
      }
      const place = this.checksFinite ? findNonFinite(call.fresh.map(({ tensor }) => tensor)) : -1;
      const found = call.fresh[place]?.name ?? null;
      const bad = this.peers?.shares?.agree([], null, found).bad ?? found;
      if (bad === null) {
        accumulator.keep(call);
        return false;
      }
      this.leaveOut(bad);
      accumulator.drop(call);
      return false;
    } catch (error) {
      accumulator.drop(call);
      throw error;
    }
  }

  /** Sums that were loaded are of all variables, those that other ranks step too. */
  private withoutOthers(entries: GradientEntry[]): GradientEntry[] {
    const others = new Set(this.peers?.shares?.others());
    return entries.filter(({ variable }) => !others.has(variable.name));
  }

  private get checksFinite(): boolean {
    return this.settings.nonFinite !== 'ignore';
  }

  /**
   * One step.
   *
   * @param scale of all gradients.
   * @returns whether it was taken, and not left out.
   */
  private takeStep(entries: GradientEntry[], scale: number): boolean {
    const { threads, ema } = this.settings;
    const values = this.method.values(this.stepRate());
    const all = {
      method: this.method,
      values,
      checkFinite: this.checksFinite,
      threads,
      ema: ema !== null,
      keepGradient: this.learning?.keepsGradient ?? false,
    };
    this.assertUsable(); // a function of the user's may have disposed it
    this.checkSteps(entries);
    const step = this.prepare(entries, values);
    let outputs: Array<Tensor | null>;
    let norm: number | null;
    let learnt: ReturnType<OptimizerLearning['begin']> | null = null;
    const shares = this.peers?.shares ?? null;
    try {
      this.assertUsable(); // so may `exclude`, `groups` and `outputAxis`
      learnt = this.learning?.begin(step, all, scale) ?? null;
      const { sums, total, checked } = this.norms(step, all, learnt?.sums ?? null);
      norm = clipUpdates(this.settings, step.updates, sums, total, scale);
      const settings = checked ? { ...all, checkFinite: false } : all;
      outputs = shares === null ? this.compute(step, settings) : this.computeShare(shares, step, settings);
    } catch (error) {
      learnt?.undo();
      for (const { record } of step.started) step.implementation.disposeState(record.state);
      if (!(error instanceof NonFiniteGradient)) throw error;
      this.leaveOut(error.variable ?? step.records[error.index]?.name);
      return false;
    }
    this.commit(step, outputs);
    this.learning?.stepped(step, values.learningRate);
    this.gradientNorm = norm;
    return true;
  }

  /** What follows from a gradient that is not finite: an error, or a step that is left out. */
  private leaveOut(name: string | undefined): void {
    if (this.settings.nonFinite === 'skip') {
      ++this.skippedSteps;
      return;
    }
    throw nonFiniteGradient(name, this.iterations);
  }

  /** @internal What it does for a user is tfjs's to say; ranks start at the same weights. */
  override computeGradients(f: () => Scalar, varList?: Variable[]) {
    if (this.peers !== null) {
      const all = varList ?? Object.values(engine().registeredVariables);
      this.peers.begin(all.filter(({ trainable, dtype }) => trainable && dtype === 'float32'));
    }
    return super.computeGradients(f, varList);
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

  /**
   * Sums of the step's gradients where they are needed, `total` over the variables of all ranks, and whether the gradients are
   * checked now.
   */
  private norms(step: PreparedStep, all: StepSettings, learnt: Float64Array | null) {
    const wanted = needsNorms(this.settings);
    const shares = this.peers?.shares ?? null;
    if (shares === null) {
      const sums = learnt ?? (wanted ? this.gather(step, all) : null);
      return { sums, total: totalOfSquares(sums), checked: sums !== null };
    }
    // Each gradient was checked when the ranks' mean was taken; a sum of several may still be infinite.
    const gradients = step.updates.map(({ gradient }) => gradient);
    const place = this.accumulator !== null && all.checkFinite ? findNonFinite(gradients) : -1;
    const sums = wanted ? this.gather(step, { ...all, checkFinite: false }) : null;
    const names = step.records.map(({ name }) => name);
    const { total, bad } = shares.agree(names, sums, step.records[place]?.name ?? null);
    if (bad !== null) throw new NonFiniteGradient(place, bad);
    return { sums, total, checked: true };
  }

  /** A failure that only this rank has must not part it from the others. */
  private computeShare(shares: Shares, step: PreparedStep, settings: StepSettings): Array<Tensor | null> {
    try {
      return this.compute(step, settings);
    } catch (error) {
      return shares.abort(error);
    }
  }

  /** Sums of the raw gradients of the step, which are checked on the way if the step would check them. */
  protected gather({ implementation, updates }: PreparedStep, settings: StepSettings): Float64Array {
    const native = updates.length > 0 ? implementation.gather?.(settings, updates, WANT_SQUARES) : undefined;
    return native ?? sumsOfSquares(updates, settings.checkFinite);
  }

  /** New weights of the step; null where the variable holds its new value already. */
  protected compute(step: PreparedStep, settings: StepSettings): Array<Tensor | null> {
    if (step.updates.length === 0) return [];
    return step.implementation.step(settings, step.updates);
  }

  private checkSteps(entries: GradientEntry[]): void {
    let count = this.iterations + 1;
    for (const { record } of entries) if (record !== undefined) count = Math.max(count, record.updates + 1);
    for (const { t, n } of this.states.pending) count = Math.max(count, t + 1, n + 1);
    checkStepCount(count);
  }

  private prepare(entries: GradientEntry[], values: StepValues): PreparedStep {
    const { ema, stateFormat } = this.settings;
    const { states } = this;
    const { implementation } = states.select();
    const iterations = this.iterations;
    const others = (this.peers?.shares?.others() ?? []).flatMap((name) => registeredVariable(name) ?? []);
    states.dropOthers(others, entries);
    const started = startRecords(
      {
        implementation,
        method: this.method,
        variables: this.variables,
        anchors: states.anchors,
        pending: states.pending,
        iterations,
        started: states.records.size > 0,
        checkFinite: this.checksFinite,
        ema: ema !== null,
        keepGradient: this.learning?.keepsGradient ?? false,
        format: stateFormat,
      },
      entries.filter(({ record }) => record === undefined).map(({ variable }) => variable),
      others,
    );
    let nextStarted = 0;
    const records: VariableRecord[] = [];
    const updates: VariableUpdate[] = [];
    for (const { variable, gradient, record: known } of entries) {
      const record = known ?? (started[nextStarted++] as StartedRecord).record;
      const assigned = record.dataId !== variable.dataId;
      records.push(record);
      const update = nextUpdate<Tensor>(record, iterations, values, variable, gradient, assigned);
      if (ema !== null) update.emaMomentum = emaMomentumOf(ema, update.n);
      updates.push(update);
    }
    return { implementation, records, updates, started };
  }

  /** Takes over the results; nothing here is expected to fail. */
  private commit(step: PreparedStep, outputs: Array<Tensor | null>): void {
    const { implementation, records, updates, started } = step;
    const iterations = this.iterations;
    const { overwriteEvery = null } = this.settings.ema ?? {};
    const overwrites = overwriteEvery !== null && (iterations + 1) % overwriteEvery === 0;
    const averages = overwrites ? records.map(({ state }) => implementation.read(state, 'ema')) : [];
    this.states.take(started);
    for (let i = 0; i < records.length; ++i) {
      const record = records[i] as VariableRecord;
      const variable = (updates[i] as VariableUpdate).weights as Variable;
      const output = averages[i] ?? (outputs[i] as Tensor | null);
      if (output !== null) {
        variable.assign(output);
        output.dispose();
      }
      if (overwrites) outputs[i]?.dispose();
      record.variable = variable;
      record.dataId = overwrites ? null : variable.dataId;
      countUpdate(record, iterations);
    }
    // An average is as if assigned from outside, but where it is what the step left.
    if (overwrites) continueFromState(implementation, records);
    this.incrementIterations();
    if (started.length > 0) this.variables.warnOfRows(started);
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
    return this.states.reports(this.settings.ema);
  }

  /**
   * The numbers that are learned (option `learn`): what the last step used, and the hyper-gradient that it saw. Empty without
   * the option; with `scope: 'variable'`, one entry per variable seen so far.
   */
  learned(): LearnedNumber[] {
    return this.learning?.report ?? [];
  }

  /** The norm of all gradients of the last step together; see {@link ClipOptions}. */
  get lastGradientNorm(): number | null {
    return this.gradientNorm;
  }

  /** Whether {@link swapEma} has put the averages of the weights in the place of the weights. */
  get emaSwapped(): boolean {
    return this.swap.isIn;
  }

  /**
   * Puts the averages of the weights (option `ema`) in the place of the weights, to evaluate or to save the model; called
   * again, puts the trained weights back, and training goes on with the same bits as if nothing had been swapped. All
   * variables are swapped or, on an error, none.
   *
   * In between, steps, `getWeights`, `setWeights` and `reanchor` throw; a model can be saved without its optimizer.
   * What is assigned to a variable in between is lost. `dispose()` leaves in place what is there.
   *
   * @param model whose weights they are: needed where state was loaded and no step has brought its variables since.
   * @returns whether the averages are in place now.
   * @throws FtpError EMA_DISABLED without the option `ema`; STATE_MISMATCH for loaded averages without a variable;
   *   OPTIMIZER_DISPOSED.
   */
  swapEma(model?: ModelLike): boolean {
    this.assertUsable();
    this.assertAverages();
    if (this.swap.isIn) this.swap.swapOut();
    else this.swap.swapIn(this.states.averages(model));
    this.peers?.shares?.gatherWeights();
    return this.swap.isIn;
  }

  /**
   * The averages of the weights (option `ema`) of all variables seen so far, by variable name; of loaded state that no step
   * has brought, by the name when it was saved.
   *
   * @returns copies, the caller's to dispose.
   * @throws FtpError EMA_DISABLED without the option `ema`; OPTIMIZER_DISPOSED.
   */
  emaWeights(): NamedTensorMap {
    this.assertUsable();
    this.assertAverages();
    return this.states.namedAverages();
  }

  private assertAverages(): void {
    if (this.settings.ema !== null) return;
    throw new FtpError('EMA_DISABLED', 'this optimizer was made without the option ema, and has no averages');
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
    this.assertTrained('reanchor()');
    this.states.reanchor();
  }

  /**
   * The state as named tensors: `iter`, then per variable `<variable>/anchor`, `/deviation`, the base
   * update's slots, `/norms`, `/constraint` (gamma, its two moments, the last hyper-gradient), `/ema` with the option
   * `ema`, and `/steps`. Between the calls of a step (option `accumulate`) there are the number of calls so far,
   * `accumulation`, and the sums of their gradients, `<variable>/accumulated`.
   *
   * @returns copies, the caller's to dispose; those that are dropped instead (as `model.save` does) are freed
   *   when they are garbage collected.
   */
  override async getWeights(): Promise<NamedTensor[]> {
    this.assertUsable();
    this.assertTrained('getWeights()');
    const learned = (await this.learning?.toWeights(this.states.records.values())) ?? [];
    const own = [
      nameIterations(this.iterations),
      ...learned,
      ...(this.accumulator?.toWeights() ?? []),
      ...this.states.toWeights(this.iterations),
    ];
    const weights = (await this.peers?.shares?.consolidate(own)) ?? own;
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
    this.assertTrained('setWeights()');
    checkNamedTensors(weights);
    const iterations = await parseIterations(weights);
    const learned = await OptimizerLearning.parse(weights.slice(1), this.learning);
    const calls = await (this.accumulator ?? new Accumulator(1)).parse(learned.rest);
    const optional: OptionalSlot[] = this.settings.ema === null ? [] : ['ema'];
    if (this.learning?.keepsGradient) optional.push('gradient');
    const parsed = await parseSaved(calls.rest, this.method, optional);
    return () => {
      this.assertUsable();
      this.assertTrained('setWeights()');
      this.states.replace(holdSaved(parsed));
      if (this.accumulator !== null) calls.commit();
      learned.commit();
      this.iterations_ = iterations;
    };
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
      variables: this.states.records.size,
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
    this.states.dispose();
    this.accumulator?.dispose();
    this.swap.dispose();
  }

  /** @throws FtpError EMA_SWAPPED_IN while averages are in the place of the weights. */
  protected assertTrained(what: string): void {
    this.swap.assertOut(what);
  }

  protected assertUsable(): void {
    if (this.disposed) throw new FtpError('OPTIMIZER_DISPOSED', 'the optimizer was disposed');
  }

  /** The shared part of getConfig, as JSON: the method's options, then those of all optimizers. */
  protected sharedConfig(): serialization.ConfigDict {
    return {
      ...savedOptions(this.table, { ...this.method.options, ...this.settings }),
      ...this.variables.toConfig(this.states.names()),
    } as serialization.ConfigDict;
  }
}
