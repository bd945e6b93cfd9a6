/** What a native step does around its method: the gradient that the method sees, the average of the weights. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';
import { selectImplementation } from '../../src/backends/select.js';
import {
  type Implementation,
  type StateSpec,
  slotsOf,
  type VariableUpdate,
} from '../../src/backends/types.js';
import { adamw } from '../../src/methods/adamw.js';
import { digrap } from '../../src/methods/digrap.js';
import { ftp } from '../../src/methods/ftp.js';
import { compose, type Method } from '../../src/methods/method.js';
import { none } from '../../src/methods/none.js';
import { sgd } from '../../src/methods/sgd.js';
import { spd } from '../../src/methods/spd.js';
import { randomArray } from '../optimizers/scenario.js';
import { describeImplementations, useBackend } from './implementations.js';

const STEPS = 3;
const MOMENTUM = 0.75;
const SHAPES = [
  { shape: [3, 41], layout: { outer: 3, rows: 41, inner: 1 }, excluded: false },
  { shape: [7, 20], layout: { outer: 1, rows: 7, inner: 20 }, excluded: false },
  { shape: [33], layout: { outer: 33, rows: 1, inner: 1 }, excluded: true },
];
const METHODS: ReadonlyArray<[string, Method]> = [
  ['AdamW and FTP', compose(adamw, ftp)],
  ['SGD and SPD', compose(sgd, spd)],
  ['AdamW and DiGraP', compose(adamw, digrap)],
  ['SGD without a rule', compose(sgd, none)],
];

type Around = Pick<VariableUpdate, 'gradientScale' | 'clipValue' | 'emaMomentum'>;
type Snapshot = Array<{ weights: Float32Array; slots: Record<string, Float32Array> }>;

const gradientsOf = (step: number) =>
  SHAPES.map(({ shape }, i) =>
    randomArray(
      shape.reduce((a, b) => a * b),
      1,
      5 * step + i,
    ),
  );

const seen = (gradient: Float32Array, scale: number, limit: number) =>
  gradient.map((g) => Math.min(Math.max(Math.fround(Math.fround(scale) * g), -limit), limit));

/** Weights and slots after each step. */
function run(
  implementation: Implementation,
  method: Method,
  slots: { ema?: boolean; keepGradient?: boolean },
  gradientOf: (step: number) => Float32Array[],
  around: (step: number) => Around,
): Snapshot[] {
  const bound = method.with({});
  const settings = { method: bound, values: bound.values(1e-2), checkFinite: true, threads: 1, ...slots };
  const states = SHAPES.map(({ shape, layout, excluded }, i) => {
    const own = excluded ? bound.plain : bound;
    const spec: StateSpec = { name: `v${i}`, shape, layout, excluded, method: own, ...slots };
    const weights = tf.tensor(
      randomArray(
        shape.reduce((a, b) => a * b),
        1,
        100 + i,
      ),
      shape,
    );
    return { state: implementation.createState(spec, own.has('anchor') ? weights : null), weights };
  });
  const snapshots: Snapshot[] = [];
  for (let t = 1; t <= STEPS; ++t) {
    const updates = states.map(({ state, weights }, i): VariableUpdate => {
      const gradient = tf.tensor(gradientOf(t)[i] as Float32Array, state.spec.shape);
      const common = { spec: state.spec, state, weights, gradient, proposal: null };
      return { ...common, t, n: t, fromWeights: t === 1, ...around(t) };
    });
    const outputs = implementation.step(settings, updates);
    for (const { gradient } of updates) gradient.dispose();
    for (const [i, variable] of states.entries()) {
      variable.weights.dispose();
      variable.weights = outputs[i] as tf.Tensor;
    }
    snapshots.push(
      states.map(({ state, weights }) => ({
        weights: weights.dataSync<'float32'>().slice(),
        slots: Object.fromEntries(
          slotsOf(state.spec).map(({ name }) => {
            const values = implementation.read(state, name);
            const copy = values.dataSync<'float32'>().slice();
            values.dispose();
            return [name, copy];
          }),
        ),
      })),
    );
  }
  for (const { state, weights } of states) {
    implementation.disposeState(state);
    weights.dispose();
  }
  return snapshots;
}

const plain = () => ({});

describeImplementations(
  'around a step',
  (which) => {
    let implementation: Implementation;
    beforeAll(async () => {
      await useBackend(which);
      implementation = selectImplementation('native', compose(adamw, ftp).with({})).implementation;
      expect(implementation.name).toBe(which.runs);
    });

    it.each(METHODS)(
      '%s: takes the step of a gradient that was scaled and clipped before',
      (_name, method) => {
        const [scale, limit] = [0.7, 0.5];
        const before = (step: number) => gradientsOf(step).map((gradient) => seen(gradient, scale, limit));
        const expected = run(implementation, method, {}, before, plain);
        const given = { gradientScale: scale, clipValue: limit };
        expect(run(implementation, method, {}, gradientsOf, () => given)).toEqual(expected);
        expect(run(implementation, method, {}, gradientsOf, plain)).not.toEqual(expected);
      },
    );

    it.each(METHODS)(
      '%s: averages the weights and keeps the gradient, changing nothing else',
      (_name, method) => {
        const expected = run(implementation, method, {}, gradientsOf, plain);
        const slots = { ema: true, keepGradient: true };
        const found = run(implementation, method, slots, gradientsOf, (step) => ({
          emaMomentum: step === 1 ? 0 : MOMENTUM,
        }));
        const average = SHAPES.map(() => [] as number[]);
        for (const [step, snapshot] of found.entries()) {
          for (const [i, variable] of snapshot.entries()) {
            const { ema, gradient, ...others } = variable.slots;
            expect({ ...variable, slots: others }).toEqual(expected[step]?.[i]);
            expect(gradient).toEqual(gradientsOf(step + 1)[i]);
            const last = average[i] as number[];
            average[i] = [...variable.weights].map((w, j) => {
              if (step === 0) return w;
              return Math.fround(
                Math.fround(MOMENTUM * (last[j] as number)) + Math.fround(Math.fround(1 - MOMENTUM) * w),
              );
            });
            expect([...(ema as Float32Array)]).toEqual(average[i]);
          }
        }
      },
    );
  },
  ({ implementation }) => implementation === 'native',
);
