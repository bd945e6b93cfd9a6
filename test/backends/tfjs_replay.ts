/** The library under tfjs behind the Replay interface, through its public interface alone. */
import * as tf from '@tensorflow/tfjs-core';
import { ftp } from '../../src/index.js';
import type { Replay, ReplayGroup, ReplayState, ReplayVariable, Slot } from './golden_replay.js';
import type { TestImplementation } from './implementations.js';

type FtpOptimizer = ReturnType<typeof ftp.adamw> | ReturnType<typeof ftp.sgd> | ReturnType<typeof ftp.wrap>;
type SharedOptions = ReturnType<typeof sharedOptions>['options'];

const SLOTS: readonly Slot[] = ['m', 'v', 'vmax', 'momentum', 'deviation', 'anchor'];

/** All of an optimizer's named state, copied to the host. */
export async function readWeights(optimizer: tf.Optimizer): Promise<Map<string, Float32Array | Int32Array>> {
  const result = new Map<string, Float32Array | Int32Array>();
  for (const { name, tensor } of await optimizer.getWeights()) {
    result.set(name, (await tensor.data()).slice() as Float32Array | Int32Array);
    tensor.dispose();
  }
  return result;
}

function sharedOptions({ variables, options, threads }: ReplayGroup, { implementation }: TestImplementation) {
  const byName = new Map(variables.map((variable) => [variable.name, variable]));
  const excluded = new Set(variables.filter((variable) => variable.excluded).map(({ name }) => name));
  const anchors = Object.fromEntries(
    variables
      .filter(({ init, anchor, excluded }) => !excluded && anchor.some((a, i) => a !== init[i]))
      .map(({ name, anchor, shape }) => [name, tf.tensor(anchor, shape)]),
  );
  return {
    options: {
      k: options.k,
      implementation,
      ...(threads === undefined ? {} : { threads }),
      exclude: (name: string) => excluded.has(name),
      ...(Object.keys(anchors).length > 0 ? { anchors } : {}),
      ...(variables.every(({ defaultAxis }) => defaultAxis)
        ? {}
        : { outputAxis: (name: string) => (byName.get(name) as ReplayVariable).outputAxis }),
    },
    anchors,
  };
}

/** Makes the optimizer of one group; `anchors` are the caller's, needed until the first step. */
type CreateOptimizer = (group: ReplayGroup, options: SharedOptions) => FtpOptimizer;

// The rate of each step is set before it. The first may be 0 (a warm-up), which is set the same way.
const firstRate = ({ options }: ReplayGroup) => (options.lr > 0 ? options.lr : 1);

const createOwn: CreateOptimizer = (group, shared) => {
  const { betas, eps, amsgrad, momentum, dampening, nesterov, weight_decay: weightDecay } = group.options;
  if (group.optimizer === 'adamp') {
    const [beta1, beta2] = betas as [number, number];
    return ftp.adamw(firstRate(group), { ...shared, weightDecay, beta1, beta2, epsilon: eps, amsgrad });
  }
  return ftp.sgd(firstRate(group), { ...shared, weightDecay, momentum, dampening, nesterov });
};

const createWrapped: CreateOptimizer = (group, shared) => {
  const { betas, eps, momentum = 0, nesterov = false } = group.options;
  const rate = firstRate(group);
  if (group.optimizer === 'adamp') {
    const [beta1, beta2] = betas as [number, number];
    return ftp.wrap(tf.train.adam(rate, beta1, beta2, eps), shared);
  }
  const base = momentum > 0 ? tf.train.momentum(rate, momentum, nesterov) : tf.train.sgd(rate);
  return ftp.wrap(base, shared);
};

/** `ftp.adamw` or `ftp.sgd`. */
export const startTfjsReplay = (implementation: TestImplementation) => startReplay(implementation, createOwn);

/** `ftp.wrap` around tfjs's own Adam, momentum or SGD. */
export const startWrapReplay = (implementation: TestImplementation) =>
  startReplay(implementation, createWrapped);

function startReplay(implementation: TestImplementation, create: CreateOptimizer) {
  return (groups: ReplayGroup[]): Replay => {
    const variables = new Map(
      groups.flatMap((group) =>
        group.variables.map(({ name, shape, init }) => {
          const value = tf.tensor(init.slice(), shape);
          const variable = tf.variable(value, true, name);
          value.dispose();
          return [name, variable];
        }),
      ),
    );
    const shared = groups.map((group) => sharedOptions(group, implementation));
    const optimizers = groups.map((group, i) =>
      create(group, (shared[i] as (typeof shared)[number]).options),
    );
    let steps = 0;
    return {
      step(learningRates, gradients) {
        steps++;
        groups.forEach((group, index) => {
          const optimizer = optimizers[index] as FtpOptimizer;
          optimizer.learningRate = learningRates[index] as number;
          const given: { [name: string]: tf.Tensor } = {};
          for (const { name, shape } of group.variables) {
            const gradient = gradients.get(name);
            if (gradient) given[name] = tf.tensor(gradient, shape);
            // no gradient: null on odd steps, no entry on even ones
            else if (steps % 2 === 1) given[name] = null as unknown as tf.Tensor;
          }
          optimizer.applyGradients(given);
          tf.dispose(given);
          if (optimizer.implementation !== implementation.runs) {
            throw new Error(`expected ${implementation.runs} to run, got ${optimizer.implementation}`);
          }
        });
      },
      async read() {
        const state = new Map<string, ReplayState>();
        for (const [index, group] of groups.entries()) {
          const slots = await readWeights(optimizers[index] as FtpOptimizer);
          for (const { name } of group.variables) {
            const weights = (await (variables.get(name) as tf.Variable).data()).slice() as Float32Array;
            state.set(name, variableState(name, weights, slots));
          }
        }
        return state;
      },
      assign(name, weights) {
        const variable = variables.get(name) as tf.Variable;
        tf.tidy(() => variable.assign(tf.tensor(weights, variable.shape)));
      },
      reanchor() {
        for (const optimizer of optimizers) optimizer.reanchor();
      },
      dispose() {
        for (const optimizer of optimizers) optimizer.dispose();
        for (const { anchors } of shared) tf.dispose(anchors);
        for (const variable of variables.values()) variable.dispose();
      },
    };
  };
}

function variableState(
  name: string,
  weights: Float32Array,
  state: Map<string, Float32Array | Int32Array>,
): ReplayState {
  const constraint = state.get(`${name}/constraint`);
  const norms = state.get(`${name}/norms`) as Float32Array | undefined;
  if (!constraint !== !norms) throw new Error(`${name} has one of constraint and norms without the other`);
  const slots: ReplayState['slots'] = {};
  for (const slot of SLOTS) {
    const values = state.get(`${name}/${slot}`);
    if (values) slots[slot] = values as Float32Array;
  }
  const [gamma, gammaM, gammaV, hyperGradient] = (constraint ?? []) as Float32Array;
  const steps = state.get(`${name}/steps`);
  return {
    weights,
    // [0, 0]: an anchor was given, but no step brought the variable yet
    steps: steps && steps[1] !== 0 ? [steps[0] as number, steps[1] as number] : null,
    constraint:
      constraint && norms
        ? {
            gamma: gamma as number,
            gammaM: gammaM as number,
            gammaV: gammaV as number,
            hyperGradient: hyperGradient as number,
            norms,
          }
        : null,
    slots,
  };
}
