/** What the addon refuses, and that it then has written nothing at all. */
import { describe, expect, it } from 'vitest';
import { sameBits } from '../backends/golden_replay.js';
import { describeOrSkip, whyNoAddon } from '../backends/skip.js';
import { randomArray } from '../optimizers/scenario.js';
import { type Layout, ORACLE_DEFAULTS, type OracleOptions } from '../reference/ftp_float64.js';
import { addonOrThrow, elementsOf, KernelModel, variableWord } from './kernel_model.js';

const OPTIONS: OracleOptions = { ...ORACLE_DEFAULTS, base: 'adamw', amsgrad: true };

const LAYOUTS: readonly Layout[] = [
  { outer: 1, rows: 4, inner: 33 },
  { outer: 1, rows: 1, inner: 70_001 },
  { outer: 301, rows: 257, inner: 1 },
  { outer: 1, rows: 1, inner: 1 },
];

function model(inPlace = false): KernelModel {
  const specs = LAYOUTS.map((layout, i) => ({
    layout,
    weights: randomArray(elementsOf(layout), 1, i),
    excluded: i === 3,
  }));
  const made = new KernelModel(OPTIONS, specs, 0, inPlace);
  made.step({ learningRate: 1e-2 }, gradients());
  return made;
}

const gradients = () => LAYOUTS.map((layout, i) => randomArray(elementsOf(layout), 1, 50 + i));

/** The raw bytes of every buffer of a call. */
const bytes = (arrays: Float32Array[]) => arrays.map((array) => array.slice());

describeOrSkip('a gradient that is not finite', whyNoAddon(), () => {
  const positions = LAYOUTS.flatMap((layout, variable) =>
    [0, elementsOf(layout) - 1, Math.floor(elementsOf(layout) / 2)].map((element) => ({ variable, element })),
  );

  describe.each([
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['-Infinity', Number.NEGATIVE_INFINITY],
  ])('%s', (_name, value) => {
    it.each(positions)(
      'at element $element of variable $variable: named, and nothing written',
      (position) => {
        const made = model(true);
        const given = gradients();
        (given[position.variable] as Float32Array)[position.element] = value;
        for (const threads of [1, 2]) {
          const call = made.arguments({ learningRate: 1e-2, threads }, given);
          const before = bytes([...call.states, ...call.weights, ...call.gradients, ...call.outputs]);
          let thrown: unknown;
          try {
            addonOrThrow().step(call.plan, call.states, call.weights, call.gradients, call.outputs);
          } catch (error) {
            thrown = error;
          }
          expect(thrown).toBeInstanceOf(Error);
          expect(thrown).toMatchObject({ code: 'NON_FINITE_GRADIENT', index: position.variable });
          const after = [...call.states, ...call.weights, ...call.gradients, ...call.outputs];
          expect(after.every((array, i) => sameBits(array, before[i] as Float32Array))).toBe(true);
        }
      },
    );
  });

  it('names the first variable of several', () => {
    const made = model();
    const given = gradients();
    (given[2] as Float32Array)[5] = Number.NaN;
    (given[1] as Float32Array)[69_999] = Number.NaN;
    const call = made.arguments({ learningRate: 1e-2, threads: 3 }, given);
    expect(() =>
      addonOrThrow().step(call.plan, call.states, call.weights, call.gradients, call.outputs),
    ).toThrow(expect.objectContaining({ code: 'NON_FINITE_GRADIENT', index: 1 }));
  });

  it('the largest finite numbers, signed zeros and subnormals are finite', () => {
    const made = model();
    const given = gradients();
    (given[1] as Float32Array).set([3.4028234663852886e38, -3.4028234663852886e38, 1e-45, -0, 3.4e38]);
    expect(() => made.step({ learningRate: 1e-2 }, given)).not.toThrow();
  });

  it('unchecked, NaN stays in its own variable', () => {
    const made = model();
    const clean = model();
    const given = gradients();
    (given[0] as Float32Array)[7] = Number.NaN;
    made.step({ learningRate: 1e-2, checkFinite: false }, given);
    clean.step({ learningRate: 1e-2 }, gradients());
    const weights = (from: KernelModel, i: number) => from.variables[i]?.weights as Float32Array;
    // as in the authors' code: gamma is NaN, and with it every element of the variable
    expect(made.slot(0, 'constraint')[0]).toBeNaN();
    expect(weights(made, 0).every(Number.isNaN)).toBe(true);
    for (const i of [1, 2, 3]) expect(sameBits(weights(made, i), weights(clean, i))).toBe(true);
  });
});

