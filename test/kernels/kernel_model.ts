/**
 * Drives the addon's `step` directly. The plan is encoded here once more, from native/kernels/plan.h, so that these tests
 * do not lean on src/backends/plan.ts.
 */
import { findNative, type NativeAddon, type NativeStateLayout } from '../../src/native/addon.js';
import type { Layout, OracleOptions } from '../reference/ftp_float64.js';

/** The addon; suites that need it are skipped by name where it is missing. */
export function addonOrThrow(): NativeAddon {
  const { addon, tried } = findNative();
  if (!addon) throw new Error(`no addon: ${JSON.stringify(tried)}`);
  return addon;
}

export interface PlanVariable {
  layout: Layout;
  excluded: boolean;
  fromWeights: boolean;
  t: number;
  n: number;
  /** code of the state's format; default float32 */
  format?: number;
}

/** Codes of the formats of a state. */
export const FORMATS = { float32: 0, bfloat16: 1 } as const;

export interface PlanSettings {
  options: OracleOptions;
  learningRate: number;
  threads?: number;
  checkFinite?: boolean;
}

const BASES = { adamw: 0, sgd: 1, proposal: 2 };

const FTP = 1; // the rule's code

function baseFlags({ base, amsgrad, momentum, nesterov }: OracleOptions): number {
  if (base === 'adamw') return amsgrad ? 1 : 0;
  if (base === 'sgd') return (momentum !== 0 ? 1 : 0) | (nesterov ? 2 : 0);
  return 0;
}

function baseNumbers(options: OracleOptions, learningRate: number): number[] {
  const { base, beta1, beta2, epsilon, weightDecay, momentum, dampening } = options;
  if (base === 'adamw') return [learningRate, beta1, beta2, epsilon, weightDecay];
  return base === 'sgd' ? [learningRate, momentum, dampening, weightDecay] : [];
}

/** Where variable `i` begins in a plan. */
export const variableWord = (plan: Int32Array, i: number): number =>
  10 + (16 + 2 * ((plan[8] as number) + (plan[9] as number))) * i;

export function encodePlan(
  { options, learningRate, threads, checkFinite }: PlanSettings,
  variables: PlanVariable[],
) {
  const { k, constraintLearningRate, constraintBeta1, constraintBeta2 } = options;
  const ofBase = baseNumbers(options, learningRate);
  const ofRule = [k, constraintLearningRate, constraintBeta1, constraintBeta2];
  const numbers = [...ofBase, ...ofRule];
  const plan = new Int32Array(10 + (16 + 2 * numbers.length) * variables.length);
  const view = new DataView(plan.buffer);
  const check = checkFinite === false ? 0 : 1;
  plan.set([0x46545033, BASES[options.base], FTP, baseFlags(options), 0, check]);
  plan.set([variables.length, threads ?? 0, ofBase.length, ofRule.length], 6);
  variables.forEach(({ layout, excluded, fromWeights, t, n, format = FORMATS.float32 }, i) => {
    const at = variableWord(plan, i);
    plan[at + 1] = format;
    plan[at] = (excluded ? 1 : 0) | (fromWeights ? 2 : 0);
    view.setBigInt64(4 * (at + 2), BigInt(layout.outer), true);
    view.setBigInt64(4 * (at + 4), BigInt(layout.rows), true);
    view.setBigInt64(4 * (at + 6), BigInt(layout.inner), true);
    plan[at + 8] = t;
    plan[at + 9] = n;
    [1, Number.POSITIVE_INFINITY, 0, ...numbers].forEach((value, j) => {
      view.setFloat64(4 * (at + 10 + 2 * j), value, true);
    });
  });
  return plan;
}

export const elementsOf = ({ outer, rows, inner }: Layout) => outer * rows * inner;

/** A float32 array at a byte offset that is no multiple of a vector register. */
export function unaligned(values: ArrayLike<number>, byteOffset: number): Float32Array {
  const array = new Float32Array(
    new ArrayBuffer(byteOffset + 4 * values.length + 64),
    byteOffset,
    values.length,
  );
  array.set(values);
  return array;
}

