/** Loads the compiled addon once and types what it exports. */

import { environmentProblem } from '../environment.js';
import { FtpError } from '../errors.js';
import { environment, loadAddon } from '../platform/node.js';

/** Where a part of a variable's state lies in its slab. */
export interface NativeSection {
  /** In floats. */
  offset: number;
  /** In floats. */
  length: number;
  /** Numbers that it holds. */
  count: number;
  /** Code of the format that they are stored in. */
  format: number;
}

/** Where the parts of a variable's state lie in its slab. */
export interface NativeStateLayout {
  /** Length of the slab in floats. */
  length: number;
  /** Existing slots only. */
  sections: { [slot: string]: NativeSection };
}

/** How the addon was built and what it uses on this machine. */
export interface NativeBuildInfo {
  /** Whether CUDA kernels are part of it. */
  cuda: boolean;
  /** Instruction set that the kernels use here: `avx512`, `avx2`, `sse2`, `neon` or `scalar`. */
  simd: string;
  /** The instruction sets that the addon can use here, the widest first: what `TFJS_FTP_SIMD` may name. */
  simdLevels: string[];
  /**
   * Threads of a step by default: `TFJS_FTP_THREADS`, else the cores that the process may run on, or fewer where a
   * container allows less processor time (cgroup quotas, rounded up).
   */
  threads: number;
  /** The most threads that a step uses. */
  maxThreads: number;
  /** Name and version of the compiler. */
  compiler: string;
}

/** What CUDA finds on this machine. */
export interface CudaInfo {
  /** Whether CUDA kernels are part of the addon. */
  built: boolean;
  /** Whether there is a device that they run on. */
  available: boolean;
  /** CUDA version of the runtime inside the addon, e.g. '13.0'. */
  runtime?: string;
  /** Newest CUDA version that the driver supports; absent without a driver. */
  driver?: string;
  /** `capability`: compute capability, e.g. '9.0'; `memory` in bytes. */
  devices: Array<{ name: string; capability: string; memory: number }>;
  /** Why not available, in words. */
  reason?: string;
}

/** What came of looking for TensorFlow in this process and of registering the ops with it. */
export interface TensorflowStatus {
  /** Whether a libtensorflow is loaded in this process. */
  found: boolean;
  version?: string;
  /** Whether the ops are registered, now or by an earlier call. */
  registered: boolean;
  /** Whether a GPU kernel of the ops is registered. */
  gpu: boolean;
  /** Why not, in words. */
  reason?: string;
  /** Functions of TensorFlow's C API that this libtensorflow lacks. */
  missing?: string[];
}

declare const handle: unique symbol;
/** Device memory, freed by `free` or by the garbage collector; opaque. */
export interface DeviceMemoryHandle {
  readonly [handle]: 'device memory';
}
/** Runs steps on one device and keeps their scratch memory; opaque. */
export interface DeviceStepperHandle {
  readonly [handle]: 'device stepper';
}

/**
 * Memory of CUDA devices and the step on it. Offsets and lengths count floats; memory is of the device that it was
 * allocated on. Functions throw an Error with `code` 'OUT_OF_MEMORY' or 'NATIVE_FAILURE' for what CUDA reports.
 */
export interface NativeDevice {
  /** Zeros. */
  allocate(device: number, length: number): DeviceMemoryHandle;
  /** Waits for the device; harmless the second time. */
  free(memory: DeviceMemoryHandle): void;
  address(memory: DeviceMemoryHandle): bigint;
  upload(memory: DeviceMemoryHandle, offset: number, values: Float32Array): void;
  download(memory: DeviceMemoryHandle, offset: number, target: Float32Array): void;
  /** Writes zeros. */
  clear(memory: DeviceMemoryHandle, offset: number, length: number): void;
  copy(
    to: DeviceMemoryHandle,
    toOffset: number,
    from: DeviceMemoryHandle,
    fromOffset: number,
    length: number,
  ): void;
  /** In bytes. */
  memory(device: number): { free: number; total: number };
  newStepper(device: number): DeviceStepperHandle;
  /** Frees the scratch memory. */
  freeStepper(stepper: DeviceStepperHandle): void;
  /** As {@link NativeAddon.step}; waits for the device only where the plan asks for the check. */
  step(
    stepper: DeviceStepperHandle,
    plan: Int32Array,
    states: DeviceMemoryHandle[],
    weights: DeviceMemoryHandle[],
    gradients: DeviceMemoryHandle[],
    outputs: DeviceMemoryHandle[],
  ): void;
  /** As {@link NativeAddon.gather}; waits for the device. */
  gather(
    stepper: DeviceStepperHandle,
    plan: Int32Array,
    states: DeviceMemoryHandle[],
    weights: DeviceMemoryHandle[],
    gradients: DeviceMemoryHandle[],
    want: number,
  ): Float64Array;
}

