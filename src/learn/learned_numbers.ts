/** The numbers that an optimizer learns, and what they need to go on: state that steps replace and never change. */

import { FtpError } from '../errors.js';
import type { HyperParameter } from '../methods/method.js';
import { describe } from '../validate.js';
import { boundsOf, type Learning } from './options.js';
import type { HyperGradient, Numbers } from './scalar_method.js';
import { type Element, scaleOf, startTower, stepTower, type TowerState } from './tower.js';

/** One learned number. */
export interface LearnedNumber {
  name: HyperParameter;
  /** Whose it is with `scope: 'variable'`; null: of all variables that have no own. */
  variable: string | null;
  /** What the last step used; of a learning rate with a schedule, the factor on it. */
  value: number;
  /** Where it started. */
  start: number;
  /** Derivative of the last step's loss by the number, taken through the step before it; null where there was none. */
  hyperGradient: number | null;
}

/** The key of a number that all variables share; no variable is called so. */
const GLOBAL = '';

interface NumberState {
  readonly start: number;
  /** Whether the values are factors on a schedule. */
  readonly relative: boolean;
  /** By variable, or {@link GLOBAL}. */
  readonly values: Numbers;
  readonly hyperGradients: Numbers;
  readonly tower: TowerState;
}

/** What the last step of a variable did, as far as its derivatives need it. */
export interface LastNumbers {
  /** The numbers that it used. */
  readonly numbers: Numbers;
  /** Derivatives of those that are learned by the learned number: groups, depth and schedules have factors on it. */
  readonly factors: Numbers;
  /** Of the weights that it left, where saved. */
  readonly print?: number;
}

interface State {
  readonly numbers: { readonly [name: string]: NumberState };
  readonly variables: { readonly [variable: string]: LastNumbers };
}

/** What a variable of the present step says of the numbers of its last one. */
export interface VariableSums {
  name: string;
  /** Whether a learned number acts on the variable: none that its group has acts. */
  has(name: HyperParameter): boolean;
  /** Null where the last step says nothing: there was none, or the weights were assigned since. */
  sums: ((name: HyperParameter) => HyperGradient) | null;
}

export class LearnedNumbers {
  private state: State = { numbers: {}, variables: {} };

  constructor(
    private readonly learned: readonly Learning[],
    private readonly methodName: string,
  ) {}

  get names(): HyperParameter[] {
    return this.learned.map(({ name }) => name);
  }

  /**
   * Starts a number anew.
   *
   * @param relative whether it is a factor on a schedule.
   * @throws RangeError for a start from which it cannot be learned.
   */
  start(name: HyperParameter, start: number, relative = false): void {
    const learning = this.learned.find((candidate) => candidate.name === name);
    if (learning === undefined) return;
    const { tower, bounds } = learning;
    if (relative && tower.method !== 'normalized') {
      throw new RangeError(
        `learn.${name}.method must be 'normalized' where learningRate is a function of the step, got '${tower.method}'`,
      );
    }
    boundsOf(name, name, tower.method, start, bounds);
    const fresh = { start, relative, values: {}, hyperGradients: {}, tower: startTower(tower) };
    this.state = { ...this.state, numbers: { ...this.state.numbers, [name]: fresh } };
  }

  /** Whether the number is a factor on a schedule. */
  isRelative(name: HyperParameter): boolean {
    return this.state.numbers[name]?.relative ?? false;
  }

  /** The present value for a variable; null for one that is not learned. */
  value(name: HyperParameter, variable: string | null): number | null {
    const state = this.state.numbers[name];
    if (state === undefined) return null;
    const learning = this.learned.find((candidate) => candidate.name === name);
    const key = learning?.scope === 'variable' ? variable : GLOBAL;
    return (key === null ? undefined : state.values[key]) ?? state.start;
  }

  /** What the last step of a variable did. */
  last(variable: string): LastNumbers | null {
    return this.state.variables[variable] ?? null;
  }

  /** Lets every number start anew where it started. */
  forget(): void {
    for (const [name, { start, relative }] of Object.entries(this.state.numbers)) {
      this.start(name as HyperParameter, start, relative);
    }
    this.state = { ...this.state, variables: {} };
  }

  /** How to go back to the present state. */
  snapshot(): () => void {
    const before = this.state;
    return () => {
      this.state = before;
    };
  }

  /** A variable that was saved under another name. */
  rename(from: string, to: string): void {
    const moved = <T>(all: { readonly [variable: string]: T }): { [variable: string]: T } => {
      const entries = Object.entries(all).filter(([name]) => name !== to);
      return Object.fromEntries(entries.map(([name, value]) => [name === from ? to : name, value]));
    };
    const numbers = Object.entries(this.state.numbers).map(([name, state]) => {
      const tower = { ...state.tower, memories: moved(state.tower.memories) };
      const { values, hyperGradients } = state;
      return [name, { ...state, values: moved(values), hyperGradients: moved(hyperGradients), tower }];
    });
    this.state = { numbers: Object.fromEntries(numbers), variables: moved(this.state.variables) };
  }

