/** What each rule does, by numbers worked out by hand, by finite differences, and against the float64 oracle. */
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  adamw,
  digrap,
  type FtpOptimizer,
  fixedRadius,
  ftp,
  l2sp,
  type OptimizerOptions,
  sgd,
  spd,
} from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { readWeights } from '../backends/tfjs_replay.js';
import {
  fromConfigOf,
  numbers,
  randomTensor,
  randomVariable,
  reloaded,
  stepOnce,
  withWeights,
} from '../optimizers/support.js';
import { distance2, norm2 } from '../reference/measures.js';
import { type BaseSpec, RuleOracle, type RuleSpec } from '../reference/rules_float64.js';

afterEach(() => tf.disposeVariables());

/** What Adam makes of its first gradient in step 2: (0.1 / 0.19) / sqrt(0.001 / 0.001999). */
const ADAM_AT_2 = 0.1 / 0.19 / Math.sqrt(0.001 / 0.001999);

/** A variable [2] that starts at `weights`, anchored at zero, after one step with each gradient. */
async function walk(optimizer: FtpOptimizer, weights: number[], gradients: number[][]) {
  const variable = tf.variable(tf.tensor1d(weights), true, 'w');
  for (const gradient of gradients) {
    const w = tf.tensor1d(gradient);
    optimizer.applyGradients({ w });
    w.dispose();
  }
  const state = await readWeights(optimizer);
  return { weights: [...variable.dataSync()], constraint: [...(state.get('w/constraint') ?? [])] };
}
const zeroAnchor = () => ({ anchors: { w: tf.zeros([2]) } });

