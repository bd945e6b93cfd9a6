/** What holds for a fused step whatever the kind of its arrays. */
import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import {
  FtpError,
  type FusedArray,
  type FusedRuleOptions,
  type FusedStep,
  type FusedStepOptions,
  type FusedVariable,
} from '../../src/native/index.js';
import { type ArrayKind, createStep } from '../backends/array_kinds.js';
import { numbers } from './support.js';

const SPECS = [
  { name: 'a', shape: [3, 4], size: 12 },
  { name: 'b', shape: [5, 2], size: 10, outputAxis: 0 },
  { name: 'head', shape: [4], size: 4, excluded: true },
];

/** Three variables: a matrix, one with its rows first, one excluded. */
export function fusedVariables<A extends FusedArray>(kind: ArrayKind<A>): FusedVariable<A>[] {
  return SPECS.map(({ size, ...more }, i) => ({ ...more, weights: kind.make(numbers(size, i + 1)) }));
}

/** Every rule, with options under which it acts on {@link fusedVariables}. */
export const FUSED_RULES: { [name: string]: FusedRuleOptions } = {
  ftp: { rule: 'ftp', k: 0.5, constraintScale: 'relative', hyperGradient: 'exact' },
  none: { rule: 'none' },
  'fixedRadius, mars': { rule: 'fixedRadius', radius: 0.2 },
  'fixedRadius, frobenius': { rule: 'fixedRadius', radius: 0.1, norm: 'frobenius' },
  'fixedRadius by name': {
    rule: 'fixedRadius',
    radius: (name, shape) => (/b$/.test(name) ? null : 0.05 * shape.length),
    strengthByDepth: (_name, i, n) => (i + 1) / n,
  },
  spd: { rule: 'spd', strength: 1.5, strengthByDepth: 'linear' },
  'spd, rows': { rule: 'spd', rows: true },
  l2sp: { rule: 'l2sp', strength: 2, strengthByDepth: 'cosine' },
  'l2sp, coupled': { rule: 'l2sp', strength: 2, coupled: true },
  digrap: { rule: 'digrap', strengthLearningRate: 0.2 },
};

/** `fusedVariables`, without what a rule without an anchor refuses. */
export function variablesFor<A extends FusedArray>(
  { rule }: FusedRuleOptions,
  kind: ArrayKind<A>,
): FusedVariable<A>[] {
  const all = fusedVariables(kind);
  return rule === 'none' ? all.map(({ name, weights, shape }) => ({ name, weights, shape })) : all;
}

export const gradientValues = (seed: number): Float32Array[] =>
  SPECS.map(({ size }, i) => numbers(size, seed + 100 * i));

