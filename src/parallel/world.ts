/** The ranks of a job, and what they do together. */

import fs from 'node:fs';
import { mpiEnvironmentProblem } from '../environment.js';
import { FtpError } from '../errors.js';
import {
  describeTried,
  findNative,
  type MpiWorkHandle,
  type NativeMpi,
  requireNative,
} from '../native/addon.js';
import { environment } from '../platform/node.js';
import { checkChoice, checkInteger, checkNumber, checkOptionKeys, describe } from '../validate.js';
import { findLauncher, type Launcher, libraryNames } from './launcher.js';

/** How {@link World.allReduce} combines the values of the ranks. */
export type ReduceOp = 'sum' | 'mean' | 'min' | 'max';

/** Numbers that ranks exchange. */
export type Numbers = number | Float32Array | Float64Array | Int32Array;

/** Options of {@link mpi}. */
export interface MpiOptions {
  /**
   * Seconds, > 0, that a rank waits for the others before it ends the job with a message; default 1800, as torch's gloo. A
   * rank that ends, or is killed, ends the job at once; this is for one that hangs, or that takes another way through the program.
   */
  timeoutSeconds?: number;
}

/**
 * All ranks of a job, or some of them. Every rank must call the same functions in the same order, as with any MPI program; the promises
 * resolve when all have. JavaScript goes on meanwhile: MPI has a thread of its own.
 */
export interface World {
  /** The number of this process among them, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly size: number;
  /** What the MPI library says of itself; null where the process is alone and needs none. */
  readonly library: string | null;

  /** Resolves when all ranks have called it. */
  barrier(): Promise<void>;

  /**
   * Combines the values of all ranks, element by element.
   *
   * @param values a number, or an array of the same length on all ranks; not changed.
   * @param op `'mean'` is not for Int32Array. Default `'sum'`.
   * @returns the same on all ranks: a number for a number, else a new array.
   * @throws TypeError for other values; RangeError for a mean of whole numbers, and for an unknown op; FtpError MPI_FAILURE.
   */
  allReduce<T extends Numbers>(values: T, op?: ReduceOp): Promise<T extends number ? number : T>;

  /**
   * Gives the values of one rank to all.
   *
   * @param values a number, or an array that is as long on all ranks; only those of `root` count. Not changed.
   * @param root the rank that gives; default 0.
   * @returns a number for a number, else a new array.
   * @throws TypeError for other values; RangeError for a root that is not a rank; FtpError MPI_FAILURE.
   */
  broadcast<T extends Numbers | Uint8Array>(values: T, root?: number): Promise<T extends number ? number : T>;

  /**
   * Parts the ranks: those that give the same color make a world of their own.
   *
   * @param color a whole number >= 0.
   * @param key order within the new world, a whole number; default: that of the ranks here.
   * @throws TypeError or RangeError for other numbers; FtpError MPI_FAILURE.
   */
  split(color: number, key?: number): Promise<World>;

  /**
   * Ends all processes of the job.
   *
   * @param message for people, on standard error, after this rank's number.
   * @param code exit code of the processes, from 1 to 255; default 1.
   */
  abort(message: string, code?: number): never;
}

const OPS: { readonly [op in ReduceOp]: number } = { sum: 0, mean: 0, min: 1, max: 2 };
const MOST_COLORS = 2 ** 31 - 1;
const DEFAULT_TIMEOUT = 1800;

/** What all worlds of a process share. */
interface Job {
  native: NativeMpi;
  library: string;
  timeoutSeconds: number;
}

/** As {@link World}; what the rest of tfjs-ftp/parallel needs besides. */
export class Ranks implements World {
  /** `job` null: alone. */
  constructor(
    private readonly job: Job | null,
    readonly comm: number,
    readonly rank: number,
    readonly size: number,
  ) {}

  get library(): string | null {
    return this.job?.library ?? null;
  }

  /** @throws FtpError MPI_NOT_FOUND for a process that is alone. */
  get native(): NativeMpi {
    if (this.job === null) throw new FtpError('MPI_NOT_FOUND', 'this process is alone, without MPI');
    return this.job.native;
  }

  async barrier(): Promise<void> {
    if (this.job !== null) await this.run('barrier', this.native.barrier(this.comm));
  }

  async allReduce<T extends Numbers>(
    values: T,
    op: ReduceOp = 'sum',
  ): Promise<T extends number ? number : T> {
    checkChoice('op', op, Object.keys(OPS) as ReduceOp[]);
    const copy = copyOf(values);
    if (copy instanceof Uint8Array) throw notNumbers(values);
    if (op === 'mean' && copy instanceof Int32Array) {
      throw new RangeError("op must be 'sum', 'min' or 'max' for an Int32Array, got 'mean'");
    }
    if (this.job !== null) await this.run('allReduce', this.native.allReduce(this.comm, copy, OPS[op]));
    if (op === 'mean') for (let i = 0; i < copy.length; ++i) copy[i] = (copy[i] as number) / this.size;
    return asGiven(values, copy);
  }

