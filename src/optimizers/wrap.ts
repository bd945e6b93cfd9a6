import {
  clone,
  keep,
  Optimizer,
  serialization,
  type Tensor,
  tidy,
  type Variable,
} from '@tensorflow/tfjs-core';
import {
  findNonFinite,
  nextEma,
  type ReferenceImplementation,
  seenGradient,
  sumsOfSquares,
} from '../backends/reference.js';
import {
  type Implementation,
  NonFiniteGradient,
  type StepSettings,
  type VariableUpdate,
} from '../backends/types.js';
import { FtpError } from '../errors.js';
import { ftp } from '../methods/ftp.js';
import { compose, type Rule } from '../methods/method.js';
import { proposal } from '../methods/proposal.js';
import { checkLearningRate, type LearningRate } from '../options.js';
import { describe } from '../validate.js';
import { checkNamedTensors, type NamedTensor } from '../variables/saved_state.js';
import { ACCUMULATED } from './accumulate.js';
import { BaseSnapshot, loadBase, saveBase } from './base_state.js';
import { FtpOptimizer, type PreparedStep } from './ftp_optimizer.js';
import { learningRateOf, setLearningRate } from './learning_rate.js';
import { type FtpWrapOptions, type OptimizerOptions, optionsFromConfig } from './options.js';

const BASE_PREFIX = 'base/';
const STEPS = '/steps';

/** The next average of the weights of a variable. */
function averageOf(
  implementation: Implementation,
  { state, weights, emaMomentum = 0 }: VariableUpdate,
): Tensor {
  return nextEma(implementation.read(state, 'ema'), weights, emaMomentum);
}

/**
 * A rule around any `tf.Optimizer`. A class for a rule has a class name of its own, by which tfjs saves and loads it, and
 * a constructor of base optimizer and options.
 */
export abstract class WrapOptimizer extends FtpOptimizer {
  /** The optimizer that proposes the updates; owned by this one, which disposes it. */
  readonly base: Optimizer;
  /** Variables in the order in which the base optimizer first saw them; tfjs's optimizers keep state by position. */
  private positions: string[] = [];

  /** @internal */
  constructor(rule: Rule, base: Optimizer, options: OptimizerOptions) {
    super(compose(proposal, rule), options);
    // `instanceof` looks for the methods of an optimizer, and fails on null.
    if (base === null || typeof base !== 'object' || !(base instanceof Optimizer)) {
      throw new TypeError(`base must be a tf.Optimizer, got ${describe(base)}`);
    }
    if (Object.prototype.isPrototypeOf.call(FtpOptimizer.prototype, base)) {
      throw new TypeError(`base must not project itself, got ${describe(base)}`);
    }
    this.base = base;
  }

  /**
   * The base optimizer's learning rate; settable.
   *
   * @throws TypeError if the base optimizer has no `learningRate` that is a number, or for a function;
   *   RangeError for a number that is not finite or < 0; FtpError if set after `dispose()`.
   */
  get learningRate(): number {
    const rate = learningRateOf(this.base);
    if (rate !== null) return rate;
    throw new TypeError(`the wrapped ${this.base.getClassName()} has no learningRate that is a number`);
  }

  set learningRate(value: LearningRate) {
    this.assertUsable();
    if (typeof value !== 'number') {
      throw new TypeError(
        `learningRate of a wrapped optimizer must be a finite number >= 0, got ${describe(value)}`,
      );
    }
    checkLearningRate(value);
    void this.learningRate; // throws where there is none
    setLearningRate(this.base, value);
  }

  /**
   * The base's learning rate is in what it proposes; 0 where it has none that is a number, unless the rule comes before
   * the base or after it.
   */
  protected override stepRate(): number {
    if (this.method.rule.onePass) return this.learningRate;
    return learningRateOf(this.base) ?? 0;
  }

  /**
   * The gradients with one entry for every variable seen so far, null where there is none on this step: a
   * variable that is left out must not move the others to the state of their neighbours.
   */
  private positioned({ records, started }: PreparedStep, gradients: Tensor[]): NamedTensor[] {
    for (const { record, saved } of started) {
      const known = saved === undefined ? -1 : this.positions.indexOf(saved.name);
      if (known >= 0) this.positions[known] = record.name;
    }
    const given = new Map(records.map(({ name }, i) => [name, gradients[i] as Tensor]));
    const known = new Set(this.positions);
    for (const name of given.keys()) if (!known.has(name)) this.positions.push(name);
    return this.positions.map((name) => ({ name, tensor: (given.get(name) ?? null) as Tensor }));
  }

  /** What the base optimizer sees: the gradients, or what a rule that comes before it makes of them. */
  private gradientsFor({ implementation, updates }: PreparedStep, settings: StepSettings): Tensor[] {
    if (!this.method.rule.onePass) return updates.map(({ gradient }) => gradient);
    return (implementation as ReferenceImplementation).gradients(settings, updates);
  }

  /** The base optimizer works in tfjs operations, and so does what comes before it. */
  protected override gather({ updates }: PreparedStep, settings: StepSettings): Float64Array {
    return sumsOfSquares(updates, settings.checkFinite);
  }

