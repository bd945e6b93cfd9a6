/** Numbers by groups of variables, decay by layer, and decay of matrices alone. */
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  adamw,
  type FtpOptimizer,
  fixedRadius,
  ftp,
  l2sp,
  type NamedTensor,
  sgd,
  spd,
  type VariableGroup,
} from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { bytesOf, codeOf, everything, range } from '../citizen/support.js';
import { fromConfigOf, randomTensor, randomVariable, stepOnce } from '../optimizers/support.js';

const SHAPES: ReadonlyArray<[string, number[]]> = [
  ['body/kernel', [4, 3]],
  ['body/bias', [3]],
  ['head/kernel', [3, 2]],
  ['head/bias', [2]],
];

const variables = () => SHAPES.map(([name, shape], i) => randomVariable(name, shape, i));
const weightsOf = (list: readonly tf.Variable[]) => Object.fromEntries(list.map((v) => [v.name, bytesOf(v)]));

/** What a run of an optimizer leaves in each variable; each variable has its own gradients, whatever the others are. */
function run(make: () => FtpOptimizer, names: readonly string[] = SHAPES.map(([name]) => name), steps = 4) {
  const all = variables();
  const optimizer = make();
  for (const step of range(steps)) {
    const gradients = Object.fromEntries(
      all.flatMap(({ name, shape }, i) => {
        return names.includes(name) ? [[name, randomTensor(shape, 100 * step + i + 1)]] : [];
      }),
    );
    optimizer.applyGradients(gradients);
    tf.dispose(gradients);
  }
  const result = weightsOf(all.filter(({ name }) => names.includes(name)));
  optimizer.dispose();
  tf.dispose(all);
  return result;
}

const [kernels, biases] = [
  ['body/kernel', 'head/kernel'],
  ['body/bias', 'head/bias'],
];

interface Case {
  make(groups: VariableGroup[]): FtpOptimizer;
  /** Numbers of the biases' group, and the optimizer that they make. */
  own: Omit<VariableGroup, 'match'>;
  alone(): FtpOptimizer;
}

