/** What a piece may do, with rules and options made up here: another file beside these pieces is all that a method takes. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { ReferenceImplementation } from '../../src/backends/reference.js';
import { type StateSpec, slotsOf, type VariableUpdate } from '../../src/backends/types.js';
import { adamw } from '../../src/methods/adamw.js';
import { ftp } from '../../src/methods/ftp.js';
import { type BaseUpdate, compose, type Method, type Rule, type Scales } from '../../src/methods/method.js';
import { none } from '../../src/methods/none.js';
import { proposal } from '../../src/methods/proposal.js';
import { sgd } from '../../src/methods/sgd.js';
import { numberOption } from '../../src/options.js';

const BASES: BaseUpdate[] = [adamw, sgd, proposal] as BaseUpdate[];
const RULES: Rule[] = [none, ftp] as Rule[];

/** A rule with nothing but what is overridden. */
const rule = <O>(parts: Partial<Rule<O>> & Pick<Rule<O>, 'step' | 'options'>): Rule<O> => ({
  name: 'made up',
  code: 99,
  flags: () => 0,
  slots: [],
  numbers: [],
  ...parts,
});

interface Given {
  weights: number[];
  gradient: number[];
  proposal?: number[];
  scales?: Scales;
}

/** One first step of variables [n] by the reference implementation; the new weights and the slots. */
function stepOf(method: Method, options: object, variables: Given[], learningRate = 0.5) {
  const implementation = new ReferenceImplementation();
  const bound = method.with(options);
  return tf.tidy(() => {
    const updates = variables.map(({ weights, gradient, proposal, scales }, i): VariableUpdate => {
      const shape = [weights.length];
      const layout = { outer: 1, rows: 1, inner: weights.length };
      const spec: StateSpec = { name: `v${i}`, shape, layout, excluded: false, method: bound };
      const w = tf.tensor1d(weights);
      return {
        spec,
        state: implementation.createState(spec, w),
        weights: w,
        gradient: tf.tensor1d(gradient),
        proposal: proposal === undefined ? null : tf.tensor1d(proposal),
        t: 1,
        n: 1,
        fromWeights: true,
        ...(scales === undefined ? {} : { values: bound.scaled(bound.values(learningRate), scales) }),
      };
    });
    const values = bound.values(learningRate);
    const outputs = implementation.step({ method: bound, values, checkFinite: true, threads: null }, updates);
    return outputs.map((output, i) => {
      const { spec, state } = updates[i] as VariableUpdate;
      const slots = slotsOf(spec).map(({ name }) => [name, [...implementation.read(state, name).dataSync()]]);
      return {
        weights: [...output.dataSync()],
        slots: Object.fromEntries(slots) as Record<string, number[]>,
      };
    });
  });
}

beforeAll(() => tf.setBackend('cpu'));

describe('the pieces', () => {
  it.each([...BASES, ...RULES].map((piece) => [piece.name, piece] as const))(
    '%s: every number of a step is an option, or the learning rate',
    (_name, { numbers, options }) => {
      const known = ['learningRate', ...Object.keys(options)];
      expect(numbers.filter((name) => !known.includes(name))).toEqual([]);
    },
  );

  it('have codes of their own', () => {
    for (const pieces of [BASES, RULES]) {
      expect(new Set(pieces.map(({ code }) => code)).size).toBe(pieces.length);
    }
  });

  it('bring the slots, in the order in which they are saved', () => {
    const names = (method: Method, options: object) => method.with(options).slots.map(({ name }) => name);
    expect(names(compose(adamw, ftp), { amsgrad: true })).toEqual([
      'anchor',
      'deviation',
      'm',
      'v',
      'vmax',
      'norms',
      'constraint',
    ]);
    expect(names(compose(adamw, none), {})).toEqual(['m', 'v']);
    expect(names(compose(sgd, ftp), {})).toEqual(['anchor', 'deviation', 'norms', 'constraint']);
    const bound = compose(sgd, ftp).with({ momentum: 0.9 });
    expect(bound.plain.slots.map(({ name }) => name)).toEqual(['momentum']);
    expect(bound.ruleSlots.map(({ name }) => name)).toEqual(['anchor', 'deviation', 'norms', 'constraint']);
  });

  it('check their options, alone and against each other', () => {
    const method = compose(sgd, ftp);
    expect(() => method.with({ k: 2 })).toThrow(RangeError);
    expect(() => method.with({ momentum: '0.9' })).toThrow(TypeError);
    expect(() => method.with({ nesterov: true })).toThrow('nesterov needs momentum > 0');
    expect(method.with({ momentum: 0.9 }).options).toEqual({
      momentum: 0.9,
      dampening: 0,
      nesterov: false,
      weightDecay: 0,
      k: 1,
      constraintLearningRate: 1e-2,
      constraintBeta1: 0.9,
      constraintBeta2: 0.999,
      hyperGradient: 'paper',
      constraintScale: 'absolute',
    });
  });
});

