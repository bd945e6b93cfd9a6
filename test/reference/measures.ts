/** The error measures of test/fixtures/golden/README.md, collected over the steps and parameters of a run. */
import type { GoldenTolerance } from './golden.js';

export type Measure = keyof GoldenTolerance;
export type Measures = Record<Measure, number>;

export const MEASURES: readonly Measure[] = [
  'params_rel',
  'deviation_rel',
  'gamma_rel',
  'norms_rel',
  'gamma_grad_rel',
  'gamma_m_rel',
  'gamma_v_rel',
];

export function norm2(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) ** 2;
  return Math.sqrt(sum);
}

export function distance2(x: ArrayLike<number>, r: ArrayLike<number>): number {
  if (x.length !== r.length) throw new Error(`expected ${r.length} values, got ${x.length}`);
  let sum = 0;
  for (let i = 0; i < r.length; i++) sum += ((x[i] as number) - (r[i] as number)) ** 2;
  return Math.sqrt(sum);
}

/** difference / scale; 0 when both vanish, so that an exact zero may be compared with an exact zero */
function relative(difference: number, scale: number): number {
  return difference === 0 ? 0 : difference / scale;
}

export interface Scalars {
  gamma: number;
  gammaM: number;
  gammaV: number;
  hyperGradient: number;
}

/** Collects the maximum of each measure; NaN anywhere makes the measure NaN, which passes no limit. */
export class MeasureCollector {
  readonly measures: Measures = {
    params_rel: 0,
    deviation_rel: 0,
    gamma_rel: 0,
    norms_rel: 0,
    gamma_grad_rel: 0,
    gamma_m_rel: 0,
    gamma_v_rel: 0,
  };
  private readonly trajectories = new Map<
    string,
    { measure: Measure; difference: number; largest: number }
  >();

  private raise(measure: Measure, value: number): void {
    const current = this.measures[measure];
    this.measures[measure] =
      Number.isNaN(value) || Number.isNaN(current) ? Number.NaN : Math.max(current, value);
  }

  params(x: ArrayLike<number>, r: ArrayLike<number>, anchor: ArrayLike<number>): void {
    const difference = distance2(x, r);
    const size = norm2(r);
    this.raise('params_rel', relative(difference, size));
    const moved = distance2(r, anchor);
    if (moved > 1e-3 * size) this.raise('deviation_rel', relative(difference, moved));
  }

  norms(x: ArrayLike<number>, r: ArrayLike<number>): void {
    this.raise('norms_rel', relative(distance2(x, r), norm2(r)));
  }

  /** Moments and hyper-gradient count relative to the largest magnitude of the whole trajectory: see finish(). */
  scalars(
    name: string,
    x: Scalars,
    r: { gamma: number; gammaM?: number; gammaV?: number; gammaGrad?: number },
  ): void {
    this.raise('gamma_rel', relative(Math.abs(x.gamma - r.gamma), Math.abs(r.gamma)));
    this.track(name, 'gamma_m_rel', x.gammaM, r.gammaM);
    this.track(name, 'gamma_v_rel', x.gammaV, r.gammaV);
    this.track(name, 'gamma_grad_rel', x.hyperGradient, r.gammaGrad);
  }

  private track(name: string, measure: Measure, x: number, r: number | undefined): void {
    if (r === undefined) return;
    const key = `${name} ${measure}`;
    const entry = this.trajectories.get(key) ?? { measure, difference: 0, largest: 0 };
    const difference = Math.abs(x - r);
    entry.difference = Number.isNaN(difference) ? Number.NaN : Math.max(entry.difference, difference);
    entry.largest = Math.max(entry.largest, Math.abs(r));
    this.trajectories.set(key, entry);
  }

  finish(): Measures {
    for (const { measure, difference, largest } of this.trajectories.values()) {
      this.raise(measure, relative(difference, largest));
    }
    this.trajectories.clear();
    return this.measures;
  }
}

/** "measure value > limit" for every measure that is not within its limit (NaN never is). */
export function exceeded(measures: Measures, limits: Measures): string[] {
  return MEASURES.filter((measure) => !(measures[measure] <= limits[measure])).map(
    (measure) => `${measure} ${measures[measure]} > ${limits[measure]}`,
  );
}
