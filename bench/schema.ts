/**
 * What the JSON files of the benchmark hold: `BenchReport`, written by `npm run bench -- --json FILE`, and `CudaReport`,
 * written by `cuda_bench --json FILE` and bench/bench_torch.py. The types are derived from the schemas that files are
 * checked with. Times are seconds, sizes bytes, ratios dimensionless. Fields may be added; what came later has a default,
 * so that older files can be read.
 */

import { z } from 'zod';

export const SCHEMA_VERSION = 1;

const text = z.string().min(1);
const count = z.int().nonnegative();
const positive = z.number().positive();
/** Seconds of one step, by round. */
const samples = z.array(positive).min(1);

/** Median and spread of samples. `mad`: median absolute deviation from the median. */
const summary = z.object({
  median: z.number(),
  mad: z.number(),
  min: z.number(),
  max: z.number(),
  count,
});
export type Summary = z.infer<typeof summary>;

const listSize = z.object({ name: text, label: text, variables: count, parameters: positive });
export type ListSize = z.infer<typeof listSize>;

/** One contender of an interleaved run. */
const timed = z.object({
  name: text,
  label: text,
  /** What computed the step: `optimizer.implementation`, or the instruction set of the kernels; null: stock tfjs. */
  implementation: z.string().nullable(),
  /** Steps a sample; a sample is their mean. */
  repeats: positive,
  secondsPerStep: summary,
  samples,
  /** Counted in counts.ts; null for what is no single pass over memory. */
  bytesPerParameter: z.number().nullable(),
  gigabytesPerSecond: z.number().nullable(),
  /** Time over that of other contenders of the run, computed by round. */
  ratios: z.record(z.string(), summary),
});
export type Timed = z.infer<typeof timed>;

/** Suite `step`: the public optimizers over a list on one tfjs backend, in one process. */
const stepRun = z.object({
  backend: text,
  /** Version of libtensorflow on the backend `tensorflow`, else null. */
  tensorflow: z.string().nullable(),
  list: listSize,
  contenders: z.array(timed),
});
export type StepRun = z.infer<typeof stepRun>;

/** Part of suite `step`: what one optimizer takes in memory, in a process of its own. Words of 4 bytes a parameter. */
const memoryRun = z.object({
  backend: text,
  list: listSize,
  contender: text,
  label: text,
  implementation: z.string().nullable(),
  /** Tensors that the optimizer keeps between steps, by tf.memory(). */
  tensorWords: z.number(),
  /** Growth of the process from before the first step to rest after a few, weights and gradients left out. */
  restWords: z.number().nullable(),
  /** The same to the highest point during a step. Null where the system does not tell (needs Linux). */
  peakWords: z.number().nullable(),
});
export type MemoryRun = z.infer<typeof memoryRun>;

/** Suite `kernels`: the native step alone over a list, with a number of threads, in one process a list. */
const kernelRun = z.object({
  list: listSize,
  threads: positive,
  simd: text,
  /** Bytes of each of the two buffers of the copy. */
  copyBytes: positive,
  /** GB/s over those of memcpy, and of a copy with stores past the caches (null: none on this processor). */
  contenders: z.array(timed.extend({ shareOfCopy: summary, shareOfStreamCopy: summary.nullable() })),
});
export type KernelRun = z.infer<typeof kernelRun>;

/** Suite `train`: whole training steps of the demo's model. */
const trainRun = z.object({
  backend: text,
  tensorflow: z.string().nullable(),
  /** Trainable parameters. */
  parameters: positive,
  batchSize: positive,
  /** `optimizerShare`: of the step's time, what `applyGradients` takes. */
  contenders: z.array(timed.extend({ optimizerShare: z.number() })),
});
export type TrainRun = z.infer<typeof trainRun>;

/** One contender of a run on a GPU, as it was measured: summaries are computed by who reads it. */
const cudaContender = z.object({
  name: text,
  /** `copy`, one of cuda_bench's --optimizer, or what bench/bench_torch.py times. */
  optimizer: text,
  layout: z.enum(['rows', 'columns']).nullable(),
  /** Launches of the step itself; null for what is not ours. */
  version: z.enum(['three', 'one']).nullable(),
  /** Whether gradients are looked at for NaN and infinities first. */
  checked: z.boolean(),
  chunkElements: positive.nullable(),
  /** Counted in native/bench/cuda_cases.h, every word moved once. Null: not counted. */
  bytesPerParameter: positive.nullable(),
  /** That one step, or copy, must move. */
  bytes: positive.nullable(),
  /** Kernels a step; null: not known. */
  launches: count.nullable(),
  /** Steps a sample; a sample is their mean. */
  repeats: positive,
  samples,
  /** Seconds that enqueueing one step took, without waiting for the device. */
  hostSamples: z.array(z.number().nonnegative()),
});
export type CudaContender = z.infer<typeof cudaContender>;

