/** gdtuo's towers: its trajectories, with the bottom level written here and every level above from the library. */
import { describe, expect, it } from 'vitest';
import {
  type Above,
  type Element,
  scaleOf,
  startTower,
  stepTower,
  type Tower,
} from '../../src/learn/tower.js';
import {
  type HyperCase,
  hyperNames,
  NamedComparison,
  readHyper,
  relative,
  type TowerLevel,
} from './hyper_golden.js';

const NO_BOUNDS = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] as const;

/** One parameter under gdtuo's bottom level, in float64, with the derivatives of its last update. */
class Bottom {
  private n = 0;
  private u: number[];
  private m: number[];
  private v: number[];
  readonly by: { [number: string]: number[] } = {};

  constructor(
    readonly level: TowerLevel,
    public weights: number[],
  ) {
    const fill = (x: number) => weights.map(() => x);
    [this.u, this.m, this.v] = [fill(0), fill(0), fill(1e-8)];
  }

  step({ alpha, mu, beta1: b1, beta2: b2 }: { [number: string]: number }, g: ArrayLike<number>): void {
    const n = ++this.n;
    if (this.level.class === 'SGD' || this.level.class === 'SGDPerParam') {
      const last = this.u;
      this.u = last.map((u, i) => (n === 1 ? 0 : (mu ?? 0)) * u + (g[i] as number));
      this.weights = this.weights.map((w, i) => w - (alpha as number) * (this.u[i] as number));
      this.by.alpha = this.u.map((u) => -u);
      this.by.mu = last.map((u) => -(alpha as number) * u);
      return;
    }
    const [beta1, beta2, rate] = [b1 as number, b2 as number, alpha as number];
    const [c1, c2] = [1 - beta1 ** n, 1 - beta2 ** n];
    const [m0, v0] = [this.m, this.v];
    this.m = m0.map((m, i) => beta1 * m + (1 - beta1) * (g[i] as number));
    this.v = v0.map((v, i) => beta2 * v + (1 - beta2) * (g[i] as number) ** 2);
    const each = (f: (x: { m: number; v: number; m0: number; v0: number; g: number }) => number) =>
      this.m.map((m, i) =>
        f({ m, v: this.v[i] as number, m0: m0[i] as number, v0: v0[i] as number, g: g[i] as number }),
      );
    const root = (v: number) => Math.sqrt(v / c2);
    this.by.alpha = each(({ m, v }) => -m / c1 / (root(v) + 1e-8));
    this.by.beta1 = each(
      (x) => (-rate / (root(x.v) + 1e-8)) * ((x.m0 - x.g) / c1 + (x.m * n * beta1 ** (n - 1)) / c1 ** 2),
    );
    this.by.beta2 = each(
      (x) =>
        ((rate * x.m) / c1 / (root(x.v) + 1e-8) ** 2 / (2 * root(x.v))) *
        ((x.v0 - x.g ** 2) / c2 + (x.v * n * beta2 ** (n - 1)) / c2 ** 2),
    );
    this.weights = this.weights.map((w, i) => w + rate * (this.by.alpha?.[i] as number));
  }
}

/** What a file calls a number of a level. */
const NAMES: { [own: string]: string } = {
  rate: 'alpha',
  momentum: 'mu',
  beta1: 'beta1_raw',
  beta2: 'beta2_raw',
};

function towerOf([level, ...rest]: TowerLevel[]): Tower {
  const { class: kind, alpha, mu = 0, beta1, beta2 } = level as TowerLevel;
  const numbers: { [name: string]: number } =
    kind === 'SGD'
      ? { rate: alpha as number, momentum: mu }
      : { rate: alpha as number, beta1: beta1 as number, beta2: beta2 as number };
  const learned = Object.keys(numbers).filter((name) => name !== 'momentum' || mu !== 0);
  const bounds = Object.fromEntries(learned.map((name) => [name, NO_BOUNDS]));
  const above: Above[] = rest.length > 0 ? [{ tower: towerOf(rest), bounds }] : [];
  return { method: kind === 'SGD' ? 'sgd' : 'adam', numbers, above };
}

const raw = (name: string, value: number) => (name.startsWith('beta') ? Math.atanh(2 * value - 1) : value);

