/**
 * The fused step on large and awkward shapes, called on the addon directly: against the float64 oracle, and bit for bit
 * against the float32 oracle where no sum is involved.
 */
import { describe, expect, it } from 'vitest';
import { sameBits } from '../backends/golden_replay.js';
import { describeOrSkip, whyNoAddon } from '../backends/skip.js';
import { randomArray } from '../optimizers/scenario.js';
import {
  type Layout,
  ORACLE_DEFAULTS,
  type OracleOptions,
  OracleVariable,
} from '../reference/ftp_float64.js';
import { distance2, norm2 } from '../reference/measures.js';
import { elementsOf, KernelModel } from './kernel_model.js';

const UNIT = 2 ** -24;
const STEPS = 3;

/** [outer, rows, inner], and which limit of native/kernels/partition.h it stands at. */
const SHAPES: readonly (readonly [string, Layout])[] = [
  ['one element', { outer: 1, rows: 1, inner: 1 }],
  ['one row shorter than a group of lanes', { outer: 1, rows: 1, inner: 15 }],
  ['one huge row', { outer: 1, rows: 1, inner: 300_007 }],
  ['one row of 32767', { outer: 1, rows: 1, inner: 32_767 }],
  ['one row of 32768', { outer: 1, rows: 1, inner: 32_768 }],
  ['one row of 32769', { outer: 1, rows: 1, inner: 32_769 }],
  ['one row of 65535', { outer: 1, rows: 1, inner: 65_535 }],
  ['one row of 65536', { outer: 1, rows: 1, inner: 65_536 }],
  ['one row of 65537', { outer: 1, rows: 1, inner: 65_537 }],
  ['one row from outer and inner', { outer: 257, rows: 1, inner: 129 }],
  ['long rows in pieces', { outer: 1, rows: 3, inner: 65_537 }],
  ['many tiny rows', { outer: 1, rows: 70_001, inner: 1 }],
  ['many rows of 2', { outer: 1, rows: 40_009, inner: 2 }],
  ['rows one shorter than the shortest run', { outer: 1, rows: 4_099, inner: 15 }],
  ['rows of the shortest run', { outer: 1, rows: 4_099, inner: 16 }],
  ['rows one longer than the shortest run', { outer: 1, rows: 4_099, inner: 17 }],
  ['more than 4096 rows of odd length', { outer: 1, rows: 4_097, inner: 33 }],
  ['columns of odd width', { outer: 1_031, rows: 67, inner: 1 }],
  ['columns, wider than a block', { outer: 5, rows: 8_209, inner: 1 }],
  ['columns at a tile', { outer: 65, rows: 1_024, inner: 1 }],
  ['columns past a tile', { outer: 64, rows: 1_025, inner: 1 }],
  ['columns, two of them', { outer: 65_537, rows: 2, inner: 1 }],
  ['columns, stripes of lines', { outer: 131_100, rows: 3, inner: 1 }],
  ['outer and inner', { outer: 31, rows: 37, inner: 41 }],
  ['outer and inner, wide', { outer: 3, rows: 257, inner: 127 }],
  ['outer and inner, rows wider than a block', { outer: 2, rows: 3, inner: 9_001 }],
];

const BASES: readonly (readonly [string, OracleOptions])[] = [
  ['AdamW', { ...ORACLE_DEFAULTS, base: 'adamw' }],
  [
    'AdamW, decay and AMSGrad',
    { ...ORACLE_DEFAULTS, base: 'adamw', weightDecay: 0.1, amsgrad: true, k: 0.5 },
  ],
  ['SGD', { ...ORACLE_DEFAULTS, base: 'sgd' }],
  [
    'SGD, decay and Nesterov',
    { ...ORACLE_DEFAULTS, base: 'sgd', weightDecay: 0.1, momentum: 0.9, nesterov: true },
  ],
];

const gradients = new Map<string, Float32Array>();

function gradientOf(size: number, step: number): Float32Array {
  const key = `${size} ${step}`;
  const known = gradients.get(key);
  if (known) return known;
  const direction = randomArray(size, 1, 7);
  const noise = randomArray(size, 0.5, 11 + step);
  const gradient = direction.map((d, i) => (step === 2 ? -d : d) + (noise[i] as number));
  gradients.set(key, gradient);
  return gradient;
}

const weightsOf = (layout: Layout) => randomArray(elementsOf(layout), 0.5, 3);

interface Pair {
  single: OracleVariable;
  exact: OracleVariable;
}

function oracles(
  options: OracleOptions,
  layout: Layout,
  weights: Float32Array,
  anchor: Float32Array,
  excluded: boolean,
): Pair {
  const make = (precision: 'float32' | 'float64') =>
    new OracleVariable(options, { layout, weights, anchor, excluded, precision, form: 'state' });
  return { single: make('float32'), exact: make('float64') };
}

/**
 * Compares after a step, then lets the float64 oracle continue from the addon's state, so that the limits stay those of
 * a single step: twice the error of plain float32 plus 4 units of roundoff.
 */
