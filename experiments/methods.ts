/** The ways to fine-tune that are compared, and the settings that are tried of each: the same number for all. */
import type { Optimizer } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { adamw, digrap, fixedRadius, ftp, type LearningRate, l2sp, schedules, sgd, spd } from 'tfjs-ftp';

/** What a run of a method may change; a part of what names the run. */
export interface Settings {
  learningRate: number;
  /** Share of the steps in which the rate rises from 0. */
  warmup: number;
  /** Factor on the head's rate. */
  headRate: number;
  /** Of SPD, and of L2-SP, decoupled. */
  strength?: number;
  /** Of MARS-SP: the most that a row's sum of absolute changes may be. */
  radius?: number;
  /** Of FTP and TPGM: the rate of what holds the weights. */
  constraintRate?: number;
}

/** What an optimizer is made for. */
export interface Setting {
  model: LayersModel;
  /** Name of the new layer, which no method holds. */
  head: string;
  steps: number;
}

export interface Method {
  label: string;
  /** Who described it, and what of this package it is. */
  about: string;
  /** `head`: nothing else is trained. */
  trains: 'head' | 'all';
  /** Whether the head is trained alone first (LP-FT). */
  probesFirst?: boolean;
  /** Learns its radii on the validation set (TPGM). */
  learnsRadii?: boolean;
  /** Mixes the result with what it started from, by validation accuracy (WiSE-FT). */
  interpolates?: boolean;
  optimizer(setting: Setting, settings: Settings): Optimizer;
  /** Tried on the first seed. */
  grid: readonly Settings[];
}

/** A rate that falls to 0 by a cosine, after a linear rise. */
export function rateOf({ learningRate, warmup }: Settings, steps: number) {
  const warmupSteps = Math.round(warmup * steps);
  const rising = { initialLearningRate: 0, warmupTarget: learningRate, warmupSteps };
  return schedules.warmupCosine({
    ...(warmupSteps > 0 ? rising : { initialLearningRate: learningRate }),
    decaySteps: steps - warmupSteps,
  });
}

/** AdamW's, the same for all methods that it is the base of. */
const WEIGHT_DECAY = 0.01;
const MOMENTUM = 0.9;

/** Of a linear probe that comes before fine-tuning: the rate that was best for the probe in a trial on other splits. */
export const PROBE: Settings = { learningRate: 0.03, warmup: 0, headRate: 1 };

/** Options of every optimizer. */
function common({ model, head }: Setting, { headRate }: Settings) {
  return { model, groups: [{ match: { layer: head }, learningRateScale: headRate }] };
}

/** As {@link common}, the head not held: a variable takes the first group that matches it. */
function holding({ model, head }: Setting, { headRate }: Settings) {
  return { model, groups: [{ match: { layer: head }, learningRateScale: headRate, exclude: true }] };
}

const plainAdamW: Method['optimizer'] = (setting, settings) =>
  adamw(rateOf(settings, setting.steps), { ...common(setting, settings), weightDecay: WEIGHT_DECAY });

/** A rule on AdamW, with options of its own. */
const onAdamW =
  <Options extends object>(
    rule: { adamw(rate: LearningRate, options: Options): Optimizer },
    own: (settings: Settings) => Options,
  ): Method['optimizer'] =>
  (setting, settings) =>
    rule.adamw(rateOf(settings, setting.steps), {
      ...holding(setting, settings),
      weightDecay: WEIGHT_DECAY,
      ...own(settings),
    });

const ftpAdamW = (options: { hyperGradient?: 'exact'; constraintScale?: 'relative' } = {}) =>
  onAdamW(ftp, ({ constraintRate }) => ({
    ...options,
    constraintLearningRate: constraintRate as number,
  }));

/** Neither a warm-up nor a rate of its own for the head; and both, which good baselines have. */
const PLAIN = { warmup: 0, headRate: 1 };
const CAREFUL = { warmup: 0.2, headRate: 10 };
const WARM = { warmup: 0.2, headRate: 1 };

/** All combinations of rates and variants. */
function grid(rates: readonly number[], ...variants: Omit<Settings, 'learningRate'>[]): Settings[] {
  return variants.flatMap((variant) => rates.map((learningRate) => ({ learningRate, ...variant })));
}

