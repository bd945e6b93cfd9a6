/** Trajectories of gdtuo and of Baydin's optimizers through the public optimizers: every weight and number at every step. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, expect, it } from 'vitest';
import {
  adamw,
  type LearnChoice,
  type LearnedNumber,
  type LearnOptions,
  type ScheduledOptimizer,
  sgd,
} from '../../src/index.js';
import { describeImplementations, type TestImplementation, useBackend } from '../backends/implementations.js';
import { type HyperCase, hyperNames, NamedComparison, readHyper, relative } from './hyper_golden.js';

afterEach(() => tf.disposeVariables());

interface Replayed {
  make(options: { implementation: 'native' | 'reference'; learn: LearnOptions }): ScheduledOptimizer;
  learn: LearnOptions;
  /** what the files call our numbers, and their derivative by ours */
  names: { [own: string]: { name: string; to(value: number): number; slope(value: number): number } };
  /** coupled decay, which these authors take for a part of the loss: it is in the gradient given here */
  decay: number;
}

const same = (name: string, sign = 1) => ({ name, to: (x: number) => x, slope: () => sign });
const raw = (name: string) => ({
  name,
  to: (beta: number) => Math.atanh(2 * beta - 1),
  slope: (beta: number) => 2 * beta * (1 - beta),
});

/** Files that need nothing of the bottom level that is not the library's. */
function replayOf({ name, tower, options }: HyperCase): Replayed | null {
  const [bottom, top] = tower;
  const by: LearnChoice = { method: 'sgd', rate: top?.alpha as number };
  const alpha = bottom?.alpha as number;
  switch (name) {
    case 'gdtuo_sgd':
    case 'gdtuo_sgd_mu': {
      const mu = bottom?.mu ?? 0;
      return {
        make: (rest) => sgd(alpha, { momentum: mu, ...rest }),
        learn: { learningRate: by, ...(mu === 0 ? {} : { momentum: by }) },
        names: { learningRate: same('0.alpha'), momentum: same('0.mu') },
        decay: 0,
      };
    }
    case 'gdtuo_adam_alpha':
    case 'gdtuo_adam_all': {
      const { beta1 = 0, beta2 = 0 } = bottom ?? {};
      return {
        make: (rest) => adamw(alpha, { beta1, beta2, ...rest }),
        learn: { learningRate: by, ...(name === 'gdtuo_adam_all' ? { beta1: by, beta2: by } : {}) },
        names: { learningRate: same('0.alpha'), beta1: raw('0.beta1_raw'), beta2: raw('0.beta2_raw') },
        decay: 0,
      };
    }
    case 'sgdhd_plain':
    case 'sgdhd_dampening':
    case 'sgdhd_nesterov_decay': {
      const { lr, momentum, dampening, nesterov, weight_decay, hypergrad_lr } = options as unknown as {
        [option: string]: number;
      } & { nesterov: boolean };
      return {
        make: (rest) =>
          sgd(lr as number, {
            momentum: momentum as number,
            dampening: dampening as number,
            nesterov,
            ...rest,
          }),
        learn: { learningRate: { method: 'baydin', rate: hypergrad_lr as number } },
        // They add what we subtract.
        names: { learningRate: same('lr', -1) },
        decay: weight_decay as number,
      };
    }
    default:
      return null;
  }
}

const cases = hyperNames.map(readHyper);
const wholes = cases.filter((given) => replayOf(given) !== null);

function variablesOf({ params }: HyperCase): Map<string, tf.Variable> {
  return new Map(
    params.map(({ name, shape, init }) => {
      const initial = tf.tensor(init.slice(), shape);
      const variable = tf.variable(initial, true, name);
      initial.dispose();
      return [name, variable];
    }),
  );
}

/** g + decay W, in float32 as torch does it. */
function penalized(g: Float32Array, variable: tf.Variable, decay: number): tf.Tensor {
  return tf.tidy(() => {
    const gradient = tf.tensor(g.slice(), variable.shape);
    return decay === 0 ? gradient : gradient.add(variable.mul(decay));
  });
}

describeImplementations('hyper-optimizers', (where) => {
  beforeAll(() => useBackend(where));

  it('has the files', () => {
    expect(wholes.map(({ name }) => name)).toEqual([
      'gdtuo_adam_all',
      'gdtuo_adam_alpha',
      'gdtuo_sgd',
      'gdtuo_sgd_mu',
      'sgdhd_dampening',
      'sgdhd_nesterov_decay',
      'sgdhd_plain',
    ]);
  });

  it.each(wholes.map((given) => [given.name, given] as const))('%s', async (_name, given) => {
    await replay(given, where);
  });

  it.each(['adamhd_default', 'adamhd_groups_decay'])(
    '%s, its changes within a step one after another',
    async (name) => {
      await replayAdamHd(readHyper(name), where);
    },
  );
});

