/**
 * One step of one variable against the oracle, started from the very state the implementation left before it, so that
 * errors cannot grow over steps and the limits can be tight.
 *
 * For everything: the error against float64 (2-norm over the tensor) is at most twice that of the float32 oracle plus a
 * floor. The floor is a small multiple of the unit roundoff 2^-24 times the size of the terms that were added, and is
 * carried on through the formulas: an error of h moves gamma, an error of gamma moves W. It is needed because the
 * float32 oracle may be exact by luck (one element, say).
 * For the native step: every element has the oracle's bits.
 */
import {
  type ReplayGroup,
  type ReplayState,
  type ReplayVariable,
  sameBits,
} from '../backends/golden_replay.js';
import {
  layoutOf,
  type OracleOptions,
  type OracleState,
  OracleVariable,
  type Precision,
} from '../reference/ftp_float64.js';
import { distance2, norm2 } from '../reference/measures.js';
import { oracleOptions } from '../reference/oracle_replay.js';

const UNIT = 2 ** -24;
/** Below this a value may be flushed to zero (smallest normal float32). */
const TINY = 2 ** -126;

export interface StepCase {
  group: ReplayGroup;
  variable: ReplayVariable;
  before: ReplayState;
  after: ReplayState;
  gradient: Float32Array;
  learningRate: number;
  native: boolean;
  /** the weights were assigned from outside since the last step */
  assigned?: boolean;
}

/** What was asked for, to show that a property was not met by never being tested. */
export interface StepReport {
  problems: string[];
  /** checks of bits that were made */
  bits: number;
}

function oracleStep(
  { group, variable, before, gradient, learningRate, assigned }: StepCase,
  precision: Precision,
): OracleVariable {
  const { shape, outputAxis, init, anchor, excluded } = variable;
  const oracle = new OracleVariable(oracleOptions(group.optimizer, group.options), {
    layout: layoutOf(shape, outputAxis),
    weights: init,
    anchor,
    excluded,
    precision,
    form: 'state',
  });
  if (before.steps) oracle.load({ ...loadable(before), assigned });
  oracle.step(learningRate, gradient);
  return oracle;
}

function loadable({ weights, steps, constraint, slots }: ReplayState): OracleState {
  const [t, n] = steps as readonly [number, number];
  return {
    weights,
    t,
    n,
    gamma: constraint?.gamma ?? 0,
    gammaM: constraint?.gammaM ?? 0,
    gammaV: constraint?.gammaV ?? 0,
    norms: constraint?.norms,
    ...slots,
  };
}

export function checkStep(stepCase: StepCase): StepReport {
  const { variable, before, after } = stepCase;
  const exact = oracleStep(stepCase, 'float64');
  const single = oracleStep(stepCase, 'float32');
  const report: StepReport = { problems: [], bits: 0 };
  const [t, n] = after.steps ?? [0, 0];
  // t has no meaning for an excluded variable
  if ((t !== exact.t && !variable.excluded) || n !== exact.n) {
    report.problems.push(`steps: expected [${exact.t}, ${exact.n}], got [${t}, ${n}]`);
  }
  if (!after.constraint !== variable.excluded) {
    report.problems.push(`excluded: ${variable.excluded}, has a constraint: ${!!after.constraint}`);
    return report;
  }
  if (after.slots.anchor && !sameBits(after.slots.anchor, before.slots.anchor ?? variable.anchor))
    report.problems.push('the anchor moved');
  checkErrors(stepCase, exact, single, report);
  if (stepCase.native) checkBits(stepCase, single, report);
  return report;
}

function baseSlots({ base, amsgrad, momentum }: OracleOptions): ('m' | 'v' | 'vmax' | 'momentum')[] {
  if (base === 'adamw') return amsgrad ? ['m', 'v', 'vmax'] : ['m', 'v'];
  return momentum !== 0 ? ['momentum'] : [];
}