describeImplementations('groups', (implementation) => {
  const options = { implementation: implementation.implementation } as const;
  beforeAll(() => useBackend(implementation));
  afterEach(() => tf.disposeVariables());

  const cases: Record<string, Case> = {
    adamw: {
      make: (groups) => adamw(0.01, { weightDecay: 0.1, ...options, groups }),
      own: { beta1: 0.5, beta2: 0.9, epsilon: 1e-3, weightDecay: 0.3, learningRateScale: 2 },
      alone: () => adamw(0.02, { beta1: 0.5, beta2: 0.9, epsilon: 1e-3, weightDecay: 0.3, ...options }),
    },
    sgd: {
      make: (groups) => sgd(0.125, { momentum: 0.9, ...options, groups }),
      own: { momentum: 0.5, dampening: 0.25, weightDecay: 0.01, learningRateScale: 0.5 },
      alone: () => sgd(0.0625, { momentum: 0.5, dampening: 0.25, weightDecay: 0.01, ...options }),
    },
    ftp: {
      make: (groups) => ftp.adamw(0.01, { ...options, groups }),
      own: { k: 0.5, constraintLearningRate: 0.05, constraintBeta1: 0.5, constraintBeta2: 0.9 },
      alone: () => {
        const constraint = { constraintLearningRate: 0.05, constraintBeta1: 0.5, constraintBeta2: 0.9 };
        return ftp.adamw(0.01, { k: 0.5, ...constraint, ...options });
      },
    },
    spd: {
      make: (groups) => spd.sgd(0.125, { momentum: 0.9, ...options, groups }),
      own: { strength: 0.25 },
      alone: () => spd.sgd(0.125, { momentum: 0.9, strength: 0.25, ...options }),
    },
    l2sp: {
      make: (groups) => l2sp.adamw(0.01, { strength: 1, ...options, groups }),
      own: { strength: 4, learningRateScale: 4 },
      alone: () => l2sp.adamw(0.04, { strength: 4, ...options }),
    },
    fixedRadius: {
      make: (groups) => fixedRadius.sgd(0.125, { radius: 0.5, ...options, groups }),
      own: { radius: 0.0625 },
      alone: () => fixedRadius.sgd(0.125, { radius: 0.0625, ...options }),
    },
  };

  it.each(Object.entries(cases))('%s: each group moves as with an optimizer of its own', (_name, given) => {
    const grouped = run(() => given.make([{ match: { rank: 1 }, ...given.own }]));
    const base = run(() => given.make([]), kernels);
    const own = run(given.alone, biases);
    expect(grouped).toEqual({ ...base, ...own });
    expect(run(() => given.make([]))).not.toEqual(grouped);
  });

  it('around another optimizer: the numbers of the rule', () => {
    const make = (groups: VariableGroup[]) =>
      spd.wrap(tf.train.momentum(0.125, 0.9), { strength: 1, ...options, groups });
    const grouped = run(() => make([{ match: biases, strength: 0.25 }]));
    const own = run(() => spd.wrap(tf.train.momentum(0.125, 0.9), { strength: 0.25, ...options }), biases);
    expect(grouped).toEqual({ ...run(() => make([]), kernels), ...own });
  });

  it('exclude: as the option of that name', async () => {
    const byGroup = run(() => ftp.adamw(0.01, { ...options, groups: [{ match: 'head', exclude: true }] }));
    expect(byGroup).toEqual(run(() => ftp.adamw(0.01, { ...options, exclude: ['head'] })));
    expect(byGroup).not.toEqual(run(() => ftp.adamw(0.01, options)));
  });

  it('decayMatricesOnly: no decay of rank 0 and 1, unless a group says so', () => {
    const decayed = { weightDecay: 0.25, ...options };
    const plain = { weightDecay: 0, ...options };
    const matrices = run(() => adamw(0.01, { ...decayed, decayMatricesOnly: true }));
    const [all, none] = [run(() => adamw(0.01, decayed)), run(() => adamw(0.01, plain))];
    for (const name of kernels) expect(matrices[name]).toBe(all[name]);
    for (const name of biases) expect(matrices[name]).toBe(none[name]);
    expect(all['body/bias']).not.toBe(none['body/bias']);
    const groups = [{ match: 'head/bias', weightDecay: 0.25 }];
    const kept = run(() => adamw(0.01, { ...decayed, decayMatricesOnly: true, groups }));
    expect(kept).toEqual({ ...matrices, 'head/bias': all['head/bias'] });
  });

  it('layerDecay: the rate of each layer, times that of its group', () => {
    const layerDecay = { decay: 0.5, layers: ['body', /^head\/k/] };
    const groups = [{ match: 'body/bias', learningRateScale: 4 }];
    const decayed = run(() => adamw(0.01, { ...options, layerDecay, groups }));
    const rates = (rate: number, name: string) => run(() => adamw(rate, options), [name])[name];
    expect(decayed).toEqual({
      'body/kernel': rates(0.005, 'body/kernel'),
      'body/bias': rates(0.02, 'body/bias'),
      'head/kernel': rates(0.01, 'head/kernel'),
      'head/bias': rates(0.01, 'head/bias'), // of no layer
    });
  });

  it('a pattern that matches nothing: an error at the first step, and nothing has changed', async () => {
    const all = variables();
    const given: object[] = [
      { groups: [{ match: 'body' }, { match: ['head', 'haed'], weightDecay: 0 }] },
      { groups: [{ match: { rank: 4 } }] },
      { layerDecay: { decay: 0.5, layers: ['body', 'tail'] } },
    ];
    const named = [
      "groups[1].match has 'haed'",
      'groups[0].match has {rank: 4}',
      "layerDecay.layers[1] has 'tail'",
    ];
    for (const [i, own] of given.entries()) {
      const optimizer = ftp.adamw(0.01, { ...options, ...own });
      const before = await everything(optimizer, all);
      expect(codeOf(() => stepOnce(optimizer, all, 1))).toBe('UNMATCHED_PATTERN');
      expect(() => stepOnce(optimizer, all, 1)).toThrow(named[i]);
      expect(await everything(optimizer, all)).toEqual(before);
      optimizer.dispose();
    }
  });

  it('a predicate that returns nonsense, or throws: nothing has changed', async () => {
    const all = variables();
    let answer: () => unknown = () => 1;
    const match = (() => answer()) as unknown as () => boolean;
    const optimizer = ftp.adamw(0.01, { ...options, groups: [{ match, k: 0 }] });
    const before = await everything(optimizer, all);
    expect(() => stepOnce(optimizer, all, 1)).toThrow(
      "groups[0].match('body/kernel') must return a boolean, got 1",
    );
    answer = () => {
      throw new Error('no answer');
    };
    expect(() => stepOnce(optimizer, all, 1)).toThrow('no answer');
    expect(await everything(optimizer, all)).toEqual(before);
    answer = () => false;
    stepOnce(optimizer, all, 1);
    expect(optimizer.iterations).toBe(1);
    optimizer.dispose();
  });
});

