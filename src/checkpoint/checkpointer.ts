import { clone, dispose, io, keep, Optimizer, type Tensor, Variable } from '@tensorflow/tfjs-core';
import type { Stateful } from '../callbacks/stateful.js';
import { FtpError } from '../errors.js';
import type { World } from '../parallel/world.js';
import { assign, checkModel, type LayerWeight, nodesOf, weightsIn } from '../recipes/model.js';
import { checkBoolean, checkInteger, checkOptionKeys, describe } from '../validate.js';
import { stripSuffix } from '../variables/names.js';
import type { ModelLike } from '../variables/output_axis.js';
import type { NamedTensor } from '../variables/saved_state.js';
import {
  type CheckpointEntry,
  type Contents,
  type DataFile,
  listCheckpoints,
  readCheckpoint,
  removeLeftovers,
  writeCheckpoint,
} from './files.js';
import { loadOptimizer, type OptimizerRecord, recordOptimizer, saveOptimizer } from './optimizer_state.js';
import { pack, unpack } from './pack.js';

/** Options of {@link Checkpointer}: what a checkpoint holds, and how many there are. */
export interface CheckpointerOptions {
  /** The `tf.LayersModel` that is trained: all its weights, statistics of batch normalization too. */
  model?: ModelLike;
  /**
   * Variables, in place of a model or beside it, in the same order each time. Give them names, by which optimizers know theirs:
   * `tf.variable(value, true, 'w')`.
   */
  variables?: readonly Variable[];
  /** The optimizer, any `tf.Optimizer`. Default: the one that `model` is compiled with when it is saved or resumed, if any. */
  optimizer?: Optimizer;
  /** The data: what {@link resumable} gives, or an object of your own. */
  data?: Stateful;
  /** Whatever else has a state, by a name of your choice: `{ stopping: callbacks.earlyStopping() }`, a generator of numbers. */
  state?: { readonly [name: string]: Stateful };
  /**
   * The ranks of a parallel training, of `mpi()` of `tfjs-ftp/parallel`. All of them then call `save` and `resume`; rank 0 writes, and all
   * read the folder, which must be on a disk that they share. Other states than the optimizer's are saved as rank 0 has them. Default:
   * this process alone.
   */
  world?: Pick<World, 'rank' | 'barrier' | 'broadcast'>;
  /** Checkpoints that stay, a whole number >= 1, or null for all. Default: 2. */
  keep?: number | null;
}

/** Where training is. */
export interface CheckpointPosition {
  /** Batches, or steps of a loop of your own, since training began. */
  step: number;
  /** The epoch to go on in, counted from 0: `initialEpoch` of `fit`. */
  epoch: number;
  /** Batches of that epoch which were trained on. */
  batch: number;
  /** Whether training had come to its end, and not only to a checkpoint on the way. */
  finished: boolean;
}

/** What {@link Checkpointer.resume} found. */
export interface ResumedPosition extends CheckpointPosition {
  /** The folder of the checkpoint; null: there was none, and training begins. */
  path: string | null;
}

/** Options of {@link Checkpointer.resume}. */
export interface ResumeOptions {
  /** The folder of a checkpoint. Default: the newest of the directory. */
  from?: string;
  /**
   * Whether the optimizer may have other options than the one that was saved. Its own are kept then, its schedule too; of a
   * learning rate that is a number the saved one is taken. Default: false.
   */
  changedOptions?: boolean;
}

/** A tensor of a checkpoint. */
interface Spec {
  name: string;
  shape: number[];
  dtype: io.WeightsManifestEntry['dtype'];
  bytes: number;
}

/** Lists of tensors, in the order of the data. */
const PARTS = ['weights', 'optimizer', 'state'] as const;
type Part = (typeof PARTS)[number];
type Tensors<T> = { [part in Part]: T[] };

export const CHECKPOINTER_KEYS = ['model', 'variables', 'optimizer', 'data', 'state', 'world', 'keep'];
const MOST = Number.MAX_SAFE_INTEGER;
const START: ResumedPosition = { step: 0, epoch: 0, batch: 0, finished: false, path: null };

function mismatch(message: string): FtpError {
  return new FtpError('STATE_MISMATCH', message);
}

