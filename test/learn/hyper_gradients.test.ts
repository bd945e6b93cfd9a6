/** Hyper-gradients of every method against finite differences of its own step, in float64, and in tfjs operations. */
import { describe, expect, it } from 'vitest';
import { hyperGradientSums, readSums, wantOf } from '../../src/learn/hyper_gradients.js';
import {
  type BaseUpdate,
  compose,
  type HyperParameter,
  type Rule,
  type Slots,
  type StepValues,
  type VariableView,
} from '../../src/methods/method.js';
import { type Array64, array64, float64Ops, rows64 } from '../reference/float64_ops.js';
import { BASES, RULES } from './hyper_methods.js';

const SHAPE = [5, 3];
const SIZE = 15;
const ROWS = 3;

/** Numbers in (-1, 1) that look random, the same at every run. */
function noise(seed: number): number[] {
  return Array.from(
    { length: SIZE },
    (_, i) => (Math.sin(12.9898 * (i + 1) + 78.233 * seed) * 43758.5453) % 1,
  );
}

const NAMES: HyperParameter[] = ['learningRate', 'weightDecay', 'beta1', 'momentum', 'beta2', 'strength'];

interface Run {
  weights: Array64;
  slots: Slots;
  n: number;
}

/** What a variable is after `steps` steps, the last of them with `lastValues`, other numbers held at `held` where given. */
function run(
  base: BaseUpdate,
  rule: Rule,
  options: object,
  steps: number,
  lastValues: Partial<StepValues>,
  held?: Run,
) {
  const method = compose(base, rule).with(options);
  const values = method.values(0.3);
  const anchor = array64(noise(99), SHAPE);
  let weights = array64(
    noise(1).map((x, i) => x + 0.5 * (anchor.data[i] as number)),
    SHAPE,
  );
  let slots = Object.fromEntries(
    method.slots.map(({ name, shape }) => [
      name,
      name === 'anchor'
        ? anchor
        : shape === 'variable'
          ? array64(new Array(SIZE).fill(0), SHAPE)
          : array64(new Array(shape === 'rows' ? ROWS : shape).fill(0)),
    ]),
  ) as unknown as Slots;
  const part = noise(2);
  const steady = (i: number) => (rule.name === 'ftp' ? 2 * (part[i] as number) : 0);
  for (let step = 1; step <= steps; step++) {
    const last = step === steps;
    // The last gradients point outwards, or back, so that DiGraP and SPD act; with a steady part FTP's radius grows.
    const g = array64(
      noise(step + 1).map(
        (x, i) => x + steady(i) + signOf(rule) * ((weights.data[i] as number) - (anchor.data[i] as number)),
      ),
      SHAPE,
    );
    const view: VariableView = {
      w: weights as never,
      g: g as never,
      proposal: null,
      slots,
      rows: rows64(ROWS),
      t: step,
      n: step,
      fromWeights: step === 1,
      totals: null,
    };
    const stepMethod = held !== undefined && last ? compose(base, holding(rule, held)).with(options) : method;
    const result = stepMethod.step(float64Ops, last ? { ...values, ...lastValues } : values, view);
    weights = result.weights as unknown as Array64;
    slots = { ...slots, ...result.slots, gradient: g as never };
  }
  return { weights, slots, n: steps, method, values: { ...values, ...lastValues } as StepValues };
}

const signOf = ({ name }: Rule) => (name === 'digrap' ? -1.5 : name === 'spd' ? 1 : 0);

/** The rule with what it learns or takes from the step itself held: FTP's radius, SPD's ratios. */
function holding(rule: Rule, { slots }: Run): Rule {
  if (rule.name !== 'ftp' && rule.name !== 'spd') return rule;
  return {
    ...rule,
    step(ops, values, view, base) {
      const deviation = base(view.g, view.w).deviation(view.slots.anchor, null);
      if (rule.name === 'spd') {
        const { strength } = values as unknown as { strength: number };
        const acts = (slots.constraint as unknown as Array64).data[0] !== 0 ? strength : 0;
        const constraint = array64([acts, 0, 0, 0]) as never;
        const held = { ...view.slots, ...slots, constraint, deviation };
        return { weights: rule.left?.(ops, values, held, view.rows) as never, slots: {} };
      }
      const gamma = ops.unstack(slots.constraint)[0] as never;
      const norms = ops.add(view.rows.sum(ops.abs(deviation)), 1e-8);
      const factors = ops.minimum(1, ops.div(gamma, norms));
      return { weights: ops.add(view.slots.anchor, view.rows.scale(deviation, factors)), slots: {} };
    },
  };
}

describe.each(RULES)('%s', (_ruleName, rule, ruleOptions) => {
  it.each(BASES.flatMap(([name, base, options]) => [1, 2, 5].map((n) => [name, n, base, options] as const)))(
    'around %s, update %i: h is the finite difference of the step',
    (_name, steps, base, baseOptions) => {
      const options = { ...baseOptions, ...ruleOptions };
      const at = run(base, rule, options, steps, {});
      const g = noise(50);
      const view: VariableView = {
        w: at.weights as never,
        g: array64(g, SHAPE) as never,
        proposal: null,
        slots: at.slots,
        rows: rows64(ROWS),
        t: steps,
        n: steps,
        fromWeights: false,
        totals: null,
      };
      const sums = hyperGradientSums(
        float64Ops,
        at.method,
        at.values,
        view,
        wantOf(NAMES),
      ) as unknown as Array64[];
      const flat = Float64Array.from([0, ...sums.map(({ data }) => data[0] as number)]);
      const learns = NAMES.filter((name) => at.method.learns.includes(name));
      expect(learns.length).toBeGreaterThanOrEqual(2);
      const gg = g.reduce((sum, value) => sum + value * value, 0);
      let moved = 0;
      for (const name of learns) {
        const e = 1e-6;
        const value = at.values[name] as number;
        const ends = [value + e, value - e].map(
          (x) => run(base, rule, options, steps, { [name]: x }, at).weights.data,
        );
        const x = (ends[0] as number[]).map((up, i) => (up - ((ends[1] as number[])[i] as number)) / (2 * e));
        const h = x.reduce((sum, value, i) => sum + value * (g[i] as number), 0);
        const xx = x.reduce((sum, value) => sum + value * value, 0);
        const own = readSums(flat, 0, name);
        const scale = Math.sqrt(gg * xx);
        expect(Math.abs(own.h - h), name).toBeLessThanOrEqual(2e-7 * scale + 1e-9);
        expect(Math.abs(own.xx - xx), name).toBeLessThanOrEqual(4e-7 * xx + 1e-9);
        if (xx > 1e-12) moved++;
      }
      // Momentum and betas have no part in the first update, and FTP's first step puts the weights on their anchor.
      if (steps > 2 || rule.name !== 'ftp') expect(moved).toBeGreaterThanOrEqual(2);
    },
  );
});
