/** Random training runs for property tests: models, options and gradient sequences, all from one seed. */
import fc from 'fast-check';
import type { ReplayGroup, ReplayVariable } from '../backends/golden_replay.js';
import type { GoldenOptions } from '../reference/golden.js';

/** What a variable gets on a step: a gradient, none at all, or exact zeros. */
export type Gift = 'gradient' | 'none' | 'zeros';

export interface ScenarioVariable {
  shape: number[];
  axis: number | null;
  excluded: boolean;
  /** whether the weights start away from the anchor */
  deviated: boolean;
  seed: number;
  weightScale: number;
  gradientScale: number;
  gifts: Gift[];
}

export interface Scenario {
  optimizer: 'sgdp' | 'adamp';
  options: GoldenOptions;
  learningRates: number[];
  variables: ScenarioVariable[];
}

export const nameOf = (index: number) => `scenario/v${index}`;

/** Uniform numbers in [0, 1): mulberry32. */
export function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
}

export function randomArray(length: number, scale: number, seed: number): Float32Array {
  const random = randomNumbers(seed);
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = scale * (random() + random() - 1);
  return values;
}

export const sizeOf = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);

const MAX_SIZE = 6000;

/** Ranks 0 to 4; extents 1, odd, prime and around the kernels' groups of 16, 64 and 4096. */
const shapes: fc.Arbitrary<number[]> = fc.oneof(
  fc
    .array(fc.constantFrom(1, 1, 2, 3, 5, 7, 8, 13, 15, 16, 17, 31, 63, 64, 65), { maxLength: 4 })
    .filter((shape) => sizeOf(shape) <= MAX_SIZE),
  fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 4 }).filter((shape) => sizeOf(shape) <= MAX_SIZE),
  fc.constantFrom<number[][]>(
    [4095],
    [4096],
    [4097],
    [1, 4097],
    [4097, 1],
    [2, 2049],
    [2049, 2],
    [17, 16, 16],
    [3, 1, 1367],
  ),
);

const gifts = (steps: number): fc.Arbitrary<Gift[]> =>
  fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.constant<Gift>('gradient') },
      { weight: 1, arbitrary: fc.constant<Gift>('none') },
      { weight: 1, arbitrary: fc.constant<Gift>('zeros') },
    ),
    { minLength: steps, maxLength: steps },
  );

/** Large, but not so that float32 overflows; small, and so that g * g or g itself is subnormal. */
const gradientScales = fc.constantFrom(1, 1, 1, 1e-3, 30, 1e-12, 1e12, 1e-20, 1e-38);

const variables = (steps: number): fc.Arbitrary<ScenarioVariable> =>
  shapes.chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      axis: fc.constantFrom<(number | null)[]>(null, ...shape.map((_, axis) => axis)),
      excluded: fc.oneof(
        { weight: 3, arbitrary: fc.constant(false) },
        { weight: 1, arbitrary: fc.constant(true) },
      ),
      deviated: fc.boolean(),
      seed: fc.integer(),
      weightScale: fc.constantFrom(1, 1, 0.05, 1e-4, 100),
      gradientScale: gradientScales,
      gifts: gifts(steps),
    }),
  );

const options: fc.Arbitrary<Pick<Scenario, 'optimizer' | 'options'>> = fc
  .record({
    optimizer: fc.constantFrom('sgdp', 'adamp'),
    k: fc.constantFrom(1, 1, 0.5, 0),
    weight_decay: fc.constantFrom(0, 0, 0.05, 1),
    betas: fc.constantFrom<[number, number]>([0.9, 0.999], [0.8, 0.95], [0, 0]),
    eps: fc.constantFrom(1e-8, 1e-3),
    amsgrad: fc.boolean(),
    momentum: fc.constantFrom(0, 0.9, 0.5),
    dampening: fc.constantFrom(0, 0.5),
    nesterov: fc.boolean(),
  })
  .map(({ optimizer, k, weight_decay, betas, eps, amsgrad, momentum, dampening, nesterov }) => {
    const common = { lr: 1, k, weight_decay, exclude_set: [] };
    return optimizer === 'adamp'
      ? { optimizer: 'adamp' as const, options: { ...common, betas, eps, amsgrad } }
      : {
          optimizer: 'sgdp' as const,
          // Nesterov needs momentum and no dampening
          options: {
            ...common,
            momentum,
            dampening: nesterov ? 0 : dampening,
            nesterov: nesterov && momentum > 0,
          },
        };
  });

export interface ScenarioLimits {
  minSteps?: number;
  maxSteps?: number;
  maxVariables?: number;
}

export function scenarios({
  minSteps = 2,
  maxSteps = 7,
  maxVariables = 3,
}: ScenarioLimits = {}): fc.Arbitrary<Scenario> {
  return fc.integer({ min: minSteps, max: maxSteps }).chain((steps) =>
    fc
      .record({
        settings: options,
        learningRates: fc.array(fc.constantFrom(1e-4, 1e-3, 1e-2, 0.1), {
          minLength: steps,
          maxLength: steps,
        }),
        variables: fc.array(variables(steps), { minLength: 1, maxLength: maxVariables }),
      })
      .map(({ settings, learningRates, variables }) => ({ ...settings, learningRates, variables })),
  );
}

/** The variables as the replays take them. */
export function replayVariables(scenario: Scenario): ReplayVariable[] {
  return scenario.variables.map((variable, index) => {
    const { shape, axis, excluded, deviated, seed, weightScale } = variable;
    const anchor = randomArray(sizeOf(shape), weightScale, seed);
    const offset = randomArray(sizeOf(shape), 0.1 * weightScale, seed + 1);
    return {
      name: nameOf(index),
      shape,
      outputAxis: axis,
      defaultAxis: axis === (shape.length < 2 ? null : shape.length - 1),
      init: deviated ? anchor.map((a, i) => a + (offset[i] as number)) : anchor.slice(),
      anchor,
      excluded,
    };
  });
}

/** One optimizer for the whole model. */
export function oneGroup(scenario: Scenario): ReplayGroup[] {
  const { optimizer, options } = scenario;
  return [{ optimizer, options, variables: replayVariables(scenario) }];
}

/** An optimizer for every variable. */
export function splitGroups(scenario: Scenario): ReplayGroup[] {
  const { optimizer, options } = scenario;
  return replayVariables(scenario).map((variable) => ({ optimizer, options, variables: [variable] }));
}

/** Gradients of one step: a fixed direction that turns around every third step, plus noise. */
export function gradientsOf(scenario: Scenario, step: number): Map<string, Float32Array | null> {
  return new Map(
    scenario.variables.map(({ shape, seed, gradientScale, gifts }, index) => {
      const size = sizeOf(shape);
      const gift = gifts[step] ?? 'gradient';
      if (gift === 'none') return [nameOf(index), null];
      if (gift === 'zeros') return [nameOf(index), new Float32Array(size)];
      const direction = randomArray(size, gradientScale, seed + 2);
      const noise = randomArray(size, 0.5 * gradientScale, seed + 3 + step);
      const sign = step % 3 === 2 ? -1 : 1;
      return [nameOf(index), direction.map((d, i) => sign * d + (noise[i] as number))];
    }),
  );
}
