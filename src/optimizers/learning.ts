/** What an optimizer with the option `learn` does besides its steps. */

import { scalar, type Tensor } from '@tensorflow/tfjs-core';
import type { Implementation, StepSettings, VariableUpdate } from '../backends/types.js';
import { FtpError } from '../errors.js';
import { fingerprint } from '../learn/fingerprint.js';
import { needsGradient, readSums, wantOf } from '../learn/hyper_gradients.js';
import {
  type LastNumbers,
  type LearnedNumber,
  LearnedNumbers,
  type VariableSums,
} from '../learn/learned_numbers.js';
import { checkLearn, type LearnOptions } from '../learn/options.js';
import type { BoundMethod, HyperParameter, StepValues } from '../methods/method.js';
import type { LearningRate } from '../options.js';
import { effectiveValues } from '../variables/effective_values.js';
import type { NamedTensor } from '../variables/saved_state.js';
import type { StartedRecord } from '../variables/start_records.js';
import type { VariableRecord } from '../variables/variable_record.js';

/** The name of the saved state. No slot is called so: it has no slash. */
const LEARNED = 'learned';

interface LearningStep {
  implementation: Implementation;
  records: readonly VariableRecord[];
  updates: readonly VariableUpdate[];
  started: readonly StartedRecord[];
}

export class OptimizerLearning {
  private readonly numbers: LearnedNumbers;
  /** Whether states must keep the gradient of the last step. */
  readonly keepsGradient: boolean;

  private constructor(
    private readonly method: BoundMethod,
    learn: LearnOptions,
  ) {
    const learned = checkLearn(learn, method.learns, method.base.name);
    this.numbers = new LearnedNumbers(learned, `${method.base.name} with ${method.rule.name}`);
    this.keepsGradient = needsGradient(method, this.names);
    for (const name of this.names) {
      if (name !== 'learningRate') this.numbers.start(name, method.options[name] as number);
    }
  }

  /** Null without the option. */
  static of(method: BoundMethod, learn: LearnOptions | null): OptimizerLearning | null {
    return learn === null ? null : new OptimizerLearning(method, learn);
  }

  private get names(): HyperParameter[] {
    return this.numbers.names;
  }

  get report(): LearnedNumber[] {
    return this.numbers.report();
  }

  /** The learning rate that the optimizer has from now on; a function after a function keeps the factor on it. */
  setRate(rate: LearningRate): void {
    const isFunction = typeof rate === 'function';
    if (isFunction && this.numbers.isRelative('learningRate')) return;
    this.numbers.start('learningRate', isFunction ? 1 : rate, isFunction);
  }

  /** The learning rate of the next step before it learns, where all variables share it. */
  rate(given: number): number {
    return this.numberOf('learningRate', null, given);
  }

  /** A number for a variable, before factors; `given` by the options. */
  private numberOf(name: HyperParameter, variable: string | null, given: number): number {
    const value = this.numbers.value(name, variable);
    if (value === null) return given;
    return this.numbers.isRelative(name) ? given * value : value;
  }

  /**
   * Learns from a step's gradients, and gives every update the numbers that it is to use.
   *
   * @param settings of the step, with the numbers that the options give.
   * @param scale of all gradients.
   * @returns the sums, of which the first is that of squares, and how to undo all of this.
   * @throws NonFiniteGradient as the step does. Nothing is learned then.
   */
  begin(
    step: LearningStep,
    settings: StepSettings,
    scale: number,
  ): { sums: Float64Array | null; undo: () => void } {
    const undo = this.numbers.snapshot();
    try {
      this.findAgain(step.started);
      const lasts = step.records.map((record, i) => this.lastOf(record, step.updates[i] as VariableUpdate));
      const sums = this.gather(step, settings, lasts);
      const variables = step.records.map((record, i): VariableSums => {
        const read = (name: HyperParameter) => {
          const { h, gg, xx } = readSums(sums as Float64Array, i, name);
          return { h: scale * h, gg: scale * scale * gg, xx };
        };
        return { name: record.name, has: (name) => actsOn(record, name), sums: lasts[i] ? read : null };
      });
      if (variables.length > 0) this.numbers.learn(variables);
      for (const [i, record] of step.records.entries()) {
        (step.updates[i] as VariableUpdate).values = this.valuesOf(settings.values, record);
      }
      return { sums, undo };
    } catch (error) {
      undo();
      throw error;
    }
  }

