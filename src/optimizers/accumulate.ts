/** Gradients of several calls, added up until a step takes their mean. */

import {
  add,
  clone,
  engine,
  keep,
  mul,
  scalar,
  type Tensor,
  tidy,
  util,
  type Variable,
} from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import { findByName } from '../variables/names.js';
import { registeredVariable } from '../variables/registered.js';
import type { NamedTensor } from '../variables/saved_state.js';
import type { VariableRecord } from '../variables/variable_record.js';
import type { GradientEntry } from './gradient_entries.js';

/** Names under which the sums and the number of calls are saved. */
export const ACCUMULATED = 'accumulated';
const CALLS = 'accumulation';

/** The sum of a variable's gradients so far. */
interface Sum {
  name: string;
  tensor: Tensor;
  /** Whether it was loaded, and no call has brought its variable since: the variable may have another name now. */
  loaded: boolean;
}

/** What a call adds; not yet taken over. */
export interface Addition {
  /** All sums after the call. */
  readonly sums: readonly Sum[];
  /** Those of them that are new tensors. */
  readonly fresh: readonly Sum[];
}

export class Accumulator {
  private sums: Sum[] = [];
  private calls = 0;

  /** `size`: calls per step. */
  constructor(private readonly size: number) {}

  /** Whether the next call completes a step. */
  get isLast(): boolean {
    return this.calls + 1 >= this.size;
  }

  /** The sums with the gradients of a call; to be given to {@link keep} or {@link drop}. */
  add(entries: readonly GradientEntry[]): Addition {
    const sums: Sum[] = [...this.sums];
    const fresh: Sum[] = [];
    try {
      for (const { variable, gradient } of entries) {
        const known = this.find(variable);
        // A clone would share memory with the array that the user made the gradient from.
        const tensor = keep(
          tidy(() => (known === undefined ? mul(gradient, 1) : add(known.tensor, gradient))),
        );
        const sum = { name: variable.name, tensor, loaded: false };
        fresh.push(sum);
        if (known === undefined) sums.push(sum);
        else sums[this.sums.indexOf(known)] = sum;
      }
    } catch (error) {
      for (const { tensor } of fresh) tensor.dispose();
      throw error;
    }
    return { sums, fresh };
  }

  private find({ name, shape }: Variable): Sum | undefined {
    const fits = ({ tensor }: Sum) => util.arraysEqual(tensor.shape, shape);
    const own = this.sums.find((sum) => !sum.loaded && sum.name === name);
    if (own !== undefined) return own;
    const loaded = this.sums.filter((sum) => sum.loaded);
    return loaded.length === 0 ? undefined : findByName(loaded, (sum) => sum.name, name, fits);
  }

  /** Takes a call over that does not complete a step. */
  keep({ sums }: Addition): void {
    this.replace(sums);
    ++this.calls;
  }

  /** Forgets a call. */
  drop({ fresh }: Addition): void {
    for (const { tensor } of fresh) tensor.dispose();
  }

  /** Forgets all calls: their step is done. */
  restart(addition: Addition): void {
    this.drop(addition);
    this.dispose();
  }

  private replace(sums: readonly Sum[]): void {
    for (const sum of this.sums) if (!sums.includes(sum)) sum.tensor.dispose();
    this.sums = [...sums];
  }

  /** The sums as the gradients of a step. Those of variables that are gone are left out. */
  entries({ sums }: Addition, records: ReadonlyMap<string, VariableRecord>): GradientEntry[] {
    const taken = new Set(sums.filter(({ loaded }) => !loaded).map(({ name }) => name));
    return sums.flatMap(({ name, tensor, loaded }) => {
      const fits = (one: Variable | undefined) =>
        one !== undefined && !one.isDisposed && util.arraysEqual(one.shape, tensor.shape);
      const variable = loaded
        ? findByName(
            Object.values(engine().registeredVariables),
            (one) => one.name,
            name,
            (one) => !taken.has(one.name) && fits(one),
          )
        : registeredVariable(name);
      if (variable === undefined || !fits(variable)) return [];
      taken.add(variable.name);
      return [{ variable, gradient: tensor, record: records.get(variable.name) }];
    });
  }

  /** The sums as named tensors, copies; none between steps. */
  toWeights(): NamedTensor[] {
    if (this.calls === 0) return [];
    return [
      { name: CALLS, tensor: scalar(this.calls, 'int32') },
      ...this.sums.map(({ name, tensor }) => ({ name: `${name}/${ACCUMULATED}`, tensor: clone(tensor) })),
    ];
  }

  /**
   * Takes its part out of saved weights.
   *
   * @returns the others, and what puts the part in place.
   * @throws FtpError STATE_MISMATCH for a part that does not fit.
   */
  async parse(weights: readonly NamedTensor[]): Promise<{ rest: NamedTensor[]; commit: () => void }> {
    const suffix = `/${ACCUMULATED}`;
    const count = weights.find(({ name }) => name === CALLS);
    const given = weights.filter(({ name }) => name.endsWith(suffix));
    const rest = weights.filter((weight) => weight !== count && !given.includes(weight));
    const calls = count === undefined ? 0 : ((await count.tensor.data())[0] as number);
    if (
      count === undefined ? given.length > 0 : !(Number.isInteger(calls) && calls > 0 && calls < this.size)
    ) {
      const came = count === undefined ? 'none' : calls;
      throw new FtpError(
        'STATE_MISMATCH',
        `saved state has gradients of calls before a step: '${CALLS}' must be from 1 to accumulate - 1, ` +
          `${this.size - 1} here, got ${came}`,
      );
    }
    const bad = given.find(({ tensor }) => tensor.dtype !== 'float32');
    if (bad !== undefined) {
      throw new FtpError('STATE_MISMATCH', `'${bad.name}' must be float32, got ${bad.tensor.dtype}`);
    }
    const commit = () => {
      this.dispose();
      this.sums = given.map(({ name, tensor }) => ({
        name: name.slice(0, -suffix.length),
        tensor: keep(clone(tensor)),
        loaded: true,
      }));
      this.calls = calls;
    };
    return { rest, commit };
  }

  dispose(): void {
    this.replace([]);
    this.calls = 0;
  }
}