describeImplementations('by hand', ({ implementation, ...rest }) => {
  beforeAll(() => useBackend({ implementation, ...rest }));

  it('DiGraP acts where g D < 0, and there alone', async () => {
    // W = (2, 0), rate 0.5. Step 1: g = (-1, 1): g D = -2, k = -2 / 4, omega = 0: W = (2.5, -0.5).
    // Step 2, g = (-1, 0): D = (2.5, -0.5), h = 0.5 (-0.5) (g D_1 = -2) = 0.5 > 0: omega falls, clipped to 0.
    // With g = (1, 0) in step 2: h = 0.5 (-0.5) 2 = -0.5: omega rises by Adam's second step; g D = 2.5 > 0: g stays,
    // W = (2, -0.5).
    // Step 3 then, g = (-1, 1): D = (2, -0.5), g D = -2.5 < 0, k = -2.5 / 4.25: it acts.
    const make = () => digrap.sgd(0.5, { implementation, ...zeroAnchor() });
    const idle = await walk(
      make(),
      [2, 0],
      [
        [-1, 1],
        [1, 0],
      ],
    );
    expect(idle.constraint[0]).toBeCloseTo(0.01 * ADAM_AT_2, 6);
    expect(idle.constraint[3]).toBeCloseTo(-0.5, 6);
    expect(idle.weights).toEqual([2, -0.5]);
    tf.disposeVariables();
    const acting = await walk(
      make(),
      [2, 0],
      [
        [-1, 1],
        [1, 0],
        [-1, 1],
      ],
    );
    const omega = acting.constraint[0] as number;
    expect(omega).toBeGreaterThan(0.001);
    const k = -2.5 / 4.25;
    expect(acting.weights[0]).toBeCloseTo(2 - 0.5 * (-1 - omega * k * 2), 5);
    expect(acting.weights[1]).toBeCloseTo(-0.5 - 0.5 * (1 - omega * k * -0.5), 5);
    expect(acting.weights[0]).not.toBeCloseTo(2.5, 4);
  });

  it('SPD acts where g D > 0, and there alone', async () => {
    // Momentum leads outward: rate 1, momentum 0.9. Step 1, g = (-1, 0): D = (1, 0), g D < 0: W = (2, 0).
    // Step 2, g = (0.1, 0): buffer = -0.9 + 0.1 = -0.8: C = (2.8, 0), D = (2, 0), g D = 0.2 > 0: r = 0.8 / 2.8.
    const make = (strength: number) =>
      spd.sgd(1, { momentum: 0.9, strength, implementation, ...zeroAnchor() });
    const { weights, constraint } = await walk(
      make(1),
      [1, 0],
      [
        [-1, 0],
        [0.1, 0],
      ],
    );
    expect(weights[0]).toBeCloseTo(2, 6); // as long as D
    expect(constraint[0]).toBe(1);
    expect(constraint[1]).toBeCloseTo(0.2, 6);
    tf.disposeVariables();
    const half = await walk(
      make(0.5),
      [1, 0],
      [
        [-1, 0],
        [0.1, 0],
      ],
    );
    expect(half.weights[0]).toBeCloseTo(2.8 - 0.5 * 0.8, 6);
    tf.disposeVariables();
    const outward = await walk(
      make(1),
      [1, 0],
      [
        [-1, 0],
        [-0.1, 0],
      ],
    );
    expect(outward.weights[0]).toBeCloseTo(3, 6); // no decay: W - U
    expect(outward.constraint[0]).toBe(0);
  });

  it('a fixed radius cuts what is outside and leaves what is inside', async () => {
    const options = { implementation, ...zeroAnchor() };
    const inside = await walk(fixedRadius.sgd(1, { radius: 8, ...options }), [1, 1], [[-2, -3]]);
    expect(inside.weights).toEqual([3, 4]);
    tf.disposeVariables();
    const mars = await walk(
      fixedRadius.sgd(1, { radius: 3.5, ...options, ...zeroAnchor() }),
      [1, 1],
      [[-2, -3]],
    );
    expect(mars.weights).toEqual([1.5, 2]); // |3| + |4| = 7
    tf.disposeVariables();
    const whole = fixedRadius.sgd(1, { radius: 2.5, norm: 'frobenius', ...options, ...zeroAnchor() });
    expect((await walk(whole, [1, 1], [[-2, -3]])).weights).toEqual([1.5, 2]); // sqrt(9 + 16) = 5
  });

  it('L2-SP pulls directly, or through the momentum', async () => {
    const make = (coupled: boolean) =>
      l2sp.sgd(0.5, { momentum: 0.5, strength: 0.25, coupled, implementation, ...zeroAnchor() });
    const steps = [
      [1, 0],
      [0, 0],
    ];
    // decoupled: 4 - 0.5 0.25 4 - 0.5 1 = 3;  3 - 0.125 3 - 0.5 0.5 = 2.375
    expect((await walk(make(false), [4, 0], steps)).weights[0]).toBe(2.375);
    tf.disposeVariables();
    // coupled: g = 1 + 1, W = 3;  g = 0.75, buffer = 1 + 0.75, W = 3 - 0.875
    expect((await walk(make(true), [4, 0], steps)).weights[0]).toBe(2.125);
  });

  it('plain optimizers keep no anchor, and refuse options that would be without effect', async () => {
    const variable = randomVariable('w', [3, 2]);
    for (const optimizer of [adamw(0.1, { implementation }), sgd(0.1, { momentum: 0.9, implementation })]) {
      stepOnce(optimizer, [variable], 1);
      expect([...(await readWeights(optimizer)).keys()].filter((name) => /anchor|norms/.test(name))).toEqual(
        [],
      );
      expect(await optimizer.constraints()).toEqual([
        expect.objectContaining({ name: 'w', gamma: null, anchorNorm: null, rows: 2, excluded: false }),
      ]);
      optimizer.reanchor();
      stepOnce(optimizer, [variable], 2);
      optimizer.dispose();
    }
    expect(() => adamw(0.1, { exclude: ['w'] } as object)).toThrow("options has no option 'exclude'");
    expect(() => sgd(0.1, { anchors: {} } as object)).toThrow("options has no option 'anchors'");
  });
});

