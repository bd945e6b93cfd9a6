/**
 * Reader of the golden trajectories in test/fixtures/golden (see the README there): typed values, both storage forms
 * (lists and base64), resolved gradients, and conversion between the authors' layout and the Keras layout.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export type Kind = 'linear' | 'conv2d' | 'conv1d' | 'embedding' | 'bias' | 'scalar';

export interface GoldenParam {
  name: string;
  /** torch shape, output axis first */
  shape: number[];
  kind: Kind;
  init: Float32Array;
  anchor: Float32Array;
}

export interface GoldenOptions {
  weight_decay: number;
  k: number;
  lr: number;
  exclude_set: string[];
  betas?: [number, number];
  eps?: number;
  amsgrad?: boolean;
  momentum?: number;
  dampening?: number;
  nesterov?: boolean;
}

export interface GoldenGroup {
  params: string[];
  /** the case's options with the group's overrides applied */
  options: GoldenOptions;
}

export interface GoldenStep {
  step: number;
  /** one learning rate per group */
  lr: number[];
  /** null: no gradient on this step */
  grads: Map<string, Float32Array | null>;
}

/** The state after one step. A name is missing from a map where the file has null. */
export interface GoldenExpected {
  step: number;
  params: Map<string, Float32Array> | null;
  gamma: Map<string, number>;
  gammaM: Map<string, number>;
  gammaV: Map<string, number>;
  gammaGrad: Map<string, number>;
  norms: Map<string, Float32Array>;
}

export type FinalSlot = 'exp_avg' | 'exp_avg_sq' | 'max_exp_avg_sq' | 'momentum_buffer' | 'prev_c';

export interface GoldenTolerance {
  params_rel: number;
  deviation_rel: number;
  gamma_rel: number;
  norms_rel: number;
  gamma_grad_rel: number;
  gamma_m_rel: number;
  gamma_v_rel: number;
}

