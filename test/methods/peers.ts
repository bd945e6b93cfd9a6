/**
 * The trajectories of test/fixtures/golden2, and which method with which options each of them is: for the library, and for
 * the float64 oracle.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type * as tf from '@tensorflow/tfjs-core';
import {
  adamw,
  digrap,
  type FtpOptimizer,
  fixedRadius,
  l2sp,
  type OptimizerOptions,
  sgd,
  spd,
} from '../../src/index.js';
import {
  type GoldenStep,
  type JsonObject,
  type Kind,
  plainKeys,
  resolveGradients,
  values,
} from '../reference/golden.js';
import type { BaseSpec, RuleSpec } from '../reference/rules_float64.js';

const DIRECTORY = fileURLToPath(new URL('../fixtures/golden2/', import.meta.url));

export interface PeerParam {
  name: string;
  shape: number[];
  kind: Kind;
  init: Float32Array;
  anchor: Float32Array;
}

/** A quantity of a method besides the weights: where the library's state has it. */
export interface Quantity {
  key: string;
  slot: 'norms' | 'constraint';
  /** null: the whole slot */
  index: number | null;
}

export interface Peer {
  name: string;
  params: PeerParam[];
  groups: string[][];
  steps: GoldenStep[];
  /** `quantities`: by key and parameter; null where there is none */
  expected: { step: number; params: Map<string, Float32Array>; quantities: JsonObject }[];
  expectedF64: Map<string, number[]>;
  tolerance: { [measure: string]: number };
  quantities: Quantity[];
  /** The base update and the rule of a parameter. */
  specOf(name: string, group: number): { base: BaseSpec; rule: RuleSpec };
  /** The optimizer of a group. */
  make(group: number, shared: OptimizerOptions): FtpOptimizer;
}

/** What the tests of recipes and schedules read, and those of options that all optimizers have (test/training). */
const OTHERS =
  /^(schedules|soup|tpgm_.*|wise_ft|clip_gradients|timm_.*|keras_.*|torch_adam_coupled|torch_adamw_(clip_norm|ema)|torch_sgd_(accumulate_clip|clip_value))$/;

export const peerNames = readdirSync(DIRECTORY)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.slice(0, -'.json'.length))
  .filter((name) => !OTHERS.test(name))
  .sort();

interface Raw extends JsonObject {
  name: string;
  optimizer: string;
}

/** What authors' options say of a base update. */
function baseOf(raw: Raw, overrides: JsonObject): BaseSpec {
  const options = { ...(raw.options as JsonObject), ...overrides };
  const kind = raw.optimizer === 'sgd' || options.base === 'sgd' || raw.name === 'l2sp_sgd' ? 'sgd' : 'adamw';
  const ownDecay = raw.optimizer === 'adamspd' || raw.optimizer === 'decay_to_anchor';
  const weightDecay = ownDecay ? 0 : ((options.weight_decay as number | undefined) ?? 0);
  if (kind === 'sgd') {
    const { momentum, dampening, nesterov } = options as unknown as Required<BaseSpec>;
    return { kind, weightDecay, momentum, dampening, nesterov };
  }
  const [beta1, beta2] = options.betas as [number, number];
  return {
    kind,
    weightDecay,
    beta1,
    beta2,
    epsilon: options.eps as number,
    amsgrad: options.amsgrad === true,
  };
}

const radius = ({ constraint }: Raw, name: string): number | null => {
  const { params, zero_anchor, radius, radius_head } = constraint as unknown as {
    params: string[];
    zero_anchor: string[];
    radius: number;
    radius_head: number;
  };
  if (!params.includes(name)) return null;
  return zero_anchor.includes(name) ? radius_head : radius;
};

/** Strength of a parameter relative to that of the pre-trained ones; new ones decay towards zero. */
const share = ({ penalty }: Raw, name: string): number => {
  const {
    alpha,
    beta,
    sp,
    new: fresh,
  } = penalty as unknown as {
    alpha: number;
    beta: number;
    sp: string[];
    new: string[];
  };
  if (sp.includes(name)) return 1;
  return fresh.includes(name) ? beta / alpha : 0;
};