/**
 * Saves the state of a training to a directory and brings it back, in loops of your own. For `model.fit` and
 * `model.fitDataset` there is the callback {@link checkpoint}, which is made of one.
 *
 * A checkpoint holds the weights, the optimizer's whole state and learning rate, the position, and the states of what is given
 * as `data` and `state`. Loading it goes on with the same bits as if nothing had happened, if the data come in the same
 * order and nothing else draws random numbers without a seed (dropout does).
 *
 * A checkpoint is a folder `000012-step-3400` of the directory: the twelfth, after 3400 steps. It is written beside, synced to the
 * disk, and then renamed; the oldest one goes only after that. A process that ends at any moment, by `kill -9` too, leaves
 * the last checkpoint whole. Its files have checksums. One process at a time may write to a directory.
 *
 * @example
 * ```ts
 * const w = tf.variable(tf.ones([3, 2]), true, 'w');
 * const optimizer = ftp.adamw(1e-2);
 * const checkpoints = new Checkpointer('runs/loop', { variables: [w], optimizer, keep: 2 });
 * const { step: first } = await checkpoints.resume(); // 0 where there is none
 * for (let step = first; step < 20; step++) {
 *   optimizer.minimize(() => tf.sum(tf.square(w)), false, [w]);
 *   if ((step + 1) % 5 === 0) await checkpoints.save(step + 1);
 * }
 * ```
 */
export class Checkpointer {
  private readonly options: CheckpointerOptions;
  private readonly keep: number | null;
  private cleaned = false;

  /**
   * @param directory of this training's checkpoints alone; made when the first one is saved.
   * @param options what a checkpoint holds.
   * @throws TypeError or RangeError for options of a wrong type or value.
   */
  constructor(
    readonly directory: string,
    options: CheckpointerOptions,
  ) {
    if (typeof directory !== 'string' || directory === '') {
      throw new TypeError(`directory must be the path of a folder, got ${describe(directory)}`);
    }
    checkOptionKeys('options', options, CHECKPOINTER_KEYS);
    const { model, variables, optimizer, data, state = {}, world, keep: most = 2 } = options;
    if (model === undefined && variables === undefined) {
      throw new TypeError('options must have a model or variables, got neither');
    }
    if (model !== undefined) checkModel('model', model);
    if (variables !== undefined && !(Array.isArray(variables) && variables.every(isVariable))) {
      throw new TypeError(`variables must be an array of tf.Variable, got ${describe(variables)}`);
    }
    if (optimizer !== undefined && (optimizer === null || !(optimizer instanceof Optimizer))) {
      throw new TypeError(`optimizer must be a tf.Optimizer, got ${describe(optimizer)}`);
    }
    if (state === null || typeof state !== 'object' || Array.isArray(state)) {
      throw new TypeError(`state must be an object, got ${describe(state)}`);
    }
    for (const [name, value] of Object.entries(state)) checkStateful(`state.${name}`, value);
    if (data !== undefined) checkStateful('data', data);
    if (world !== undefined && typeof (world as Partial<World> | null)?.barrier !== 'function') {
      throw new TypeError(`world must be what mpi() gives, got ${describe(world)}`);
    }
    this.keep = most === null ? null : checkInteger('keep', most, 1, MOST);
    this.options = { ...options, state: { ...state } };
  }

  /**
   * Writes a checkpoint. Await it before the next step: it must see the weights and the state of one moment.
   *
   * @param position steps so far; or also the epoch and the batch to go on with, and whether training has ended.
   * @returns the folder. With `world`, all ranks resolve when rank 0 has written it.
   * @throws TypeError or RangeError for another position, or for a state that is no JSON; FtpError CHECKPOINT_FAILED if
   *   the file system refuses. The checkpoints before are as they were.
   */
  async save(position: number | ({ step: number } & Partial<CheckpointPosition>)): Promise<string> {
    const at = checkPosition(position);
    const { world } = this.options;
    if (world !== undefined && world.rank !== 0) return this.saveWithRankZero(world);
    if (!this.cleaned) await removeLeftovers(this.directory);
    this.cleaned = true;
    const { optimizer } = this;
    const stateTensors: Tensor[] = [];
    const packed: { [name: string]: unknown } = {};
    for (const { key, name, stateful } of this.statefuls()) {
      packed[key] = pack(`the state of ${name}`, stateful.getState(), stateTensors);
    }
    const record = optimizer === undefined ? null : recordOptimizer(optimizer);
    const tensors: Tensors<NamedTensor> = {
      weights: this.weights(),
      optimizer: optimizer === undefined ? [] : await saveOptimizer(optimizer),
      state: stateTensors.map((tensor, i) => ({ name: String(i), tensor })),
    };
    try {
      const path = await writeCheckpoint(this.directory, at.step, this.keep, async (file) => {
        const specs: Partial<Tensors<Spec>> = {};
        for (const part of PARTS) specs[part] = await writeTensors(file, tensors[part]);
        return { position: at, optimizer: record, state: packed, tensors: specs };
      });
      if (world !== undefined) await tellPath(world, path);
      return path;
    } finally {
      dispose(tensors.optimizer.map(({ tensor }) => tensor));
    }
  }