/** Work that MPI's thread has to do, or has done; opaque. */
export interface MpiWorkHandle {
  readonly [handle]: 'mpi work';
}

/**
 * MPI, found at run time. Communicators are numbers, 0 is all ranks. What returns work posts it to MPI's own thread, which does it in
 * that order; its arrays must not be touched until it is done. Failures of MPI are Errors with `code` 'MPI_FAILURE'.
 */
export interface NativeMpi {
  /** Loads the first of these libraries that has the interface asked for (default: any), or takes the one that the process has. */
  open(
    names: readonly string[],
    abi?: string,
  ): {
    path?: string;
    abi?: string;
    version?: string;
    tried: Array<{ path: string; reason: string }>;
  };
  /** Gives rank and size. Once per process. */
  init(): MpiWorkHandle;
  /** Gives communicator, rank and size. */
  split(comm: number, color: number, key: number): MpiWorkHandle;
  barrier(comm: number): MpiWorkHandle;
  /** In place; `op`: 0 sum, 1 min, 2 max. */
  allReduce(comm: number, values: Float32Array | Float64Array | Int32Array, op: number): MpiWorkHandle;
  /** In place. */
  broadcast(
    comm: number,
    values: Float32Array | Float64Array | Int32Array | Uint8Array,
    root: number,
  ): MpiWorkHandle;
  /**
   * With the arrays as one list, of which rank r owns the elements from `bounds[r]` on: `to = scale sum of from over the ranks`, for
   * what this rank owns, or with `gather` for all. Gives the positions of the arrays where what this rank owns is not finite.
   *
   * @param to may be empty arrays where this rank owns nothing and `gather` is false.
   * @param slice elements of each owner that are exchanged at a time.
   */
  reduce(
    comm: number,
    from: readonly Float32Array[],
    to: readonly Float32Array[],
    bounds: readonly number[],
    slice: number,
    scale: number,
    gather: boolean,
  ): MpiWorkHandle;
  /** Gives everybody what each rank owns. In place. */
  gather(
    comm: number,
    arrays: readonly Float32Array[],
    bounds: readonly number[],
    slice: number,
  ): MpiWorkHandle;
  /** Waits for work. Null if it took longer than that. */
  wait(work: MpiWorkHandle, seconds: number): number[] | null;
  promise(work: MpiWorkHandle): Promise<number[]>;
  /** Ends MPI: orderly for code 0 with no work left; else by ending all processes of the job, without returning. */
  end(code: number): void;
}

