/**
 * The oracle: Fast Trainable Projection written once more, as plain scalar loops, from the equations of the paper
 * (arXiv 2310.19182) and of the base optimizers. It shares no code with the library and knows neither tfjs nor the addon.
 *
 * precision 'float64': the textbook form. Every step forms C = (W - U) - A from the weights themselves.
 * precision 'float32': the order of operations of the kernels, each element operation rounded to float32 (no fused
 *   multiply-add, subnormal numbers are zero), sums and the scalar constraint in double. This is the "plain float32" that tolerances are derived
 *   from; without a projection (excluded variables) it is the same to the bit as any correct kernel.
 *
 *   U      update of the base optimizer
 *   C      = W - U - A                                 deviation
 *   n[r]   = sum_j |C[r, j]| + 1e-8                    row norms
 *   h      = sum_r (1 / n'[r]) sum_j G[r, j] C'[r, j]  hyper-gradient (primes: of the step before)
 *   gamma  = 1e-8 at t = 1, else clip(Adam(gamma, h > 0 ? k h : h), 1e-8, max_r n[r])
 *   W[r]   = A[r] + clip(gamma / n[r], 0, 1) C[r]
 */

export type Precision = 'float64' | 'float32';
export type Base = 'adamw' | 'sgd' | 'proposal';

/** A tensor seen as [outer, rows, inner]; a norm is taken over outer and inner. */
export interface Layout {
  outer: number;
  rows: number;
  inner: number;
}

export interface OracleOptions {
  base: Base;
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  amsgrad: boolean;
  momentum: number;
  dampening: number;
  nesterov: boolean;
  k: number;
  constraintLearningRate: number;
  constraintBeta1: number;
  constraintBeta2: number;
}

export const ORACLE_DEFAULTS: OracleOptions = {
  base: 'adamw',
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  amsgrad: false,
  momentum: 0,
  dampening: 0,
  nesterov: false,
  k: 1,
  constraintLearningRate: 1e-2,
  constraintBeta1: 0.9,
  constraintBeta2: 0.999,
};

/** Smallest normal float32. */
const SMALLEST_NORMAL = 2 ** -126;

/** The nearest float32; a subnormal one is zero, of its sign. */
function singleOf(x: number): number {
  const y = Math.fround(x);
  return Math.abs(y) < SMALLEST_NORMAL ? y * 0 : y;
}

const NORM_FLOOR = 1e-8;
const CONSTRAINT_EPSILON = 1e-8;

/** [outer, rows, inner] of a shape whose output axis is `axis`; null: one row. */
export function layoutOf(shape: readonly number[], axis: number | null): Layout {
  const product = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
  if (axis === null) return { outer: 1, rows: 1, inner: product(shape) };
  return {
    outer: product(shape.slice(0, axis)),
    rows: shape[axis] as number,
    inner: product(shape.slice(axis + 1)),
  };
}

export interface OracleVariableSpec {
  layout: Layout;
  weights: ArrayLike<number>;
  /** default: the weights */
  anchor?: ArrayLike<number>;
  excluded?: boolean;
  precision?: Precision;
  /**
   * How C is formed: 'weights' as (W - U) - A (default in float64, the textbook), 'state' as ratio C' - U, which is
   * the same in exact arithmetic (default in float32, as the kernels do).
   */
  form?: 'weights' | 'state';
  /** What the state holds of a number of the deviation or of the base optimizer; default: the number itself. */
  stored?: (x: number) => number;
}

/** All that a variable carries from one step to the next. Missing slots are taken as zeros. */
export interface OracleState {
  weights: ArrayLike<number>;
  /** the weights were assigned from outside since the last step */
  assigned?: boolean;
  t: number;
  n: number;
  gamma: number;
  gammaM: number;
  gammaV: number;
  anchor?: ArrayLike<number>;
  deviation?: ArrayLike<number>;
  norms?: ArrayLike<number>;
  m?: ArrayLike<number>;
  v?: ArrayLike<number>;
  vmax?: ArrayLike<number>;
  momentum?: ArrayLike<number>;
}