  /** What another rank does: its share of the optimizer's state goes to rank 0, which writes. */
  private async saveWithRankZero(world: NonNullable<CheckpointerOptions['world']>): Promise<string> {
    const { optimizer } = this;
    if (optimizer !== undefined) dispose((await saveOptimizer(optimizer)).map(({ tensor }) => tensor));
    return tellPath(world, '');
  }

  /** The checkpoints of the directory, the oldest first, as they are named; their content is not looked at. */
  async list(): Promise<CheckpointEntry[]> {
    return listCheckpoints(this.directory);
  }

  /**
   * Loads a checkpoint into what the options name. What the checkpoint has beyond that is left out, so that a model alone can
   * be loaded too.
   *
   * @returns where to go on; where there is no checkpoint, the start: step, epoch and batch 0, and path null.
   * @throws FtpError CHECKPOINT_INVALID for a folder that is no checkpoint or was changed, with what was found there;
   *   STATE_MISMATCH for the checkpoint of another model, of another optimizer, or of one with other options. Weights,
   *   optimizer and states are as before then.
   */
  async resume(options: ResumeOptions = {}): Promise<ResumedPosition> {
    checkOptionKeys('options', options, ['from', 'changedOptions']);
    const { from, changedOptions = false } = options;
    checkBoolean('changedOptions', changedOptions);
    if (from !== undefined && typeof from !== 'string') {
      throw new TypeError(`from must be the path of a checkpoint's folder, got ${describe(from)}`);
    }
    const known = from === undefined ? await this.list() : [];
    const path = from ?? known.at(-1)?.path;
    if (path === undefined) return { ...START };
    try {
      return await readCheckpoint(path, async (manifest, next) => {
        const loaded: Tensors<NamedTensor> = { weights: [], optimizer: [], state: [] };
        try {
          const specs = manifest.tensors as Tensors<Spec>;
          for (const part of PARTS) await readTensors(specs[part], next, loaded[part]);
          await this.load(manifest, loaded, changedOptions);
        } finally {
          dispose(PARTS.flatMap((part) => loaded[part].map(({ tensor }) => tensor)));
        }
        return { ...(manifest.position as CheckpointPosition), path };
      });
    } catch (error) {
      const older = known.at(-2)?.path;
      if (!(error instanceof FtpError) || error.code !== 'CHECKPOINT_INVALID' || older === undefined)
        throw error;
      const way = `. The one before is ${older}: give resume the option from to go on there`;
      throw new FtpError(error.code, error.message + way, { cause: error });
    }
  }

  private get optimizer(): Optimizer | undefined {
    const { optimizer, model } = this.options;
    return optimizer ?? (model as { optimizer?: Optimizer } | undefined)?.optimizer ?? undefined;
  }

  private layerWeights(): LayerWeight[] {
    const { model } = this.options;
    return model === undefined ? [] : weightsIn(nodesOf(model));
  }

  private weights(): NamedTensor[] {
    const ofModel = this.layerWeights().map((weight) => ({ name: weight.name, tensor: weight.read() }));
    const { variables = [] } = this.options;
    return [...ofModel, ...variables.map((variable) => ({ name: variable.name, tensor: variable }))];
  }

  /** Everything with a state, with its key in the manifest and its name in messages. */
  private statefuls(): { key: string; name: string; stateful: Stateful }[] {
    const { data, state = {} } = this.options;
    const named = Object.entries(state).map(([name, stateful]) => {
      return { key: `state.${name}`, name: `'${name}'`, stateful };
    });
    return data === undefined ? named : [{ key: 'data', name: 'data', stateful: data }, ...named];
  }

  private async load(manifest: Contents, loaded: Tensors<NamedTensor>, changes: boolean): Promise<void> {
    const record = manifest.optimizer as OptimizerRecord | null;
    const packed = manifest.state as { [key: string]: unknown };
    const tensors = loaded.state.map(({ tensor }) => tensor);
    const { optimizer } = this;
    this.checkWeights(loaded.weights);
    if (optimizer !== undefined && record === null) {
      throw mismatch('the checkpoint was saved without an optimizer, and there is one now');
    }
    const lacking = this.statefuls().find(({ key }) => !Object.hasOwn(packed, key));
    if (lacking !== undefined) throw mismatch(`the checkpoint was saved without a state of ${lacking.name}`);
    const before = this.statefuls().map(({ name, stateful }) => stateBefore(name, stateful));
    let set = 0;
    try {
      for (const { key, stateful } of this.statefuls()) {
        stateful.setState(unpack(packed[key], tensors));
        ++set;
      }
      // The last that can fail.
      if (optimizer !== undefined) {
        await loadOptimizer(optimizer, record as OptimizerRecord, loaded.optimizer, changes);
      }
    } catch (error) {
      for (const { restore } of before.slice(0, set)) restore();
      throw error;
    } finally {
      dispose(before.flatMap(({ copies }) => copies));
    }
    const ofModel = this.layerWeights();
    for (const [i, weight] of ofModel.entries()) assign(weight, (loaded.weights[i] as NamedTensor).tensor);
    for (const [i, variable] of (this.options.variables ?? []).entries()) {
      variable.assign((loaded.weights[ofModel.length + i] as NamedTensor).tensor);
    }
  }