  async broadcast<T extends Numbers | Uint8Array>(
    values: T,
    root = 0,
  ): Promise<T extends number ? number : T> {
    checkInteger('root', root, 0, this.size - 1);
    const copy = copyOf(values);
    if (this.job !== null) await this.run('broadcast', this.native.broadcast(this.comm, copy, root));
    return asGiven(values, copy);
  }

  async split(color: number, key = this.rank): Promise<World> {
    checkInteger('color', color, 0, MOST_COLORS);
    checkInteger('key', key, -MOST_COLORS, MOST_COLORS);
    if (this.job === null) return new Ranks(null, 0, 0, 1);
    const [comm, rank, size] = await this.run('split', this.native.split(this.comm, color, key));
    return new Ranks(this.job, comm as number, rank as number, size as number);
  }

  abort(message: string, code = 1): never {
    checkInteger('code', code, 1, 255);
    say(`rank ${this.rank} of ${this.size}: ${message}`);
    if (this.job !== null) endJob(this.job.native, code);
    process.exit(code);
  }

  /** The end of work, without holding JavaScript up. */
  async run(what: string, work: MpiWorkHandle): Promise<number[]> {
    const { timeoutSeconds } = this.job as Job;
    const timer = setTimeout(() => this.timedOut(what), Math.min(2 ** 31 - 1, 1000 * timeoutSeconds));
    try {
      return await this.native.promise(work);
    } catch (error) {
      throw failure(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The end of work; JavaScript waits, as it does for a step of the optimizer. */
  wait(what: string, work: MpiWorkHandle): number[] {
    let numbers: number[] | null;
    try {
      numbers = this.native.wait(work, (this.job as Job).timeoutSeconds);
    } catch (error) {
      throw failure(error);
    }
    return numbers ?? this.timedOut(what);
  }

  private timedOut(what: string): never {
    const { timeoutSeconds } = this.job as Job;
    return this.abort(
      `the other ranks have not come to '${what}' within ${timeoutSeconds} seconds (timeoutSeconds); ending the job`,
    );
  }
}

function copyOf(values: unknown): Float32Array | Float64Array | Int32Array | Uint8Array {
  if (typeof values === 'number') return Float64Array.of(values);
  if (values instanceof Float32Array || values instanceof Float64Array) return values.slice();
  // A Buffer's slice is a view.
  if (values instanceof Int32Array || values instanceof Uint8Array) {
    return values instanceof Int32Array ? values.slice() : new Uint8Array(values);
  }
  throw notNumbers(values);
}

function notNumbers(values: unknown): TypeError {
  return new TypeError(
    `values must be a number, a Float32Array, a Float64Array or an Int32Array, got ${describe(values)}`,
  );
}

function asGiven<T>(values: T, result: ArrayLike<number>): T extends number ? number : T {
  return (typeof values === 'number' ? result[0] : result) as T extends number ? number : T;
}

function failure(error: unknown): unknown {
  const { code, message } = error as { code?: unknown; message: string };
  return code === 'MPI_FAILURE' ? new FtpError('MPI_FAILURE', message, { cause: error }) : error;
}

function say(message: string): void {
  fs.writeSync(2, `tfjs-ftp: ${message}\n`);
}

/** How long a launcher has to pass on what a rank has said last, in milliseconds: MPICH's drops what it has not read when a job ends. */
const LAST_WORDS = 250;

/** Ends all processes of the job after what this one has said. */
function endJob(native: NativeMpi, code: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LAST_WORDS);
  native.end(code);
}

let started: Promise<World> | undefined;

/**
 * The ranks of the MPI job that this process belongs to. Starts MPI at the first call; later calls give the same.
 *
 * The MPI library is found at run time: nothing is compiled or linked on your machine. It is the one that the process has loaded, else
 * the first that is found of the launcher's kind, else the first at all: `libmpi.so`, `libmpi.so.12`, `libmpi.so.40`, `libmpich.so.12`,
 * `libmpi_abi.so.0`. Open MPI, MPICH and its relatives (Intel MPI, MVAPICH, Cray MPICH), and libraries with the standard interface of
 * MPI 5 work. Two environment variables force it: `TFJS_FTP_MPI_LIBRARY`, a path or a name that the system finds, and
 * `TFJS_FTP_MPI_ABI`, the interface that it must have: `openmpi`, `mpich` or `mpiabi`.
 *
 * A process that no known launcher started is alone: rank 0 of 1, without MPI, so that the same program runs by itself. Under a launcher
 * that is not known, set one of the two variables.
 *
 * MPI is ended when the process ends. A process that ends with an error (another exit code than 0) or in the middle of an exchange ends the
 * job: the launcher ends the other processes, and tells so.
 *
 * @param options see {@link MpiOptions}.
 * @returns a promise of the ranks. Nothing to dispose.
 * @throws TypeError or RangeError for options of a wrong type or value, and for a value of `TFJS_FTP_MPI_ABI` that is not accepted;
 *   FtpError `MPI_NOT_FOUND` where a launcher started the process and no library is found, with what was tried; `MPI_MISMATCH` where
 *   the library is not the launcher's; `MPI_FAILURE` for what MPI reports; `ADDON_NOT_FOUND`.
 *
 * @example
 * ```ts
 * const world = await mpi();
 * const loss = await world.allReduce(world.rank + 0.5, 'mean');
 * if (world.rank === 0) console.log(`${world.size} ranks, mean loss ${loss}`);
 * await world.barrier();
 * ```
 */
export async function mpi(options: MpiOptions = {}): Promise<World> {
  checkOptionKeys('options', options, ['timeoutSeconds']);
  const { timeoutSeconds = DEFAULT_TIMEOUT } = options;
  checkNumber('timeoutSeconds', timeoutSeconds, { above: 0 });
  started ??= startMpi(timeoutSeconds);
  return started;
}

async function startMpi(timeoutSeconds: number): Promise<World> {
  const variables = environment();
  const problem = mpiEnvironmentProblem(variables);
  if (problem !== null) throw new RangeError(problem);
  const { TFJS_FTP_MPI_LIBRARY: forcedLibrary, TFJS_FTP_MPI_ABI: forcedAbi } = variables;
  const launcher = findLauncher(variables);
  if (launcher === null && !forcedLibrary && !forcedAbi) return new Ranks(null, 0, 0, 1);
  if (findNative().addon === null) requireNative();
  const { mpi: native } = requireNative();
  if (native === undefined) {
    throw new FtpError('MPI_NOT_FOUND', 'this build of the addon has no MPI: under Windows there is none');
  }
  // UCX, which many an MPI is built on, would replace malloc and patch mmap and its like under Node's threads, which crashes
  // (openucx/ucx#3831; one start in forty under MPICH), and Node's handler of SIGSEGV, which WebAssembly needs. It reads these when it is
  // loaded.
  process.env.UCX_MEM_MALLOC_HOOKS ??= 'n';
  process.env.UCX_MEM_MMAP_HOOK_MODE ??= 'none';
  process.env.UCX_MEM_EVENTS ??= 'n';
  process.env.UCX_ERROR_SIGNALS ??= '';
  const names = forcedLibrary ? [forcedLibrary] : libraryNames(process.platform);
  const { version, tried, ...found } = openLibrary(native, names, launcher, forcedAbi);
  if (found.path === undefined) {
    throw new FtpError(
      'MPI_NOT_FOUND',
      `${launcher?.name ?? 'the environment'} asks for MPI, but no MPI library ${forcedAbi ? `of the interface '${forcedAbi}' ` : ''}` +
        `could be loaded. Tried:\n${describeTried(tried)}\nInstall one (Debian: openmpi-bin or mpich), or name it: ` +
        'TFJS_FTP_MPI_LIBRARY=/path/to/libmpi.so',
    );
  }
  const wrongKind = launcher?.abi && found.abi !== 'mpiabi' && found.abi !== launcher.abi;
  if (wrongKind) throw mismatch(launcher, found.path, version, `it is of the kind '${found.abi}'`);
  const alone = new Ranks({ native, library: version ?? found.path, timeoutSeconds }, 0, 0, 1);
  const [rank, size] = (await alone.run('MPI_Init', native.init())) as [number, number];
  // Ending the job ends this process before Node has printed the error.
  if (size > 1) {
    process.on('uncaughtExceptionMonitor', (error) =>
      say(`rank ${rank} of ${size}: ${error?.stack ?? error}`),
    );
  }
  process.on('exit', (code) => endMpi(native, rank, size, code));
  if (launcher !== null && launcher.size !== null && launcher.size !== size) {
    throw mismatch(
      launcher,
      found.path,
      version,
      `it says that there ${size === 1 ? 'is 1' : `are ${size}`}`,
    );
  }
  return new Ranks({ native, library: version ?? found.path, timeoutSeconds }, 0, rank, size);
}

/** Of the kind that the launcher serves, if there is one. */
function openLibrary(
  native: NativeMpi,
  names: readonly string[],
  launcher: Launcher | null,
  forcedAbi: string | undefined,
): ReturnType<NativeMpi['open']> {
  const first = native.open(names, forcedAbi || (launcher?.abi ?? undefined));
  if (first.path !== undefined || forcedAbi || !launcher?.abi) return first;
  return native.open(names);
}

function mismatch(launcher: Launcher, path: string, version: string | undefined, what: string): FtpError {
  const { size, name } = launcher;
  return new FtpError(
    'MPI_MISMATCH',
    `the job was started by ${name}${size === null ? '' : ` with ${size} ranks`}, but the MPI library ${path} (${version}) is not its: ` +
      `${what}. Start it with the launcher of that library (Debian: mpirun.openmpi or mpirun.mpich), or name the launcher's library: ` +
      'TFJS_FTP_MPI_LIBRARY=/path/to/libmpi.so',
  );
}

/** At the end of the process. */
function endMpi(native: NativeMpi, rank: number, size: number, code: number): void {
  if (code !== 0 && size > 1) {
    say(`rank ${rank} of ${size} ends with exit code ${code}, and the job with it`);
    endJob(native, code);
    return;
  }
  native.end(code);
}
