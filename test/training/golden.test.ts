/**
 * Trajectories of torch, Keras and timm with groups, clipping, accumulation and averages: weights, norms and averages against
 * the files, moments of every step against float64 formulas that are held against the files themselves.
 */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LayoutName } from '../backends/golden_replay.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { readWeights } from '../backends/tfjs_replay.js';
import { fromKeras, kerasShape, toKeras } from '../reference/golden.js';
import { distance2, norm2 } from '../reference/measures.js';
import { RuleOracle } from '../reference/rules_float64.js';
import { caseNames, type Param, readCase, type TrainingCase } from './cases.js';

const cases = caseNames.map(readCase);

type Slots = { [slot: string]: ArrayLike<number> };

/** Float64: the gradient that a step sees, then the base update. */
class Oracle {
  private readonly variables: Map<string, RuleOracle>;
  /** Keras's averages of the weights, with a momentum of 0.9. */
  readonly averages = new Map<string, number[]>();

  /** `kerasEpsilon`: as the file has it; without, as the library has it. */
  constructor(
    private readonly golden: TrainingCase,
    kerasEpsilon = false,
  ) {
    this.variables = new Map(
      golden.params.map(({ name, init }) => {
        const base = { ...golden.baseOf(name), kerasEpsilon };
        const coupled = golden.name === 'torch_adam_coupled';
        const rule = coupled
          ? ({ kind: 'l2sp', strength: base.weightDecay as number, coupled: true } as const)
          : ({ kind: 'none' } as const);
        const zeros = new Float32Array(init.length);
        const own = coupled ? { ...base, weightDecay: 0 } : base;
        return [name, new RuleOracle(own, rule, init, zeros, zeros, 1)];
      }),
    );
  }

  step({ lr, calls }: TrainingCase['steps'][number]): void {
    const { clipNorm, clipValue } = this.golden;
    const means = new Map(
      [...this.variables].map(([name, { weights }]) => {
        const given = calls.flatMap((call) => call.get(name) ?? []);
        if (given.length === 0) return [name, null];
        return [
          name,
          weights.map((_, i) => given.reduce((sum, g) => sum + (g[i] as number), 0) / calls.length),
        ];
      }),
    );
    const norm = Math.hypot(...[...means.values()].flatMap((mean) => mean ?? []));
    const factor = Math.min(1, clipNorm / norm);
    for (const [name, oracle] of this.variables) {
      const mean = means.get(name) ?? null;
      const seen = mean?.map((g) => Math.max(-clipValue, Math.min(factor * g, clipValue))) ?? null;
      oracle.step(lr * this.golden.rateOf(name), seen);
      const before = this.averages.get(name);
      const average = oracle.weights.map((w, i) => {
        return before === undefined ? w : 0.9 * (before[i] as number) + (1 - 0.9) * w;
      });
      this.averages.set(name, average);
    }
  }

  of(name: string): { weights: number[]; slots: Slots; n: number } {
    const { weights, m, v, buffer, base, n } = this.variables.get(name) as RuleOracle;
    if (base.kind === 'adamw') return { weights, slots: { m, v }, n };
    return { weights, slots: base.momentum ? { momentum: buffer } : {}, n };
  }
}

const TORCH_SLOTS: { [slot: string]: string } = {
  exp_avg: 'm',
  exp_avg_sq: 'v',
  momentum_buffer: 'momentum',
};

describe.each(cases.map((golden) => [golden.name, golden] as const))(
  'the float64 formulas on %s',
  (name, golden) => {
    it('give the float64 run and the final state', () => {
      const oracle = new Oracle(golden, name.startsWith('keras'));
      for (const step of golden.steps) oracle.step(step);
      // Keras's factor of the clipping is float32; torch's has 1e-6 more in the norm.
      const limit = /clip/.test(name) ? 1e-6 : 1e-12;
      const last = golden.expected.get(golden.steps.length);
      if (name.startsWith('keras')) {
        for (const [param, average] of last?.ema ?? []) {
          const own = oracle.averages.get(param) as number[];
          expect(distance2(own, average) / norm2(average), param).toBeLessThan(2e-6);
        }
      }
      for (const [param, expected] of golden.expectedF64) {
        expect(distance2(oracle.of(param).weights, expected) / norm2(expected), param).toBeLessThan(limit);
      }
      let compared = 0;
      for (const [param, slots] of golden.finalState) {
        for (const [slot, values] of slots) {
          const own = oracle.of(param).slots[TORCH_SLOTS[slot] as string];
          if (own === undefined) throw new Error(`${param} has no ${slot}`);
          expect(distance2(own, values) / norm2(values), `${param} ${slot}`).toBeLessThan(2e-6);
          compared++;
        }
      }
      if (!name.startsWith('keras')) expect(compared).toBeGreaterThanOrEqual(golden.params.length);
    });
  },
);

/** Largest difference, and largest magnitude, of a quantity over a run. */
class Extremes {
  private readonly entries = new Map<string, { difference: number; largest: number }>();

  add(name: string, own: ArrayLike<number>, expected: ArrayLike<number>): void {
    expect(own.length, name).toBe(expected.length);
    const entry = this.entries.get(name) ?? { difference: 0, largest: 0 };
    for (let i = 0; i < own.length; ++i) {
      const [a, b] = [own[i] as number, expected[i] as number];
      if (!(Math.abs(a - b) <= entry.difference)) entry.difference = Math.abs(a - b); // lets NaN through
      entry.largest = Math.max(entry.largest, Math.abs(b));
    }
    this.entries.set(name, entry);
  }

