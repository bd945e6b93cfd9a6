/** Trajectories of torch, Keras and timm with options that every optimizer here has, and the optimizers that they are. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import { adamw, type FtpOptimizer, l2sp, sgd, type TrainingOptions } from '../../src/index.js';
import { type JsonObject, type Kind, plainKeys, resolveGradients, values } from '../reference/golden.js';
import type { BaseSpec } from '../reference/rules_float64.js';

export interface Param {
  name: string;
  shape: number[];
  kind: Kind;
  init: Float32Array;
}

type Numbers = Map<string, Float32Array>;

export interface TrainingCase {
  name: string;
  params: Param[];
  /** Learning rate of the optimizer, and gradients of each call. */
  steps: { step: number; lr: number; calls: Map<string, Float32Array | null>[] }[];
  expected: Map<number, { params: Numbers; ema: Numbers; gradNorm: number | null; emaDecay: number | null }>;
  finalState: Map<string, Numbers>;
  expectedF64: Map<string, number[]>;
  tolerance: { [measure: string]: number };
  /** Learning rate of a parameter over the optimizer's. */
  rateOf(name: string): number;
  baseOf(name: string): BaseSpec;
  /** Largest global norm, and largest size of an element. */
  clipNorm: number;
  clipValue: number;
  make(shared: TrainingOptions): FtpOptimizer;
}

type Make = (shared: TrainingOptions) => FtpOptimizer;

/**
 * The optimizers. Conventions that differ: torch adds 1e-6 to the norm that it clips by; Keras's epsilon is not divided by the
 * root of the bias correction; torch.optim.Adam's decay is part of the gradient, which is `l2sp` towards zero.
 */
const MAKERS: { [name: string]: Make } = {
  torch_adamw_clip_norm: (shared) =>
    adamw(1, { ...shared, epsilon: 0.01, weightDecay: 0.01, globalClipNorm: 1 }),
  torch_sgd_accumulate_clip: (shared) =>
    sgd(1, { ...shared, momentum: 0.9, accumulate: 3, globalClipNorm: 3.1 }),
  torch_sgd_clip_value: (shared) => sgd(1, { ...shared, momentum: 0.9, clipValue: 0.8 }),
  torch_adamw_ema: (shared) => adamw(1, { ...shared, weightDecay: 0.01, ema: { momentum: 0.9 } }),
  keras_adamw_ema_clip: (shared) =>
    adamw(1, {
      ...shared,
      epsilon: 1e-7,
      weightDecay: 0.1,
      decayMatricesOnly: true,
      globalClipNorm: 2,
      ema: { momentum: 0.9 },
    }),
  timm_ema_warmup: (shared) =>
    sgd(1, { ...shared, momentum: 0.9, ema: { momentum: 0.8, startStep: 2, warmup: true } }),
  timm_layer_decay: (shared) =>
    adamw(1, {
      ...shared,
      weightDecay: 0.1,
      decayMatricesOnly: true,
      layerDecay: { decay: 0.6, layers: ['in.', ['mid.'], /^out\./] },
    }),
  torch_adamw_groups: (shared) =>
    adamw(1, {
      ...shared,
      weightDecay: 0.2,
      groups: [
        { match: { rank: 1 }, weightDecay: 0 },
        { match: 'out.', weightDecay: 0.05, beta1: 0.8, beta2: 0.99, learningRateScale: 5 },
      ],
    }),
  torch_adam_coupled: (shared) => {
    const anchors = Object.fromEntries(
      readCase('torch_adam_coupled').params.map(({ name }) => {
        return [name, tf.zerosLike(tf.engine().registeredVariables[name] as tf.Variable)];
      }),
    );
    const optimizer = l2sp.adamw(1, { ...shared, strength: 0.3, coupled: true, anchors });
    tf.dispose(anchors);
    return optimizer;
  },
};

export const caseNames = Object.keys(MAKERS);