describe('a rule', () => {
  it('may be none: the plain base update, or what is proposed', () => {
    const given = { weights: [1, 2], gradient: [2, -4] };
    expect(stepOf(compose(sgd, none), {}, [given])[0]?.weights).toEqual([0, 4]);
    expect(stepOf(compose(proposal, none), {}, [{ ...given, proposal: [7, 8] }])[0]?.weights).toEqual([7, 8]);
  });

  it('may change the gradient before the base update, which keeps its slots', () => {
    const doubled = rule<object>({
      options: {},
      step: ({ mul }, _values, { w, g }, base) => ({ weights: base(mul(g, 2), w).weights(), slots: {} }),
    });
    const [result] = stepOf(compose(sgd, doubled), { momentum: 0.5 }, [{ weights: [1], gradient: [2] }]);
    expect(result).toEqual({ weights: [-1], slots: { momentum: [4] } });
  });

  it('may add to the update, with options and slots of its own', () => {
    const pull = rule<{ strength: number }>({
      options: { strength: numberOption(0.25, { min: 0 }) },
      slots: [{ name: 'norms', shape: 1 }],
      step({ add, mul, sub, sum, reshape }, { strength, learningRate }, { w, g }, base) {
        const u = add(base(g, w).u(), mul(w, learningRate * strength));
        return { weights: sub(w, u), slots: { norms: reshape(sum(u), [1]) } };
      },
    });
    const given = { weights: [4, 8], gradient: [2, 2] };
    expect(stepOf(compose(sgd, pull), {}, [given])).toEqual([{ weights: [2.5, 6], slots: { norms: [3.5] } }]);
    expect(stepOf(compose(sgd, pull), { strength: 0 }, [given])[0]?.weights).toEqual([3, 7]);
    // The same update, as it follows from a proposal; the wrapping optimizer gives the learning rate.
    const proposed = stepOf(compose(proposal, pull), {}, [{ ...given, proposal: [3, 7] }]);
    expect(proposed).toEqual([{ weights: [2.5, 6], slots: { norms: [3.5] } }]);
  });

  it('may ask for sums over all variables', () => {
    const shared = rule<object>({
      options: {},
      gather: ({ mul, reshape, sum }, _values, { w, g }) => reshape(sum(mul(w, g)), [1]),
      step: ({ add }, _values, { w, totals }) => ({ weights: add(w, totals as tf.Tensor), slots: {} }),
    });
    const results = stepOf(compose(sgd, shared), {}, [
      { weights: [1, 2], gradient: [1, 1] },
      { weights: [10], gradient: [2] },
    ]);
    expect(results.map(({ weights }) => weights)).toEqual([[24, 25], [33]]);
  });

  it('has one number that a variable may scale, as the learning rate and the decay', () => {
    const fixed = rule<{ strength: number }>({
      options: { strength: numberOption(1, {}) },
      scaled: 'strength',
      step: ({ add }, { strength }, { w, g }, base) => ({
        weights: add(base(g, w).weights(), strength),
        slots: {},
      }),
    });
    const given = { weights: [1], gradient: [2] };
    const scales = { learningRate: 0.5, weightDecay: 3, rule: 10 };
    const [plain, scaled] = stepOf(compose(sgd, fixed), { weightDecay: 1 }, [given, { ...given, scales }]);
    expect(plain?.weights).toEqual([1 - 0.5 * (2 + 1) + 1]);
    expect(scaled?.weights).toEqual([1 - 0.25 * (2 + 3) + 10]);
  });
});
