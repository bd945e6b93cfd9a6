/** Every rule of tfjs-ftp/native against the optimizer of the same method: the same bits, weights and state. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { afterEach, beforeAll, expect, it } from 'vitest';
import {
  adamw,
  digrap,
  type FtpOptimizer,
  fixedRadius,
  ftp,
  l2sp,
  type StateFormat,
  sgd,
  spd,
} from '../../src/index.js';
import { createFusedStep, type FusedRuleOptions, type FusedStepOptions } from '../../src/native/index.js';
import { HOST } from '../backends/array_kinds.js';
import { describeOrSkip, whyNoAddon } from '../backends/skip.js';
import { readWeights } from '../backends/tfjs_replay.js';
import { FUSED_RULES, gradientValues, variablesFor } from './fused_cases.js';

afterEach(() => tf.disposeVariables());

const BASES = {
  adamw: { beta1: 0.8, amsgrad: true, weightDecay: 0.1 },
  sgd: { momentum: 0.9, nesterov: true, weightDecay: 0.1 },
} as const;
type Base = keyof typeof BASES;
type Factory = (rate: number, options: object) => FtpOptimizer;

function optimizerOf(
  base: Base,
  { rule = 'ftp', ...own }: FusedRuleOptions,
  stateFormat: StateFormat,
): FtpOptimizer {
  const methods = { ftp, none: { adamw, sgd }, fixedRadius, spd, l2sp, digrap };
  const factories = methods[rule] as Record<Base, Factory>;
  const holding =
    rule === 'none'
      ? {}
      : { exclude: ['head'], outputAxis: (name: string) => (name === 'b' ? 0 : undefined) };
  return factories[base](0.05, { ...BASES[base], ...own, ...holding, stateFormat, implementation: 'native' });
}

const cases = (['float32', 'bfloat16'] as const).flatMap((format) =>
  (['adamw', 'sgd'] as const).flatMap((base) =>
    Object.entries(FUSED_RULES).map(([name, rule]) => ({ format, base, name, rule })),
  ),
);

describeOrSkip('the rules of the fused step', whyNoAddon(), () => {
  beforeAll(() => tf.setBackend('cpu'));

  it.each(cases)('$format $base, $name: the bits of the optimizer, after every step', async (test) => {
    const { base, rule, format: stateFormat } = test;
    const given = variablesFor(rule, HOST);
    const start = () =>
      createFusedStep({
        base,
        ...BASES[base],
        ...rule,
        learningRate: 0.05,
        stateFormat,
        variables: given,
      } as FusedStepOptions);
    let fused = start();
    const mirrored = given.map(({ name, weights, shape }) => {
      const initial = tf.tensor(weights.slice(), [...shape]);
      const variable = tf.variable(initial, true, name);
      initial.dispose();
      return variable;
    });
    const optimizer = optimizerOf(base, rule, stateFormat);
    const initial = given.map(({ weights }) => weights.slice());
    for (let step = 0; step < 9; ++step) {
      // Every second gradient turns round: SPD and DiGraP act on one side alone.
      const gradients: Array<Float32Array | null> = gradientValues(step >> 2).map((values) =>
        step % 4 === 2 ? values.map((x) => -2 * x) : values,
      );
      if (step === 3) gradients[1] = null;
      const map: tf.NamedTensorMap = {};
      for (const [i, { name, shape }] of mirrored.entries()) {
        const gradient = gradients[i];
        if (gradient) map[name] = tf.tensor(gradient.slice(), [...shape]);
      }
      fused.step(gradients);
      optimizer.applyGradients(map);
      tf.dispose(map);
      const state = await readWeights(optimizer);
      for (const [i, { name, weights }] of given.entries()) {
        const what = `${name}, step ${step}`;
        expect(weights, what).toEqual(mirrored[i]?.dataSync());
        const { t, n, slots } = fused.state(i);
        expect([...(state.get(`${name}/steps`) ?? [])], what).toEqual([t, n]);
        const names = [...state.keys()].filter(
          (key) => key.startsWith(`${name}/`) && !key.endsWith('/steps'),
        );
        expect(names.sort(), what).toEqual(
          Object.keys(slots)
            .map((slot) => `${name}/${slot}`)
            .sort(),
        );
        for (const [slot, values] of Object.entries(slots)) {
          expect(values, `${slot} of ${what}`).toEqual(state.get(`${name}/${slot}`));
        }
      }
      if (step === 4) {
        // Assigned from outside.
        for (const [i, variable] of mirrored.entries()) {
          const weights = given[i]?.weights as Float32Array;
          weights.set(weights.map((x) => 1.25 * x));
          const assigned = tf.tensor(weights.slice(), variable.shape);
          variable.assign(assigned);
          assigned.dispose();
          fused.weightsChanged(i);
        }
      }
      if (step === 6) {
        const next = start();
        for (const i of given.keys()) next.setState(i, fused.state(i));
        fused.dispose();
        fused = next;
      }
    }
    expect(fused.constraints()).toEqual(await optimizer.constraints());
    for (const [i, { weights }] of given.entries()) expect(weights).not.toEqual(initial[i]);
    optimizer.dispose();
  });

  it('each rule leads elsewhere than the plain step', () => {
    const ends = Object.entries(FUSED_RULES).map(([name, rule]) => {
      const given = variablesFor(rule, HOST);
      const options = { base: 'sgd', momentum: 0.9, ...rule, learningRate: 0.05, variables: given };
      const fused = createFusedStep(options as FusedStepOptions);
      for (const factor of [1, 1, -2, 1, 1, -0.3]) {
        fused.step(gradientValues(0).map((values) => values.map((x) => factor * x)));
      }
      return [name, given.map(({ weights }) => String(weights)).join(' ')] as const;
    });
    const twins = ends.filter(([, weights], i) => ends.findIndex(([, other]) => other === weights) !== i);
    expect(twins.map(([name]) => name)).toEqual([]);
  });
});