function replay({ params, steps, expected, tower, tolerance, expectedF64 }: HyperCase) {
  const [bottom, ...rest] = tower as [TowerLevel, ...TowerLevel[]];
  const variables = new Map(params.map(({ name, init }) => [name, new Bottom(bottom, Array.from(init))]));
  const perParam = typeof bottom.alpha === 'object';
  const numbers: { [name: string]: number } = perParam
    ? Object.fromEntries(Object.entries(bottom.alpha).map(([name, alpha]) => [`${name}_alpha`, alpha]))
    : { alpha: bottom.alpha as number };
  if (bottom.mu) numbers.mu = bottom.mu;
  if (bottom.class === 'Adam') Object.assign(numbers, { beta1: bottom.beta1, beta2: bottom.beta2 });
  const fixed = bottom.class === 'AdamBaydin' ? { beta1: bottom.beta1, beta2: bottom.beta2 } : {};
  const above = towerOf(rest);
  let state = startTower(above);
  const comparison = new NamedComparison();
  let [count, worst] = [0, 0];
  for (const { step, grads } of steps) {
    const gradient = (name: string) => {
      let h = 0;
      for (const [param, variable] of variables) {
        const own = perParam
          ? name === `${param}_alpha`
            ? variable.by.alpha
            : undefined
          : variable.by[name];
        own?.forEach((x, i) => {
          h += x * (grads.get(param)?.[i] ?? 0);
        });
      }
      return h;
    };
    const elements = Object.entries(numbers).map(([name, value]): Element => {
      const gradientOf = { h: gradient(name), gg: 1, xx: 1 };
      return { name, value, bounds: NO_BOUNDS, scale: scaleOf(above.method, name), gradient: gradientOf };
    });
    const stepped = stepTower(above, state, elements);
    state = stepped.state;
    for (const [i, { name }] of elements.entries()) numbers[name] = stepped.values[i] as number;
    for (const [param, variable] of variables) {
      const alpha = perParam ? numbers[`${param}_alpha`] : numbers.alpha;
      if (alpha === undefined) continue;
      variable.step({ ...numbers, ...fixed, alpha } as { [name: string]: number }, grads.get(param) ?? []);
    }
    const entry = expected.find((candidate) => candidate.step === step);
    if (entry === undefined) continue;
    const shown: { [name: string]: number } = {};
    const shownGradients: { [name: string]: number } = {};
    for (const { name, value: before, gradient: g, scale } of elements) {
      const called = name.startsWith('beta') ? `${name}_raw` : name;
      shown[`0.${called}`] = raw(name, numbers[name] as number);
      shownGradients[`0.${called}`] = g.h * scale.slope(before);
    }
    for (
      let [level, at] = [1, state];
      at !== undefined;
      [level, at] = [level + 1, at.above[0] as typeof at]
    ) {
      for (const [name, value] of Object.entries(at.numbers)) {
        const key = `${level}.${NAMES[name]}`;
        if (key in entry.hyper) shown[key] = raw(name, value);
      }
    }
    comparison.add('hyper', entry.hyper, shown);
    comparison.add('hyper_grad', entry.hyper_grad, shownGradients);
    expect(Object.keys(shown).sort()).toEqual(Object.keys(entry.hyper).sort());
    count += Object.keys(shown).length;
    for (const [name, weights] of entry.params) {
      worst = Math.max(worst, relative((variables.get(name) as Bottom).weights, weights));
    }
  }
  comparison.check(tolerance, { hyper: count, hyper_grad: Object.keys(numbers).length * expected.length });
  expect(expected.length).toBe(steps.length);
  expect(worst).toBeLessThanOrEqual(tolerance.params_rel as number);
  for (const [name, weights] of expectedF64) {
    expect(relative((variables.get(name) as Bottom).weights, weights), name).toBeLessThan(1e-11);
  }
}

describe('gdtuo', () => {
  const names = hyperNames.filter((name) => name.startsWith('gdtuo'));
  it('has its seven trajectories', () => expect(names.length).toBe(7));
  it.each(names)('%s: every number of every level at every step', (name) => replay(readHyper(name)));
});
