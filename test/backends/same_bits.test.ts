/** The native step gives the same bits on every backend and with any number of threads, subnormal numbers included. */
import { expect, it } from 'vitest';
import { runScenario, type Snapshot } from '../optimizers/run_scenario.js';
import { nameOf, oneGroup, randomArray, type Scenario, sizeOf } from '../optimizers/scenario.js';
import { type ReplayState, sameState } from './golden_replay.js';
import { describeOrSkip, whyNoAddon } from './skip.js';
import { SUBJECTS, type Subject } from './subjects.js';

const STEPS = 3;

/** Large enough that threads share a variable, and many small ones that they share out. */
const SHAPES: readonly (readonly [number[], number | null])[] = [
  [[70_001], null],
  [[301, 257], 1],
  [[257, 301], 0],
  [[3, 3, 31, 67], 3],
  [[5, 129, 131], 1],
  ...Array.from({ length: 12 }, (_, i): [number[], number] => [[17, i + 1], 1]),
];

function scenario(optimizer: 'adamp' | 'sgdp'): Scenario {
  const common = { lr: 1, weight_decay: 0.01, k: 1, exclude_set: [] };
  return {
    optimizer,
    options:
      optimizer === 'adamp'
        ? { ...common, betas: [0.9, 0.999], eps: 1e-8, amsgrad: true }
        : { ...common, momentum: 0.9, dampening: 0, nesterov: true },
    learningRates: Array.from({ length: STEPS }, () => 1e-2),
    variables: SHAPES.map(([shape, axis], i) => ({
      shape,
      axis,
      excluded: i % 5 === 4,
      deviated: false,
      seed: 17 * i,
      weightScale: 0.5,
      gradientScale: 1,
      gifts: Array.from({ length: STEPS }, () => 'gradient' as const),
    })),
  };
}

/** Every third element is so small that its square, or itself, is subnormal. */
const gradients = Array.from({ length: STEPS }, (_, step) => {
  const scales = [1, 1e-20, 1, 1e-40, 1, 1];
  return new Map(
    SHAPES.map(([shape], i) => [
      nameOf(i),
      randomArray(sizeOf(shape), 1, 31 * i + 7 * step).map(
        (g, j) => g * (scales[j % scales.length] as number),
      ),
    ]),
  );
});

async function states(subject: Subject, optimizer: 'adamp' | 'sgdp', threads: number): Promise<Snapshot> {
  await subject.prepare();
  const given = scenario(optimizer);
  const groups = oneGroup(given).map((group) => ({ ...group, threads }));
  const history = await runScenario(given, groups, subject.start, gradients);
  return history.states.at(-1) as Snapshot;
}

function different(a: Snapshot, b: Snapshot): string[] {
  return SHAPES.flatMap(([shape], i) => {
    const [x, y] = [a.get(nameOf(i)), b.get(nameOf(i))] as [ReplayState, ReplayState];
    return sameState(x, y) ? [] : [`${nameOf(i)} [${shape}]`];
  });
}

const native = SUBJECTS.filter((subject) => subject.native);
const direct = native.find((subject) => !subject.tfjs) as Subject;

for (const subject of native) {
  describeOrSkip(
    `the same bits, ${subject.label}`,
    subject.missing ?? whyNoAddon(),
    () => {
      it.each([
        ['adamp', 1],
        ['adamp', 2],
        ['adamp', 5],
        ['sgdp', 1],
        ['sgdp', 5],
      ] as const)('%s with %i threads', async (optimizer, threads) => {
        const expected = await states(direct, optimizer, 1);
        const present = await states(subject, optimizer, threads);
        expect(different(present, expected)).toEqual([]);
      });
    },
    { mayBeMissing: subject.mayBeMissing },
  );
}
