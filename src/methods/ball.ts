import type { RuleReport } from './method.js';

/** How rows with `norms` before projection stand to a ball of radius `radius`. */
export function ballReport(
  radius: number,
  norms: ArrayLike<number>,
  anchorNorm: number,
): Omit<RuleReport, 'gamma'> {
  const rows = norms.length;
  let maxNorm = 0;
  let ratios = 0;
  let cut = 0;
  for (let r = 0; r < rows; ++r) {
    const norm = norms[r] as number;
    if (!(norm <= maxNorm)) maxNorm = norm; // lets NaN through
    cut += norm > radius ? 1 : norm <= radius ? 0 : Number.NaN;
    ratios += norm > 0 ? Math.min(1, Math.max(0, radius / norm)) : 1;
  }
  return {
    relative: anchorNorm === 0 ? null : radius / anchorNorm,
    norm: Math.min(radius, maxNorm),
    maxNorm,
    meanRatio: rows > 0 ? ratios / rows : 1,
    atBoundary: rows > 0 ? cut / rows : 0,
  };
}