  protected override compute(step: PreparedStep, settings: StepSettings): Array<Tensor | null> {
    if (settings.checkFinite) {
      // Before the base optimizer sees them.
      const index = findNonFinite(step.updates.map(({ gradient }) => gradient));
      if (index >= 0) throw new NonFiniteGradient(index);
    }
    const seen = tidy(() => step.updates.map(seenGradient));
    try {
      const updates = step.updates.map((update, i): VariableUpdate => {
        return {
          ...update,
          gradient: seen[i] as Tensor,
          gradientScale: 1,
          clipValue: Number.POSITIVE_INFINITY,
        };
      });
      return this.computeSeen({ ...step, updates }, settings);
    } finally {
      for (const [i, { gradient }] of step.updates.entries()) if (seen[i] !== gradient) seen[i]?.dispose();
    }
  }

  /** A step whose gradients are as base and rule see them. */
  private computeSeen(step: PreparedStep, settings: StepSettings): Array<Tensor | null> {
    const { implementation, records, updates } = step;
    const gradients = this.gradientsFor(step, settings);
    const before = updates.map(({ weights }) => keep(clone(weights)));
    const left = records.map(({ dataId }, i) => dataId === updates[i]?.weights.dataId);
    const baseBefore = new BaseSnapshot(this.base);
    const positions = [...this.positions];
    try {
      this.base.applyGradients(this.positioned(step, gradients));
      const proposed = updates.map((update, i): VariableUpdate => {
        return { ...update, weights: before[i] as Tensor, proposal: update.weights };
      });
      const ruled = proposed.filter(({ spec }) => !spec.excluded);
      const checked = { ...settings, checkFinite: false };
      const averaged = updates.filter(({ spec }) => spec.excluded && spec.ema);
      // What the base has left: no step of the rule is asked for them.
      const averages = tidy(() => averaged.map((update) => averageOf(implementation, update)));
      let outputs: Tensor[];
      try {
        outputs = ruled.length > 0 ? implementation.step(checked, ruled) : [];
        for (const [i, { state }] of averaged.entries()) {
          implementation.write(state, 'ema', averages[i] as Tensor);
        }
      } finally {
        for (const average of averages) average.dispose();
      }
      return proposed.map((update) => outputs[ruled.indexOf(update)] ?? null);
    } catch (error) {
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
      for (const tensor of before) tensor.dispose();
      for (const [i, gradient] of gradients.entries())
        if (gradient !== updates[i]?.gradient) gradient.dispose();
      baseBefore.release();
    }
  }

  /** The base optimizer's weights, their names after `base/`, then the projection's state. */
  override async getWeights(): Promise<NamedTensor[]> {
    const own = await super.getWeights();
    const base = await saveBase(this.base);
    const named = base.map(({ name, tensor }) => ({ name: BASE_PREFIX + name, tensor }));
    return [own[0] as NamedTensor, ...named, ...own.slice(1)];
  }

  override async setWeights(weights: NamedTensor[]): Promise<void> {
    this.assertUsable();
    this.assertTrained('setWeights()');
    checkNamedTensors(weights);
    const ofUs: readonly string[] = [
      ...this.method.ruleSlots.map(({ name }) => name),
      'steps',
      'ema',
      ACCUMULATED,
    ];
    // `base/...`, and not a slot of a layer named `base`
    const isOfBase = ({ name }: NamedTensor) =>
      name.startsWith(BASE_PREFIX) && !ofUs.includes(name.slice(name.lastIndexOf('/') + 1));
    const own = weights.filter((weight) => !isOfBase(weight));
    const base = weights
      .filter(isOfBase)
      .map(({ name, tensor }) => ({ name: name.slice(BASE_PREFIX.length), tensor }));
    if (base.length === 0) {
      throw new FtpError(
        'STATE_MISMATCH',
        `saved state lacks the base optimizer's part ('${BASE_PREFIX}iter', ...)`,
      );
    }
    const seen: string[] = [];
    const ofSteps = own.filter(({ name }) => name.endsWith(STEPS));
    for (const { name, tensor } of ofSteps) {
      // A variable without updates has an anchor alone: the base optimizer has not seen it yet.
      const [, updates] = await tensor.data();
      if ((updates as number) > 0) seen.push(name.slice(0, -STEPS.length));
    }
    const commit = await this.parseState(own);
    await loadBase(this.base, base);
    commit();
    this.positions = seen;
  }

  /** Options and the base optimizer's class and configuration, as JSON. */
  getConfig(): serialization.ConfigDict {
    const base = { className: this.base.getClassName(), config: this.base.getConfig() };
    return { base, ...this.sharedConfig() };
  }

  /** The inverse of {@link getConfig}, called by `tf.loadLayersModel`. */
  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    const options = optionsFromConfig(config);
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

/** FTP around any `tf.Optimizer`. `ftp.wrap` makes one and documents it, {@link FtpOptimizer} has the other members. */
export class FtpWrapOptimizer extends WrapOptimizer {
  /** Name under which tfjs saves and loads this class. */
  static get className(): string {
    return 'FtpWrapOptimizer';
  }

  constructor(base: Optimizer, options: FtpWrapOptions = {}) {
    super(ftp, base, options);
  }
}

serialization.registerClass(FtpWrapOptimizer);
