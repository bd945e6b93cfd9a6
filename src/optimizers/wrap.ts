import {
  abs,
  add,
  clone,
  keep,
  Optimizer,
  reshape,
  serialization,
  sub,
  sum,
  type Tensor,
  tidy,
  type Variable,
} from '@tensorflow/tfjs-core';
import { findNonFinite } from '../backends/reference.js';
import {
  type BaseConfig,
  type Hyper,
  type Implementation,
  NonFiniteGradient,
  type VariableState,
  type VariableUpdate,
} from '../backends/types.js';
import { FtpError } from '../errors.js';
import { checkNamedTensors, type NamedTensor, PROJECTION_SLOTS } from '../projection/saved_state.js';
import { checkLearningRate, describe } from '../validate.js';
import { BaseSnapshot, loadBase, untoldVariables } from './base_state.js';
import { FtpOptimizer, type PreparedStep } from './ftp_optimizer.js';
import { FTP_KEYS, type FtpWrapOptions, type LearningRate, optionsFromConfig } from './options.js';
import { constraintHyper } from './scheduled.js';

const BASE_PREFIX = 'base/';
const OWN_SLOTS = [...PROJECTION_SLOTS, 'steps'];

/** What tfjs's own optimizers have without declaring it public. */
interface WithLearningRate {
  learningRate?: unknown;
  setLearningRate?: (value: number) => void;
}

/** Whether a saved name belongs to the base optimizer: `base/...`, and not a slot of a layer named `base`. */
function isOfBase(name: string): boolean {
  const slot = name.slice(name.lastIndexOf('/') + 1);
  return name.startsWith(BASE_PREFIX) && !OWN_SLOTS.includes(slot);
}

/** FTP around any `tf.Optimizer`. `ftp.wrap` makes one and documents it, {@link FtpOptimizer} has the other members. */
export class FtpWrapOptimizer extends FtpOptimizer {
  /** Name under which tfjs saves and loads this class. */
  static get className(): string {
    return 'FtpWrapOptimizer';
  }

  /** The optimizer that proposes the updates; owned by this one, which disposes it. */
  readonly base: Optimizer;
  /** Variables in the order in which the base optimizer first saw them; tfjs's optimizers keep state by position. */
  private positions: string[] = [];

  constructor(base: Optimizer, options: FtpWrapOptions = {}) {
    super(options, FTP_KEYS);
    // `instanceof` looks for the methods of an optimizer, and fails on null.
    if (base === null || typeof base !== 'object' || !(base instanceof Optimizer)) {
      throw new TypeError(`base must be a tf.Optimizer, got ${describe(base)}`);
    }
    if (Object.prototype.isPrototypeOf.call(FtpOptimizer.prototype, base)) {
      throw new TypeError(`base must not project itself, got ${describe(base)}`);
    }
    this.base = base;
  }

  protected baseConfig(): BaseConfig {
    return { base: 'proposal', amsgrad: false, momentum: false };
  }

  protected hyper(): Hyper {
    const unused = { learningRate: 0, beta1: 0, beta2: 0, epsilon: 0, weightDecay: 0 };
    const unusedMomentum = { momentum: 0, dampening: 0, nesterov: false };
    // Gradients are checked before the base optimizer sees them.
    return { ...unused, ...unusedMomentum, ...constraintHyper(this.settings), checkFinite: false };
  }

  /**
   * The base optimizer's learning rate; settable.
   *
   * @throws TypeError if the base optimizer has no `learningRate` that is a number, or for a function;
   *   RangeError for a number that is not finite or < 0; FtpError if set after `dispose()`.
   */
  get learningRate(): number {
    const { learningRate } = this.base as unknown as WithLearningRate;
    if (typeof learningRate !== 'number') {
      throw new TypeError(`the wrapped ${this.base.getClassName()} has no learningRate that is a number`);
    }
    return learningRate;
  }

  set learningRate(value: LearningRate) {
    this.assertUsable();
    if (typeof value !== 'number') {
      throw new TypeError(
        `learningRate of a wrapped optimizer must be a finite number >= 0, got ${describe(value)}`,
      );
    }
    checkLearningRate(value);
    const base = this.base as unknown as WithLearningRate;
    void this.learningRate; // throws where there is none
    if (typeof base.setLearningRate === 'function') base.setLearningRate(value);
    else base.learningRate = value;
  }

  /**
   * The gradients with one entry for every variable seen so far, null where there is none on this step: a
   * variable that is left out must not move the others to the state of their neighbours.
   */
  private positioned({ records, updates, started }: PreparedStep): NamedTensor[] {
    for (const { record, saved } of started) {
      const known = saved === undefined ? -1 : this.positions.indexOf(saved.name);
      if (known >= 0) this.positions[known] = record.name;
    }
    const given = new Map(records.map(({ name }, i) => [name, (updates[i] as VariableUpdate).gradient]));
    const known = new Set(this.positions);
    for (const name of given.keys()) if (!known.has(name)) this.positions.push(name);
    return this.positions.map((name) => ({ name, tensor: (given.get(name) ?? null) as Tensor }));
  }