function compare(model: KernelModel, { single, exact }: Pair, excluded: boolean, step: number): void {
  const where = `step ${step + 1}`;
  const { weights } = model.variables[0] as (typeof model.variables)[number];
  const check = (what: string, x: Float32Array, r32: Float64Array, r64: Float64Array, size: number) => {
    const limit = 2 * distance2(r32, r64) + 4 * UNIT * (norm2(r64) + size);
    expect(distance2(x, r64), `${what}, ${where}`).toBeLessThanOrEqual(limit);
  };
  const { base, amsgrad, momentum } = single.options;
  const slots =
    base === 'adamw'
      ? (['m', 'v', ...(amsgrad ? ['vmax' as const] : [])] as const)
      : momentum
        ? (['momentum'] as const)
        : [];
  for (const slot of slots) {
    expect(sameBits(model.slot(0, slot), new Float32Array(single[slot])), `${slot}, ${where}`).toBe(true);
  }
  if (excluded) {
    expect(sameBits(weights, new Float32Array(single.weights)), `weights, ${where}`).toBe(true);
    return;
  }
  const norms = model.slot(0, 'norms');
  const constraint = model.slot(0, 'constraint');
  expect(
    sameBits(model.slot(0, 'deviation'), new Float32Array(single.deviation)),
    `deviation, ${where}`,
  ).toBe(true);
  check('norms', norms, single.norms, exact.norms, 0);
  const gamma = constraint[0] as number;
  expect(Math.abs(gamma - exact.gamma), `gamma, ${where}`).toBeLessThanOrEqual(
    2 * Math.abs(single.gamma - exact.gamma) + 1e-6 * exact.gamma,
  );
  expect(Math.abs((constraint[3] as number) - exact.hyperGradient), `h, ${where}`).toBeLessThanOrEqual(
    2 * Math.abs(single.hyperGradient - exact.hyperGradient) + 1e-6 * Math.abs(exact.hyperGradient),
  );
  check('weights', weights, single.weights, exact.weights, 0);
}

function reload(model: KernelModel, pair: Pair): void {
  const { weights, excluded, t, n } = model.variables[0] as (typeof model.variables)[number];
  const { base, amsgrad, momentum } = pair.single.options;
  const [gamma, gammaM, gammaV] = excluded ? [0, 0, 0] : (model.slot(0, 'constraint') as unknown as number[]);
  const state = {
    weights,
    t,
    n,
    gamma: gamma as number,
    gammaM: gammaM as number,
    gammaV: gammaV as number,
    ...(excluded ? {} : { deviation: model.slot(0, 'deviation'), norms: model.slot(0, 'norms') }),
    ...(base === 'adamw' ? { m: model.slot(0, 'm'), v: model.slot(0, 'v') } : {}),
    ...(base === 'adamw' && amsgrad ? { vmax: model.slot(0, 'vmax') } : {}),
    ...(base === 'sgd' && momentum ? { momentum: model.slot(0, 'momentum') } : {}),
  };
  pair.single.load(state);
  pair.exact.load(state);
}

describeOrSkip('the addon step against the oracle', whyNoAddon(), () => {
  describe.each(BASES)('%s', (_name, options) => {
    it.each(SHAPES)('%s', (_shape, layout) => {
      const size = elementsOf(layout);
      const anchor = weightsOf(layout);
      for (const excluded of [false, true]) {
        const model = new KernelModel(options, [{ layout, weights: anchor, excluded }]);
        const pair = oracles(options, layout, anchor, anchor, excluded);
        for (let step = 0; step < STEPS; step++) {
          const gradient = gradientOf(size, step);
          model.step({ learningRate: 1e-2 }, [gradient]);
          pair.single.step(1e-2, gradient);
          pair.exact.step(1e-2, gradient);
          compare(model, pair, excluded, step);
          reload(model, pair);
        }
      }
    });
  });

  it.each(SHAPES)('weights assigned between steps: %s', (_shape, layout) => {
    const options: OracleOptions = { ...ORACLE_DEFAULTS, base: 'adamw', weightDecay: 0.01 };
    const size = elementsOf(layout);
    const anchor = weightsOf(layout);
    const model = new KernelModel(options, [{ layout, weights: anchor }]);
    const pair = oracles(options, layout, anchor, anchor, false);
    for (let step = 0; step < STEPS; step++) {
      if (step === 2) {
        const offset = randomArray(size, 0.05, 23);
        const assigned = anchor.map((a, i) => a + (offset[i] as number));
        model.assign(0, assigned);
        pair.single.assign(assigned);
        pair.exact.assign(assigned);
      }
      const gradient = gradientOf(size, step);
      model.step({ learningRate: 1e-2 }, [gradient]);
      pair.single.step(1e-2, gradient);
      pair.exact.step(1e-2, gradient);
      compare(model, pair, false, step);
      if (step < 1) reload(model, pair);
    }
  });

  it.each(SHAPES)('a proposal of another optimizer, then for assigned weights: %s', (_shape, layout) => {
    const options: OracleOptions = { ...ORACLE_DEFAULTS, base: 'proposal' };
    const size = elementsOf(layout);
    const anchor = weightsOf(layout);
    const model = new KernelModel(options, [{ layout, weights: anchor }]);
    const pair = oracles(options, layout, anchor, anchor, false);
    for (let step = 0; step <= STEPS; step++) {
      if (step === STEPS) {
        const offset = randomArray(size, 0.05, 23);
        const assigned = anchor.map((a, i) => a + (offset[i] as number));
        model.assign(0, assigned);
        pair.single.assign(assigned);
        pair.exact.assign(assigned);
      }
      const gradient = gradientOf(size, step);
      const variable = model.variables[0] as (typeof model.variables)[number];
      const proposal = variable.weights.map((w, i) => w - 0.01 * (gradient[i] as number));
      model.step({ learningRate: 0 }, [gradient], [proposal]);
      pair.single.step(0, gradient, proposal);
      pair.exact.step(0, gradient, proposal);
      compare(model, pair, false, step);
      reload(model, pair);
    }
  });
});