  check(limit: number): number {
    for (const [name, { difference, largest }] of this.entries) {
      expect(difference, name).toBeLessThanOrEqual(limit * largest);
    }
    return this.entries.size;
  }
}

describeImplementations('torch, Keras and timm with the options of training', (implementation) => {
  beforeAll(() => useBackend(implementation));
  afterEach(() => tf.disposeVariables());

  it.each(
    cases.flatMap((golden) =>
      (['torch', 'keras'] as const).map((layout) => [golden.name, layout, golden] as const),
    ),
  )('%s, %s layout', async (_name, layout, golden) => {
    const tensors = tf.memory().numTensors;
    await replay(golden, layout, implementation.implementation, implementation.runs);
    expect(tf.memory().numTensors, 'tensors left over').toBe(tensors);
  });
});

async function replay(
  golden: TrainingCase,
  layout: LayoutName,
  implementation: 'native' | 'reference',
  runs: string,
): Promise<void> {
  const keras = layout === 'keras';
  const forth = ({ shape, kind }: Param, data: Float32Array) =>
    tf.tensor(keras ? toKeras(data, shape, kind) : data.slice(), keras ? kerasShape(shape, kind) : shape);
  const back = ({ shape, kind }: Param, data: ArrayLike<number>) =>
    keras ? fromKeras(Float32Array.from(data), shape, kind) : data;
  const variables = golden.params.map((param) => {
    const initial = forth(param, param.init);
    const variable = tf.variable(initial, true, param.name);
    initial.dispose();
    return variable;
  });
  const optimizer = golden.make({ implementation });
  const oracle = new Oracle(golden);
  const [norms, averages, momenta, slots] = [new Extremes(), new Extremes(), new Extremes(), new Extremes()];
  let compared = 0;
  // Its epsilon stands elsewhere, which takes weights and averages further from the file than the file's tolerance: they are held
  // against the library's formula.
  const isKeras = golden.name.startsWith('keras');
  for (const step of golden.steps) {
    oracle.step(step);
    optimizer.learningRate = step.lr;
    for (const call of step.calls) {
      const given = Object.fromEntries(
        golden.params.flatMap((param) => {
          const gradient = call.get(param.name);
          return gradient ? [[param.name, forth(param, gradient)]] : [];
        }),
      );
      optimizer.applyGradients(given);
      tf.dispose(given);
    }
    expect(optimizer.iterations).toBe(step.step);
    expect(optimizer.implementation).toBe(runs);
    const state = await readWeights(optimizer);
    const emas = golden.name.includes('ema') ? optimizer.emaWeights() : {};
    const expected = golden.expected.get(step.step);
    if (expected?.gradNorm) norms.add('norm', [optimizer.lastGradientNorm as number], [expected.gradNorm]);
    const reports = new Map((await optimizer.constraints()).map((report) => [report.name, report]));
    for (const [i, param] of golden.params.entries()) {
      const { name } = param;
      const weights = back(param, (variables[i] as tf.Variable).dataSync());
      const own = oracle.of(name);
      for (const [slot, values] of Object.entries(own.slots)) {
        // No update yet, no state.
        if (own.n > 0)
          slots.add(`${name}/${slot}`, back(param, state.get(`${name}/${slot}`) as Float32Array), values);
      }
      const wanted = expected?.params.get(name);
      if (wanted === undefined) continue;
      compared++;
      const size = norm2(wanted);
      const moved = distance2(wanted, param.init);
      const difference = distance2(weights, isKeras ? own.weights : wanted);
      expect(difference, name).toBeLessThanOrEqual((golden.tolerance.params_rel as number) * size);
      if (moved > 1e-3 * size) {
        expect(difference, name).toBeLessThanOrEqual((golden.tolerance.deviation_rel as number) * moved);
      }
      const average = expected?.ema.get(name);
      if (average !== undefined) {
        const saved = state.get(`${name}/ema`) as Float32Array;
        averages.add(name, back(param, saved), isKeras ? (oracle.averages.get(name) as number[]) : average);
        expect(Array.from((emas[name] as tf.Tensor).dataSync())).toEqual(Array.from(saved));
      }
      if (expected?.emaDecay !== null && expected?.emaDecay !== undefined) {
        momenta.add(name, [reports.get(name)?.emaMomentum as number], [expected.emaDecay]);
      }
    }
    tf.dispose(emas);
  }
  expect(compared).toBe(golden.steps.length * golden.params.length);
  expect(slots.check(2e-5)).toBeGreaterThanOrEqual(golden.params.length);
  expect(norms.check(golden.tolerance.grad_norm_rel ?? 0)).toBe(golden.tolerance.grad_norm_rel ? 1 : 0);
  const averaged = golden.tolerance.ema_rel ? golden.params.length : 0;
  expect(averages.check(golden.tolerance.ema_rel ?? 0)).toBe(averaged);
  expect(momenta.check(golden.tolerance.ema_decay_rel ?? 0)).toBe(
    golden.tolerance.ema_decay_rel ? averaged : 0,
  );
  optimizer.dispose();
  for (const variable of variables) variable.dispose();
}
