/** The exchanges around a step of an optimizer. */

import { keep, type Tensor, tensor, type Variable } from '@tensorflow/tfjs-core';
import { GATHERED } from '../backends/types.js';
import { FtpError } from '../errors.js';
import type { GradientEntry } from '../optimizers/gradient_entries.js';
import type { Peers, SharedGradients, Shares } from '../optimizers/peers.js';
import { registeredVariable } from '../variables/registered.js';
import { product } from '../variables/row_layout.js';
import type { NamedTensor } from '../variables/saved_state.js';
import type { Ranks } from './world.js';

const MEGABYTE = 2 ** 20;
const FLOAT_BYTES = 4;
const MOST_BROADCAST = 2 ** 28;

export interface PeersOptions {
  shard: boolean;
  bucketMegabytes: number;
  average: boolean;
}

/** FNV-1a. */
function fingerprint(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; ++i) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Bounds of equal parts. */
function evenly(total: number, ranks: number): number[] {
  return Array.from({ length: ranks + 1 }, (_, r) => Math.floor((total * r) / ranks));
}

/** Fails on one rank as on all. */
function differ(message: string): FtpError {
  return new FtpError('RANKS_DIFFER', `${message}; nothing was changed by this step`);
}

export class RankPeers implements Peers {
  /** Variables in the order in which steps brought them, with the rank that steps each; the same on all ranks. */
  private readonly owners = new Map<string, number>();
  /** Variables whose start all ranks share. */
  private readonly begun = new WeakSet<Variable>();
  /** Floats that each rank owns. */
  private readonly loads: number[];
  /** Where means are written, by variable, again and again: new memory is slow. */
  private readonly means = new Map<string, Float32Array>();
  readonly shares: Shares | null;

  constructor(
    readonly world: Ranks,
    private readonly options: PeersOptions,
  ) {
    this.loads = new Array<number>(world.size).fill(0);
    this.shares = options.shard ? new RankShares(this) : null;
  }

  get bucket(): number {
    return Math.max(1, Math.floor((this.options.bucketMegabytes * MEGABYTE) / FLOAT_BYTES));
  }

  ownerOf(name: string): number {
    return this.owners.get(name) as number;
  }

  get names(): string[] {
    return [...this.owners.keys()];
  }

  step(
    check: () => GradientEntry[],
    iterations: number,
    take: (gradients: SharedGradients) => boolean,
  ): void {
    const entries = this.compare(check, iterations);
    this.start(entries);
    const { shares } = this;
    if (shares instanceof RankShares) shares.step(entries, take);
    else this.withMeans(entries, take);
  }

  /** Sees to it that all ranks take the same step, or none. */
  private compare(check: () => GradientEntry[], iterations: number): GradientEntry[] {
    let entries: GradientEntry[] = [];
    let failure: unknown = null;
    try {
      entries = check();
    } catch (error) {
      failure = error ?? new Error('unknown');
    }
    const names = entries.map(({ variable }) => `${variable.name} ${variable.shape}`);
    const print = fingerprint(`${iterations} ${this.options.shard} ${names}`);
    const { rank } = this.world;
    // The largest of a number and of its negative: equal on all ranks, or not.
    const told = Float64Array.of(failure === null ? -1 : rank, print, -print);
    this.world.wait('a step', this.world.native.allReduce(this.world.comm, told, 2));
    if (failure !== null) throw failure;
    const [failed, most, least] = told as unknown as [number, number, number];
    if (failed >= 0) throw differ(`rank ${failed} failed before step ${iterations} (counted from 0)`);
    // When a rank failed it has sent the print of no variables: only now does the print count.
    if (most !== -least) {
      throw differ(
        `the ranks must take the same step with gradients of the same variables, in the same order; rank ${rank} is at step ` +
          `${iterations} (counted from 0) with ${entries.length} variables`,
      );
    }
    return entries;
  }

  begin(variables: readonly Variable[]): void {
    for (const variable of variables) {
      if (this.begun.has(variable)) continue;
      this.broadcast(variable);
      this.begun.add(variable);
    }
  }

  /** Variables that are new to the optimizer get their owners: each goes to the rank with the least so far. */
  private start(entries: readonly GradientEntry[]): void {
    const fresh = entries.map(({ variable }) => variable).filter(({ name }) => !this.owners.has(name));
    if (fresh.length === 0) return;
    this.begin(fresh);
    for (const { name } of fresh) this.owners.set(name, 0);
    const bySize = fresh.map(({ name, size }, i) => ({ name, size, i }));
    bySize.sort((a, b) => b.size - a.size || a.i - b.i);
    for (const { name, size } of bySize) {
      const owner = this.loads.indexOf(Math.min(...this.loads));
      this.owners.set(name, owner);
      this.loads[owner] = (this.loads[owner] as number) + size;
    }
  }