export interface GoldenCase {
  name: string;
  optimizer: 'sgdp' | 'adamp';
  options: GoldenOptions;
  groups: GoldenGroup[];
  params: GoldenParam[];
  steps: GoldenStep[];
  expected: GoldenExpected[];
  finalState: Map<string, Partial<Record<FinalSlot, Float32Array>>>;
  expectedF64: Map<string, Float64Array>;
  tolerance: GoldenTolerance;
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

const DIRECTORY = fileURLToPath(new URL('../fixtures/golden/', import.meta.url));

/** Names of all cases in test/fixtures/golden, sorted. */
export function goldenNames(): string[] {
  return readdirSync(DIRECTORY)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .sort();
}

/** Reads one case; the error names the file and the key where something is not as the schema says. */
export function readGolden(name: string): GoldenCase {
  return parseGolden(JSON.parse(readFileSync(`${DIRECTORY}${name}.json`, 'utf8')) as JsonObject);
}

export function parseGolden(raw: JsonObject): GoldenCase {
  const options = raw.options as unknown as GoldenOptions;
  const params = (raw.params as JsonObject[]).map((param) => {
    const shape = param.shape as number[];
    const size = shape.reduce((product, n) => product * n, 1);
    const init = values(param, 'init', size);
    const anchor = values(param, 'anchor', size);
    if (!init || !anchor) throw new Error(`${raw.name}: ${param.name} lacks init or anchor`);
    return { name: param.name as string, shape, kind: param.kind as Kind, init, anchor };
  });
  const sizes = new Map(params.map((param) => [param.name, param.init.length]));
  return {
    name: raw.name as string,
    optimizer: raw.optimizer as 'sgdp' | 'adamp',
    options,
    groups: (raw.groups as JsonObject[]).map((group) => ({
      params: group.params as string[],
      options: { ...options, ...(group.options as unknown as Partial<GoldenOptions>) },
    })),
    params,
    steps: resolveGradients(raw.steps as JsonObject[], sizes),
    expected: (raw.expected as JsonObject[]).map((entry) => expectedEntry(entry, sizes)),
    finalState: finalState(raw.final_state as JsonObject, sizes),
    expectedF64: new Map(
      Object.entries(raw.expected_f64 as { [key: string]: number[] }).map(([k, v]) => [
        k,
        Float64Array.from(v),
      ]),
    ),
    tolerance: raw.tolerance as unknown as GoldenTolerance,
  };
}

/** The flat float32 list under `key` or its base64 form under `key_b64`; null where the file has null or nothing. */
export function values(holder: JsonObject, key: string, size?: number): Float32Array | null {
  const encoded = holder[`${key}_b64`];
  let result: Float32Array;
  if (typeof encoded === 'string') {
    const bytes = Buffer.from(encoded, 'base64');
    result = new Float32Array(bytes.length / 4);
    for (let i = 0; i < result.length; i++) result[i] = bytes.readFloatLE(4 * i);
  } else {
    const list = holder[key];
    if (list === null || list === undefined) return null;
    result = Float32Array.from(typeof list === 'number' ? [list] : (list as number[]));
  }
  if (size !== undefined && result.length !== size) {
    throw new Error(`${key}: expected ${size} values, got ${result.length}`);
  }
  return result;
}

/** Parameter names of a map whose keys may carry the base64 suffix. */
export function plainKeys(holder: JsonObject): string[] {
  return Object.keys(holder).map((key) => (key.endsWith('_b64') ? key.slice(0, -'_b64'.length) : key));
}

export function resolveGradients(steps: JsonObject[], sizes: Map<string, number>): GoldenStep[] {
  const resolved: GoldenStep[] = [];
  const byStep = new Map<number, Map<string, Float32Array | null>>();
  for (const raw of steps) {
    const holder = raw.grads as JsonObject;
    const grads = new Map<string, Float32Array | null>();
    for (const name of plainKeys(holder)) {
      const entry = holder[name];
      if (entry !== null && typeof entry === 'object' && !Array.isArray(entry)) {
        const source = byStep.get(entry.ref_step as number)?.get(name);
        if (!source)
          throw new Error(`step ${raw.step}: ${name} refers to step ${entry.ref_step}, which has none`);
        const factor = Math.fround(entry.mult as number);
        grads.set(
          name,
          source.map((g) => g * factor),
        );
      } else {
        grads.set(name, values(holder, name, sizes.get(name)));
      }
    }
    byStep.set(raw.step as number, grads);
    resolved.push({ step: raw.step as number, lr: raw.lr as number[], grads });
  }
  return resolved;
}

function expectedEntry(raw: JsonObject, sizes: Map<string, number>): GoldenExpected {
  const numbers = (key: string) =>
    new Map(
      Object.entries(raw[key] as { [name: string]: number | null }).filter(
        (entry): entry is [string, number] => entry[1] !== null,
      ),
    );
  const arrays = (holder: JsonObject, checkSize: boolean) => {
    const result = new Map<string, Float32Array>();
    for (const name of plainKeys(holder)) {
      const list = values(holder, name, checkSize ? sizes.get(name) : undefined);
      if (list) result.set(name, list);
    }
    return result;
  };
  return {
    step: raw.step as number,
    params: raw.params ? arrays(raw.params as JsonObject, true) : null,
    gamma: numbers('gamma'),
    gammaM: numbers('gamma_m'),
    gammaV: numbers('gamma_v'),
    gammaGrad: numbers('gamma_grad'),
    norms: arrays(raw.norms as JsonObject, false),
  };
}

function finalState(raw: JsonObject | null, sizes: Map<string, number>) {
  const result: GoldenCase['finalState'] = new Map();
  for (const [name, holder] of Object.entries(raw ?? {})) {
    const slots: Partial<Record<FinalSlot, Float32Array>> = {};
    for (const slot of plainKeys(holder as JsonObject)) {
      const list = values(holder as JsonObject, slot, sizes.get(name));
      if (list) slots[slot as FinalSlot] = list;
    }
    result.set(name, slots);
  }
  return result;
}

/** Order of the torch axes in the Keras layout: the output axis goes last, spatial axes first. */
function kerasAxes(shape: readonly number[], kind: Kind): number[] {
  const all = shape.map((_, axis) => axis);
  if (kind === 'embedding' || kind === 'bias' || kind === 'scalar') return all;
  return [...all.slice(2), 1, 0]; // [out, in, ...spatial] -> [...spatial, in, out]
}

export function kerasShape(shape: readonly number[], kind: Kind): number[] {
  return kerasAxes(shape, kind).map((axis) => shape[axis] as number);
}

/** For every element of the Keras layout, the index of that element in the torch layout. */
function kerasIndex(shape: readonly number[], kind: Kind): Int32Array {
  const axes = kerasAxes(shape, kind);
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, n) => product * n, 1));
  const size = shape.reduce((product, n) => product * n, 1);
  const index = new Int32Array(size);
  const position = axes.map(() => 0);
  for (let i = 0; i < size; i++) {
    index[i] = axes.reduce((sum, axis, d) => sum + (position[d] as number) * (strides[axis] as number), 0);
    for (let d = axes.length - 1; d >= 0; d--) {
      position[d] = (position[d] as number) + 1;
      if ((position[d] as number) < (shape[axes[d] as number] as number)) break;
      position[d] = 0;
    }
  }
  return index;
}

/** Torch layout [out, in, ...] to Keras layout [..., in, out]. */
export function toKeras(data: Float32Array, shape: readonly number[], kind: Kind): Float32Array {
  return Float32Array.from(kerasIndex(shape, kind), (source) => data[source] as number);
}

/** Keras layout [..., in, out] back to torch layout [out, in, ...]. `shape` is the torch shape. */
export function fromKeras(data: Float32Array, shape: readonly number[], kind: Kind): Float32Array {
  const result = new Float32Array(data.length);
  kerasIndex(shape, kind).forEach((target, i) => {
    result[target] = data[i] as number;
  });
  return result;
}

/**
 * Output axis of a golden parameter in either layout; null where the whole tensor is one row.
 * Embeddings keep their rows on the first axis in both.
 */
export function outputAxisOf(kind: Kind, rank: number, layout: 'torch' | 'keras'): number | null {
  if (rank < 2) return null;
  return layout === 'torch' || kind === 'embedding' ? 0 : rank - 1;
}