  /** Learns from the sums of a step's variables. */
  learn(variables: readonly VariableSums[]): void {
    const before = this.state;
    const numbers = { ...before.numbers };
    for (const learning of this.learned) {
      const state = numbers[learning.name] as NumberState;
      numbers[learning.name] = learnNumber(learning, state, before, variables);
    }
    this.state = { ...before, numbers };
  }

  /** Tells what the step that has just been taken did with its variables. */
  stepped(variables: ReadonlyArray<readonly [string, LastNumbers]>): void {
    const all = { ...this.state.variables, ...Object.fromEntries(variables) };
    this.state = { ...this.state, variables: all };
  }

  report(): LearnedNumber[] {
    return this.learned.flatMap(({ name, scope }) => {
      const { start, values, hyperGradients } = this.state.numbers[name] as NumberState;
      const keys = scope === 'global' ? [GLOBAL] : Object.keys(values);
      return keys.map((key) => ({
        name,
        variable: key === GLOBAL ? null : key,
        value: values[key] ?? start,
        start,
        hyperGradient: hyperGradients[key] ?? null,
      }));
    });
  }

  /** `prints`: fingerprints of the variables that are as their last step left them. */
  toJson(prints: ReadonlyMap<string, number>): string {
    const variables = Object.entries(this.state.variables).map(([name, { print, ...last }]) => {
      const now = prints.get(name) ?? print;
      return [name, now === undefined ? last : { ...last, print: now }];
    });
    return JSON.stringify({ ...this.state, variables: Object.fromEntries(variables) });
  }

  /**
   * Reads what {@link toJson} gave, without taking it over.
   *
   * @returns what takes it over.
   * @throws FtpError STATE_MISMATCH for a state of other numbers.
   */
  parse(json: string): () => void {
    let state: State;
    try {
      state = JSON.parse(json) as State;
      for (const { name, tower } of this.learned) checkState(name, state.numbers[name], tower.above.length);
      const surplus = Object.keys(state.numbers).find((name) => !this.names.includes(name as HyperParameter));
      if (surplus !== undefined) throw new RangeError(`${surplus} is not learned here`);
      if (typeof state.variables !== 'object' || state.variables === null) {
        throw new TypeError(`expected variables, got ${describe(state.variables)}`);
      }
    } catch (cause) {
      throw new FtpError(
        'STATE_MISMATCH',
        `saved state of learned numbers does not fit this optimizer, which learns ${this.names.join(', ')} ` +
          `(${this.methodName}): ${(cause as Error).message}`,
        { cause },
      );
    }
    return () => {
      this.state = state;
    };
  }
}

function checkState(name: string, state: NumberState | undefined, levels: number): void {
  if (state === undefined) throw new RangeError(`it has no ${name}`);
  const { start, values, tower } = state;
  const numbers = [start, ...Object.values(values), ...Object.values(tower.numbers)];
  if (!numbers.every((value) => Number.isFinite(value)) || typeof tower.memories !== 'object') {
    throw new RangeError(`${name} has numbers that are not finite`);
  }
  if (tower.above.length !== levels) {
    throw new RangeError(`${name} was learned with ${tower.above.length} levels above, not ${levels}`);
  }
}

/** The next state of one learned number. */
function learnNumber(
  { name, scope, bounds, tower }: Learning,
  state: NumberState,
  { variables: last }: State,
  variables: readonly VariableSums[],
): NumberState {
  const gradients = new Map<string, HyperGradient>();
  for (const variable of variables) {
    if (!variable.has(name)) continue;
    const key = scope === 'variable' ? variable.name : GLOBAL;
    const sum = gradients.get(key) ?? { h: 0, gg: 0, xx: 0 };
    gradients.set(key, sum);
    const factor = last[variable.name]?.factors[name];
    if (variable.sums === null || factor === undefined) continue;
    const { h, gg, xx } = variable.sums(name);
    sum.h += factor * h;
    sum.gg += gg;
    sum.xx += factor * factor * xx;
  }
  const allowed = boundsOf(name, name, tower.method, state.start, bounds);
  const scale = scaleOf(tower.method, name);
  const elements = [...gradients].map(([key, gradient]): Element => {
    return { name: key, value: state.values[key] ?? state.start, bounds: allowed, scale, gradient };
  });
  const stepped = stepTower(tower, state.tower, elements);
  const values = { ...state.values };
  const hyperGradients = { ...state.hyperGradients };
  for (const [i, element] of elements.entries()) {
    values[element.name] = stepped.values[i] as number;
    if (Number.isFinite(element.gradient.h)) hyperGradients[element.name] = element.gradient.h;
  }
  return { ...state, values, hyperGradients, tower: stepped.state };
}