function ruleOf(raw: Raw, name: string): RuleSpec {
  const options = raw.options as unknown as { weight_decay: number };
  switch (raw.optimizer) {
    case 'adamspd':
      return { kind: 'spd', strength: options.weight_decay, rows: false };
    case 'mars_sp': {
      const { norm } = raw.constraint as unknown as { norm: string };
      const own = radius(raw, name) ?? Number.POSITIVE_INFINITY;
      return { kind: 'fixedRadius', radius: own, norm: norm === 'frob' ? 'frobenius' : 'mars' };
    }
    case 'l2sp': {
      const { alpha } = raw.penalty as unknown as { alpha: number };
      return { kind: 'l2sp', strength: alpha * share(raw, name), coupled: true };
    }
    case 'decay_to_anchor':
      return { kind: 'l2sp', strength: options.weight_decay, coupled: false };
    case 'digrap':
      return { kind: 'digrap', rate: 1e-2, beta1: 0.9, beta2: 0.999 };
    default:
      return { kind: 'none' };
  }
}

const QUANTITIES: { [optimizer: string]: Quantity[] } = {
  adamspd: [
    { key: 'spd_dot', slot: 'constraint', index: 1 },
    { key: 'spd_ratio', slot: 'norms', index: 0 },
  ],
  mars_sp: [{ key: 'norms', slot: 'norms', index: null }],
  digrap: [
    { key: 'loss_strength', slot: 'constraint', index: 0 },
    { key: 'loss_strength_grad', slot: 'constraint', index: 3 },
  ],
};

function make(raw: Raw, { kind, ...base }: BaseSpec, shared: OptimizerOptions): FtpOptimizer {
  const options = { ...shared, ...base };
  const maker =
    <O>(of: { adamw(rate: number, options: O): FtpOptimizer; sgd(rate: number, options: O): FtpOptimizer }) =>
    (more: object) =>
      (kind === 'sgd' ? of.sgd : of.adamw)(1, { ...options, ...more } as O);
  const rule = ruleOf(raw, (raw.params as { name: string }[])[0]?.name as string);
  switch (rule.kind) {
    case 'spd':
      return maker(spd)({ strength: rule.strength });
    case 'fixedRadius':
      return maker(fixedRadius)({ radius: (name: string) => radius(raw, name), norm: rule.norm });
    case 'l2sp': {
      if (!rule.coupled) return maker(l2sp)({ strength: rule.strength });
      const { alpha } = raw.penalty as unknown as { alpha: number };
      return maker(l2sp)({
        strength: alpha,
        coupled: true,
        strengthByDepth: (name: string) => share(raw, name),
      });
    }
    case 'digrap':
      return maker(digrap)({});
    default: {
      const { implementation } = shared;
      return (kind === 'sgd' ? sgd : adamw)(1, { implementation, ...base } as object);
    }
  }
}

export function readPeer(file: string): Peer {
  const raw = JSON.parse(readFileSync(`${DIRECTORY}${file}.json`, 'utf8')) as Raw;
  const groups = raw.groups as unknown as { params: string[]; options: JsonObject }[];
  const zeroAnchors = [
    ...((raw.constraint as { zero_anchor?: string[] } | undefined)?.zero_anchor ?? []),
    ...((raw.penalty as { new?: string[] } | undefined)?.new ?? []),
  ];
  const params = (raw.params as JsonObject[]).map((param): PeerParam => {
    const { name, shape, kind } = param as unknown as PeerParam;
    const init = values(param, 'init') as Float32Array;
    const given = values(param, 'anchor');
    // The authors' SPD decays towards zero where no anchor is given.
    const zero = zeroAnchors.includes(name) || (raw.optimizer === 'adamspd' && given === null);
    return { name, shape, kind, init, anchor: zero ? new Float32Array(init.length) : (given ?? init) };
  });
  const sizes = new Map(params.map(({ name, init }) => [name, init.length]));
  return {
    name: file,
    params,
    groups: groups.map((group) => group.params),
    steps: resolveGradients(raw.steps as JsonObject[], sizes),
    expected: (raw.expected as JsonObject[]).map((entry) => {
      const { step, params: weights, ...quantities } = entry;
      const holder = (weights ?? {}) as JsonObject;
      const list = plainKeys(holder).map((name) => [name, values(holder, name)] as const);
      return {
        step: step as number,
        params: new Map(list.filter((pair): pair is [string, Float32Array] => pair[1] !== null)),
        quantities,
      };
    }),
    expectedF64: new Map(Object.entries(raw.expected_f64 as unknown as { [name: string]: number[] })),
    tolerance: raw.tolerance as unknown as Peer['tolerance'],
    quantities: QUANTITIES[raw.optimizer] ?? [],
    specOf: (name, group) => ({
      base: baseOf(raw, groups[group]?.options as JsonObject),
      rule: ruleOf(raw, name),
    }),
    make: (group, shared) => make(raw, baseOf(raw, groups[group]?.options as JsonObject), shared),
  };
}

export type Tensors = { [name: string]: tf.Tensor };
