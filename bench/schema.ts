/** What `--json FILE` holds. Times are seconds, sizes bytes, ratios dimensionless. */

export const SCHEMA_VERSION = 1;

/** Median and spread of samples. */
export interface Summary {
  median: number;
  /** Median absolute deviation from the median. */
  mad: number;
  min: number;
  max: number;
  count: number;
}

export interface ListSize {
  name: string;
  label: string;
  variables: number;
  parameters: number;
}

/** One contender of an interleaved run. */
export interface Timed {
  name: string;
  label: string;
  /** What computed the step: `optimizer.implementation`, or the instruction set of the kernels; null: stock tfjs. */
  implementation: string | null;
  /** Steps a sample; a sample is their mean. */
  repeats: number;
  secondsPerStep: Summary;
  /** Every sample, by round. */
  samples: number[];
  /** Counted in bytes.ts; null for what is no single pass over memory. */
  bytesPerParameter: number | null;
  gigabytesPerSecond: number | null;
  /** Time over that of other contenders of the run, computed by round. */
  ratios: Record<string, Summary>;
}

/** Suite `step`: the public optimizers over a list on one tfjs backend, in one process. */
export interface StepRun {
  backend: string;
  /** Version of libtensorflow on the backend `tensorflow`, else null. */
  tensorflow: string | null;
  list: ListSize;
  contenders: Timed[];
}

/** Part of suite `step`: what one optimizer takes in memory, in a process of its own. Words of 4 bytes a parameter. */
export interface MemoryRun {
  backend: string;
  list: ListSize;
  contender: string;
  label: string;
  implementation: string | null;
  /** Tensors that the optimizer keeps between steps, by tf.memory(). */
  tensorWords: number;
  /** Growth of the process from before the first step to rest after a few, weights and gradients left out. */
  restWords: number | null;
  /** The same to the highest point during a step. Null where the system does not tell (needs Linux). */
  peakWords: number | null;
}

/** Suite `kernels`: the native step alone over a list, with a number of threads, in one process a list. */
export interface KernelRun {
  list: ListSize;
  threads: number;
  simd: string;
  /** Bytes of each of the two buffers of the copy. */
  copyBytes: number;
  /** GB/s over those of memcpy, and of a copy with stores past the caches (null: none on this processor). */
  contenders: Array<Timed & { shareOfCopy: Summary; shareOfStreamCopy: Summary | null }>;
}

/** Suite `train`: whole training steps of the demo's model. */
export interface TrainRun {
  backend: string;
  tensorflow: string | null;
  /** Trainable parameters. */
  parameters: number;
  batchSize: number;
  /** `optimizerShare`: of the step's time, what `applyGradients` takes. */
  contenders: Array<Timed & { optimizerShare: number }>;
}

/** A target of the project, judged by this run. */
export interface Target {
  what: string;
  /** Upper limit of a ratio, or lower limit of a share. */
  limit: number;
  atLeast: boolean;
  measured: Summary | null;
  /** Null: not measured, or not judged in a quick run. */
  met: boolean | null;
}

export interface Environment {
  date: string;
  /** Of the checkout; null outside of one. `modified`: with changes that are not committed. */
  commit: string | null;
  modified: boolean | null;
  version: string;
  cpu: string;
  /** Cores that this process may use. */
  cores: number;
  simd: string | null;
  memory: number;
  /** One minute's load average at the start: well above 0 means a busy machine, whose numbers are noise. */
  load: number;
  platform: string;
  node: string;
  tfjs: string;
}

export interface BenchReport {
  schemaVersion: typeof SCHEMA_VERSION;
  environment: Environment;
  settings: { suites: string[]; lists: string[]; rounds: number | null; quick: boolean };
  step: StepRun[];
  memory: MemoryRun[];
  kernels: KernelRun[];
  train: TrainRun[];
  targets: Target[];
  /** What was not measured although it was asked for, and why. `failed`: not by plan. */
  leftOut: Array<{ what: string; reason: string; failed: boolean }>;
}