function checkErrors(
  stepCase: StepCase,
  exact: OracleVariable,
  single: OracleVariable,
  report: StepReport,
): void {
  const { variable, before, after, gradient, learningRate, native } = stepCase;
  const options = exact.options;
  const size = gradient.length;
  const rows = exact.norms.length;
  const unit = (native ? 4 : 16) * UNIT;
  const tiny = Math.sqrt(size) * TINY;
  const within = (what: string, error: number, singleError: number, floor: number) => {
    const limit = 2 * singleError + floor;
    if (!(error <= limit)) {
      report.problems.push(
        `${what}: error ${error} > ${limit} (float32 oracle ${singleError}, floor ${floor})`,
      );
    }
    return limit;
  };
  const array = (
    what: string,
    x: ArrayLike<number>,
    r32: ArrayLike<number>,
    r64: ArrayLike<number>,
    floor: number,
  ) => within(what, distance2(x, r64), distance2(r32, r64), floor + tiny);

  const g = norm2(gradient);
  const decayed = options.weightDecay * norm2(before.weights);
  const scale = { m: g, v: 0, vmax: 0, momentum: g + decayed };
  for (const slot of baseSlots(options)) {
    const values = after.slots[slot];
    if (!values) {
      report.problems.push(`no slot ${slot}`);
      continue;
    }
    const size = norm2(before.slots[slot] ?? []) + norm2(exact[slot]) + scale[slot];
    array(slot, values, single[slot], exact[slot], unit * size);
  }

  const weights = norm2(before.weights);
  const update =
    options.base === 'sgd'
      ? learningRate * (g + decayed + norm2(before.slots.momentum ?? []))
      : learningRate * decayed;
  const { constraint } = after;
  if (!constraint) {
    array(
      'weights',
      after.weights,
      single.weights,
      exact.weights,
      unit * (weights + norm2(exact.weights) + update),
    );
    return;
  }
  const deviation = after.slots.deviation as Float32Array;
  const fromWeights = !before.steps || before.steps[0] === 0 || stepCase.assigned === true;
  const previous = fromWeights
    ? weights + norm2(variable.anchor)
    : norm2(before.slots.deviation as Float32Array);
  const termSize = previous + norm2(exact.deviation) + update;
  const deviationError = array('deviation', deviation, single.deviation, exact.deviation, unit * termSize);
  // sums run over size / rows elements; tfjs adds them in float32
  const sumUnit = native ? unit : unit * Math.sqrt(size / rows);
  const normsError = array(
    'norms',
    constraint.norms,
    single.norms,
    exact.norms,
    sumUnit * norm2(exact.norms) + Math.sqrt(size / rows) * deviationError,
  );
  const gammaError = checkConstraint(stepCase, exact, single, sumUnit, normsError, within);
  array(
    'weights',
    after.weights,
    single.weights,
    exact.weights,
    unit * (norm2(variable.anchor) + norm2(exact.deviation)) +
      deviationError +
      normsError +
      Math.sqrt(rows) * gammaError,
  );
}

/** W - A and its row norms, which stand for C and n of the step before where W was assigned. */
function deviationOfWeights({ weights, slots }: ReplayState, { rowOf, norms }: OracleVariable) {
  const anchor = slots.anchor as Float32Array;
  const deviation = weights.map((w, i) => w - (anchor[i] as number));
  const sums = new Float32Array(norms.length).fill(1e-8);
  deviation.forEach((d, i) => {
    sums[rowOf[i] as number] = (sums[rowOf[i] as number] as number) + Math.abs(d);
  });
  return { deviation, norms: sums };
}