  protected override compute(step: PreparedStep, hyper: Hyper): Array<Tensor | null> {
    const { implementation, records, updates } = step;
    if (this.settings.nonFinite !== 'ignore') {
      const index = findNonFinite(updates.map(({ gradient }) => gradient));
      if (index >= 0) throw new NonFiniteGradient(index);
    }
    const before = updates.map(({ weights }) => keep(clone(weights)));
    const left = records.map(({ dataId }, i) => dataId === updates[i]?.weights.dataId);
    const baseBefore = new BaseSnapshot(this.base);
    const positions = [...this.positions];
    const reformed: ReformedDeviation[] = [];
    try {
      this.base.applyGradients(this.positioned(step));
      const projected = updates.filter(({ state }) => !state.spec.excluded);
      for (const update of projected) {
        if (update.fromWeights && update.t > 1) {
          const deviation = new ReformedDeviation(implementation, update.state);
          reformed.push(deviation);
          deviation.form(before[updates.indexOf(update)] as Tensor);
        }
        update.fromWeights = update.t === 1;
      }
      const outputs = projected.length > 0 ? implementation.step(this.baseConfig(), hyper, projected) : [];
      return updates.map((update) => outputs[projected.indexOf(update)] ?? null);
    } catch (error) {
      for (const deviation of reformed) deviation.undo();
      for (const [i, record] of records.entries()) {
        const variable = (updates[i] as VariableUpdate).weights as Variable;
        variable.assign(before[i] as Tensor);
        // On some backends a clone is a copy; it must not count as assigned from outside.
        if (left[i]) record.dataId = variable.dataId;
      }
      baseBefore.restore();
      this.positions = positions;
      throw error;
    } finally {
      for (const deviation of reformed) deviation.release();
      for (const tensor of before) tensor.dispose();
      baseBefore.release();
    }
  }

  /** The base optimizer's weights, their names after `base/`, then the projection's state. */
  override async getWeights(): Promise<NamedTensor[]> {
    const own = await super.getWeights();
    const base = await this.base.getWeights();
    const named = [...base, ...untoldVariables(this.base, base)].map(({ name, tensor }) => ({
      name: BASE_PREFIX + name,
      tensor: clone(tensor),
    }));
    // tfjs's optimizers give their own variables, but a scalar of ours for the iterations.
    if (base[0]?.name === 'iter') base[0].tensor.dispose();
    return [own[0] as NamedTensor, ...named, ...own.slice(1)];
  }

  override async setWeights(weights: NamedTensor[]): Promise<void> {
    checkNamedTensors(weights);
    const own = weights.filter(({ name }) => !isOfBase(name));
    const base = weights
      .filter(({ name }) => isOfBase(name))
      .map(({ name, tensor }) => ({ name: name.slice(BASE_PREFIX.length), tensor }));
    if (base.length === 0) {
      throw new FtpError(
        'STATE_MISMATCH',
        `saved state lacks the base optimizer's part ('${BASE_PREFIX}iter', ...)`,
      );
    }
    const commit = await this.parseState(own);
    await loadBase(this.base, base);
    commit();
    const names = (slot: string) =>
      own.filter(({ name }) => name.endsWith(slot)).map(({ name }) => name.slice(0, -slot.length));
    // A variable with an anchor alone was not in any step yet.
    const deviated = new Set(names('/deviation'));
    const unseen = new Set(names('/anchor').filter((name) => !deviated.has(name)));
    this.positions = names('/steps').filter((name) => !unseen.has(name));
  }

  /** Options and the base optimizer's class and configuration, as JSON. */
  getConfig(): serialization.ConfigDict {
    const base = { className: this.base.getClassName(), config: this.base.getConfig() };
    return { base, ...this.ftpConfig() };
  }

  /** The inverse of {@link getConfig}, called by `tf.loadLayersModel`. */
  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    const options = optionsFromConfig(config, FTP_KEYS);
    const { className, config: baseConfig } = (config.base ?? {}) as {
      className?: string;
      config?: serialization.ConfigDict;
    };
    if (typeof className !== 'string' || baseConfig === null || typeof baseConfig !== 'object') {
      throw new FtpError(
        'STATE_MISMATCH',
        `the configuration's 'base' must be {className, config} of the wrapped optimizer, got ${describe(config.base)}`,
      );
    }
    const known = serialization.SerializationMap.getMap().classNameMap[className];
    if (known === undefined) {
      throw new FtpError(
        'STATE_MISMATCH',
        `the wrapped optimizer's class '${className}' is not registered; call tf.serialization.registerClass first`,
      );
    }
    const [baseClass, baseFromConfig] = known;
    return new cls(baseFromConfig(baseClass, baseConfig), options);
  }

  /** Frees the state, and the base optimizer. */
  override dispose(): void {
    if (this.disposed) return;
    super.dispose();
    this.base.dispose();
  }
}

/**
 * The deviation and norms of a variable that was assigned from outside, formed anew from its weights before
 * the base optimizer's update.
 */
class ReformedDeviation {
  private readonly replaced: ReadonlyArray<readonly [string, Tensor]>;

  constructor(
    private readonly implementation: Implementation,
    private readonly state: VariableState,
  ) {
    this.replaced = ['deviation', 'norms'].map((slot) => [slot, keep(implementation.read(state, slot))]);
  }

  form(weights: Tensor): void {
    const { implementation, state } = this;
    const { outer, rows, inner } = state.spec.layout;
    tidy(() => {
      const deviation = sub(weights, implementation.read(state, 'anchor'));
      implementation.write(state, 'deviation', deviation);
      implementation.write(
        state,
        'norms',
        add(sum(abs(reshape(deviation, [outer, rows, inner])), [0, 2]), 1e-8),
      );
    });
  }

  /** Puts back what was there. */
  undo(): void {
    for (const [slot, value] of this.replaced) this.implementation.write(this.state, slot, value);
  }

  release(): void {
    for (const [, value] of this.replaced) value.dispose();
  }
}

serialization.registerClass(FtpWrapOptimizer);