/** One variable with all its state, stepped by hand. */
export class OracleVariable {
  /** steps of the optimizer since the first gradient, gaps included */
  t = 0;
  /** updates of this variable */
  n = 0;
  gamma = 0;
  gammaM = 0;
  gammaV = 0;
  hyperGradient = 0;
  weights: Float64Array;
  anchor: Float64Array;
  readonly excluded: boolean;
  readonly deviation: Float64Array;
  readonly norms: Float64Array;
  readonly ratios: Float64Array;
  readonly m: Float64Array;
  readonly v: Float64Array;
  readonly vmax: Float64Array;
  readonly momentum: Float64Array;
  /** row of every element */
  readonly rowOf: Int32Array;
  private readonly single: boolean;
  private readonly fromState: boolean;
  private readonly round: (x: number) => number;
  private readonly stored: ((x: number) => number) | undefined;
  private fromWeights = true;

  constructor(
    readonly options: OracleOptions,
    spec: OracleVariableSpec,
  ) {
    const { outer, rows, inner } = spec.layout;
    const size = outer * rows * inner;
    if (spec.weights.length !== size) throw new Error(`expected ${size} weights, got ${spec.weights.length}`);
    this.single = spec.precision === 'float32';
    this.fromState = (spec.form ?? (this.single ? 'state' : 'weights')) === 'state';
    this.round = this.single ? singleOf : (x) => x;
    this.stored = spec.stored;
    this.excluded = spec.excluded ?? false;
    this.weights = this.rounded(spec.weights);
    this.anchor = this.rounded(spec.anchor ?? spec.weights);
    this.deviation = new Float64Array(size);
    this.m = new Float64Array(size);
    this.v = new Float64Array(size);
    this.vmax = new Float64Array(size);
    this.momentum = new Float64Array(size);
    this.norms = new Float64Array(rows);
    this.ratios = new Float64Array(rows);
    this.rowOf = new Int32Array(size);
    for (let i = 0; i < size; i++) this.rowOf[i] = Math.floor(i / inner) % rows;
  }

  /** The user assigns new weights between two steps. */
  assign(weights: ArrayLike<number>): void {
    this.weights = this.rounded(weights);
    this.fromWeights = true;
  }

  /** Continues from a state that some implementation left. */
  load(state: OracleState): void {
    this.weights.set(state.weights);
    this.t = state.t;
    this.n = state.n;
    this.gamma = state.gamma;
    this.gammaM = state.gammaM;
    this.gammaV = state.gammaV;
    if (state.anchor) this.anchor.set(state.anchor);
    for (const slot of ['deviation', 'norms', 'm', 'v', 'vmax', 'momentum'] as const) {
      const values = state[slot];
      if (values) this[slot].set(values);
    }
    this.updateRatios();
    this.fromWeights = this.t === 0 || state.assigned === true;
  }

  /** The present weights become the anchor; the constraint starts anew; the base optimizer's state stays. */
  reanchor(): void {
    this.anchor = this.weights.slice();
    this.t = 0;
    this.gamma = 0;
    this.gammaM = 0;
    this.gammaV = 0;
    this.hyperGradient = 0;
    this.fromWeights = true;
  }

  /**
   * One step. `gradient` null: no gradient, nothing moves but t.
   * Base 'proposal': `proposal` holds W - U as some other optimizer computed it.
   */
  step(learningRate: number, gradient: ArrayLike<number> | null, proposal?: ArrayLike<number>): void {
    if (this.t > 0 || gradient) this.t++;
    if (!gradient) return;
    this.n++;
    if (this.options.base === 'proposal') {
      if (!proposal) throw new Error("base 'proposal' needs a proposal");
      this.project(gradient, null, this.rounded(proposal));
      return;
    }
    const update =
      this.options.base === 'adamw' ? this.adamW(learningRate, gradient) : this.sgd(learningRate, gradient);
    if (this.excluded) {
      for (let i = 0; i < update.length; i++) this.weights[i] = this.round(this.w(i) - (update[i] as number));
    } else {
      this.project(gradient, update, null);
    }
    for (const slot of [this.m, this.v, this.vmax, this.momentum]) this.store(slot);
  }

