/**
 * The reference implementation: one step in plain tfjs operations, on any backend. It is the
 * method in tfjs terms, float32 throughout, and what the native steps are compared with. State
 * tensors are replaced, never written to.
 */

import * as ops from '@tensorflow/tfjs-core';
import { hyperGradientSums } from '../learn/hyper_gradients.js';
import { FORMATTED_SLOTS, type Slots, type VariableView } from '../methods/method.js';
import { rowsOf } from '../variables/rows.js';
import { roundToBfloat16 } from './bfloat16.js';
import {
  GATHERED,
  type Implementation,
  NonFiniteGradient,
  type StateSpec,
  type StepSettings,
  slotsOf,
  type VariableState,
  type VariableUpdate,
  WANT_SQUARES,
} from './types.js';

const { all, clone, isFinite: isFiniteOp, keep, mul, stack, tidy, zeros } = ops;
type Tensor = ops.Tensor;

class ReferenceState implements VariableState {
  constructor(
    readonly spec: StateSpec,
    readonly slots: { [slot: string]: Tensor },
  ) {}
}

/** `x` as a slot of the state holds it; `x` itself where that is float32. */
function stored({ format }: StateSpec, slot: string, x: Tensor): Tensor {
  return format === 'bfloat16' && FORMATTED_SLOTS.includes(slot) ? roundToBfloat16(ops, x) : x;
}

/** Position of the first tensor that holds NaN or an infinity, or -1; one read for all of them. */
export function findNonFinite(tensors: Tensor[]): number {
  if (tensors.length === 0) return -1;
  const finite = tidy(() => stack(tensors.map((tensor) => tidy(() => all(isFiniteOp(tensor))))).dataSync());
  return finite.indexOf(0);
}

/**
 * Sums of squares of raw gradients, in float64 where float32 would overflow; {@link GATHERED} numbers per update, the
 * sum first.
 *
 * @throws NonFiniteGradient with `checkFinite`, for the first that holds NaN or an infinity.
 */
export function sumsOfSquares(updates: readonly VariableUpdate[], checkFinite: boolean): Float64Array {
  const result = new Float64Array(GATHERED * updates.length);
  if (updates.length === 0) return result;
  const read = tidy(() =>
    stack(updates.flatMap(({ gradient }) => tidy(() => squaresOf(gradient)))).dataSync(),
  );
  for (let i = 0; i < updates.length; ++i) {
    const [largest, sum, finite] = read.subarray(3 * i) as unknown as [number, number, number];
    if (checkFinite && finite === 0) throw new NonFiniteGradient(i);
    result[GATHERED * i] = finite === 0 ? Number.NaN : largest * largest * sum;
  }
  return result;
}

/** The largest size of an element, the sum of squares of the elements over it, and 1 where all are finite. */
function squaresOf(tensor: Tensor): Tensor[] {
  const { abs, cast, divNoNan, max, square, sum } = ops;
  const largest = max(abs(tensor));
  return [largest, sum(square(divNoNan(tensor, largest))), cast(all(isFiniteOp(tensor)), 'float32')];
}

/** What the base update and the rule see of an update's gradient. */
export function seenGradient({ gradient, gradientScale = 1, clipValue = Infinity }: VariableUpdate): Tensor {
  const scaled = gradientScale === 1 ? gradient : mul(gradient, gradientScale);
  return clipValue === Infinity ? scaled : ops.clipByValue(scaled, -clipValue, clipValue);
}

/** The average of the weights after a step. */
export function nextEma(ema: Tensor, weights: Tensor, momentum: number): Tensor {
  return ops.add(mul(ema, momentum), mul(weights, 1 - momentum));
}

/** A method in tfjs operations. Slots of another format are float32 tensors that hold what it can hold. */
export class ReferenceImplementation implements Implementation {
  readonly name = 'reference';

  createState(spec: StateSpec, anchor: Tensor | null): VariableState {
    const slots: { [slot: string]: Tensor } = {};
    for (const { name, shape } of slotsOf(spec)) {
      // A clone would share memory with the array that the user made the variable from.
      slots[name] = keep(name === 'anchor' && anchor !== null ? mul(anchor, 1) : zeros(shape));
    }
    return new ReferenceState(spec, slots);
  }

