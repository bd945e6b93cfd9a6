/**
 * Floating-point operations a parameter of a step, counted from the formulas of native/kernels/methods/: every +, -, *,
 * / and square root is one, and so is a maximum; absolute values, comparisons and conversions are none. Of a step after
 * the first. What is done once a row or a variable is not counted.
 */

/** By the name of the formula in methods/. */
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