  private checkWeights(saved: readonly NamedTensor[]): void {
    const present = this.weights();
    const show = ({ name, tensor }: NamedTensor) => `'${name}' ${tensor.dtype} [${tensor.shape}]`;
    for (const [i, weight] of present.entries()) {
      const was = saved[i];
      if (was === undefined) break;
      const same =
        identity(was.name) === identity(weight.name) &&
        was.tensor.dtype === weight.tensor.dtype &&
        String(was.tensor.shape) === String(weight.tensor.shape);
      if (!same) {
        throw mismatch(
          `weight ${i} must be the ${show(was)} that was saved, got ${show(weight)}: the checkpoint is of another model`,
        );
      }
    }
    if (saved.length !== present.length) {
      throw mismatch(
        `there must be the ${saved.length} weights that were saved, got ${present.length}: the checkpoint is of another model`,
      );
    }
  }
}

/** The path that rank 0 has written. */
async function tellPath(world: NonNullable<CheckpointerOptions['world']>, path: string): Promise<string> {
  const bytes = new TextEncoder().encode(path);
  const length = await world.broadcast(bytes.length);
  return new TextDecoder().decode(await world.broadcast(world.rank === 0 ? bytes : new Uint8Array(length)));
}

/** A name without what tfjs adds; variables without a name have a number for one, which changes. */
const identity = (name: string) => (/^\d+$/.test(name) ? '' : stripSuffix(name));

/** What sets a state back to what it is now, and copies of its tensors. */
function stateBefore(name: string, stateful: Stateful): { restore: () => void; copies: Tensor[] } {
  const tensors: Tensor[] = [];
  const packed = pack(`the state of ${name}`, stateful.getState(), tensors);
  const copies = tensors.map((tensor) => keep(clone(tensor)));
  return { restore: () => stateful.setState(unpack(packed, copies)), copies };
}

function isVariable(value: unknown): value is Variable {
  return Object.prototype.isPrototypeOf.call(Variable.prototype, value as object);
}

function checkStateful(name: string, value: unknown): void {
  const { getState, setState } = (value ?? {}) as Partial<Stateful>;
  if (typeof getState !== 'function' || typeof setState !== 'function') {
    throw new TypeError(`${name} must have the functions getState and setState, got ${describe(value)}`);
  }
}

function checkPosition(position: unknown): CheckpointPosition {
  const given = typeof position === 'number' ? { step: position } : position;
  checkOptionKeys('position', given, ['step', 'epoch', 'batch', 'finished']);
  const { step, epoch = 0, batch = 0, finished = false } = given as Partial<CheckpointPosition>;
  return {
    step: checkInteger('step', step, 0, MOST),
    epoch: checkInteger('epoch', epoch, 0, MOST),
    batch: checkInteger('batch', batch, 0, MOST),
    finished: checkBoolean('finished', finished),
  };
}

/** One at a time, so that the memory of one is taken. */
async function writeTensors(file: DataFile, tensors: readonly NamedTensor[]): Promise<Spec[]> {
  const specs: Spec[] = [];
  for (const { name, tensor } of tensors) {
    const { data, specs: encoded } = await io.encodeWeights([{ name, tensor }]);
    await file.write(new Uint8Array(data));
    const { shape, dtype } = encoded[0] as io.WeightsManifestEntry;
    specs.push({ name, shape, dtype, bytes: data.byteLength });
  }
  return specs;
}

async function readTensors(
  specs: readonly Spec[],
  next: (bytes: number) => Promise<Uint8Array>,
  into: NamedTensor[],
): Promise<void> {
  for (const { bytes, ...spec } of specs) {
    const data = await next(bytes);
    const decoded = io.decodeWeights(data.buffer as ArrayBuffer, [spec]);
    into.push({ name: spec.name, tensor: keep(decoded[spec.name] as Tensor) });
  }
}

/**
 * Loads the newest checkpoint of a directory; short for `new Checkpointer(directory, what).resume(options)`. For a model alone:
 * `await resume('runs/a', { model })`.
 *
 * @param what see {@link CheckpointerOptions}.
 * @returns and throws as {@link Checkpointer.resume}.
 */
export async function resume(
  directory: string,
  what: CheckpointerOptions,
  options: ResumeOptions = {},
): Promise<ResumedPosition> {
  return new Checkpointer(directory, what).resume(options);
}
