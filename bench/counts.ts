/** What a step must move and compute, counted per parameter: what GB/s, shares of bandwidth and GFLOP/s are computed with. */

interface Traffic {
  /** Float32 words that are read, by name. */
  reads: readonly string[];
  /** Float32 words that are written, by name. */
  writes: readonly string[];
  /** Those of them that take half of a word: in bfloat16. */
  halved?: readonly string[];
}

/**
 * Bytes of memory traffic, in float32 words that are read and written. Cache misses on lines that are overwritten whole
 * are not counted, as they are not for the copy. W weights, G gradient, A anchor, C deviation, m v moments, b momentum.
 */
const TRAFFIC = {
  /** One word a float copied. */
  copy: { reads: ['source'], writes: ['target'] },
  /** Pass 1: G C m v -> C m v; pass 2: A C -> W. 36 where pass 2 finds C still in cache. */
  'ftp-adamw': { reads: ['G', 'C', 'm', 'v', 'A', 'C'], writes: ['C', 'm', 'v', 'W'] },
  /** The same with stateFormat 'bfloat16'. 24 where pass 2 finds C still in cache. */
  'ftp-adamw-bfloat16': {
    reads: ['G', 'C', 'm', 'v', 'A', 'C'],
    writes: ['C', 'm', 'v', 'W'],
    halved: ['C', 'm', 'v'],
  },
  /** With momentum. Pass 1: G C b -> C b; pass 2: A C -> W. */
  'ftp-sgd-momentum': { reads: ['G', 'C', 'b', 'A', 'C'], writes: ['C', 'b', 'W'] },
  /** Without momentum. Pass 1: G C -> C; pass 2: A C -> W. */
  'ftp-sgd': { reads: ['G', 'C', 'A', 'C'], writes: ['C', 'W'] },
  /** Unprojected AdamW: every variable excluded from projection. */
  adamw: { reads: ['W', 'G', 'm', 'v'], writes: ['m', 'v', 'W'] },
  /** One pass: its rule needs no sums. */
  'l2sp-adamw': { reads: ['W', 'G', 'A', 'm', 'v'], writes: ['m', 'v', 'W'] },
  /** As FTP-AdamW. */
  'fixed-radius-adamw': { reads: ['G', 'C', 'm', 'v', 'A', 'C'], writes: ['C', 'm', 'v', 'W'] },
  /** As FTP-AdamW. */
  'spd-adamw': { reads: ['G', 'C', 'm', 'v', 'A', 'C'], writes: ['C', 'm', 'v', 'W'] },
  /** Gathering: G W A D; one pass: W G A m v -> m v D W. */
  'digrap-adamw': { reads: ['G', 'W', 'A', 'D', 'W', 'G', 'A', 'm', 'v'], writes: ['m', 'v', 'D', 'W'] },
  /** The look for NaN and infinities, before anything is written. */
  check: { reads: ['G'], writes: [] },
} as const satisfies Record<string, Traffic>;

type TrafficName = keyof typeof TRAFFIC;

/** Bytes a parameter of a step, or of a copied float. */
export function bytesPerParameter(...parts: readonly TrafficName[]): number {
  return parts
    .map((part): number => {
      const { reads, writes, halved = [] }: Traffic = TRAFFIC[part];
      return [...reads, ...writes].reduce((total, word) => total + (halved.includes(word) ? 2 : 4), 0);
    })
    .reduce((total, bytes) => total + bytes, 0);
}

/**
 * Floating-point operations by the name of the formula in native/kernels/methods/: every +, -, *, / and square root is
 * one, and so is a maximum; absolute values, comparisons and conversions are none. Of a step after the first. What is done
 * once per row or per variable is not counted.
 */
export const FORMULA_FLOPS = {
  FirstMoment: 3,
  SecondMoment: 4,
  AdamWUpdate: 5,
  AddDecoupledDecay: 2,
  MomentumBuffer: 3,
  DeviationFromState: 2,
  Project: 2,
} as const;

/** What stands beside the formulas in the loops of the kernels. */
const LOOP_FLOPS = {
  /** learningRate * buffer */
  rate: 1,
  /** max(vmax, v) */
  maximum: 1,
  /** sum of |C_t| */
  norm: 1,
  /** sum of G C_{t-1} / n_{t-1}: two products and the sum */
  hyperGradient: 3,
  /** W - U of an excluded variable */
  subtract: 1,
  /** W - A of a proposal */
  deviation: 1,
} as const;

const ALL = { ...FORMULA_FLOPS, ...LOOP_FLOPS };

const ADAMW = ['FirstMoment', 'SecondMoment', 'AdamWUpdate'] as const;
/** Of a projected variable whose deviation is kept. */
const PROJECTED = ['DeviationFromState', 'norm', 'hyperGradient', 'Project'] as const;

/** By the name of the optimizer, as cuda_bench's --optimizer has it. */
const PARTS: Record<string, ReadonlyArray<keyof typeof ALL>> = {
  copy: [],
  'ftp-adamw': [...ADAMW, ...PROJECTED],
  'ftp-adamw-bfloat16': [...ADAMW, ...PROJECTED],
  'ftp-adamw-amsgrad': [...ADAMW, 'maximum', ...PROJECTED],
  'ftp-adamw-decay': [...ADAMW, 'AddDecoupledDecay', ...PROJECTED],
  'ftp-sgd-momentum': ['MomentumBuffer', 'rate', ...PROJECTED],
  projection: ['deviation', 'norm', 'hyperGradient', 'Project'],
  adamw: [...ADAMW, 'subtract'],
};

/** Null for an optimizer that is not ours. */
export function flopsPerParameter(optimizer: string): number | null {
  return PARTS[optimizer]?.reduce((total, part) => total + ALL[part], 0) ?? null;
}
