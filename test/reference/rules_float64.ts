/**
 * One variable under a base update and a rule in float64, written from the papers and the authors' code without regard to
 * src/: what every implementation is held against. FTP has its own oracle (ftp_float64.ts).
 */

export interface BaseSpec {
  kind: 'adamw' | 'sgd';
  beta1?: number;
  beta2?: number;
  epsilon?: number;
  /** Keras: epsilon is not divided by the root of the bias correction. */
  kerasEpsilon?: boolean;
  weightDecay?: number;
  amsgrad?: boolean;
  momentum?: number;
  dampening?: number;
  nesterov?: boolean;
}

export type RuleSpec =
  | { kind: 'none' }
  | { kind: 'fixedRadius'; radius: number; norm: 'mars' | 'frobenius' }
  | { kind: 'spd'; strength: number; rows: boolean }
  | { kind: 'l2sp'; strength: number; coupled: boolean }
  | { kind: 'digrap'; rate: number; beta1: number; beta2: number };

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, x, i) => sum + x * (b[i] as number), 0);

export class RuleOracle {
  weights: number[];
  readonly anchor: number[];
  /** steps since the first gradient, gaps included; updates */
  t = 0;
  n = 0;
  /** what the rule shows of its last step */
  shown: { norms: number[]; constraint: number[] } = { norms: [], constraint: [] };
  m: number[];
  v: number[];
  private top: number[];
  buffer: number[];
  private omega = { value: 0, m: 0, v: 0, rateK: 0, d: [] as number[] };

  constructor(
    readonly base: BaseSpec,
    readonly rule: RuleSpec,
    weights: ArrayLike<number>,
    anchor: ArrayLike<number>,
    /** row of every element */
    readonly rowOf: ArrayLike<number>,
    readonly rows: number,
  ) {
    this.weights = Array.from(weights);
    this.anchor = Array.from(anchor);
    const zeros = () => this.weights.map(() => 0);
    [this.m, this.v, this.top, this.buffer] = [zeros(), zeros(), zeros(), zeros()];
  }

  step(rate: number, given: ArrayLike<number> | null): void {
    if (given !== null || this.t > 0) this.t++;
    if (given === null) return;
    this.n++;
    const w = this.weights;
    const d = w.map((x, i) => x - (this.anchor[i] as number));
    const g = this.gradient(Array.from(given), d, rate);
    const u = this.update(g, rate);
    const plain = w.map((x, i) => x - (u[i] as number));
    const { rule } = this;
    if (rule.kind === 'l2sp' && !rule.coupled) {
      this.weights = plain.map((x, i) => x - rate * rule.strength * (d[i] as number));
    } else if (rule.kind === 'fixedRadius' || rule.kind === 'spd') {
      const c = plain.map((x, i) => x - (this.anchor[i] as number));
      const factors = rule.kind === 'spd' ? this.decay(rule, given, c, d) : this.ball(rule, c);
      this.weights = c.map((x, i) => {
        const row = factors.length === 1 ? 0 : (this.rowOf[i] as number);
        return (this.anchor[i] as number) + (factors[row] as number) * x;
      });
    } else {
      this.weights = plain;
    }
  }

  private rowSums(x: number[]): number[] {
    const sums = new Array<number>(this.rows).fill(0);
    x.forEach((value, i) => {
      sums[this.rowOf[i] as number] = (sums[this.rowOf[i] as number] as number) + Math.abs(value);
    });
    return sums;
  }

  private ball({ radius, norm }: RuleSpec & { kind: 'fixedRadius' }, c: number[]): number[] {
    const norms = norm === 'frobenius' ? [Math.sqrt(dot(c, c))] : this.rowSums(c);
    this.shown = { norms, constraint: [radius] };
    return norms.map((n) => 1 / Math.max(1, n / radius));
  }

  private decay(
    { strength, rows }: RuleSpec & { kind: 'spd' },
    g: ArrayLike<number>,
    c: number[],
    d: number[],
  ): number[] {
    const lengths = (x: number[]) =>
      rows ? this.rowSums(x).map((sum) => sum + 1e-8) : [Math.sqrt(dot(x, x))];
    const before = lengths(d);
    const ratios = lengths(c).map((after, r) =>
      after === 0 ? 0 : Math.min(1, Math.max(0, (after - (before[r] as number)) / after)),
    );
    const acts = dot(g, d) > 0 ? strength : 0;
    this.shown = { norms: ratios, constraint: [acts, dot(g, d)] };
    return ratios.map((r) => 1 - acts * r);
  }

  private gradient(g: number[], d: number[], rate: number): number[] {
    const { rule, omega } = this;
    if (rule.kind === 'l2sp' && rule.coupled) return g.map((x, i) => x + rule.strength * (d[i] as number));
    if (rule.kind !== 'digrap') return g;
    const k = dot(g, d) / (dot(d, d) + 1e-8);
    let h = 0;
    if (this.t > 1) {
      h = omega.rateK * dot(g, omega.d);
      omega.m = rule.beta1 * omega.m + (1 - rule.beta1) * h;
      omega.v = rule.beta2 * omega.v + (1 - rule.beta2) * h * h;
      const root = Math.sqrt(omega.v / (1 - rule.beta2 ** this.t)) + 1e-8;
      const moved = omega.value - (rule.rate * omega.m) / (1 - rule.beta1 ** this.t) / root;
      omega.value = Math.min(1, Math.max(0, moved));
    }
    omega.rateK = rate * k;
    omega.d = d;
    this.shown = { norms: [omega.rateK], constraint: [omega.value, omega.m, omega.v, h] };
    return dot(g, d) < 0 ? g.map((x, i) => x - omega.value * k * (d[i] as number)) : g;
  }

  private update(g: number[], rate: number): number[] {
    const { base, weights, n } = this;
    const { weightDecay = 0 } = base;
    if (base.kind === 'sgd') {
      const { momentum = 0, dampening = 0, nesterov = false } = base;
      const d = g.map((x, i) => x + weightDecay * (weights[i] as number));
      if (momentum === 0) return d.map((x) => rate * x);
      this.buffer = d.map((x, i) =>
        n === 1 ? x : momentum * (this.buffer[i] as number) + (1 - dampening) * x,
      );
      return d.map((x, i) => {
        const buffer = this.buffer[i] as number;
        return rate * (nesterov ? x + momentum * buffer : buffer);
      });
    }
    const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, amsgrad = false, kerasEpsilon } = base;
    this.m = this.m.map((m, i) => beta1 * m + (1 - beta1) * (g[i] as number));
    this.v = this.v.map((v, i) => beta2 * v + (1 - beta2) * (g[i] as number) ** 2);
    this.top = this.top.map((top, i) => Math.max(top, this.v[i] as number));
    return weights.map((w, i) => {
      const second = (amsgrad ? this.top[i] : this.v[i]) as number;
      const correction = Math.sqrt(1 - beta2 ** n);
      const root = Math.sqrt(second) / correction + (kerasEpsilon ? epsilon / correction : epsilon);
      return (rate * (this.m[i] as number)) / (1 - beta1 ** n) / root + rate * weightDecay * w;
    });
  }
}
