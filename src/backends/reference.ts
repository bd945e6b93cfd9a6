/**
 * The reference implementation: one FTP step in plain tfjs operations, on any backend. It is the
 * algorithm in tfjs terms, float32 throughout, and what the native steps are compared with. State
 * tensors are replaced, never written to.
 */

import {
  abs,
  add,
  all,
  clipByValue,
  clone,
  div,
  greater,
  isFinite as isFiniteOp,
  keep,
  max,
  maximum,
  minimum,
  mul,
  reshape,
  type Scalar,
  sqrt,
  square,
  stack,
  sub,
  sum,
  type Tensor,
  tensor1d,
  tidy,
  unstack,
  where,
  zeros,
} from '@tensorflow/tfjs-core';
import type { RowLayout } from '../projection/row_layout.js';
import {
  type BaseConfig,
  type Hyper,
  type Implementation,
  NonFiniteGradient,
  type StateSpec,
  slotsOf,
  type VariableState,
  type VariableUpdate,
} from './types.js';

/** Added to every row norm; also the first value and the lower bound of gamma. */
const EPSILON = 1e-8;

type Slots = { [slot: string]: Tensor };

class ReferenceState implements VariableState {
  constructor(
    readonly spec: StateSpec,
    readonly slots: Slots,
  ) {}
}

/** Position of the first tensor that holds NaN or an infinity, or -1; one read for all of them. */
export function findNonFinite(tensors: Tensor[]): number {
  if (tensors.length === 0) return -1;
  const finite = tidy(() => stack(tensors.map((tensor) => tidy(() => all(isFiniteOp(tensor))))).dataSync());
  return finite.indexOf(0);
}

/** FTP in tfjs operations. */
export class ReferenceImplementation implements Implementation {
  readonly name = 'reference';

  createState(spec: StateSpec, anchor: Tensor | null): VariableState {
    const slots: Slots = {};
    for (const { name, shape } of slotsOf(spec)) {
      // A clone would share memory with the array that the user made the variable from.
      slots[name] = keep(name === 'anchor' && anchor !== null ? mul(anchor, 1) : zeros(shape));
    }
    return new ReferenceState(spec, slots);
  }

  step(config: BaseConfig, hyper: Hyper, updates: VariableUpdate[]): Tensor[] {
    if (hyper.checkFinite) {
      const index = findNonFinite(updates.map((update) => update.gradient));
      if (index >= 0) throw new NonFiniteGradient(index);
    }
    const results = tidy(() => updates.map((update) => stepVariable(config, hyper, update)));
    for (const [i, { slots }] of results.entries()) {
      const state = updates[i]?.state as ReferenceState;
      for (const slot of Object.keys(slots)) replace(state, slot, slots[slot] as Tensor);
    }
    return results.map((result) => result.weights);
  }

  read(state: VariableState, slot: string): Tensor {
    return clone((state as ReferenceState).slots[slot] as Tensor);
  }

  write(state: VariableState, slot: string, value: Tensor): void {
    replace(state as ReferenceState, slot, clone(value));
  }

  disposeState(state: VariableState): void {
    for (const tensor of Object.values((state as ReferenceState).slots)) tensor.dispose();
  }
}

function replace(state: ReferenceState, slot: string, value: Tensor): void {
  state.slots[slot]?.dispose();
  state.slots[slot] = keep(value);
}

/** sum_j |C[r, j]| + 1e-8 of every row: [outer, rows, inner] -> [1, rows, 1]. */
function marsNorms(deviation: Tensor): Tensor {
  return add(sum(abs(deviation), [0, 2], true), EPSILON);
}

/** clip(gamma / n, 0, 1) */
function projectRatio(gamma: Tensor, norms: Tensor): Tensor {
  return clipByValue(div(gamma, norms), 0, 1);
}