describeImplementations('the hyper-gradient', ({ implementation, ...rest }) => {
  beforeAll(() => useBackend({ implementation, ...rest }));

  /** h of the step after some, with the gradient of 1/2 sum scale W^2 there, and that loss's derivative by gamma. */
  async function compare(hyperGradient: 'paper' | 'exact') {
    const variable = randomVariable('w', [6, 4], 3);
    const anchor = Array.from(variable.dataSync());
    const scale = numbers(24, 9).map((x) => 1 + x);
    const optimizer = ftp.sgd(0.05, { hyperGradient, constraintLearningRate: 0.05, implementation });
    // Columns of very different gradients: some rows are cut, others are inside the ball.
    const sizes = [3, 1, 0.1, 0.01];
    for (let step = 0; step < 4; ++step) {
      const w = tf.tidy(() => tf.mul(randomTensor([6, 4], 40), sizes));
      optimizer.applyGradients({ w });
      w.dispose();
    }
    const state = await readWeights(optimizer);
    const c = state.get('w/deviation') as Float32Array;
    const norms = state.get('w/norms') as Float32Array;
    const [gamma] = state.get('w/constraint') as Float32Array;
    const cut = Array.from(norms, (norm) => (gamma as number) < norm);
    expect(new Set(cut).size).toBe(2);
    const loss = (radius: number) =>
      anchor.reduce((sum, a, i) => {
        const w = a + Math.min(1, radius / (norms[i % 4] as number)) * (c[i] as number);
        return sum + 0.5 * (scale[i] as number) * w * w;
      }, 0);
    const difference = 1e-6 * (gamma as number);
    const derivative =
      (loss((gamma as number) + difference) - loss((gamma as number) - difference)) / (2 * difference);
    const gradient = tf.tidy(() => tf.mul(variable, tf.tensor(scale, [6, 4])));
    optimizer.applyGradients({ w: gradient });
    gradient.dispose();
    const h = (await readWeights(optimizer)).get('w/constraint')?.[3] as number;
    optimizer.dispose();
    return { h, derivative };
  }

  it("is the derivative by finite differences if 'exact', and is not if 'paper'", async () => {
    const exact = await compare('exact');
    expect(Math.abs(exact.h - exact.derivative)).toBeLessThan(1e-4 * Math.abs(exact.derivative));
    tf.disposeVariables();
    const paper = await compare('paper');
    expect(Math.abs(paper.h - paper.derivative)).toBeGreaterThan(0.1 * Math.abs(paper.derivative));
  });

  it("is 0 if 'exact' in a step whose weights were assigned from outside", async () => {
    for (const hyperGradient of ['exact', 'paper'] as const) {
      const variable = randomVariable('w', [6, 4], 3);
      const optimizer = ftp.sgd(0.05, { hyperGradient, implementation });
      for (const step of [1, 2]) stepOnce(optimizer, [variable], step);
      tf.tidy(() => variable.assign(tf.add(variable, 0.5)));
      stepOnce(optimizer, [variable], 3);
      const h = (await readWeights(optimizer)).get('w/constraint')?.[3] as number;
      if (hyperGradient === 'exact') expect(h).toBe(0);
      else expect(Math.abs(h)).toBeGreaterThan(1e-3);
      optimizer.dispose();
      variable.dispose();
    }
  });

  it("moves gamma by shares of the anchor with constraintScale 'relative', and anew after reanchor", async () => {
    const moved = async (constraintScale: 'absolute' | 'relative', factor: number) => {
      const initial = tf.tidy(() => tf.mul(randomTensor([6, 4], 3), factor));
      const variable = tf.variable(initial, true, 'w');
      const options = { constraintScale, constraintLearningRate: 1e-3, implementation };
      const optimizer = ftp.sgd(0.5 * factor, options);
      const gammas: number[] = [];
      for (let round = 0; round < 2; ++round) {
        for (let step = 0; step < 2; ++step) {
          const w = randomTensor([6, 4], 5);
          optimizer.applyGradients({ w });
          w.dispose();
        }
        gammas.push((await optimizer.constraints())[0]?.gamma as number);
        tf.tidy(() => variable.assign(tf.mul(initial, 2)));
        optimizer.reanchor();
      }
      const anchorNorm = (initial.dataSync() as Float32Array).reduce((sum, x) => sum + Math.abs(x), 0) / 4;
      for (const one of [optimizer, variable, initial]) one.dispose();
      return { gammas, anchorNorm };
    };
    for (const factor of [1, 8]) {
      const absolute = await moved('absolute', factor);
      const { gammas, anchorNorm } = await moved('relative', factor);
      for (const gamma of absolute.gammas) expect(gamma).toBeCloseTo(1e-3 * ADAM_AT_2, 6);
      expect(gammas[0]).toBeCloseTo(1e-3 * ADAM_AT_2 * anchorNorm, 6);
      expect(gammas[1]).toBeCloseTo(2e-3 * ADAM_AT_2 * anchorNorm, 6);
    }
  });
});