  private store(slot: Float64Array): void {
    const { stored } = this;
    if (stored !== undefined) slot.set(slot.map((x) => stored(x)));
  }

  private rounded(values: ArrayLike<number>): Float64Array {
    const result = new Float64Array(values.length);
    for (let i = 0; i < result.length; i++) result[i] = this.round(values[i] as number);
    return result;
  }

  private w(i: number): number {
    return this.weights[i] as number;
  }

  /** U = lr / (1 - b1^n) * m / (sqrt(v) / sqrt(1 - b2^n) + eps) + lr * wd * W */
  private adamW(learningRate: number, gradient: ArrayLike<number>): Float64Array {
    const { beta1, beta2, epsilon, weightDecay, amsgrad } = this.options;
    const f = this.round;
    const [b1, b2, c1, c2] = [f(beta1), f(beta2), f(1 - beta1), f(1 - beta2)];
    const stepSize = f(learningRate / (1 - beta1 ** this.n));
    const correction = Math.sqrt(1 - beta2 ** this.n);
    const inverse = f(1 / correction); // the kernels multiply, the paper divides
    const decay = f(learningRate * weightDecay);
    const eps = f(epsilon);
    const update = new Float64Array(this.weights.length);
    for (let i = 0; i < update.length; i++) {
      const g = f(gradient[i] as number);
      const m = f(f(b1 * (this.m[i] as number)) + f(c1 * g));
      const v = f(f(b2 * (this.v[i] as number)) + f(f(c2 * g) * g));
      this.m[i] = m;
      this.v[i] = v;
      let second = v;
      if (amsgrad) {
        second = Math.max(this.vmax[i] as number, v);
        this.vmax[i] = second;
      }
      const root = f(Math.sqrt(second));
      const denominator = f((this.single ? f(root * inverse) : root / correction) + eps);
      let u = f(f(stepSize * m) / denominator);
      if (weightDecay !== 0) u = f(u + f(decay * this.w(i)));
      update[i] = u;
    }
    return update;
  }

  /** d = g + wd W; buf = d, later momentum buf + (1 - dampening) d; U = lr (nesterov ? d + momentum buf : buf) */
  private sgd(learningRate: number, gradient: ArrayLike<number>): Float64Array {
    const { weightDecay, momentum, dampening, nesterov } = this.options;
    const f = this.round;
    const [lr, wd, mu, c] = [f(learningRate), f(weightDecay), f(momentum), f(1 - dampening)];
    const update = new Float64Array(this.weights.length);
    for (let i = 0; i < update.length; i++) {
      const g = f(gradient[i] as number);
      let d = weightDecay === 0 ? g : f(g + f(wd * this.w(i)));
      if (momentum !== 0) {
        // the first buffer is a copy, of subnormal numbers too
        const copied = weightDecay === 0 ? (gradient[i] as number) : d;
        const buffer = this.n === 1 ? copied : f(f(mu * f(this.momentum[i] as number)) + f(c * d));
        this.momentum[i] = buffer;
        d = nesterov ? f(d + f(mu * f(buffer))) : f(buffer);
      }
      update[i] = f(lr * d);
    }
    return update;
  }