export const METHODS = {
  probe: {
    label: 'Linear probe',
    about: 'AdamW on the head alone',
    trains: 'head',
    optimizer: plainAdamW,
    grid: grid([0.01, 0.03, 0.1], PLAIN, WARM),
  },
  lpft: {
    label: 'LP-FT',
    about: 'a linear probe, then AdamW on everything; Kumar et al., ICLR 2022',
    trains: 'all',
    probesFirst: true,
    optimizer: plainAdamW,
    grid: grid([3e-4, 1e-3, 3e-3], PLAIN, WARM),
  },
  wiseft: {
    label: 'WiSE-FT',
    about: 'LP-FT, mixed with the probed weights by validation accuracy; Wortsman et al., CVPR 2022',
    trains: 'all',
    probesFirst: true,
    interpolates: true,
    optimizer: plainAdamW,
    grid: grid([3e-4, 1e-3, 3e-3], PLAIN, WARM),
  },
  adamw: {
    label: 'AdamW',
    about: 'plain AdamW; Loshchilov, Hutter, ICLR 2019',
    trains: 'all',
    optimizer: plainAdamW,
    grid: grid([3e-4, 1e-3, 3e-3], PLAIN, CAREFUL),
  },
  sgd: {
    label: 'SGD',
    about: 'SGD with momentum 0.9',
    trains: 'all',
    optimizer: (setting, settings) =>
      sgd(rateOf(settings, setting.steps), { ...common(setting, settings), momentum: MOMENTUM }),
    grid: grid([3e-4, 1e-3, 3e-3], PLAIN, CAREFUL),
  },
  l2sp: {
    label: 'L2-SP',
    about: 'AdamW with decay towards the anchor, decoupled; Li et al., ICML 2018',
    trains: 'all',
    optimizer: onAdamW(l2sp, ({ strength }) => ({ strength: strength as number })),
    grid: grid([3e-4, 1e-3, 3e-3], { ...CAREFUL, strength: 3 }, { ...CAREFUL, strength: 30 }),
  },
  marssp: {
    label: 'MARS-SP',
    about: 'AdamW in balls of a fixed radius, biases free; Gouk et al., ICLR 2021',
    trains: 'all',
    optimizer: onAdamW(fixedRadius, ({ radius }) => ({
      radius: (_, shape) => (shape.length > 1 ? (radius as number) : null),
    })),
    grid: grid([3e-4, 1e-3, 3e-3], { ...CAREFUL, radius: 0.5 }, { ...CAREFUL, radius: 2 }),
  },
  spd: {
    label: 'SPD',
    about: 'selective projection decay on AdamW; Tian et al., NeurIPS 2024',
    trains: 'all',
    optimizer: onAdamW(spd, ({ strength }) => ({ strength: strength as number })),
    grid: grid([3e-4, 1e-3, 3e-3], { ...CAREFUL, strength: 0.3 }, { ...CAREFUL, strength: 1 }),
  },
  digrap: {
    label: 'DiGraP',
    about: 'directional gradient projection on AdamW; Huang et al., ICLR 2025',
    trains: 'all',
    optimizer: onAdamW(digrap, () => ({})),
    grid: grid([3e-4, 1e-3, 3e-3], PLAIN, CAREFUL),
  },
  tpgm: {
    label: 'TPGM',
    about:
      'AdamW, in balls whose radii are learned on the validation set at each step; Tian et al., CVPR 2023',
    trains: 'all',
    learnsRadii: true,
    optimizer: plainAdamW,
    grid: grid([3e-4, 1e-3, 3e-3], { ...CAREFUL, constraintRate: 0.01 }, { ...CAREFUL, constraintRate: 0.1 }),
  },
  ftp: {
    label: 'FTP',
    about: 'fast trainable projection on AdamW; Tian et al., NeurIPS 2023',
    trains: 'all',
    optimizer: ftpAdamW(),
    grid: grid([3e-3, 1e-2, 3e-2], { ...PLAIN, constraintRate: 0.01 }, { ...PLAIN, constraintRate: 0.1 }),
  },
  'ftp-sgd': {
    label: 'FTP (SGD)',
    about: 'the same on SGD with momentum 0.9',
    trains: 'all',
    optimizer: (setting, settings) =>
      ftp.sgd(rateOf(settings, setting.steps), {
        ...holding(setting, settings),
        momentum: MOMENTUM,
        constraintLearningRate: settings.constraintRate as number,
      }),
    grid: grid([1e-3, 3e-3, 1e-2], { ...PLAIN, constraintRate: 0.01 }, { ...PLAIN, constraintRate: 0.1 }),
  },
  'ftp-relative': {
    label: 'FTP, relative',
    about: "FTP with constraintScale 'relative'",
    trains: 'all',
    optimizer: ftpAdamW({ constraintScale: 'relative' }),
    grid: grid([3e-3, 1e-2, 3e-2], { ...PLAIN, constraintRate: 1e-3 }, { ...PLAIN, constraintRate: 1e-2 }),
  },
  'ftp-exact': {
    label: 'FTP, exact',
    about: "FTP with hyperGradient 'exact'",
    trains: 'all',
    optimizer: ftpAdamW({ hyperGradient: 'exact' }),
    grid: grid([3e-3, 1e-2, 3e-2], { ...PLAIN, constraintRate: 0.01 }, { ...PLAIN, constraintRate: 0.1 }),
  },
} as const satisfies Record<string, Method>;

export type MethodName = keyof typeof METHODS;
export const METHOD_NAMES = Object.keys(METHODS) as MethodName[];

export function methodOf(name: MethodName): Method {
  return METHODS[name];
}

/** The methods of the pictures over the learning rate, and what they have of their own there. */
const DRAWN: Partial<Record<MethodName, Partial<Settings>>> = {
  adamw: {},
  lpft: {},
  l2sp: { strength: 30 },
  spd: { strength: 1 },
  ftp: { constraintRate: 0.1 },
};
/** Methods whose lines are made longer, with and without a warm-up, by runs that nothing is chosen among. */
const TRACED: readonly MethodName[] = ['adamw', 'ftp', 'spd', 'l2sp'];
const TRACE_RATES = [3e-4, 1e-3, 3e-3, 1e-2];

export function traceOf(name: MethodName): Settings[] {
  return TRACED.includes(name)
    ? grid(TRACE_RATES, { ...PLAIN, ...DRAWN[name] }, { ...CAREFUL, ...DRAWN[name] })
    : [];
}

/** Whether settings of a method are in the pictures. */
export function isDrawn(name: MethodName, { strength, radius, constraintRate }: Settings): boolean {
  const own = DRAWN[name];
  return (
    own !== undefined &&
    own.strength === strength &&
    own.radius === radius &&
    own.constraintRate === constraintRate
  );
}