async function replay(given: HyperCase, { implementation, runs }: TestImplementation) {
  const { make, learn, names, decay } = replayOf(given) as Replayed;
  const variables = variablesOf(given);
  const optimizer = make({ implementation, learn });
  if (given.name.startsWith('gdtuo_adam')) {
    // gdtuo's second moment starts at 1e-8.
    const start = given.params.flatMap(({ name, shape }) => [
      { name: `${name}/m`, tensor: tf.zeros(shape) },
      { name: `${name}/v`, tensor: tf.fill(shape, 1e-8) },
      { name: `${name}/steps`, tensor: tf.tensor1d([0, 0], 'int32') },
    ]);
    await optimizer.setWeights([{ name: 'iter', tensor: tf.scalar(0, 'int32') }, ...start]);
    tf.dispose(start.map(({ tensor }) => tensor));
  }
  const comparison = new NamedComparison();
  let [worst, count] = [0, 0];
  for (const { step, grads } of given.steps) {
    const before = new Map(optimizer.learned().map(({ name, value }) => [name, value]));
    const entries = [...variables].flatMap(([name, variable]) => {
      const g = grads.get(name);
      return g ? [[name, penalized(g, variable, decay)] as const] : [];
    });
    const gradients = Object.fromEntries(entries);
    optimizer.applyGradients(gradients);
    tf.dispose(gradients);
    expect(optimizer.implementation).toBe(runs);
    const entry = given.expected.find((candidate) => candidate.step === step);
    if (entry === undefined) continue;
    for (const { name, value, hyperGradient } of optimizer.learned()) {
      const { name: called, to, slope } = names[name] as Replayed['names'][string];
      comparison.add('hyper', entry.hyper, { [called]: to(value) });
      const h = (hyperGradient ?? 0) * slope(before.get(name) as number);
      comparison.add('hyper_grad', entry.hyper_grad, { [called]: h });
      count++;
    }
    for (const [name, weights] of entry.params) {
      worst = Math.max(
        worst,
        relative((variables.get(name) as tf.Variable).dataSync() as Float32Array, weights),
      );
    }
  }
  expect(count).toBe(Object.keys(learn).length * given.steps.length);
  comparison.check(given.tolerance, { hyper: count, hyper_grad: count });
  expect(worst).toBeLessThanOrEqual(given.tolerance.params_rel as number);
  optimizer.dispose();
}

function setEpsilon(optimizer: ScheduledOptimizer, epsilon: number): void {
  const { options } = (optimizer as unknown as { method: { options: { epsilon: number } } }).method;
  options.epsilon = epsilon;
}

/**
 * AdamHD changes the learning rate of a group from parameter to parameter within a step; ours takes all sums first. With an
 * optimizer for each parameter, and the rate handed on from one to the next, every number is theirs.
 */
async function replayAdamHd(given: HyperCase, { implementation, runs }: TestImplementation) {
  const variables = variablesOf(given);
  const comparison = new NamedComparison();
  const groups = given.groups.map(({ params, options }) => {
    const { lr, betas, eps, weight_decay, hypergrad_lr } = { ...given.options, ...options } as unknown as {
      lr: number;
      betas: [number, number];
      eps: number;
      weight_decay: number;
      hypergrad_lr: number;
    };
    const learn: LearnOptions = { learningRate: { method: 'baydin', rate: hypergrad_lr } };
    const shared = { beta1: betas[0], beta2: betas[1], epsilon: eps, implementation, learn };
    const optimizers = new Map(params.map((name) => [name, adamw(lr, shared)]));
    return {
      rate: lr,
      decay: weight_decay,
      optimizers,
      beta2: betas[1],
      eps,
      updates: new Map<string, number>(),
    };
  });
  let [worst, rates, derivatives] = [0, 0, 0];
  for (const { step, grads } of given.steps) {
    const entry = given.expected.find((candidate) => candidate.step === step);
    for (const group of groups) {
      for (const [name, optimizer] of group.optimizers) {
        const g = grads.get(name);
        if (!g) continue;
        optimizer.learningRate = group.rate;
        const n = (group.updates.get(name) ?? 0) + 1;
        group.updates.set(name, n);
        // Theirs is outside of the bias correction.
        setEpsilon(optimizer, group.eps / Math.sqrt(1 - group.beta2 ** n));
        const gradient = penalized(g, variables.get(name) as tf.Variable, group.decay);
        optimizer.applyGradients({ [name]: gradient });
        gradient.dispose();
        expect(optimizer.implementation).toBe(runs);
        const [{ value, hyperGradient }] = optimizer.learned() as [LearnedNumber];
        group.rate = value;
        if (entry === undefined) continue;
        comparison.add('lr_used', entry.lr_used, { [name]: value });
        comparison.add('hyper_grad', entry.hyper_grad, {
          [name]: hyperGradient === null ? null : -hyperGradient,
        });
        rates++;
        if (entry.hyper_grad[name] !== null) derivatives++;
      }
    }
    for (const [name, weights] of entry?.params ?? []) {
      worst = Math.max(
        worst,
        relative((variables.get(name) as tf.Variable).dataSync() as Float32Array, weights),
      );
    }
  }
  comparison.check(given.tolerance, { lr_used: rates, hyper_grad: derivatives });
  expect(worst).toBeLessThanOrEqual(given.tolerance.params_rel as number);
  for (const { optimizers } of groups) for (const optimizer of optimizers.values()) optimizer.dispose();
}