function stepVariable(config: BaseConfig, hyper: Hyper, update: VariableUpdate) {
  const { spec, slots } = update.state as ReferenceState;
  const { outer, rows, inner } = spec.layout;
  const see = (x: Tensor) => reshape(x, [outer, rows, inner]);
  const w = see(update.weights);
  const g = see(update.gradient);
  const base = baseUpdate(config, hyper, update, g, w, slots, spec.layout);
  const next: Slots = {};
  for (const slot of Object.keys(base.slots)) next[slot] = reshape(base.slots[slot] as Tensor, spec.shape);
  // The last operation is done in the variable's own shape: it is the one that moves along to another backend.
  const own = (x: Tensor) => reshape(x, spec.shape);
  if (spec.excluded) return { weights: sub(update.weights, own(base.u)), slots: next };

  const a = see(slots.anchor as Tensor);
  const [gamma0, m0, v0] = unstack(slots.constraint as Tensor) as [Scalar, Scalar, Scalar];
  let previous = see(slots.deviation as Tensor);
  let previousNorms: Tensor = reshape(slots.norms as Tensor, [1, rows, 1]);
  let deviation: Tensor;
  if (config.base === 'proposal') {
    deviation = sub(w, a);
  } else if (update.fromWeights) {
    previous = sub(w, a);
    previousNorms = marsNorms(previous);
    deviation = sub(sub(w, base.u), a);
  } else {
    deviation = sub(mul(projectRatio(gamma0, previousNorms), previous), base.u);
  }
  const norms = marsNorms(deviation);
  let constraint: Tensor;
  if (update.t === 1) {
    constraint = tensor1d([EPSILON, 0, 0, 0]);
  } else {
    const h = sum(div(sum(mul(g, previous), [0, 2], true), previousNorms)) as Scalar;
    constraint = nextConstraint(hyper, update.t, h, gamma0, m0, v0, max(norms));
  }
  const gamma = (unstack(constraint) as Scalar[])[0] as Scalar;
  next.deviation = reshape(deviation, spec.shape);
  next.norms = reshape(norms, [rows]);
  next.constraint = constraint;
  return {
    weights: add(slots.anchor as Tensor, own(mul(projectRatio(gamma, norms), deviation))),
    slots: next,
  };
}

/** gamma_t for t > 1: anneal, one Adam step, clip to [1e-8, max_r n_t[r]]. */
function nextConstraint(
  hyper: Hyper,
  t: number,
  h: Scalar,
  gamma0: Scalar,
  m0: Scalar,
  v0: Scalar,
  maxNorm: Tensor,
): Tensor {
  const { k, constraintLearningRate, constraintBeta1: b1, constraintBeta2: b2 } = hyper;
  const annealed = where(greater(h, 0), mul(h, k), h);
  const m = add(mul(m0, b1), mul(annealed, 1 - b1));
  const v = add(mul(v0, b2), mul(square(annealed), 1 - b2));
  const root = add(sqrt(div(v, 1 - b2 ** t)), EPSILON);
  const moved = sub(gamma0, mul(div(div(m, 1 - b1 ** t), root), constraintLearningRate));
  const gamma = minimum(maximum(moved, EPSILON), maxNorm);
  return stack([gamma, m, v, h]);
}

/** What the base optimizer would subtract, and its new slots; `w` and `g` as [outer, rows, inner]. */
function baseUpdate(
  config: BaseConfig,
  hyper: Hyper,
  { n }: VariableUpdate,
  g: Tensor,
  w: Tensor,
  slots: Slots,
  { outer, rows, inner }: RowLayout,
): { u: Tensor; slots: Slots } {
  const { learningRate, weightDecay } = hyper;
  const see = (x: Tensor | undefined) => reshape(x as Tensor, [outer, rows, inner]);
  if (config.base === 'proposal') return { u: g, slots: {} };
  if (config.base === 'adamw') {
    const { beta1, beta2, epsilon } = hyper;
    const m = add(mul(see(slots.m), beta1), mul(g, 1 - beta1));
    const v = add(mul(see(slots.v), beta2), mul(mul(g, 1 - beta2), g));
    const next: Slots = { m, v };
    if (config.amsgrad) next.vmax = maximum(see(slots.vmax), v);
    const root = add(mul(sqrt(next.vmax ?? v), 1 / Math.sqrt(1 - beta2 ** n)), epsilon);
    const u = div(mul(m, learningRate / (1 - beta1 ** n)), root);
    return { u: weightDecay === 0 ? u : add(u, mul(w, learningRate * weightDecay)), slots: next };
  }
  const { momentum, dampening, nesterov } = hyper;
  const d = weightDecay === 0 ? g : add(g, mul(w, weightDecay));
  if (!config.momentum) return { u: mul(d, learningRate), slots: {} };
  const buffer = n === 1 ? mul(d, 1) : add(mul(see(slots.momentum), momentum), mul(d, 1 - dampening));
  const direction = nesterov ? add(d, mul(buffer, momentum)) : buffer;
  return { u: mul(direction, learningRate), slots: { momentum: buffer } };
}