/** The addon's exports. Arguments are complete and checked: defaults live in TypeScript. */
export interface NativeAddon {
  version: string;
  buildInfo(): NativeBuildInfo;
  /** Asks CUDA, which initialises it where there is a driver. Never throws. */
  cudaInfo(): CudaInfo;
  /** Codes and flags as in the plan; `elements` of the variable; `rows` of its layout; `format` of its state. */
  stateLayout(
    base: number,
    rule: number,
    baseFlags: number,
    ruleFlags: number,
    stepFlags: number,
    excluded: boolean,
    elements: number,
    rows: number,
    format: number,
  ): NativeStateLayout;
  /** Asks for huge pages under a new state slab; to be called before anything is written to it. */
  adviseState(state: Float32Array): void;
  /**
   * One fused step. `outputs[i]` may be `weights[i]` itself. `proposals`: what another optimizer proposes, with the
   * base update `proposal` alone. Throws an Error with `code` 'NON_FINITE_GRADIENT' and `index` before anything is
   * written.
   */
  step(
    plan: Int32Array,
    states: Float32Array[],
    weights: Float32Array[],
    gradients: Float32Array[],
    outputs: Float32Array[],
    proposals?: Float32Array[],
  ): void;
  /**
   * Sums of the gradients before a step, 11 numbers for each variable of the plan: the sum of squares; then for the learning
   * rate, the weight decay, beta1 or momentum, beta2 and the rule's strength the hyper-gradient sum G X and sum X^2, X being
   * the derivative of the weights by the number of the step that made them. The plan has the numbers, t and n of that
   * step; a variable with its flag `fromWeights` has the sum of squares alone. Changes nothing. With the plan's check it
   * throws as {@link NativeAddon.step}.
   *
   * @param want bits: 1 sum of squares, then 2 to 32 for the others in this order. What is not wanted, or not defined, is 0.
   *   Betas and momentum, and all of a direction that is the gradient or has it as a part, need the slot `gradient`.
   */
  gather(
    plan: Int32Array,
    states: Float32Array[],
    weights: Float32Array[],
    gradients: Float32Array[],
    want: number,
  ): Float64Array;
  /** Only in an addon with CUDA kernels. */
  device?: NativeDevice;
  /** Not under Windows. */
  mpi?: NativeMpi;
  /** Finds libtensorflow and registers the ops, once per process. `paths`: further files to look at. */
  tensorflow(paths?: string[]): TensorflowStatus;
  /**
   * Memory of large outputs of the TensorFlow op on the host, in bytes, of the whole process: lent to tensors, and idle
   * until a next step, which is never more than is lent.
   *
   * @param trim gives what is idle back to the system first.
   */
  outputMemory(trim: boolean): { lent: number; idle: number };
}

/** The addon, or why it is not there. */
export interface NativeLookup {
  addon: NativeAddon | null;
  /** The file that was loaded. */
  path: string | null;
  /** Each path that did not work, with its reason. */
  tried: Array<{ path: string; reason: string }>;
  /** Whether there could be one here; not in a browser. */
  possible: boolean;
  /** What is wrong with an environment variable that the addon reads; no step is taken then. Null: nothing. */
  problem: string | null;
}

let lookup: NativeLookup | undefined;

/** The addon of this installation; looked up once per process, never throws. */
export function findNative(): NativeLookup {
  if (lookup === undefined) {
    const loaded = loadAddon();
    const addon = (loaded.addon as NativeAddon | undefined) ?? null;
    const problem =
      addon === null ? null : environmentProblem(environment(), () => addon.buildInfo().simdLevels);
    const { path = null, tried, possible } = loaded;
    lookup = { addon, path, tried, possible, problem };
  }
  return lookup;
}

/** One line for each path that was tried. */
export function describeTried(tried: NativeLookup['tried']): string {
  return tried.map(({ path, reason }) => `  ${path}: ${reason.split('\n')[0]}`).join('\n');
}

/** What a user can do to get the addon. */
export function addonAdvice(): string {
  const named = environment().TFJS_FTP_ADDON;
  if (named === 'none') return 'TFJS_FTP_ADDON=none switches the addon off; unset it to use the addon.';
  if (named) {
    return 'Correct TFJS_FTP_ADDON, or unset it to use the addon of this installation: while it is set, no other file is tried.';
  }
  return (
    'To build it: install Python 3, make and a C++17 compiler, then run `npm rebuild tfjs-ftp` ' +
    '(in a checkout of tfjs-ftp: `npm run setup`). `npx tfjs-ftp doctor` says what was found.'
  );
}

/**
 * The addon.
 *
 * @throws FtpError ADDON_NOT_FOUND with every path tried and what to do; RangeError for an environment variable with a
 *   value that is not accepted.
 */
export function requireNative(): NativeAddon {
  const { addon, tried, problem } = findNative();
  if (addon === null) {
    throw new FtpError(
      'ADDON_NOT_FOUND',
      `The compiled addon of tfjs-ftp could not be loaded. Tried:\n${describeTried(tried)}\n${addonAdvice()}`,
    );
  }
  if (problem !== null) throw new RangeError(problem);
  return addon;
}