const BASES: { [name: string]: BaseSpec } = {
  adamw: { kind: 'adamw', weightDecay: 0.02, amsgrad: true },
  sgd: { kind: 'sgd', momentum: 0.8, dampening: 0.1, weightDecay: 0.02 },
};
type Make = (base: BaseSpec, shared: OptimizerOptions) => FtpOptimizer;
const made =
  <O>(
    of: { adamw(rate: number, options: O): FtpOptimizer; sgd(rate: number, options: O): FtpOptimizer },
    own: object,
  ): Make =>
  ({ kind, ...base }, shared) =>
    (kind === 'sgd' ? of.sgd : of.adamw)(1, { ...base, ...own, ...shared } as O);

const RULES: { [name: string]: { rule: RuleSpec; make: Make } } = {
  'fixedRadius, mars': {
    rule: { kind: 'fixedRadius', radius: 0.3, norm: 'mars' },
    make: made(fixedRadius, { radius: 0.3 }),
  },
  'fixedRadius, frobenius': {
    rule: { kind: 'fixedRadius', radius: 0.2, norm: 'frobenius' },
    make: made(fixedRadius, { radius: 0.2, norm: 'frobenius' }),
  },
  l2sp: { rule: { kind: 'l2sp', strength: 0.7, coupled: false }, make: made(l2sp, { strength: 0.7 }) },
  'l2sp, coupled': {
    rule: { kind: 'l2sp', strength: 0.7, coupled: true },
    make: made(l2sp, { strength: 0.7, coupled: true }),
  },
  digrap: {
    rule: { kind: 'digrap', rate: 0.2, beta1: 0.8, beta2: 0.9 },
    make: made(digrap, { strengthLearningRate: 0.2, strengthBeta1: 0.8, strengthBeta2: 0.9 }),
  },
  spd: { rule: { kind: 'spd', strength: 1.2, rows: false }, make: made(spd, { strength: 1.2 }) },
  'spd, rows': {
    rule: { kind: 'spd', strength: 0.8, rows: true },
    make: made(spd, { strength: 0.8, rows: true }),
  },
};
const CASES = Object.entries(RULES).flatMap(([name, rule]) =>
  Object.entries(BASES).map(([base, spec]) => ({ name: `${name}, ${base}`, spec, ...rule })),
);
const SHAPES = [[7, 5], [3, 3, 2, 4], [17], [], [1, 1]];
const STEPS = 14;