  /** Steps gamma, forms the deviation, and writes the projected weights. One of `update`, `proposal` is given. */
  private project(
    gradient: ArrayLike<number>,
    update: Float64Array | null,
    proposal: Float64Array | null,
  ): void {
    const f = this.round;
    const size = this.weights.length;
    if (this.t > 1) {
      if (this.fromWeights) this.measureDeviationOfWeights();
      this.stepConstraint(gradient);
    }
    for (let i = 0; i < size; i++) {
      const a = this.anchor[i] as number;
      if (proposal) {
        this.deviation[i] = f((proposal[i] as number) - a);
      } else {
        const u = (update as Float64Array)[i] as number;
        if (this.fromState && !this.fromWeights) {
          const ratio = this.ratios[this.rowOf[i] as number] as number;
          this.deviation[i] = f(f(ratio * (this.deviation[i] as number)) - u);
        } else {
          this.deviation[i] = f(f(this.w(i) - u) - a);
        }
      }
    }
    this.store(this.deviation);
    this.sumNorms();
    if (this.t === 1) {
      this.gamma = f(NORM_FLOOR);
      this.gammaM = 0;
      this.gammaV = 0;
      this.hyperGradient = 0;
    } else {
      const largest = this.norms.reduce((a, b) => Math.max(a, b), 0);
      this.gamma = f(Math.min(Math.max(this.gamma, NORM_FLOOR), largest));
    }
    this.updateRatios();
    for (let i = 0; i < size; i++) {
      const ratio = this.ratios[this.rowOf[i] as number] as number;
      this.weights[i] = f((this.anchor[i] as number) + f(ratio * (this.deviation[i] as number)));
    }
    this.fromWeights = false;
  }

  private updateRatios(): void {
    for (let r = 0; r < this.norms.length; r++) {
      this.ratios[r] = this.round(Math.min(Math.max(this.gamma / (this.norms[r] as number), 0), 1));
    }
  }

  private measureDeviationOfWeights(): void {
    for (let i = 0; i < this.weights.length; i++) {
      this.deviation[i] = this.round(this.w(i) - (this.anchor[i] as number));
    }
    this.sumNorms();
  }

  private sumNorms(): void {
    const sums = new Float64Array(this.norms.length);
    this.deviation.forEach((c, i) => {
      const r = this.rowOf[i] as number;
      sums[r] = (sums[r] as number) + Math.abs(c);
    });
    sums.forEach((sum, r) => {
      this.norms[r] = this.round(sum + NORM_FLOOR);
    });
  }

  /** Adam on gamma with the hyper-gradient of the previous deviation. The upper clip follows with the new norms. */
  private stepConstraint(gradient: ArrayLike<number>): void {
    const { k, constraintLearningRate, constraintBeta1, constraintBeta2 } = this.options;
    const f = this.round;
    const h = this.hyperGradientOf(gradient);
    const annealed = h > 0 ? k * h : h;
    const m = constraintBeta1 * this.gammaM + (1 - constraintBeta1) * annealed;
    const v = constraintBeta2 * this.gammaV + (1 - constraintBeta2) * annealed * annealed;
    const mHat = m / (1 - constraintBeta1 ** this.t);
    const vHat = v / (1 - constraintBeta2 ** this.t);
    this.gamma = this.gamma - (constraintLearningRate * mHat) / (Math.sqrt(vHat) + CONSTRAINT_EPSILON);
    this.gammaM = f(m);
    this.gammaV = f(v);
    this.hyperGradient = f(h);
  }

  /** h = sum_r (1 / n[r]) sum_j G[r, j] C[r, j]; the kernels round C (1 / n) G, and D G where W was assigned. */
  private hyperGradientOf(gradient: ArrayLike<number>): number {
    const f = this.round;
    const sums = new Float64Array(this.norms.length);
    const scaled = this.single && !this.fromWeights;
    this.deviation.forEach((c, i) => {
      const r = this.rowOf[i] as number;
      const share = scaled ? f(c * f(1 / (this.norms[r] as number))) : c;
      sums[r] = (sums[r] as number) + f(share * f(gradient[i] as number));
    });
    return sums.reduce((h, sum, r) => h + (scaled ? sum : sum / (this.norms[r] as number)), 0);
  }
}
