/** Reads the trajectories of test/fixtures/hyper. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import {
  type GoldenStep,
  type JsonObject,
  type Kind,
  resolveGradients,
  values,
} from '../reference/golden.js';
import { distance2, norm2 } from '../reference/measures.js';

const DIRECTORY = fileURLToPath(new URL('../fixtures/hyper/', import.meta.url));

export interface HyperParam {
  name: string;
  shape: number[];
  kind: Kind;
  init: Float32Array;
}

export interface TowerLevel {
  class: 'SGD' | 'SGDPerParam' | 'Adam' | 'AdamBaydin';
  alpha: number | { [param: string]: number };
  mu?: number;
  beta1?: number;
  beta2?: number;
}

type Named = { readonly [name: string]: number | null };

export interface HyperCase {
  name: string;
  options: JsonObject;
  tower: TowerLevel[];
  groups: Array<{ params: string[]; options: JsonObject }>;
  params: HyperParam[];
  steps: GoldenStep[];
  expected: Array<{
    step: number;
    params: Map<string, Float32Array>;
    hyper: Named;
    hyper_grad: Named;
    lr_used: Named;
  }>;
  expectedF64: Map<string, number[]>;
  tolerance: { [measure: string]: number };
}

export const hyperNames = readdirSync(DIRECTORY)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.slice(0, -'.json'.length))
  .sort();

/** These are float32 numbers in shortest decimal form. */
function levelOf({ alpha, mu, ...rest }: TowerLevel): TowerLevel {
  const single = (entries: [string, number][]) => entries.map(([name, value]) => [name, Math.fround(value)]);
  const betas =
    rest.class === 'Adam' ? { beta1: Math.fround(rest.beta1 ?? 0), beta2: Math.fround(rest.beta2 ?? 0) } : {};
  return {
    ...rest,
    ...betas,
    alpha: typeof alpha === 'number' ? Math.fround(alpha) : Object.fromEntries(single(Object.entries(alpha))),
    ...(mu === undefined ? {} : { mu: Math.fround(mu) }),
  };
}

export function readHyper(name: string): HyperCase {
  const raw = JSON.parse(readFileSync(`${DIRECTORY}${name}.json`, 'utf8')) as JsonObject;
  const params = (raw.params as JsonObject[]).map((param): HyperParam => {
    const shape = param.shape as number[];
    const size = shape.reduce((product, n) => product * n, 1);
    return {
      name: param.name as string,
      shape,
      kind: param.kind as Kind,
      init: values(param, 'init', size) as Float32Array,
    };
  });
  const sizes = new Map(params.map((param) => [param.name, param.init.length]));
  const steps = (raw.steps as JsonObject[]).map((step) => ({ lr: [], ...step }));
  return {
    name,
    options: raw.options as JsonObject,
    tower: ((raw.tower ?? []) as unknown as TowerLevel[]).map(levelOf),
    groups: raw.groups as unknown as HyperCase['groups'],
    params,
    steps: resolveGradients(steps, sizes),
    expected: (raw.expected as JsonObject[]).map((entry) => ({
      ...(entry as unknown as HyperCase['expected'][number]),
      params: new Map(
        params.map((param) => [
          param.name,
          values(entry.params as JsonObject, param.name, param.init.length) as Float32Array,
        ]),
      ),
    })),
    expectedF64: new Map(Object.entries(raw.expected_f64 as unknown as { [name: string]: number[] })),
    tolerance: raw.tolerance as unknown as HyperCase['tolerance'],
  };
}

/** Holds numbers by name against a file, relative to the largest magnitude of each over the run. */
export class NamedComparison {
  private readonly seen = new Map<string, { difference: number; largest: number; count: number }>();

  add(key: string, expected: Named, own: { readonly [name: string]: number | null | undefined }): void {
    for (const [name, value] of Object.entries(own)) {
      const target = expected[name];
      if (target === undefined) throw new Error(`the file has no ${key} of ${name}`);
      if (target === null) {
        expect(value, `${key} ${name}`).toBeFalsy();
        continue;
      }
      const id = `${key} ${name}`;
      const entry = this.seen.get(id) ?? { difference: 0, largest: 0, count: 0 };
      const difference = Math.abs((value ?? 0) - target);
      // NaN is not hidden
      if (!(difference <= entry.difference)) entry.difference = difference;
      entry.largest = Math.max(entry.largest, Math.abs(target));
      entry.count++;
      this.seen.set(id, entry);
    }
  }

  check(tolerance: { [measure: string]: number }, counts: { [key: string]: number }): void {
    for (const [key, count] of Object.entries(counts)) {
      const entries = [...this.seen].filter(([id]) => id.startsWith(`${key} `));
      expect(
        entries.reduce((sum, [, entry]) => sum + entry.count, 0),
        key,
      ).toBe(count);
      for (const [id, { difference, largest }] of entries) {
        expect(difference, id).toBeLessThanOrEqual((tolerance[`${key}_rel`] as number) * largest);
      }
    }
  }
}

/** |own - expected| / |expected| */
export function relative(own: ArrayLike<number>, expected: ArrayLike<number>): number {
  return distance2(own, expected) / norm2(expected);
}