export function readRaw(name: string): JsonObject {
  const file = fileURLToPath(new URL(`../fixtures/golden2/${name}.json`, import.meta.url));
  return JSON.parse(readFileSync(file, 'utf8')) as JsonObject;
}

function numbersOf(holder: JsonObject | undefined): Numbers {
  if (holder === undefined) return new Map();
  return new Map(plainKeys(holder).map((name) => [name, values(holder, name) as Float32Array]));
}

interface Options {
  betas?: [number, number];
  beta_1?: number;
  beta_2?: number;
  eps?: number;
  epsilon?: number;
  weight_decay: number;
  amsgrad?: boolean;
  momentum?: number;
  dampening?: number;
  nesterov?: boolean;
  exclude_from_weight_decay?: string[];
}

function baseSpec(optimizer: string, options: Options, name: string): BaseSpec {
  const weightDecay = options.exclude_from_weight_decay?.includes(name) ? 0 : options.weight_decay;
  const { momentum = 0, dampening = 0, nesterov = false, amsgrad = false } = options;
  if (optimizer === 'sgd') return { kind: 'sgd', weightDecay, momentum, dampening, nesterov };
  const [beta1, beta2] = options.betas ?? [options.beta_1 as number, options.beta_2 as number];
  const epsilon = options.eps ?? (options.epsilon as number);
  return { kind: 'adamw', weightDecay, beta1, beta2, epsilon, amsgrad };
}

export function readCase(name: string): TrainingCase {
  const raw = readRaw(name);
  const params = (raw.params as JsonObject[]).map((param): Param => {
    const { name, shape, kind } = param as unknown as Param;
    return { name, shape, kind, init: values(param, 'init') as Float32Array };
  });
  const sizes = new Map(params.map(({ name, init }) => [name, init.length]));
  const groups = raw.groups as unknown as { params: string[]; options: Partial<Options> }[];
  const groupOf = (name: string) => groups.findIndex((group) => group.params.includes(name));
  const rawSteps = raw.steps as JsonObject[];
  const firstRates = rawSteps[0]?.lr as number[];
  // The optimizer's rate is the first group's, but with layer decay that of the last layer.
  const leader = name === 'timm_layer_decay' ? firstRates.length - 1 : 0;
  const plain = rawSteps.every(({ grads }) => grads !== undefined) ? resolveGradients(rawSteps, sizes) : null;
  const clip = (raw.clip ?? {}) as { max_norm?: number; clip_value?: number };
  return {
    name,
    params,
    steps: rawSteps.map(({ step, lr, micro_grads }, i) => ({
      step: step as number,
      lr: (lr as number[])[leader] as number,
      calls: plain
        ? [plain[i]?.grads as Map<string, Float32Array | null>]
        : (micro_grads as JsonObject[]).map(numbersOf),
    })),
    expected: new Map(
      (raw.expected as JsonObject[]).map((entry) => [
        entry.step as number,
        {
          params: numbersOf(entry.params as JsonObject),
          ema: numbersOf(entry.ema as JsonObject | undefined),
          gradNorm: (entry.grad_norm as number | undefined) ?? null,
          emaDecay: (entry.ema_decay as number | undefined) ?? null,
        },
      ]),
    ),
    finalState: new Map(
      Object.entries((raw.final_state ?? {}) as JsonObject).map(([param, slots]) => [
        param,
        numbersOf(slots as JsonObject),
      ]),
    ),
    expectedF64: new Map(Object.entries(raw.expected_f64 as unknown as { [name: string]: number[] })),
    tolerance: raw.tolerance as unknown as { [measure: string]: number },
    rateOf: (param) => (firstRates[groupOf(param)] as number) / (firstRates[leader] as number),
    baseOf: (param) => {
      const options = { ...(raw.options as unknown as Options), ...groups[groupOf(param)]?.options };
      return baseSpec(raw.optimizer as string, options, param);
    },
    clipNorm: clip.max_norm ?? Number.POSITIVE_INFINITY,
    clipValue: clip.clip_value ?? Number.POSITIVE_INFINITY,
    make: MAKERS[name] as Make,
  };
}
