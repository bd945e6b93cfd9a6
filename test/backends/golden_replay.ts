/**
 * One replay for every implementation: drives a golden case step by step, compares parameters, gamma, its moments, the
 * hyper-gradient and the norms after each step, the base optimizer's slots and the deviation at the end, and returns
 * the measures of test/fixtures/golden/README.md. What is replayed is behind the `Replay` interface.
 */
import {
  fromKeras,
  type GoldenCase,
  type GoldenOptions,
  type GoldenParam,
  kerasShape,
  outputAxisOf,
  toKeras,
} from '../reference/golden.js';
import { distance2, MeasureCollector, type Measures, norm2 } from '../reference/measures.js';

export type LayoutName = 'torch' | 'keras';

/** One variable as the implementation under test gets it, in the layout of the replay. */
export interface ReplayVariable {
  name: string;
  shape: number[];
  /** null: one row */
  outputAxis: number | null;
  /** whether outputAxis is also what the rank alone gives (last axis; one row for rank 0 and 1) */
  defaultAxis: boolean;
  init: Float32Array;
  anchor: Float32Array;
  excluded: boolean;
}

/** One optimizer: the variables of one parameter group. */
export interface ReplayGroup {
  optimizer: 'sgdp' | 'adamp';
  options: GoldenOptions;
  variables: ReplayVariable[];
  /** of the native step; default: its own */
  threads?: number;
}

/** What an implementation shows of one variable after a step. Slots carry the library's names. */
export interface ReplayState {
  weights: Float32Array;
  /** null: excluded, or never updated */
  constraint: {
    gamma: number;
    gammaM: number;
    gammaV: number;
    hyperGradient: number;
    norms: Float32Array;
  } | null;
  slots: Partial<Record<Slot, Float32Array>>;
  /** [t, n]: steps since the first gradient, gaps included; updates. null: never updated. */
  steps: readonly [number, number] | null;
}

export type Slot = 'm' | 'v' | 'vmax' | 'momentum' | 'deviation' | 'anchor';

export interface Replay {
  /** One learning rate per group; null: no gradient. */
  step(learningRates: number[], gradients: Map<string, Float32Array | null>): void | Promise<void>;
  read(): Map<string, ReplayState> | Promise<Map<string, ReplayState>>;
  /** The user assigns other weights. */
  assign(name: string, weights: Float32Array): void;
  /** Makes the present weights the anchors. */
  reanchor(): void;
  dispose(): void;
}

export type StartReplay = (groups: ReplayGroup[]) => Replay | Promise<Replay>;

export interface ReplayResult {
  measures: Measures;
  /** the greatest error of a final slot as a share of its limit; at most 1 passes */
  finalSlots: number;
  /** names of the slots compared at the end, once each */
  slotsCompared: Set<Slot>;
  stepsCompared: number;
  /** weights after the last step in the authors' layout */
  finalWeights: Map<string, Float32Array>;
  /** violations of "a variable without a gradient is left alone, bit for bit" */
  moved: string[];
  /** violations of "t counts steps since the first gradient, n updates" */
  miscounted: string[];
}

const SLOT_NAMES = {
  exp_avg: 'm',
  exp_avg_sq: 'v',
  max_exp_avg_sq: 'vmax',
  momentum_buffer: 'momentum',
  prev_c: 'deviation',
} as const;

function variableOf(param: GoldenParam, layout: LayoutName, excludeSet: string[]): ReplayVariable {
  const { name, shape, kind } = param;
  const keras = layout === 'keras';
  const outputAxis = outputAxisOf(kind, shape.length, layout);
  return {
    name,
    shape: keras ? kerasShape(shape, kind) : shape,
    outputAxis,
    defaultAxis: outputAxis === (shape.length < 2 ? null : shape.length - 1),
    init: keras ? toKeras(param.init, shape, kind) : param.init,
    anchor: keras ? toKeras(param.anchor, shape, kind) : param.anchor,
    excluded: excludeSet.includes(name),
  };
}