/** h, the moments of gamma, gamma. Returns the limit that gamma was held against. */
function checkConstraint(
  { before, after, gradient, assigned, native }: StepCase,
  exact: OracleVariable,
  single: OracleVariable,
  unit: number,
  normsError: number,
  within: (what: string, error: number, singleError: number, floor: number) => number,
): number {
  const constraint = after.constraint as NonNullable<ReplayState['constraint']>;
  const { constraintBeta1, constraintBeta2, constraintLearningRate } = exact.options;
  const error = (key: 'gamma' | 'gammaM' | 'gammaV' | 'hyperGradient', floor: number) =>
    within(key, Math.abs(constraint[key] - exact[key]), Math.abs(single[key] - exact[key]), floor);
  if (exact.t === 1) {
    error('gammaM', 0);
    error('gammaV', 0);
    error('hyperGradient', 0);
    return error('gamma', unit * exact.gamma);
  }
  // size of the terms of h = sum_r (1 / n[r]) sum_j G C
  const { deviation: previous, norms } = assigned
    ? deviationOfWeights(before, exact)
    : { deviation: before.slots.deviation as Float32Array, norms: before.constraint?.norms as Float32Array };
  const row = exact.rowOf;
  const terms = previous.reduce(
    (sum, c, i) => sum + Math.abs(c * (gradient[i] as number)) / (norms[row[i] as number] as number),
    0,
  );
  // tfjs multiplies G C before it divides by n, which may be 1e-8: what was flushed grows
  const flushed = gradient.length * (native ? TINY : TINY / 1e-8);
  const hError = error('hyperGradient', unit * terms + flushed);
  const h = Math.abs(exact.hyperGradient);
  const mError = (1 - constraintBeta1) * hError;
  const vError = (1 - constraintBeta2) * (2 * h + hError) * hError;
  error('gammaM', mError + unit * (Math.abs(before.constraint?.gammaM ?? 0) + h) + TINY);
  error('gammaV', vError + unit * exact.gammaV + TINY);
  const bias1 = 1 - constraintBeta1 ** exact.t;
  const root = Math.sqrt(exact.gammaV / (1 - constraintBeta2 ** exact.t)) + 1e-8;
  const move = Math.abs(exact.gammaM / bias1) / root;
  const vShare = exact.gammaV > 0 ? vError / (2 * exact.gammaV) : 0;
  const moveError = mError / bias1 / root + move * vShare + unit * (move + 1);
  return error(
    'gamma',
    constraintLearningRate * moveError + unit * ((before.constraint?.gamma ?? 0) + exact.gamma) + normsError,
  );
}

/**
 * Bits. Element operations have no freedom; sums in double may be added in another order, which can move their
 * rounding to float32 by one unit in the last place, so what follows a sum is asked for only where the sum agrees.
 */
function checkBits({ variable, after }: StepCase, single: OracleVariable, report: StepReport): void {
  const bits = (what: string, x: Float32Array | undefined, r: Float64Array) => {
    report.bits++;
    if (!x || !sameBits(x, new Float32Array(r)))
      report.problems.push(`${what}: not the bits of plain float32`);
  };
  const near = (what: string, x: number, r: number, size = 0) => {
    if (!(Math.abs(x - r) <= 2 ** -23 * (Math.abs(r) + size) + TINY))
      report.problems.push(`${what}: expected ${r}, got ${x}`);
  };
  for (const slot of baseSlots(single.options)) bits(slot, after.slots[slot], single[slot]);
  const { constraint } = after;
  if (variable.excluded || !constraint) {
    bits('weights', after.weights, single.weights);
    return;
  }
  bits('deviation', after.slots.deviation, single.deviation);
  single.norms.forEach((norm, r) => {
    near(`norm ${r}`, constraint.norms[r] as number, norm);
  });
  if (constraint.hyperGradient === single.hyperGradient) {
    // they are made from h before it is rounded to float32
    const h = Math.abs(single.hyperGradient);
    near('gammaM', constraint.gammaM, single.gammaM, (1 - single.options.constraintBeta1) * h);
    near('gammaV', constraint.gammaV, single.gammaV, (1 - single.options.constraintBeta2) * h * h);
    near('gamma', constraint.gamma, single.gamma, single.options.constraintLearningRate);
  }
  if (constraint.gamma === single.gamma && sameBits(constraint.norms, new Float32Array(single.norms))) {
    bits('weights', after.weights, single.weights);
  }
}