describeImplementations('against the float64 oracle', ({ implementation, ...rest }) => {
  beforeAll(() => useBackend({ implementation, ...rest }));

  it.each(CASES)('$name: shapes, gaps, weights from outside, saving', async ({ spec, rule, make }) => {
    const tensors = tf.memory().numTensors;
    const variables = SHAPES.map((shape, i) => randomVariable(`v${i}`, shape, i));
    const oracles = variables.map((variable) => {
      const weights = variable.dataSync();
      const rows = variable.rank < 2 ? 1 : (variable.shape.at(-1) as number);
      return new RuleOracle(
        spec,
        rule,
        weights,
        weights,
        Array.from(weights, (_, i) => i % rows),
        rows,
      );
    });
    let optimizer = make(spec, { implementation });
    let acted = 0;
    for (let step = 0; step < STEPS; ++step) {
      optimizer.learningRate = 0.03 + 0.01 * (step % 3);
      const gradients: tf.NamedTensorMap = {};
      for (const [i, { name, shape }] of variables.entries()) {
        // Gradients that turn round, for both sides of every condition.
        const turned = step % 2 === 1 ? -0.3 : 1;
        const gradient = tf.tidy(() =>
          tf.mul(randomTensor(shape, 100 + (step % 4 === 3 ? 1 : 0) + 7 * i), turned),
        );
        if (step === 6 && i === 1) gradient.dispose();
        else gradients[name] = gradient;
        oracles[i]?.step(optimizer.learningRate, gradients[name]?.dataSync() ?? null);
      }
      optimizer.applyGradients(gradients);
      tf.dispose(gradients);
      if (step === 8) {
        for (const [i, variable] of variables.entries()) {
          const other = tf.tidy(() => tf.mul(variable, 1.01));
          variable.assign(other);
          (oracles[i] as RuleOracle).weights = Array.from(other.dataSync());
          other.dispose();
        }
      }
      if (step === 10) optimizer = await reloaded(optimizer);
      const state = await readWeights(optimizer);
      for (const [i, variable] of variables.entries()) {
        const { weights, shown } = oracles[i] as RuleOracle;
        const what = `${variable.name} after step ${step}`;
        expect(distance2(variable.dataSync(), weights), what).toBeLessThan(2e-6 * norm2(weights) + 1e-7);
        const constraint = state.get(`${variable.name}/constraint`) ?? [];
        for (const [at, value] of shown.constraint.entries()) {
          expect(Math.abs((constraint[at] as number) - value), `${what}: constraint ${at}`).toBeLessThan(
            2e-4 * Math.abs(value) + 2e-6,
          );
        }
        if (shown.constraint[0] !== 0 && rule.kind !== 'fixedRadius') acted++;
        if (rule.kind === 'fixedRadius' && shown.norms.some((norm) => norm > rule.radius)) acted++;
      }
    }
    if (rule.kind !== 'l2sp') expect(acted).toBeGreaterThan(5);
    expect((await optimizer.constraints()).map(({ name }) => name)).toEqual(
      variables.map(({ name }) => name),
    );
    optimizer.dispose();
    for (const variable of variables) variable.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
  });
});