  /** Null where no variable has taken a step whose numbers are learned. */
  private gather(
    { implementation, records, updates }: LearningStep,
    settings: StepSettings,
    lasts: ReadonlyArray<LastNumbers | null>,
  ): Float64Array | null {
    if (updates.length === 0 || lasts.every((last) => last === null)) return null;
    const before = updates.map((update, i): VariableUpdate => {
      const last = lasts[i] ?? null;
      const { method } = update.spec;
      const { updates: n } = records[i] as VariableRecord;
      if (last === null) return { ...update, n: Math.max(1, n), fromWeights: true };
      const values = { ...method.values(0), ...last.numbers };
      return { ...update, values, t: Math.max(1, update.t - 1), n, fromWeights: false };
    });
    return implementation.gather?.(settings, before, wantOf(this.names)) ?? null;
  }

  /** The numbers of the next step for a variable. */
  private valuesOf(given: StepValues, record: VariableRecord): StepValues {
    const own = { ...given } as { -readonly [option in keyof StepValues]: StepValues[option] };
    for (const name of this.names) own[name] = this.numberOf(name, record.name, given[name] as number);
    return effectiveValues(record.state.spec.method, own, record) ?? own;
  }

  /** What made the present weights of a variable; null where it was not a step of this optimizer. */
  private lastOf({ name, dataId, born }: VariableRecord, { weights }: VariableUpdate): LastNumbers | null {
    return born !== null && dataId === weights.dataId ? this.numbers.last(name) : null;
  }

  /** Loaded variables whose weights are those that the saving optimizer left go on from there. */
  private findAgain(started: readonly StartedRecord[]): void {
    for (const { record, saved } of started) {
      if (saved === undefined) continue;
      if (saved.name !== record.name) this.numbers.rename(saved.name, record.name);
      const print = this.numbers.last(record.name)?.print;
      // A rule that goes on from its slots has compared the weights with them already.
      if (print === undefined || record.state.spec.method.rule.left !== undefined) continue;
      const { variable } = record;
      if (fingerprint(variable.dataSync() as Float32Array) === print) record.dataId = variable.dataId;
    }
  }

  /** After the step: what it did with its variables. */
  stepped({ records, updates }: LearningStep, given: number): void {
    const entries = records.map((record, i): [string, LastNumbers] => {
      const { values } = updates[i] as VariableUpdate;
      const { base, rule } = record.state.spec.method;
      const all = [...base.numbers, ...rule.numbers].map((name) => [name, values?.[name]]);
      const factors = this.names
        .filter((name) => actsOn(record, name))
        .map((name) => [name, this.factorOf(record, name, given)]);
      return [record.name, { numbers: Object.fromEntries(all), factors: Object.fromEntries(factors) }];
    });
    this.numbers.stepped(entries);
  }

  private factorOf({ own, ruleScale }: VariableRecord, name: HyperParameter, given: number): number {
    if (name === this.method.rule.scaled) return ruleScale;
    if (name !== 'learningRate') return 1;
    return own.learningRateScale * (this.numbers.isRelative(name) ? given : 1);
  }

  /** The state as a named tensor. */
  async toWeights(records: Iterable<VariableRecord>): Promise<NamedTensor[]> {
    const left = [...records].filter(
      ({ variable, dataId }) => !variable.isDisposed && dataId === variable.dataId,
    );
    const prints = await Promise.all(
      left.map(
        async ({ name, variable }) => [name, fingerprint((await variable.data()) as Float32Array)] as const,
      ),
    );
    return [{ name: LEARNED, tensor: scalar(this.numbers.toJson(new Map(prints)), 'string') }];
  }

  /**
   * Finds the state among `weights`, and checks it. `learning`: of the optimizer that loads it.
   *
   * @returns the others, and what takes the state over.
   * @throws FtpError STATE_MISMATCH.
   */
  static async parse(weights: readonly NamedTensor[], learning: OptimizerLearning | null) {
    const saved = weights.filter(({ name }) => name === LEARNED);
    const rest = weights.filter(({ name }) => name !== LEARNED);
    const [first] = saved;
    // State of an optimizer that did not learn: its numbers are where they start.
    if (first === undefined) return { rest, commit: () => learning?.restart() };
    if (learning === null || saved.length > 1) {
      const what = learning === null ? ', but this optimizer learns none' : ' twice';
      throw new FtpError('STATE_MISMATCH', `saved state has numbers that were learned ('${LEARNED}')${what}`);
    }
    const { tensor } = first;
    const [json] = tensor.dtype === 'string' ? await (tensor as Tensor).data<'string'>() : [];
    return { rest, commit: learning.numbers.parse(String(json)) };
  }

  private restart(): void {
    this.numbers.forget();
  }
}

/** Whether a learned number acts on a variable: not one that its group has, nor one that its method has not. */
function actsOn({ own, state }: VariableRecord, name: HyperParameter): boolean {
  return !(name in own.numbers) && state.spec.method.learns.includes(name);
}