export interface KernelVariableSpec {
  layout: Layout;
  weights: Float32Array;
  /** default: a copy of the weights */
  anchor?: Float32Array;
  excluded?: boolean;
}

interface KernelVariable {
  layout: Layout;
  excluded: boolean;
  weights: Float32Array;
  state: Float32Array;
  sections: NativeStateLayout['sections'];
  t: number;
  n: number;
  fromWeights: boolean;
}

/** Buffers of a model as the addon takes them. */
export class KernelModel {
  readonly variables: KernelVariable[];
  private readonly addon = addonOrThrow();

  constructor(
    readonly options: OracleOptions,
    specs: KernelVariableSpec[],
    /** byte offset of every buffer */
    private readonly byteOffset = 0,
    /** whether the step writes over its input */
    private readonly inPlace = false,
    private readonly format: number = FORMATS.float32,
  ) {
    this.variables = specs.map(({ layout, weights, anchor, excluded = false }) => {
      const { length, sections } = this.addon.stateLayout(
        BASES[options.base],
        FTP,
        baseFlags(options),
        0,
        0,
        excluded,
        elementsOf(layout),
        layout.rows,
        format,
      );
      const state = unaligned(new Float32Array(length), byteOffset);
      const slot = sections.anchor;
      if (slot) state.set(anchor ?? weights, slot.offset);
      return {
        layout,
        excluded,
        weights: unaligned(weights, byteOffset),
        state,
        sections,
        t: 0,
        n: 0,
        fromWeights: true,
      };
    });
  }

  /** The arguments of one step for all variables that have a gradient, counts advanced. */
  arguments(settings: Omit<PlanSettings, 'options'>, gradients: (Float32Array | null)[]) {
    const given = this.variables.filter((variable, i) => {
      if (variable.t > 0 || gradients[i]) variable.t++;
      if (gradients[i]) variable.n++;
      return gradients[i];
    });
    const { options, format } = this;
    const plan = encodePlan(
      { options, ...settings },
      given.map((variable) => ({ ...variable, format })),
    );
    return {
      plan,
      states: given.map(({ state }) => state),
      weights: given.map(({ weights }) => weights),
      gradients: gradients
        .filter((gradient) => gradient !== null)
        .map((gradient) => (this.byteOffset === 0 ? gradient : unaligned(gradient, this.byteOffset))),
      outputs: given.map(({ weights }) =>
        this.inPlace
          ? weights
          : unaligned(
              weights.map(() => NaN),
              this.byteOffset,
            ),
      ),
      given,
    };
  }

  step(
    settings: Omit<PlanSettings, 'options'>,
    gradients: (Float32Array | null)[],
    proposals: Float32Array[] = [],
  ): void {
    const { plan, states, weights, gradients: arrays, outputs, given } = this.arguments(settings, gradients);
    this.addon.step(plan, states, weights, arrays, outputs, proposals);
    given.forEach((variable, i) => {
      variable.weights = outputs[i] as Float32Array;
      variable.fromWeights = false;
    });
  }

  /** The user assigns other weights. */
  assign(index: number, weights: Float32Array): void {
    const variable = this.variables[index] as KernelVariable;
    variable.weights = unaligned(weights, this.byteOffset);
    variable.fromWeights = true;
  }

  slot(index: number, name: string): Float32Array {
    const { state, sections } = this.variables[index] as KernelVariable;
    const section = sections[name];
    if (!section) throw new Error(`no slot ${name}`);
    return state.subarray(section.offset, section.offset + section.length);
  }

  /** Every buffer that a step may write, copied, in a fixed order (gaps between sections left out). */
  snapshot(): Float32Array[] {
    return this.variables.flatMap(({ weights, state, sections }) => [
      weights.slice(),
      ...Object.keys(sections)
        .sort()
        .map((name) => {
          const { offset, length } = sections[name] as { offset: number; length: number };
          return state.slice(offset, offset + length);
        }),
    ]);
  }
}