  private broadcast(variable: Variable): void {
    const { world } = this;
    const values = Float32Array.from(variable.dataSync());
    for (let at = 0; at < values.length; at += MOST_BROADCAST) {
      const part = values.subarray(at, at + MOST_BROADCAST);
      world.wait('the first step', world.native.broadcast(world.comm, part, 0));
    }
    if (world.rank !== 0) assign(variable, values);
  }

  /** Floats of each rank that are exchanged at a time. */
  get slice(): number {
    return Math.max(1, Math.ceil(this.bucket / this.world.size));
  }

  meanOf({ name, size }: Variable): Float32Array {
    let mean = this.means.get(name);
    if (mean?.length !== size) {
      mean = new Float32Array(size);
      this.means.set(name, mean);
    }
    return mean;
  }

  get scale(): number {
    return this.options.average ? 1 / this.world.size : 1;
  }

  /** Buckets go off while the gradients of the next one are read from the backend. */
  private withMeans(entries: readonly GradientEntry[], take: (gradients: SharedGradients) => boolean): void {
    const { world, bucket } = this;
    const works: ReturnType<Ranks['native']['reduce']>[] = [];
    let from: Float32Array[] = [];
    let to: Float32Array[] = [];
    let size = 0;
    const send = () => {
      const bounds = evenly(size, world.size);
      works.push(world.native.reduce(world.comm, from, to, bounds, this.slice, this.scale, true));
      from = [];
      to = [];
      size = 0;
    };
    for (const { variable, gradient } of entries) {
      from.push(gradient.dataSync() as Float32Array);
      to.push(this.meanOf(variable));
      size += variable.size;
      if (size >= bucket) send();
    }
    if (from.length > 0) send();
    for (const work of works) world.wait('the mean of the gradients', work);
    const means = entries.map((entry) => ({
      ...entry,
      gradient: tensorOf(this.meanOf(entry.variable), entry),
    }));
    try {
      take({ entries: means, nonFinite: null });
    } finally {
      for (const { gradient } of means) gradient.dispose();
    }
  }
}

function tensorOf(values: Float32Array, { variable }: GradientEntry): Tensor {
  return keep(tensor(values, variable.shape));
}

function assign(variable: Variable, values: Float32Array): void {
  const value = tensor(values, variable.shape);
  variable.assign(value);
  value.dispose();
}

/** Each variable is stepped by one rank, which alone has its state. */
class RankShares implements Shares {
  private present: readonly GradientEntry[] = [];
  private agreed = true;

  constructor(private readonly peers: RankPeers) {}

  private isOwn({ name }: { name: string }): boolean {
    return this.peers.ownerOf(name) === this.peers.world.rank;
  }

  others(): string[] {
    return this.present.map(({ variable }) => variable).flatMap((one) => (this.isOwn(one) ? [] : [one.name]));
  }

  step(entries: readonly GradientEntry[], take: (gradients: SharedGradients) => boolean): void {
    this.present = entries;
    const { entries: own, nonFinite } = this.reduce(entries);
    let changed: boolean;
    this.agreed = false;
    try {
      changed = take({ entries: own, nonFinite });
    } catch (error) {
      if (!this.agreed) this.tell(Float64Array.of(1));
      throw error;
    } finally {
      for (const { gradient } of own) gradient.dispose();
    }
    if (!this.agreed) this.tell(Float64Array.of(0));
    if (changed) this.gather(entries.map(({ variable }) => variable));
  }

  /** What belongs to variables in the order of their owners, and the bounds of each owner's floats in it. */
  private byOwner<T>(
    items: readonly T[],
    variableOf: (item: T) => Variable,
  ): { items: T[]; bounds: number[] } {
    const { peers } = this;
    const ownerOf = (item: T) => peers.ownerOf(variableOf(item).name);
    const loads = new Array<number>(peers.world.size).fill(0);
    for (const item of items) loads[ownerOf(item)] = (loads[ownerOf(item)] as number) + variableOf(item).size;
    const bounds = [0];
    for (const load of loads) bounds.push((bounds.at(-1) as number) + load);
    return { items: [...items].sort((a, b) => ownerOf(a) - ownerOf(b)), bounds };
  }

  private reduce(entries: readonly GradientEntry[]): SharedGradients {
    const { world, scale } = this.peers;
    const { items, bounds } = this.byOwner(entries, ({ variable }) => variable);
    const from = items.map(({ gradient }) => gradient.dataSync() as Float32Array);
    const empty = new Float32Array(0);
    const to = items.map(({ variable }) => (this.isOwn(variable) ? this.peers.meanOf(variable) : empty));
    const work = world.native.reduce(world.comm, from, to, bounds, this.peers.slice, scale, false);
    const bad = world.wait('the mean of the gradients', work);
    const first = Math.min(entries.length, ...bad.map((i) => entries.indexOf(items[i] as GradientEntry)));
    const found = Float64Array.of(first);
    world.wait('the mean of the gradients', world.native.allReduce(world.comm, found, 1));
    const own = entries.filter(({ variable }) => this.isOwn(variable));
    return {
      entries: own.map((entry) => ({
        ...entry,
        gradient: tensorOf(this.peers.meanOf(entry.variable), entry),
      })),
      nonFinite: entries[found[0] as number]?.variable.name ?? null,
    };
  }