/** All contenders over one list of variables, in turns. */
const cudaRun = z.object({
  /** `rows` of each variable where all have the same shape (a point of a sweep), else null. */
  workload: listSize.extend({ rows: positive.nullable() }),
  contenders: z.array(cudaContender).min(1),
});
export type CudaRun = z.infer<typeof cudaRun>;

/** A number that the CUDA runtime may not tell. */
const attribute = positive.nullable();

const cudaDevice = z.object({
  name: text,
  /** The CUDA runtime's double on the host: it shows that all works; its times are of no GPU. */
  emulated: z.boolean(),
  /** '9.0' */
  computeCapability: z.string().regex(/^\d+\.\d+$/),
  memoryBytes: attribute,
  multiprocessors: attribute,
  clockHz: attribute,
  memoryClockHz: attribute,
  memoryBusBits: attribute,
  l2Bytes: attribute,
});
export type CudaDevice = z.infer<typeof cudaDevice>;

const cudaReport = z.object({
  kind: z.literal('cuda'),
  schemaVersion: z.literal(SCHEMA_VERSION),
  /** What wrote it; for `bench_torch.py`, with the version of PyTorch. */
  program: text,
  date: z.iso.datetime(),
  /** Of the build; `modified`: with changes that are not committed. Null: not known. */
  commit: z.string().nullable(),
  modified: z.boolean().nullable(),
  /** Of the kernel module, e.g. '580.65.06'. */
  driver: z.string().nullable(),
  /** Newest CUDA version that the driver supports. */
  driverCuda: z.string().nullable(),
  /** CUDA version that the kernels were built with. */
  toolkit: z.string().nullable(),
  device: cudaDevice,
  rounds: positive,
  runs: z.array(cudaRun),
  leftOut: z.array(z.object({ what: text, reason: text })),
});
export type CudaReport = z.infer<typeof cudaReport>;

/** A target of the project, judged by this run. */
const target = z.object({
  what: text,
  /** Upper limit of a ratio, or lower limit of a share. */
  limit: z.number(),
  atLeast: z.boolean(),
  measured: summary.nullable(),
  /** Null: not measured, or not judged (a quick run, an emulated GPU). */
  met: z.boolean().nullable(),
});
export type Target = z.infer<typeof target>;

const environment = z.object({
  date: z.iso.datetime(),
  /** Of the checkout; null outside of one. `modified`: with changes that are not committed. */
  commit: z.string().nullable(),
  modified: z.boolean().nullable(),
  version: text,
  cpu: text,
  /** Cores that this process may use. */
  cores: positive,
  simd: z.string().nullable(),
  memory: positive,
  /** One minute's load average at the start: well above 0 means a busy machine, whose numbers are noise. */
  load: z.number(),
  platform: text,
  node: text,
  tfjs: text,
  /** First GPU that CUDA finds, its driver, and the CUDA version that the addon was built with. */
  gpu: z.string().nullable().default(null),
  driver: z.string().nullable().default(null),
  toolkit: z.string().nullable().default(null),
});
export type Environment = z.infer<typeof environment>;

const benchReport = z.object({
  schemaVersion: z.literal(SCHEMA_VERSION),
  environment,
  settings: z.object({
    suites: z.array(text),
    lists: z.array(text),
    rounds: positive.nullable(),
    quick: z.boolean(),
  }),
  step: z.array(stepRun),
  memory: z.array(memoryRun),
  kernels: z.array(kernelRun),
  train: z.array(trainRun),
  cuda: z.array(cudaReport).default([]),
  targets: z.array(target),
  /** What was not measured although it was asked for, and why. `failed`: not by plan. */
  leftOut: z.array(z.object({ what: text, reason: text, failed: z.boolean() })),
});
export type BenchReport = z.infer<typeof benchReport>;

export const SCHEMAS = { bench: benchReport, cuda: cudaReport } as const;