export async function replayGolden(
  golden: GoldenCase,
  layout: LayoutName,
  start: StartReplay,
  /** slots that the implementation has; default: all */
  ownSlots: readonly Slot[] = Object.values(SLOT_NAMES),
): Promise<ReplayResult> {
  const params = new Map(golden.params.map((param) => [param.name, param]));
  const paramOf = (name: string) => {
    const param = params.get(name);
    if (!param) throw new Error(`${golden.name} has no parameter ${name}`);
    return param;
  };
  const groups = golden.groups.map((group) => ({
    optimizer: golden.optimizer,
    options: group.options,
    variables: group.params.map((name) => variableOf(paramOf(name), layout, golden.options.exclude_set)),
  }));
  const forth = (name: string, data: Float32Array) =>
    layout === 'keras' ? toKeras(data, paramOf(name).shape, paramOf(name).kind) : data;
  const back = (name: string, data: Float32Array) =>
    layout === 'keras' ? fromKeras(data, paramOf(name).shape, paramOf(name).kind) : data;

  const replay = await start(groups);
  try {
    const collector = new MeasureCollector();
    const moved: string[] = [];
    let stepsCompared = 0;
    const born = new Map<string, number>();
    const updates = new Map<string, number>();
    const miscounted: string[] = [];
    let state = await replay.read();
    for (const step of golden.steps) {
      const before = state;
      await replay.step(
        step.lr,
        new Map([...step.grads].map(([name, gradient]) => [name, gradient && forth(name, gradient)])),
      );
      state = await replay.read();
      for (const [name, gradient] of step.grads) {
        if (!gradient && !sameState(before.get(name), state.get(name)))
          moved.push(`${name} at step ${step.step}`);
      }
      for (const [name, gradient] of step.grads) {
        if (gradient) {
          if (!born.has(name)) born.set(name, step.step);
          updates.set(name, (updates.get(name) ?? 0) + 1);
        }
        const first = born.get(name);
        const [t, n] = state.get(name)?.steps ?? [0, 0];
        const known = first === undefined ? 0 : step.step - first + 1;
        if (t !== known || n !== (updates.get(name) ?? 0)) miscounted.push(`${name} at step ${step.step}`);
      }
      const expected = golden.expected.find((entry) => entry.step === step.step);
      if (!expected) continue;
      stepsCompared++;
      for (const param of golden.params) {
        const { name } = param;
        const present = state.get(name);
        if (!present) throw new Error(`no state of ${name}`);
        const gamma = expected.gamma.get(name);
        const norms = expected.norms.get(name);
        if (gamma !== undefined || norms) {
          if (!present.constraint) throw new Error(`no constraint of ${name} at step ${step.step}`);
          if (norms) collector.norms(present.constraint.norms, norms);
          if (gamma !== undefined) {
            collector.scalars(name, present.constraint, {
              gamma,
              gammaM: expected.gammaM.get(name),
              gammaV: expected.gammaV.get(name),
              gammaGrad: expected.gammaGrad.get(name),
            });
          }
        } else if (present.constraint && golden.options.exclude_set.includes(name)) {
          throw new Error(`${name} is excluded but has a constraint`);
        }
        const weights = expected.params?.get(name);
        if (weights) collector.params(back(name, present.weights), weights, param.anchor);
      }
    }
    const measures = collector.finish();
    return {
      measures,
      ...compareFinal(golden, state, back, ownSlots),
      stepsCompared,
      finalWeights: new Map([...state].map(([name, present]) => [name, back(name, present.weights)])),
      moved,
      miscounted,
    };
  } finally {
    replay.dispose();
  }
}

/**
 * Final slots against the file: moments and momentum within params_rel of their 2-norm; the deviation, which the
 * authors form as a difference of weights, within deviation_rel of its own size plus params_rel of the weights'.
 */
function compareFinal(
  golden: GoldenCase,
  state: Map<string, ReplayState>,
  back: (name: string, data: Float32Array) => Float32Array,
  ownSlots: readonly Slot[],
) {
  let finalSlots = 0;
  const slotsCompared = new Set<Slot>();
  for (const [name, slots] of golden.finalState) {
    const present = state.get(name);
    for (const [torchName, expected] of Object.entries(slots) as [keyof typeof SLOT_NAMES, Float32Array][]) {
      const slot = SLOT_NAMES[torchName];
      if (!ownSlots.includes(slot)) continue;
      const values = present?.slots[slot];
      if (!values) throw new Error(`${golden.name}: no ${slot} of ${name} at the end`);
      const { params_rel, deviation_rel } = golden.tolerance;
      const anchor = golden.params.find((param) => param.name === name)?.anchor as Float32Array;
      const limit =
        slot === 'deviation'
          ? deviation_rel * norm2(expected) + params_rel * norm2(anchor)
          : params_rel * norm2(expected);
      const difference = distance2(back(name, values), expected);
      finalSlots =
        difference <= limit ? Math.max(finalSlots, difference === 0 ? 0 : difference / limit) : Infinity;
      slotsCompared.add(slot);
    }
  }
  return { finalSlots, slotsCompared };
}

/** Weights, constraint and slots alike to the bit. Step counts are not looked at: t goes on without a gradient. */
export function sameState(a: ReplayState | undefined, b: ReplayState | undefined): boolean {
  if (!a || !b) return false;
  const arrays = (state: ReplayState) => [
    state.weights,
    ...(state.constraint
      ? [
          state.constraint.norms,
          Float32Array.of(
            state.constraint.gamma,
            state.constraint.gammaM,
            state.constraint.gammaV,
            state.constraint.hyperGradient,
          ),
        ]
      : []),
    ...Object.keys(state.slots)
      .sort()
      .map((slot) => state.slots[slot as Slot] as Float32Array),
  ];
  const [left, right] = [arrays(a), arrays(b)];
  return left.length === right.length && left.every((array, i) => sameBits(array, right[i] as Float32Array));
}

/** Whether two arrays hold the same bytes (so -0 differs from 0, and NaN equals the same NaN). */
export function sameBits(a: Float32Array, b: Float32Array): boolean {
  return (
    Buffer.compare(
      Buffer.from(a.buffer, a.byteOffset, a.byteLength),
      Buffer.from(b.buffer, b.byteOffset, b.byteLength),
    ) === 0
  );
}