  /** The first number: ranks that have failed. */
  private tell(numbers: Float64Array): void {
    const { world } = this.peers;
    const [failed] = numbers;
    // What a rank tells when it has failed, or has nothing to tell, is as long as what others tell.
    const all = new Float64Array(1 + 2 * this.present.length);
    all.set(numbers);
    this.agreed = true;
    world.wait('a step', world.native.allReduce(world.comm, all, 0));
    numbers.set(all.subarray(0, numbers.length));
    if (failed === 0 && all[0] !== 0) throw differ('another rank failed in this step');
  }

  agree(
    names: readonly string[],
    sums: Float64Array | null,
    bad: string | null,
  ): { total: number; bad: string | null } {
    const places = new Map(this.present.map(({ variable }, i) => [variable.name, i]));
    const count = this.present.length;
    const numbers = new Float64Array(1 + 2 * count);
    for (const [i, name] of names.entries()) {
      numbers[1 + (places.get(name) as number)] = sums?.[GATHERED * i] ?? 0;
    }
    const place = bad === null ? undefined : places.get(bad);
    if (place !== undefined) numbers[1 + count + place] = 1;
    this.tell(numbers);
    // In the order of the step's variables, as one rank alone would add them.
    const total = numbers.subarray(1, 1 + count).reduce((sum, square) => sum + square, 0);
    const found = numbers.subarray(1 + count).findIndex((flag) => flag !== 0);
    return {
      total,
      bad: found < 0 ? null : (this.present[found]?.variable.name ?? null),
    };
  }

  abort(error: unknown): never {
    const { message } = error as Error;
    return this.peers.world.abort(
      `a step failed after the other ranks had gone on: ${message}; ending the job`,
    );
  }

  gatherWeights(): void {
    const present = this.peers.names.map(registeredVariable);
    this.gather(present.filter((variable) => variable !== undefined && !variable.isDisposed) as Variable[]);
  }

  private gather(variables: readonly Variable[]): void {
    const { world } = this.peers;
    const { items, bounds } = this.byOwner(variables, (variable) => variable);
    const arrays = items.map((variable) => {
      return this.isOwn(variable) ? (variable.dataSync() as Float32Array) : new Float32Array(variable.size);
    });
    world.wait('the new weights', world.native.gather(world.comm, arrays, bounds, this.peers.slice));
    for (const [i, variable] of items.entries()) {
      if (!this.isOwn(variable)) assign(variable, arrays[i] as Float32Array);
    }
  }

  async consolidate(own: NamedTensor[]): Promise<NamedTensor[]> {
    const { world } = this.peers;
    const all = new Map<string, Tensor>();
    for (let root = 0; root < world.size; ++root) {
      const isRoot = root === world.rank;
      const sent = isRoot ? own : [];
      const specs = sent.map(({ name, tensor: { shape, dtype } }) => ({ name, shape, dtype }));
      for (const { name, shape, dtype } of await this.fromRoot(specs, root)) {
        const given = sent.find((one) => one.name === name)?.tensor;
        const size = product(shape);
        const isWhole = dtype === 'int32';
        const mine = (await given?.data()) as Float32Array | Int32Array | undefined;
        const values = await world.broadcast(
          mine ?? (isWhole ? new Int32Array(size) : new Float32Array(size)),
          root,
        );
        if (!all.has(name)) all.set(name, tensor(values, shape, isWhole ? 'int32' : 'float32'));
      }
    }
    for (const { tensor: given } of own) given.dispose();
    const names = [...all.keys()];
    const places = new Map(this.peers.names.map((name, i) => [name, i]));
    const placeOf = (name: string) => {
      const at = name.lastIndexOf('/');
      return at < 0 ? -1 : (places.get(name.slice(0, at)) ?? places.size);
    };
    names.sort((a, b) => placeOf(a) - placeOf(b));
    return names.map((name) => ({ name, tensor: all.get(name) as Tensor }));
  }

  /** What one rank has, as JSON. */
  private async fromRoot<T>(value: T, root: number): Promise<T> {
    const { world } = this.peers;
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    const length = await world.broadcast(bytes.length, root);
    const given = await world.broadcast(root === world.rank ? bytes : new Uint8Array(length), root);
    return JSON.parse(new TextDecoder().decode(given)) as T;
  }
}