describe('around another optimizer', () => {
  beforeAll(() => tf.setBackend('cpu'));

  const wraps = {
    fixedRadius: [
      () => fixedRadius.wrap(tf.train.sgd(0.1), { radius: 0.2 }),
      () => fixedRadius.sgd(0.1, { radius: 0.2 }),
      'cpu',
    ],
    l2sp: [
      () => l2sp.wrap(tf.train.sgd(0.1), { strength: 2 }),
      () => l2sp.sgd(0.1, { strength: 2 }),
      'reference',
    ],
    'l2sp, coupled': [
      () => l2sp.wrap(tf.train.momentum(0.1, 0.9), { strength: 2, coupled: true }),
      () => l2sp.sgd(0.1, { strength: 2, coupled: true, momentum: 0.9 }),
      'reference',
    ],
    digrap: [
      () => digrap.wrap(tf.train.momentum(0.1, 0.9), { strengthLearningRate: 0.2 }),
      () => digrap.sgd(0.1, { strengthLearningRate: 0.2, momentum: 0.9 }),
      'reference',
    ],
    spd: [() => spd.wrap(tf.train.momentum(0.1, 0.9)), () => spd.sgd(0.1, { momentum: 0.9 }), 'cpu'],
  } as const;

  it.each(Object.entries(wraps))(
    '%s: the same weights as with the base update of its own',
    (_, [wrap, own, runs]) => {
      const finish = (optimizer: FtpOptimizer) => {
        const variables = [randomVariable('a', [4, 3], 1), randomVariable('b', [5], 2)];
        for (let step = 0; step < 8; ++step) stepOnce(optimizer, variables, step % 3);
        const result = variables.flatMap((variable) => [...variable.dataSync()]);
        optimizer.dispose();
        for (const variable of variables) variable.dispose();
        return result;
      };
      const wrapped = wrap();
      expect(wrapped.implementation).toBe(runs);
      const here = finish(wrapped);
      const there = finish(own());
      for (const [i, value] of here.entries()) expect(value).toBeCloseTo(there[i] as number, 5);
    },
  );

  it('a rule that changes the gradient has no native step, and needs a learning rate', () => {
    const variable = randomVariable('w', [3]);
    const native = digrap.wrap(tf.train.sgd(0.1), { implementation: 'native' });
    expect(() => stepOnce(native, [variable], 1)).toThrow(
      "no native step of the rule 'digrap' around another",
    );
    const base = tf.train.sgd(0.1);
    Object.assign(base, { learningRate: undefined });
    expect(() => stepOnce(l2sp.wrap(base), [variable], 1)).toThrow('has no learningRate that is a number');
  });
});

