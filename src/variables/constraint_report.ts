/** What the constraint of a variable is now. No tfjs here. */

import type { BoundMethod, LastStep, RuleReport } from '../methods/method.js';

/**
 * The constraint of one variable. Norms are MARS norms, the sum of absolute values of a row. All numbers but `rows` are
 * null for an excluded variable; they are NaN, which JSON writes as null, where NaN came into the variable from outside
 * or with `nonFinite: 'ignore'`.
 */
export interface ConstraintReport {
  /** Name of the variable. */
  name: string;
  /** Radius of the ball around the anchor: how far each row may be from its anchor, as a norm. */
  gamma: number | null;
  /** `gamma` as a fraction of {@link ConstraintReport.anchorNorm | anchorNorm}; null too where the anchor is zero. */
  relative: number | null;
  /** How far the row that went furthest is from its anchor: the largest norm after projection, at most `gamma`. */
  norm: number | null;
  /** The largest norm before projection: how far the base update alone would have taken that row in the last step. */
  maxNorm: number | null;
  /** Mean over the rows of clip(gamma / norm before projection, 0, 1): 1 means that nothing was cut. */
  meanRatio: number | null;
  /** Share of the rows, 0 to 1, that the last step would have taken out of the ball, and that are at its boundary now. */
  atBoundary: number | null;
  /** Mean over the rows of the norm of the anchor itself, the scale to judge the others by. */
  anchorNorm: number | null;
  /** Under `fixedRadius`: the radius of the last step. */
  radius?: number;
  /** Under `spd` and `l2sp`: the strength that acted in the last step. */
  strength?: number;
  /** Under `digrap`: the learnt share of the conflict that is taken out of the gradient. */
  omega?: number;
  /** Under `trac`: the learnt scale S of the way from the anchor. */
  scale?: number;
  /** With the option `ema`: what the average of the weights kept of itself at the last update. */
  emaMomentum?: number;
  /** Number of rows. */
  rows: number;
  /** Whether the variable is left out of the projection. */
  excluded: boolean;
}

/** Mean over the rows of the MARS norm of an anchor. */
export function anchorNormOf(anchor: ArrayLike<number>, rows: number): number {
  let sum = 0;
  for (let i = 0; i < anchor.length; ++i) sum += Math.abs(anchor[i] as number);
  return rows > 0 ? sum / rows : 0;
}

const NOTHING = {
  gamma: null,
  relative: null,
  norm: null,
  maxNorm: null,
  meanRatio: null,
  atBoundary: null,
} as const;

/** The report of a variable by its method; `last`: null for a method without an anchor. */
export function reportOf(
  name: string,
  rows: number,
  { rule, options }: Pick<BoundMethod, 'rule' | 'options'>,
  last: LastStep | null,
): ConstraintReport {
  if (last === null) return { name, ...NOTHING, anchorNorm: null, rows, excluded: false };
  const told: RuleReport = { ...NOTHING, ...rule.report?.(options, last) };
  const { gamma, relative, norm, maxNorm, meanRatio, atBoundary, ...more } = told;
  const shared = { gamma, relative, norm, maxNorm, meanRatio, atBoundary };
  return { name, ...shared, anchorNorm: last.anchorNorm, ...more, rows, excluded: false };
}

export function excludedReport(name: string, rows: number): ConstraintReport {
  return { name, ...NOTHING, anchorNorm: null, rows, excluded: true };
}

/**
 * Reports for `console.table`, which prints all 17 digits of a number: by variable name, rounded to `digits`
 * significant digits. The reports keep theirs.
 *
 * @param reports what `constraints()` gave.
 * @param digits 1 to 100; default 4.
 *
 * @example
 * ```ts
 * console.table(constraintTable(await optimizer.constraints()));
 * ```
 */
export function constraintTable(
  reports: readonly ConstraintReport[],
  digits = 4,
): { [name: string]: Omit<ConstraintReport, 'name'> } {
  const round = (value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(digits)) : value);
  return Object.fromEntries(
    reports.map(({ name, rows, ...report }) => {
      const rounded = Object.entries(report).map(([key, value]) => [key, round(value)]);
      return [name, { ...Object.fromEntries(rounded), rows }];
    }),
  );
}