export function fusedStepCases<A extends FusedArray>(kind: ArrayKind<A>): void {
  const variables = () => fusedVariables(kind);
  const gradientsOf = (seed: number) => gradientValues(seed).map((values) => kind.make(values));
  const read = (list: FusedVariable<A>[]) => list.map(({ weights }) => kind.read(weights));
  const everything = (list: FusedVariable<A>[], fused: FusedStep<A>) => ({
    weights: read(list),
    states: list.map((_variable, i) => fused.state(i)),
    constraints: fused.constraints(),
    iterations: fused.iterations,
  });

  it('gives the same bits every time', () => {
    const run = () => {
      const given = variables();
      const fused = createStep({ base: 'adamw', learningRate: 0.01, amsgrad: true, variables: given });
      for (let step = 0; step < 4; ++step) fused.step(gradientsOf(step));
      return everything(given, fused);
    };
    const first = run();
    expect(run()).toEqual(first);
    expect(first.weights[0]).not.toEqual(numbers(12, 1));
    expect(first.iterations).toBe(4);
  });

  it('leaves a variable without a gradient alone, with its state', () => {
    const given = variables();
    const fused = createStep({ base: 'sgd', learningRate: 0.01, momentum: 0.9, variables: given });
    fused.step(gradientsOf(0));
    const before = everything(given, fused);
    const gradients: Array<A | null> = gradientsOf(1);
    gradients[1] = null;
    fused.step(gradients);
    const after = everything(given, fused);
    expect(after.weights[1]).toEqual(before.weights[1]);
    expect(after.states[1]).toEqual({ ...before.states[1], t: 2, iterations: 2 });
    expect(after.states[0]?.slots.momentum).not.toEqual(before.states[0]?.slots.momentum);
    expect(after.states[0]).toMatchObject({ t: 2, n: 2 });
  });

  it('goes on from a saved state as if there had been no stop', () => {
    const options = { base: 'adamw', learningRate: 0.01 } as const;
    const first = variables();
    const one = createStep({ ...options, variables: first });
    for (let step = 0; step < 3; ++step) one.step(gradientsOf(step));
    const second = variables();
    for (const [i, { weights }] of second.entries()) kind.write(weights, read(first)[i] as Float32Array);
    const two = createStep({ ...options, variables: second });
    for (const i of second.keys()) two.setState(i, one.state(i));
    expect(two.iterations).toBe(3);
    expect(everything(second, two)).toEqual(everything(first, one));
    for (let step = 3; step < 6; ++step) {
      one.step(gradientsOf(step));
      two.step(gradientsOf(step));
    }
    expect(everything(second, two)).toEqual(everything(first, one));
  });

  it.each(Object.entries(FUSED_RULES))('%s: starts, goes on from a state and starts anew', (_, rule) => {
    for (const base of ['adamw', 'sgd'] as const) {
      const start = () => {
        const given = variablesFor(rule, kind);
        const options = { ...rule, base, learningRate: 0.05, variables: given };
        return { given, fused: createStep(options as FusedStepOptions<A>) };
      };
      const [one, two] = [start(), start()];
      for (let step = 0; step < 3; ++step) one.fused.step(gradientsOf(step));
      for (const [i, { weights }] of two.given.entries()) {
        kind.write(weights, read(one.given)[i] as Float32Array);
        two.fused.setState(i, one.fused.state(i));
      }
      for (let step = 3; step < 5; ++step) {
        for (const { fused } of [one, two]) fused.step(gradientsOf(step));
        expect(everything(two.given, two.fused)).toEqual(everything(one.given, one.fused));
      }
      const weights = read(one.given);
      one.fused.reanchor();
      const { slots, t } = one.fused.state(0);
      expect(slots.anchor).toEqual(rule.rule === 'none' ? undefined : weights[0]);
      for (const slot of ['deviation', 'constraint', 'norms']) {
        const start = rule.rule === 'ftp' && slot !== 'deviation' ? Math.fround(1e-8) : 0;
        if (slots[slot] !== undefined) expect(slots[slot][0], slot).toBe(start);
      }
      expect(t).toBe(0);
      for (const { fused } of [one, two]) fused.dispose();
    }
  });

  it('restores the steps of the whole with any state, and leaves the counts of other variables', () => {
    const given = variables();
    const fused = createStep({ base: 'sgd', learningRate: 0.01, variables: given });
    for (let step = 0; step < 3; ++step) fused.step(gradientsOf(step));
    const state = fused.state(0);
    fused.setState(0, { ...state, t: 7, n: 5, iterations: 10 });
    expect(fused.iterations).toBe(10);
    const counts = () => [0, 1].map((i) => fused.state(i)).map(({ t, n, iterations }) => [t, n, iterations]);
    expect(counts()).toEqual([
      [7, 5, 10],
      [3, 3, 10],
    ]);
    fused.step(gradientsOf(3));
    expect(counts()).toEqual([
      [8, 6, 11],
      [4, 4, 11],
    ]);
    const { iterations: _, ...without } = state;
    fused.setState(0, without);
    expect(fused.iterations).toBe(11);
    expect(() => fused.setState(0, { ...state, iterations: -1 })).toThrow(
      "iterations of 'a' must be a whole number from 0 to 2147483647, got -1",
    );
    expect(fused.iterations).toBe(11);
  });

  it('refuses weights and anchors that are not finite, and frees what it made', () => {
    const values = numbers(12, 1);
    const one = { name: 'w', shape: [3, 4] };
    const make = (more: { weights: A; anchor?: A; excluded?: boolean }, nonFinite?: 'ignore' | 'skip') => {
      const variables = [{ ...one, ...more }];
      return () => createStep({ base: 'sgd', learningRate: 0.1, variables, nonFinite });
    };
    for (const [i, value] of [Number.NaN, Infinity, -Infinity].entries()) {
      const bad = values.slice();
      bad[[0, 5, 11][i] as number] = value;
      const refused = (message: string) => expect.objectContaining({ code: 'NON_FINITE_WEIGHTS', message });
      const why = "NaN or an infinity; nothing was changed. nonFinite: 'ignore' skips this check";
      for (const nonFinite of [undefined, 'skip'] as const) {
        expect(make({ weights: kind.make(bad) }, nonFinite)).toThrow(refused(`weights of 'w' hold ${why}`));
        const anchored = { weights: kind.make(values), anchor: kind.make(bad) };
        expect(make(anchored, nonFinite)).toThrow(refused(`anchor of 'w' holds ${why}`));
        make({ ...anchored, excluded: true }, nonFinite)(); // its anchor is not used
      }
      const report = make({ weights: kind.make(bad) }, 'ignore')().constraints()[0];
      expect(Number.isFinite(report?.anchorNorm)).toBe(false);
    }
  });

  it('refuses gradients that share memory with weights', () => {
    const given = variables();
    const fused = createStep({ base: 'sgd', learningRate: 0.01, variables: given });
    const before = everything(given, fused);
    for (const i of [0, 1, 2]) {
      const gradients = gradientsOf(0);
      gradients[i] = given[i]?.weights as A;
      const name = given[i]?.name;
      expect(() => fused.step(gradients)).toThrow(RangeError);
      expect(() => fused.step(gradients)).toThrow(
        `gradient of '${name}' must not share memory with the weights of '${name}'`,
      );
    }
    expect(everything(given, fused)).toEqual(before);
    const moved = kind.make(numbers(12, 3));
    const old = given[0]?.weights as A;
    fused.rebind(0, moved);
    expect(() => fused.step([moved, null, null])).toThrow("the weights of 'a'");
    fused.step([old, null, null]); // free to be a gradient now
    expect(fused.iterations).toBe(1);
  });

  it('takes null for no gradient, and refuses undefined', () => {
    const given = variables();
    const fused = createStep({ base: 'sgd', learningRate: 0.01, variables: given });
    const loose = fused.step.bind(fused) as (gradients: unknown) => void;
    expect(() => loose([undefined, null, null])).toThrow(TypeError);
    expect(() => loose([null, undefined, null])).toThrow(
      "gradient of 'b' must be an array, or null for none, got undefined",
    );
    expect(() => loose(new Array(3))).toThrow(TypeError);
    expect(fused.iterations).toBe(0);
    fused.step([null, null, null]);
    expect(fused.iterations).toBe(1);
  });

  it('reports norms that fit together, of the anchors that there are', () => {
    const given = variables();
    const fused = createStep({ base: 'adamw', learningRate: 0.1, variables: given });
    const anchors = read(given);
    const meanNorm = (values: Float32Array, rows: number) =>
      values.reduce((sum, value) => sum + Math.abs(value), 0) / rows;
    const [before] = fused.constraints();
    expect(before).toMatchObject({ gamma: 0, relative: 0, norm: 0, maxNorm: 0, meanRatio: 1 });
    for (let step = 0; step < 6; ++step) fused.step(gradientsOf(step));
    for (const [i, report] of fused.constraints().entries()) {
      const { gamma, relative, norm, maxNorm, anchorNorm, rows, excluded } = report;
      if (excluded) {
        expect([gamma, relative, norm, maxNorm, anchorNorm]).toEqual([null, null, null, null, null]);
        continue;
      }
      expect(anchorNorm).toBeCloseTo(meanNorm(anchors[i] as Float32Array, rows), 12);
      expect(relative).toBe((gamma as number) / (anchorNorm as number));
      expect(norm).toBe(Math.min(gamma as number, maxNorm as number));
      // What the weights say: the row that is furthest from its anchor.
      const [a, w] = [anchors[i] as Float32Array, kind.read(given[i]?.weights as A)];
      const along = i === 1 ? (at: number) => Math.floor(at / 2) : (at: number) => at % 4;
      const rowNorms = new Float64Array(rows);
      for (const [at, value] of w.entries()) {
        rowNorms[along(at)] = (rowNorms[along(at)] as number) + Math.abs(value - (a[at] as number));
      }
      expect(norm).toBeCloseTo(Math.max(...rowNorms), 5);
    }
    fused.reanchor();
    const now = fused.constraints()[0];
    expect(now?.anchorNorm).toBeCloseTo(meanNorm(kind.read(given[0]?.weights as A), 4), 12);
    expect(now?.anchorNorm).not.toBe(before?.anchorNorm);
    const state = fused.state(0);
    fused.setState(0, { ...state, slots: { ...state.slots, anchor: new Float32Array(12) } });
    expect(fused.constraints()[0]).toMatchObject({ anchorNorm: 0, relative: null });
  });

  it('is shown in a few lines', () => {
    const given = variables();
    const fused = createStep({ base: 'adamw', learningRate: 0.01, k: 0.5, beta1: 0.8, variables: given });
    fused.step(gradientsOf(0));
    expect(inspect(fused).replace(/\s+/g, ' ')).toBe(
      "FusedStep { base: 'adamw', rule: 'ftp', learningRate: 0.01, beta1: 0.8, k: 0.5, iterations: 1, variables: 3 }",
    );
    expect(inspect({ a: { b: { fused } } })).toContain('[FusedStep]');
    fused.dispose();
    expect(inspect(fused)).toContain("variables: 'disposed'");
  });

  it('refuses a state that does not fit, and changes nothing', () => {
    const given = variables();
    const fused = createStep({ base: 'adamw', learningRate: 0.01, variables: given });
    fused.step(gradientsOf(0));
    const before = everything(given, fused);
    const state = fused.state(0);
    const set = (more: object) => () => fused.setState(0, { ...state, ...more });
    expect(set({ t: -1 })).toThrow("t of 'a' must be a whole number from 0 to 2147483647, got -1");
    expect(set({ n: 0.5 })).toThrow(RangeError);
    expect(set({ slots: { ...state.slots, v: new Float32Array(11) } })).toThrow(
      "slot v of 'a' must have 12 elements, got 11",
    );
    expect(set({ slots: { ...state.slots, v: undefined } })).toThrow("slot v of 'a' must be a Float32Array");
    expect(set({ slots: { ...state.slots, vmax: state.slots.v } })).toThrow("no option 'vmax'");
    expect(everything(given, fused)).toEqual(before);
    const other = { ...state, slots: { ...state.slots, m: numbers(12, 77) } };
    fused.setState(0, other);
    expect(fused.state(0)).toEqual(other);
  });

  it('gives copies of its state', () => {
    const fused = createStep({ base: 'sgd', learningRate: 0.01, variables: variables() });
    fused.step(gradientsOf(0));
    const state = fused.state(0);
    state.slots.anchor?.fill(7);
    expect(fused.state(0).slots.anchor).toEqual(numbers(12, 1));
  });

  it('takes weights that were changed from outside, and new anchors', () => {
    const [a] = variables() as [FusedVariable<A>];
    const anchor = kind.read(a.weights);
    const fused = createStep({ base: 'sgd', learningRate: 0.01, variables: [a] });
    fused.step([kind.make(numbers(12, 1))]);
    fused.step([kind.make(numbers(12, 2))]);
    kind.write(a.weights, numbers(12, 9));
    fused.weightsChanged(0);
    const changed = kind.read(a.weights);
    fused.step([kind.make(new Float32Array(12))]);
    const [report] = fused.constraints();
    let largest = 0;
    for (let r = 0; r < 4; ++r) {
      let norm = 1e-8;
      for (let j = 0; j < 3; ++j)
        norm += Math.abs((changed[4 * j + r] as number) - (anchor[4 * j + r] as number));
      largest = Math.max(largest, norm);
    }
    expect(report?.maxNorm).toBeCloseTo(largest, 6);
    fused.reanchor();
    const state = fused.state(0);
    expect(state).toMatchObject({ t: 0, n: 3 });
    expect(state.slots.anchor).toEqual(kind.read(a.weights));
    expect(state.slots.deviation).toEqual(new Float32Array(12));
    expect(state.slots.norms).toEqual(new Float32Array(4).fill(1e-8));
    expect(state.slots.constraint).toEqual(new Float32Array([1e-8, 0, 0, 0]));
    expect(fused.constraints()[0]).toMatchObject({ gamma: Math.fround(1e-8), meanRatio: 1 });
  });

  it('holds the weights at an anchor of its own, copied when the step is made', () => {
    const [a] = variables() as [FusedVariable<A>];
    const anchor = kind.make(numbers(12, 50));
    const fused = createStep({ base: 'sgd', learningRate: 0.01, variables: [{ ...a, anchor }] });
    kind.write(anchor, new Float32Array(12));
    fused.step([kind.make(numbers(12, 1))]);
    const after = kind.read(a.weights);
    for (const [i, value] of numbers(12, 50).entries()) expect(after[i]).toBeCloseTo(value, 6);
  });

  it('leaves out or refuses gradients that are not finite, and changes nothing', () => {
    const given = variables();
    const throwing = createStep({ base: 'adamw', learningRate: 0.01, variables: given });
    throwing.step(gradientsOf(0));
    const before = everything(given, throwing);
    const values = gradientValues(1);
    (values[2] as Float32Array)[3] = Infinity;
    const bad = values.map((array) => kind.make(array));
    expect(() => throwing.step(bad)).toThrow(FtpError);
    expect(() => throwing.step(bad)).toThrow("gradient of 'head' holds NaN or an infinity in step 1");
    expect(everything(given, throwing)).toEqual(before);
    const options = { base: 'adamw', learningRate: 0.01, variables: variables() } as const;
    const skipping = createStep({ ...options, nonFinite: 'skip' });
    skipping.step(bad);
    expect([skipping.skippedSteps, skipping.iterations]).toEqual([1, 0]);
    const ignoring = createStep({ ...options, nonFinite: 'ignore' });
    ignoring.step(bad);
    expect(kind.read(options.variables[2]?.weights as A)[3]).toBeNaN();
    expect(ignoring.iterations).toBe(1);
  });

  it('follows weights to another array', () => {
    const given = variables();
    const fused = createStep({ base: 'sgd', learningRate: 0.01, variables: given });
    fused.step(gradientsOf(0));
    const [{ weights }] = given as [FusedVariable<A>];
    const old = kind.read(weights);
    const moved = kind.make(old);
    fused.rebind(0, moved);
    fused.step(gradientsOf(1));
    expect(kind.read(weights)).toEqual(old);
    expect(kind.read(moved)).not.toEqual(old);
    expect(() => fused.rebind(0, kind.make(new Float32Array(5)))).toThrow(
      "weights of 'a' must have 12 elements, got 5",
    );
  });

  it('does not depend on where a variable is in the list', () => {
    const alone = variables();
    const together = variables();
    const all = createStep({ base: 'adamw', learningRate: 0.01, variables: together });
    const single = alone.map((variable) =>
      createStep({ base: 'adamw', learningRate: 0.01, variables: [variable] }),
    );
    for (let step = 0; step < 4; ++step) {
      all.step(gradientsOf(step));
      for (const [i, fused] of single.entries()) fused.step([gradientsOf(step)[i] as A]);
    }
    expect(read(together)).toEqual(read(alone));
  });

  it('refuses arrays of other sizes, and shared weights', () => {
    const one = { name: 'w', weights: kind.make(new Float32Array(6)), shape: [2, 3] };
    const make = (...list: FusedVariable<A>[]) => {
      return () => createStep({ base: 'sgd', learningRate: 0.1, variables: list });
    };
    expect(make({ ...one, shape: [7] })).toThrow(RangeError);
    expect(make({ ...one, shape: [7] })).toThrow("weights of 'w' [7] must have 7 elements, got 6");
    expect(make({ ...one, anchor: kind.make(new Float32Array(5)) })).toThrow(
      "anchor of 'w' [2,3] must have 6 elements, got 5",
    );
    expect(make({ ...one, shape: [-1] })).toThrow("shape[0] of 'w' must be a whole number from 0 to");
    expect(make(one, { ...one, name: 'v' })).toThrow("weights of 'w' and 'v' must not share memory");
    const fused = make(one)();
    expect(() => fused.step([kind.make(new Float32Array(5))])).toThrow(
      "gradient of 'w' must have 6 elements, got 5",
    );
    expect(() => fused.step([])).toThrow('gradients must have 1 entries, got 0');
    expect(fused.iterations).toBe(0);
  });

  it('gives its memory back on dispose, and refuses to go on', () => {
    const given = variables();
    const fused = createStep({ base: 'sgd', learningRate: 0.01, variables: given });
    fused.step(gradientsOf(0));
    const after = read(given);
    fused.dispose();
    fused.dispose();
    const disposed = expect.objectContaining({ code: 'OPTIMIZER_DISPOSED' });
    expect(() => fused.step(gradientsOf(1))).toThrow(disposed);
    expect(() => fused.constraints()).toThrow(disposed);
    expect(() => fused.state(0)).toThrow(disposed);
    expect(read(given)).toEqual(after);
  });
}