describe('factors by place', () => {
  beforeAll(() => tf.setBackend('cpu'));
  const names = ['one/kernel', 'one/bias', 'two/kernel', 'three/kernel', 'head/kernel'];
  const shapes: { [name: string]: number[] } = { 'one/bias': [3] };
  const make = () => names.map((name, i) => randomVariable(name, shapes[name] ?? [4, 3], i));
  const strengths = async (optimizer: FtpOptimizer, variables: tf.Variable[]) => {
    stepOnce(optimizer, variables, 1);
    return (await optimizer.constraints()).map(({ strength }) => strength);
  };

  it('strengthByDepth: linear, cosine and a function, over the layers that are not excluded', async () => {
    const exclude = ['head'];
    const linear = await strengths(
      l2sp.sgd(0.1, { strength: 3, strengthByDepth: 'linear', exclude }),
      make(),
    );
    const near = [3, 0, 2, 1];
    for (const [i, value] of near.entries()) expect(linear[i]).toBeCloseTo(value, 12);
    expect(linear[4]).toBeUndefined();
    tf.disposeVariables();
    const cosine = await strengths(
      l2sp.sgd(0.1, { strength: 4, strengthByDepth: 'cosine', exclude }),
      make(),
    );
    for (const [i, value] of [4, 0, 3, 1].entries()) expect(cosine[i]).toBeCloseTo(value, 12);
    tf.disposeVariables();
    const asked: unknown[] = [];
    const strengthByDepth = (name: string, i: number, n: number) => {
      asked.push([name, i, n]);
      return 10 * i;
    };
    const own = await strengths(l2sp.sgd(0.1, { strength: 1, strengthByDepth, exclude }), make());
    expect(own).toEqual([0, 0, 10, 20, undefined]);
    expect(asked[2]).toEqual(['two/kernel', 1, 3]);
    expect(await strengths(l2sp.sgd(0.1, { strengthByDepth: () => 0 }), [])).toEqual([]);
    const wrong = l2sp.sgd(0.1, { strengthByDepth: () => -1 });
    expect(() => stepOnce(wrong, [tf.variable(tf.zeros([2]), true, 'x/y')], 1)).toThrow(
      "strengthByDepth('x/y', 0, 1) must be a finite number >= 0, got -1",
    );
  });

  it('strengthByDepth: layers are those of the model in its order, whichever comes first in a step', async () => {
    const build = () =>
      layers.sequential({
        layers: [
          layers.layers.dense({ inputShape: [2], units: 2, name: 'z_first' }),
          layers.layers.activation({ activation: 'relu' }), // without weights: no layer to count
          layers.layers.dense({ units: 2, name: 'm_second' }),
          layers.layers.dense({ units: 2, name: 'a_third' }),
          layers.layers.dense({ units: 2, name: 'head' }),
        ],
      });
    const exclude = ['head/'];
    const kernels = (of: layers.Sequential) =>
      of.trainableWeights
        .filter(({ name }) => name.endsWith('kernel'))
        .map((weight) => weight.read() as tf.Variable);
    const found = async (optimizer: FtpOptimizer) =>
      Object.fromEntries((await optimizer.constraints()).map(({ name, strength }) => [name, strength]));

    const model = build();
    const [first, second, third, head] = kernels(model) as [
      tf.Variable,
      tf.Variable,
      tf.Variable,
      tf.Variable,
    ];
    const optimizer = l2sp.sgd(0.1, { model, strength: 3, strengthByDepth: 'linear', exclude });
    // The last layers alone at first: they are not the first ones for that.
    stepOnce(optimizer, [head, third], 1);
    expect((await found(optimizer))['a_third/kernel']).toBeCloseTo(1, 12);
    stepOnce(optimizer, [third, second, first, head], 2);
    const strengths = await found(optimizer);
    const expected = { 'z_first/kernel': 3, 'm_second/kernel': 2, 'a_third/kernel': 1 };
    for (const [name, value] of Object.entries(expected))
      expect(strengths[name], name).toBeCloseTo(value, 12);
    expect(strengths['head/kernel']).toBeUndefined();
    // They are saved: what is loaded has them without the model, and in a step of another order.
    const loaded = fromConfigOf(optimizer);
    await withWeights(optimizer, (weights) => loaded.setWeights(weights));
    stepOnce(loaded, [first, third, second, head], 3);
    expect(await found(loaded)).toEqual(strengths);

    // Without the model they count in the order of their first step.
    const alone = l2sp.sgd(0.1, { strength: 3, strengthByDepth: 'linear', exclude });
    stepOnce(alone, [third, second, first, head], 1);
    expect((await found(alone))['a_third/kernel']).toBeCloseTo(3, 12);
    expect((await found(alone))['z_first/kernel']).toBeCloseTo(1, 12);
    for (const one of [optimizer, loaded, alone, model]) one.dispose();
  });

  it('radius: a function, null for free, divided by the strength', async () => {
    const variables = make();
    const options = {
      radius: (name: string) => (name === 'one/bias' ? null : 0.5),
      strengthByDepth: (name: string) => (name === 'two/kernel' ? 2 : 1),
    };
    const optimizer = fixedRadius.sgd(1, options);
    stepOnce(optimizer, variables, 1);
    const radii = (await optimizer.constraints()).map(({ radius }) => radius);
    expect(radii).toEqual([0.5, Infinity, 0.25, 0.5, 0.5]);
    // Saved with the optimizer, functions and Infinity too; variables that were not among them have no factor.
    const loaded = fromConfigOf(optimizer);
    const weights = await optimizer.getWeights();
    await loaded.setWeights(weights);
    stepOnce(loaded, variables, 2);
    expect((await loaded.constraints()).map(({ radius }) => radius)).toEqual(radii);
    expect(loaded.getConfig()).toEqual(optimizer.getConfig());
    const other = randomVariable('other/kernel', [2, 2]);
    expect(() => stepOnce(loaded, [other], 3)).toThrow("'other/kernel' was not among its variables");
    const wrong = fixedRadius.sgd(1, { radius: () => 0 });
    expect(() => stepOnce(wrong, [other], 1)).toThrow(
      "radius('other/kernel', [2,2]) must be a finite number > 0, got 0",
    );
  });
});