describeOrSkip('empty calls', whyNoAddon(), () => {
  it('no variables', () => {
    const made = new KernelModel(OPTIONS, []);
    expect(() => made.step({ learningRate: 1e-2 }, [])).not.toThrow();
  });

  it.each<Layout>([
    { outer: 1, rows: 1, inner: 0 },
    { outer: 1, rows: 3, inner: 0 },
    { outer: 0, rows: 3, inner: 1 },
    { outer: 1, rows: 0, inner: 3 },
  ])('a variable [$outer, $rows, $inner] without elements leaves its neighbours alone', (layout) => {
    const neighbour = { layout: { outer: 1, rows: 2, inner: 5 }, weights: randomArray(10, 1, 1) };
    const gradient = randomArray(10, 1, 2);
    for (const excluded of [false, true]) {
      const empty = { layout, weights: new Float32Array(0), excluded };
      const made = new KernelModel(OPTIONS, [empty, neighbour, empty]);
      const alone = new KernelModel(OPTIONS, [neighbour]);
      for (let step = 0; step < 3; step++) {
        made.step({ learningRate: 1e-2 }, [new Float32Array(0), gradient, new Float32Array(0)]);
        alone.step({ learningRate: 1e-2 }, [gradient]);
      }
      expect(made.variables[0]?.weights.length).toBe(0);
      expect(
        sameBits(made.variables[1]?.weights as Float32Array, alone.variables[0]?.weights as Float32Array),
      ).toBe(true);
    }
  });
});

describeOrSkip('arguments that do not fit together', whyNoAddon(), () => {
  const good = () => {
    const made = model();
    return made.arguments({ learningRate: 1e-2 }, gradients());
  };
  type Call = ReturnType<typeof good>;
  const cases: readonly (readonly [string, (call: Call) => void])[] = [
    ['weights too short', (call) => call.weights.splice(0, 1, new Float32Array(3))],
    ['a gradient too short', (call) => call.gradients.splice(1, 1, new Float32Array(3))],
    ['an output too short', (call) => call.outputs.splice(2, 1, new Float32Array(3))],
    ['a state too short', (call) => call.states.splice(0, 1, new Float32Array(3))],
    ['a variable too few', (call) => call.gradients.pop()],
    [
      'a gradient of float64',
      (call) => call.gradients.splice(0, 1, new Float64Array(132) as unknown as Float32Array),
    ],
    ['a plan that is none', (call) => call.plan.fill(0)],
    ['a plan too short', (call) => Object.assign(call, { plan: call.plan.slice(0, 50) })],
    [
      'a plan with sizes that overflow',
      ({ plan }) => plan.fill(0x7fffffff, variableWord(plan, 0) + 2, variableWord(plan, 0) + 8),
    ],
    ['step counts of 0', ({ plan }) => plan.fill(0, variableWord(plan, 0) + 8, variableWord(plan, 0) + 10)],
  ];

  it.each(cases)('%s: an error, and nothing written', (_name, spoil) => {
    const call = good();
    spoil(call);
    const arrays = [...call.states, ...call.weights, ...call.gradients, ...call.outputs];
    const before = bytes(arrays);
    expect(() =>
      addonOrThrow().step(call.plan, call.states, call.weights, call.gradients, call.outputs),
    ).toThrow();
    expect(arrays.every((array, i) => sameBits(array, before[i] as Float32Array))).toBe(true);
  });
});