describe('groups', () => {
  beforeAll(async () => {
    await tf.setBackend('cpu');
  });
  afterEach(() => tf.disposeVariables());

  it('the first that matches counts, by any kind of pattern', async () => {
    const all = variables();
    const groups: VariableGroup[] = [
      { match: (name, shape) => name === 'body/bias' && shape.join() === '3', strength: 1 },
      { match: [/^head/, 'nothing else', { rank: 1 }].slice(0, 1) as RegExp[], strength: 2 },
      { match: { layer: 'body' }, strength: 3 },
      { match: { rank: 1 }, strength: 4 },
    ];
    const optimizer = l2sp.sgd(0.1, { groups, implementation: 'reference' });
    stepOnce(optimizer, all, 1);
    const strengths = (await optimizer.constraints()).map(({ name, strength }) => [name, strength]);
    expect(Object.fromEntries(strengths)).toEqual({
      'body/kernel': 3,
      'body/bias': 1,
      'head/kernel': 2,
      'head/bias': 2,
    });
    optimizer.dispose();
  });

  it('are saved: patterns as they are, predicates as the names that they matched', async () => {
    const all = variables();
    const make = () =>
      spd.adamw(0.01, {
        weightDecay: 0.1,
        decayMatricesOnly: true,
        implementation: 'reference',
        layerDecay: { decay: 0.5, layers: [/body/g, { layer: 'head' }] },
        groups: [
          { match: (name) => name === 'head/bias', strength: 0.5, exclude: true },
          { match: ['body/k', { rank: 1 }], learningRateScale: 3, beta1: 0.5 },
        ],
      });
    const optimizer = make();
    stepOnce(optimizer, all, 1);
    const restored = fromConfigOf(optimizer);
    expect(restored.getConfig()).toEqual(optimizer.getConfig());
    const weights = await optimizer.getWeights();
    await restored.setWeights(weights);
    tf.dispose(weights.map(({ tensor }: NamedTensor) => tensor));
    const left = all.map((variable) => variable.clone());
    stepOnce(optimizer, all, 2);
    const expected = weightsOf(all);
    for (const [i, variable] of all.entries()) variable.assign(left[i] as tf.Tensor);
    stepOnce(restored, all, 2);
    expect(weightsOf(all)).toEqual(expected);
    tf.dispose(left);
    for (const one of [optimizer, restored]) one.dispose();
  });

  it('layerDecay by the layers of a model, which is not saved but its layers are', async () => {
    const inner = layers.sequential({ name: 'inner' });
    inner.add(layers.layers.dense({ units: 3, inputShape: [2], name: 'one' }));
    inner.add(layers.layers.activation({ activation: 'relu' }));
    inner.add(layers.layers.dense({ units: 3, name: 'two' }));
    const model = layers.sequential();
    model.add(inner);
    model.add(layers.layers.dense({ units: 2, name: 'out' }));
    const optimizer = sgd(1, { layerDecay: 0.5, model, implementation: 'reference' });
    const restored = fromConfigOf(optimizer);
    expect(restored.getConfig()).toEqual(optimizer.getConfig());
    for (const one of [optimizer, restored]) {
      const trained = model.trainableWeights.map((weight) => (weight as unknown as { val: tf.Variable }).val);
      const before = trained.map((variable) => variable.clone());
      const gradients = Object.fromEntries(trained.map(({ name, shape }) => [name, tf.ones(shape)]));
      one.applyGradients(gradients);
      const moved = trained.map((variable, i) =>
        tf.tidy(() => tf.mean(tf.sub(before[i] as tf.Tensor, variable)).dataSync()[0]),
      );
      for (const [i, rate] of [0.25, 0.25, 0.5, 0.5, 1, 1].entries()) expect(moved[i]).toBeCloseTo(rate, 6);
      tf.dispose([before, gradients]);
      one.dispose();
    }
    model.dispose();
  });

  const base = () => tf.train.sgd(1);
  it.each([
    [
      'no array',
      () => sgd(1, { groups: {} as [] }),
      TypeError,
      'groups must be an array of {match, ...}, got an object',
    ],
    ['null', () => sgd(1, { groups: null as unknown as [] }), TypeError, 'groups must be an array'],
    ['no group', () => sgd(1, { groups: [1 as never] }), TypeError, 'groups[0] must be an object, got 1'],
    ['no match', () => sgd(1, { groups: [{} as never] }), TypeError, 'groups[0].match must be'],
    ['an empty match', () => sgd(1, { groups: [{ match: '' }] }), RangeError, 'groups[0].match must be'],
    ['no patterns', () => sgd(1, { groups: [{ match: [] }] }), RangeError, 'got an empty array'],
    ['a rank', () => sgd(1, { groups: [{ match: { rank: -1 } }] }), RangeError, 'got {rank: -1}'],
    [
      'a rank of text',
      () => sgd(1, { groups: [{ match: { rank: '1' as never } }] }),
      TypeError,
      "got {rank: '1'}",
    ],
    [
      'another option',
      () => sgd(1, { groups: [{ match: 'a', wd: 0 } as never] }),
      TypeError,
      "has no option 'wd'; accepted: match, learningRateScale, momentum",
    ],
    [
      'a number of another method',
      () => sgd(1, { groups: [{ match: 'a', beta1: 0 }] }),
      TypeError,
      "has no option 'beta1'",
    ],
    [
      'exclude without anchor',
      () => sgd(1, { groups: [{ match: 'a', exclude: true }] }),
      TypeError,
      "has no option 'exclude'",
    ],
    [
      'a rate of another optimizer',
      () => ftp.wrap(base(), { groups: [{ match: 'a', learningRateScale: 2 }] }),
      TypeError,
      "has no option 'learningRateScale'",
    ],
    [
      'a number out of range',
      () => adamw(1, { groups: [{ match: 'a', beta1: 1 }] }),
      RangeError,
      'groups[0].beta1 must be a finite number >= 0 and < 1, got 1',
    ],
    [
      'a number of text',
      () => adamw(1, { groups: [{ match: 'a', beta1: '0' as never }] }),
      TypeError,
      "groups[0].beta1 must be a number, got '0'",
    ],
    [
      'a scale',
      () => adamw(1, { groups: [{ match: 'a', learningRateScale: -1 }] }),
      RangeError,
      'groups[0].learningRateScale must be',
    ],
    [
      'exclude',
      () => ftp.sgd(1, { groups: [{ match: 'a', exclude: 1 as never }] }),
      TypeError,
      'groups[0].exclude must be a boolean',
    ],
    [
      'momentum without its state',
      () => sgd(1, { groups: [{ match: 'a', momentum: 0.5 }] }),
      RangeError,
      'groups[0] must leave each variable the state',
    ],
    [
      'no momentum with its state',
      () => sgd(1, { momentum: 0.5, groups: [{ match: 'a', momentum: 0 }] }),
      RangeError,
      'got momentum 0',
    ],
    [
      'dampening with nesterov',
      () => sgd(1, { momentum: 0.5, nesterov: true, groups: [{ match: 'a', dampening: 0.1 }] }),
      RangeError,
      'nesterov needs',
    ],
    [
      'a radius beside a function',
      () => fixedRadius.sgd(1, { radius: () => 1, groups: [{ match: 'a', radius: 1 }] }),
      RangeError,
      'groups[0].radius must be left out',
    ],
    [
      'layerDecay without model',
      () => sgd(1, { layerDecay: 0.5 }),
      RangeError,
      'layerDecay must be {decay, layers} without the option model',
    ],
    [
      'layerDecay of 0',
      () => sgd(1, { layerDecay: 0, model: { layers: [] } }),
      RangeError,
      'layerDecay must be a finite number > 0 and <= 1, got 0',
    ],
    [
      'layerDecay of text',
      () => sgd(1, { layerDecay: '1' as never }),
      TypeError,
      'layerDecay must be a number',
    ],
    [
      'layerDecay without layers',
      () => sgd(1, { layerDecay: { decay: 0.5 } as never }),
      TypeError,
      'layerDecay.layers must be an array',
    ],
    [
      'layerDecay with more',
      () => sgd(1, { layerDecay: { decay: 0.5, layers: ['a'], rate: 1 } as never }),
      TypeError,
      "layerDecay has no option 'rate'",
    ],
    [
      'layerDecay around another optimizer',
      () => ftp.wrap(base(), { layerDecay: 0.5 } as never),
      TypeError,
      "no option 'layerDecay'",
    ],
    [
      'decayMatricesOnly',
      () => sgd(1, { decayMatricesOnly: 1 as never }),
      TypeError,
      'decayMatricesOnly must be a boolean, got 1',
    ],
    [
      'decayMatricesOnly around another optimizer',
      () => ftp.wrap(base(), { decayMatricesOnly: true } as never),
      TypeError,
      "no option 'decayMatricesOnly'",
    ],
  ] as Array<[string, () => unknown, typeof TypeError, string]>)(
    'refuse %s',
    (_what, make, kind, message) => {
      expect(make).toThrow(kind);
      expect(make).toThrow(message);
    },
  );

  it('a saved configuration that is none: STATE_MISMATCH', () => {
    const optimizer = sgd(1, { groups: [{ match: 'a', weightDecay: 1 }] });
    const config = optimizer.getConfig();
    const { groups } = config.perVariable as { groups: object[] };
    for (const perVariable of [
      1,
      {},
      { groups: [{}] },
      { ...(config.perVariable as object), groups: [{ ...groups[0], numbers: { weightDecay: -1 } }] },
    ]) {
      const broken = { ...config, perVariable } as tf.serialization.ConfigDict;
      expect(
        codeOf(() => fromConfigOf(optimizer, broken)),
        JSON.stringify(perVariable),
      ).toBe('STATE_MISMATCH');
    }
    optimizer.dispose();
  });
});
