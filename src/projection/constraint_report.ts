/** What the constraint of a variable is now. No tfjs here. */

/** The constraint of one variable. */
export interface ConstraintReport {
  /** Name of the variable. */
  name: string;
  /** Radius of the ball around the anchor; null for an excluded variable. */
  gamma: number | null;
  /** Largest MARS norm among the rows, before projection; null for an excluded variable. */
  maxNorm: number | null;
  /** Mean over the rows of clip(gamma / norm, 0, 1): 1 means nothing was cut; null for an excluded variable. */
  meanRatio: number | null;
  /** Number of rows. */
  rows: number;
  /** Whether the variable is left out of the projection. */
  excluded: boolean;
}

/** The report from gamma and the row norms. */
export function reportOf(name: string, gamma: number, norms: ArrayLike<number>): ConstraintReport {
  const rows = norms.length;
  let maxNorm = 0;
  let ratios = 0;
  for (let r = 0; r < rows; ++r) {
    const norm = norms[r] as number;
    if (!(norm <= maxNorm)) maxNorm = norm; // lets NaN through
    ratios += norm > 0 ? Math.min(1, Math.max(0, gamma / norm)) : 1;
  }
  return { name, gamma, maxNorm, meanRatio: rows > 0 ? ratios / rows : 1, rows, excluded: false };
}

export function excludedReport(name: string, rows: number): ConstraintReport {
  return { name, gamma: null, maxNorm: null, meanRatio: null, rows, excluded: true };
}
