/**
 * TRAC in float64, written from the paper and the authors' code (ComputationalRobotics/TRAC, `trac.py`) without regard to
 * src/.
 */
import { type BaseSpec, RuleOracle } from './rules_float64.js';

const BETAS = [0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999];

/** By its series, whose terms are all of one sign: sum of 2 / sqrt(pi) x^(2k+1) / (k! (2k+1)). */
export function erfi64(x: number): number {
  let power = x;
  let sum = 0;
  for (let k = 0; Math.abs(power) > 1e-18 * Math.abs(sum); ++k) {
    sum += power / (2 * k + 1);
    power *= (x * x) / (k + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** The six tuners of one scale. */
class Tuners {
  sigma = BETAS.map(() => 1e-8);
  v = BETAS.map(() => 0);
  /** The sum of what they say, below 0 too. */
  sum = 0;

  constructor(private readonly sInit: number) {}

  step(h: number): void {
    this.v = this.v.map((v, i) => (BETAS[i] as number) ** 2 * v + h * h);
    this.sigma = this.sigma.map((sigma, i) => (BETAS[i] as number) * sigma - h);
    this.sum = this.sigma.reduce((sum, sigma, i) => {
      const x = sigma / (Math.sqrt(2) * Math.sqrt(this.v[i] as number) + 1e-8);
      return sum + (this.sInit / erfi64(Math.sqrt(0.5))) * erfi64(x);
    }, 0);
  }
}

/** A variable: its weights, and what the base optimizer subtracts from them. */
class Moved {
  readonly base: RuleOracle;
  readonly anchor: number[];
  readonly tuners: Tuners;
  delta: number[];

  constructor(spec: BaseSpec, sInit: number, weights: ArrayLike<number>) {
    this.anchor = Array.from(weights);
    this.delta = this.anchor.map(() => 0);
    this.base = new RuleOracle(spec, { kind: 'none' }, weights, weights, [], 1);
    this.tuners = new Tuners(sInit);
  }

  /** -U */
  update(rate: number, gradient: ArrayLike<number>): number[] {
    const before = this.base.weights;
    this.base.step(rate, gradient);
    return this.base.weights.map((w, i) => w - (before[i] as number));
  }

  put(scale: number): void {
    this.base.weights = this.anchor.map((a, i) => a + scale * (this.delta[i] as number));
  }
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, x, i) => sum + x * (b[i] as number), 0);

/** All variables of a model. */
export class TracOracle {
  readonly variables: Moved[];

  constructor(spec: BaseSpec, sInit: number, weights: ArrayLike<number>[]) {
    this.variables = weights.map((values) => new Moved(spec, sInit, values));
  }

  weights(i: number): number[] {
    return (this.variables[i] as Moved).base.weights;
  }

  /** S, the sigma, the v. */
  constraint(i: number): number[] {
    const { tuners } = this.variables[i] as Moved;
    return [Math.max(0, tuners.sum), ...tuners.sigma, ...tuners.v];
  }

  assign(i: number, weights: ArrayLike<number>): void {
    const { base, anchor, tuners } = this.variables[i] as Moved;
    base.weights = Array.from(weights);
    const scale = Math.max(0, tuners.sum);
    const delta = base.weights.map((w, j) => (scale === 0 ? 0 : (w - (anchor[j] as number)) / scale));
    (this.variables[i] as Moved).delta = delta;
  }

  step(rate: number, gradients: Array<ArrayLike<number> | null>): void {
    const present = this.variables.flatMap((variable, i) => {
      const gradient = gradients[i] ?? null;
      return gradient === null ? [] : [{ variable, gradient }];
    });
    const h = present.reduce((sum, { variable, gradient }) => sum + dot(gradient, variable.delta), 0);
    for (const { variable, gradient } of present) {
      const update = variable.update(rate, gradient);
      variable.delta = variable.delta.map((x, i) => x + (update[i] as number));
      variable.tuners.step(h);
      variable.put(Math.max(0, variable.tuners.sum));
    }
  }
}

/** As the authors have it: one scale, and the way so far taken from the weights, for models whose weights have a gradient in every step. */
export class AuthorsTrac {
  readonly variables: Moved[];
  private readonly tuners: Tuners;

  constructor(spec: BaseSpec, sInit: number, weights: ArrayLike<number>[]) {
    this.variables = weights.map((values) => new Moved(spec, sInit, values));
    this.tuners = new Tuners(sInit);
  }

  step(rate: number, gradients: ArrayLike<number>[]): void {
    for (const variable of this.variables) {
      variable.delta = variable.base.weights.map(
        (w, i) => (w - (variable.anchor[i] as number)) / (this.tuners.sum + 1e-8),
      );
    }
    const h = this.variables.reduce((sum, { delta }, i) => sum + dot(gradients[i] as number[], delta), 0);
    this.tuners.step(h);
    for (const [i, variable] of this.variables.entries()) {
      const update = variable.update(rate, gradients[i] as number[]);
      variable.delta = variable.delta.map((x, j) => x + (update[j] as number));
      variable.put(Math.max(this.tuners.sum, 0));
    }
  }
}