  step(settings: StepSettings, updates: VariableUpdate[]): Tensor[] {
    if (settings.checkFinite) {
      const index = findNonFinite(updates.map((update) => update.gradient));
      if (index >= 0) throw new NonFiniteGradient(index);
    }
    const results = tidy(() => stepAll(settings, updates));
    for (const [i, { slots }] of results.entries()) {
      const state = updates[i]?.state as ReferenceState;
      for (const [slot, value] of Object.entries(slots)) replace(state, slot, value);
    }
    return results.map((result) => result.weights);
  }

  gather({ values, checkFinite }: StepSettings, updates: VariableUpdate[], want: number): Float64Array {
    const result = sumsOfSquares(updates, checkFinite);
    if (want === WANT_SQUARES || updates.length === 0) return result;
    const sums = tidy(() =>
      stack(
        updates.flatMap((update) => {
          const view = { ...viewOf(update), g: update.gradient };
          const { method } = update.spec;
          return tidy(() => hyperGradientSums(ops, method, update.values ?? values, view, want));
        }),
      ).dataSync(),
    );
    const each = sums.length / updates.length;
    for (const i of updates.keys()) result.set(sums.subarray(each * i, each * (i + 1)), GATHERED * i + 1);
    return result;
  }

  /** The gradients that the rule lets the base update see, the caller's where they are not those of `updates`. */
  gradients(settings: StepSettings, updates: VariableUpdate[]): Tensor[] {
    return tidy(() =>
      variablesOf(settings, updates).map(({ method, values, view }) => method.gradient(ops, values, view)),
    );
  }

  read(state: VariableState, slot: string): Tensor {
    return clone((state as ReferenceState).slots[slot] as Tensor);
  }

  write(state: VariableState, slot: string, value: Tensor): void {
    replace(
      state as ReferenceState,
      slot,
      tidy(() => clone(stored(state.spec, slot, value))),
    );
  }

  disposeState(state: VariableState): void {
    for (const tensor of Object.values((state as ReferenceState).slots)) tensor.dispose();
  }
}

function replace(state: ReferenceState, slot: string, value: Tensor): void {
  state.slots[slot]?.dispose();
  state.slots[slot] = keep(value);
}

/** Every variable with its method, its numbers, and what it is before the step. */
function variablesOf(settings: StepSettings, updates: VariableUpdate[]) {
  const variables = updates.map((update) => {
    const { spec, values = settings.values } = update;
    return { method: spec.method, values, view: viewOf(update) };
  });
  const gathered = variables.flatMap(
    ({ method, values, view }) => method.rule.gather?.(ops, values, view) ?? [],
  );
  const totals = gathered.length > 0 ? ops.addN(gathered) : null;
  return variables.map(({ view, ...rest }) => ({ ...rest, view: { ...view, totals } }));
}

/** New weights and slots of every variable. */
function stepAll(settings: StepSettings, updates: VariableUpdate[]) {
  return variablesOf(settings, updates).map(({ method, values, view }, i) => {
    const { weights, slots } = method.step(ops, values, view);
    const { spec, emaMomentum = 0 } = updates[i] as VariableUpdate;
    const kept = Object.entries(slots).map(([slot, value]) => [slot, stored(spec, slot, value)] as const);
    return {
      weights,
      slots: {
        ...Object.fromEntries(kept),
        ...(spec.ema ? { ema: nextEma(view.slots.ema, weights, emaMomentum) } : {}),
        // A copy: the gradient may be the caller's.
        ...(spec.keepGradient ? { gradient: mul(view.g, 1) } : {}),
      },
    };
  });
}

function viewOf(update: VariableUpdate): VariableView {
  const { spec, state, weights, proposal, t, n, fromWeights } = update;
  const { slots } = state as ReferenceState;
  const rows = rowsOf(spec.layout, spec.shape);
  const g = seenGradient(update);
  return {
    w: weights,
    g,
    proposal,
    slots: slots as Slots,
    rows,
    t,
    n,
    fromWeights,
    totals: null,
    stored: (slot, x) => stored(spec, slot, x),
  };
}
