/**
 * Properties that hold for any model, any options and any gradients, on every implementation. The seed is fixed;
 * TFJS_FTP_PROPERTY_SEED takes another, TFJS_FTP_PROPERTY_RUNS multiplies the number of models.
 */
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, expect, it, vi } from 'vitest';
import { type ReplayState, sameBits, sameState } from '../backends/golden_replay.js';
import { describeSubjects, type Subject } from '../backends/subjects.js';
import { layoutOf } from '../reference/ftp_float64.js';
import { type History, runScenario } from './run_scenario.js';
import { gradientsOf, nameOf, oneGroup, type Scenario, scenarios, splitGroups } from './scenario.js';
import { checkStep } from './step_check.js';

vi.setConfig({ testTimeout: 60_000 * Number(process.env.TFJS_FTP_PROPERTY_RUNS ?? 1) });

const UNIT = 2 ** -24;
const SEED = Number(process.env.TFJS_FTP_PROPERTY_SEED ?? 20231019);
const RUNS = Number(process.env.TFJS_FTP_PROPERTY_RUNS ?? 1);

/** fast-check with a fixed seed; tensors of a tfjs subject must not pile up. */
async function holds(
  subject: Subject,
  numRuns: number,
  arbitrary: fc.Arbitrary<Scenario>,
  property: (scenario: Scenario) => Promise<void>,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(arbitrary, async (scenario) => {
      const before = tf.memory().numTensors;
      await property(scenario);
      if (subject.tfjs) expect(tf.memory().numTensors, 'tensors left over').toBe(before);
    }),
    { seed: SEED, numRuns: RUNS * numRuns },
  );
}

type Constraint = NonNullable<ReplayState['constraint']>;

interface Visit {
  index: number;
  step: number;
  before: ReplayState;
  after: ReplayState;
  gradient: Float32Array | null;
}

/** Every variable on every step. */
function* visits(scenario: Scenario, { states, gradients }: History): Generator<Visit> {
  for (const [step, given] of gradients.entries()) {
    for (const index of scenario.variables.keys()) {
      yield {
        index,
        step,
        before: states[step]?.get(nameOf(index)) as ReplayState,
        after: states[step + 1]?.get(nameOf(index)) as ReplayState,
        gradient: given.get(nameOf(index)) ?? null,
      };
    }
  }
}

/** Visits of projected variables that were updated. */
function* projections(
  scenario: Scenario,
  history: History,
): Generator<Visit & { constraint: Constraint; rows: Int32Array }> {
  for (const visit of visits(scenario, history)) {
    const { shape, axis } = scenario.variables[visit.index] as Scenario['variables'][number];
    if (!visit.gradient || !visit.after.constraint) continue;
    const { inner, rows } = layoutOf(shape, axis);
    const rowOf = Int32Array.from(visit.gradient, (_, i) => Math.floor(i / inner) % rows);
    yield { ...visit, constraint: visit.after.constraint, rows: rowOf };
  }
}

function excluding(scenario: Scenario): Scenario {
  return { ...scenario, variables: scenario.variables.map((variable) => ({ ...variable, excluded: true })) };
}

describeSubjects('properties', (subject) => {
  beforeAll(() => subject.prepare());

  it('every step is as exact as float32 allows; the native step has the bits of plain float32', async () => {
    let bits = 0;
    await holds(subject, 40, scenarios(), async (scenario) => {
      const history = await runScenario(scenario, oneGroup(scenario), subject.start);
      const [group] = history.groups as [History['groups'][number]];
      for (const { index, step, before, after, gradient } of visits(scenario, history)) {
        if (!gradient) continue;
        const report = checkStep({
          group,
          variable: group.variables[index] as (typeof group.variables)[number],
          before,
          after,
          gradient,
          learningRate: scenario.learningRates[step] as number,
          native: subject.native,
        });
        expect(report.problems, `${nameOf(index)} at step ${step + 1}`).toEqual([]);
        bits += report.bits;
      }
    });
    if (subject.native) expect(bits).toBeGreaterThan(500);
  });

  it('projected rows never exceed gamma', async () => {
    let rowsSeen = 0;
    await holds(subject, 20, scenarios(), async (scenario) => {
      const history = await runScenario(scenario, oneGroup(scenario), subject.start);
      for (const { after, constraint, rows } of projections(scenario, history)) {
        // |W - A| <= ratio |C| (1 + u) + u |W| for each element, ratio <= (gamma / n) (1 + u), and n is the sum of
        // |C| within one rounding (native) or within one for each element added in float32 (tfjs).
        const anchor = after.slots.anchor as Float32Array;
        const sums = new Float64Array(constraint.norms.length);
        const slack = new Float64Array(constraint.norms.length);
        const counts = new Float64Array(constraint.norms.length);
        rows.forEach((row, i) => {
          const weight = after.weights[i] as number;
          sums[row] = (sums[row] as number) + Math.abs(weight - (anchor[i] as number));
          slack[row] = (slack[row] as number) + 2 * UNIT * Math.abs(weight) + 2 ** -126;
          counts[row] = (counts[row] as number) + 1;
        });
        sums.forEach((sum, row) => {
          const roundings = subject.native ? 4 : 4 + (counts[row] as number);
          expect(sum).toBeLessThanOrEqual(constraint.gamma * (1 + roundings * UNIT) + (slack[row] as number));
          rowsSeen++;
        });
      }
    });
    expect(rowsSeen).toBeGreaterThan(1000);
  });

  it('a row inside the ball is untouched: it takes the base update, W = A + C, to the bit', async () => {
    let inside = 0;
    let outside = 0;
    await holds(subject, 20, scenarios(), async (scenario) => {
      const history = await runScenario(scenario, oneGroup(scenario), subject.start);
      for (const { after, constraint, rows } of projections(scenario, history)) {
        const { anchor, deviation } = after.slots as { anchor: Float32Array; deviation: Float32Array };
        const expected = after.weights.slice();
        rows.forEach((row, i) => {
          if ((constraint.norms[row] as number) <= constraint.gamma) {
            expected[i] = (anchor[i] as number) + (deviation[i] as number);
            inside++;
          } else {
            outside++;
          }
        });
        expect(sameBits(after.weights, expected)).toBe(true);
      }
    });
    expect(inside).toBeGreaterThan(1000);
    expect(outside).toBeGreaterThan(1000);
  });

  it('with k = 0 gamma shrinks only through the upper clip', async () => {
    let clipped = 0;
    let grown = 0;
    // gradients that turn around take the weights back towards the anchor, so norms and the clip come down
    const arbitrary = scenarios({ minSteps: 6, maxSteps: 8, maxVariables: 2 }).map((scenario) => ({
      ...scenario,
      options: { ...scenario.options, k: 0 },
      variables: scenario.variables.map((variable) => ({ ...variable, excluded: false, gradientScale: 1 })),
    }));
    await holds(subject, 25, arbitrary, async (scenario) => {
      const history = await runScenario(scenario, oneGroup(scenario), subject.start);
      for (const { before, constraint } of projections(scenario, history)) {
        if (!before.constraint) continue;
        const largest = constraint.norms.reduce((a, b) => Math.max(a, b));
        expect(constraint.gamma).toBeLessThanOrEqual(largest);
        if (constraint.gamma < before.constraint.gamma) {
          expect(constraint.gamma).toBe(largest);
          clipped++;
        } else if (constraint.gamma > before.constraint.gamma) {
          grown++;
        }
      }
    });
    expect(clipped).toBeGreaterThan(3);
    expect(grown).toBeGreaterThan(10);
  });

  it('excluded variables do what they do under an optimizer that excludes everything, to the bit', async () => {
    let compared = 0;
    await holds(subject, 15, scenarios(), async (scenario) => {
      const mixed = await runScenario(scenario, oneGroup(scenario), subject.start);
      const plain = excluding(scenario);
      const alone = await runScenario(plain, oneGroup(plain), subject.start, mixed.gradients);
      for (const [step, state] of mixed.states.entries()) {
        for (const [index, { excluded }] of scenario.variables.entries()) {
          if (!excluded) continue;
          const [a, b] = [state.get(nameOf(index)), alone.states[step]?.get(nameOf(index))];
          expect(sameState(a, b)).toBe(true);
          compared++;
        }
      }
    });
    expect(compared).toBeGreaterThan(20);
  });

  it('splitting a model into one optimizer a variable changes nothing, to the bit', async () => {
    await holds(subject, 15, scenarios(), async (scenario) => {
      const whole = await runScenario(scenario, oneGroup(scenario), subject.start);
      const split = await runScenario(scenario, splitGroups(scenario), subject.start);
      for (const [step, state] of whole.states.entries()) {
        for (const index of scenario.variables.keys()) {
          const [a, b] = [state.get(nameOf(index)), split.states[step]?.get(nameOf(index))];
          expect(sameState(a, b), `${nameOf(index)} after step ${step}`).toBe(true);
          expect(a?.steps).toEqual(b?.steps);
        }
      }
    });
  });

  it('a variable without a gradient keeps its state to the bit; only its constraint steps are counted', async () => {
    let gaps = 0;
    await holds(subject, 20, scenarios({ minSteps: 4 }), async (scenario) => {
      const gappy = {
        ...scenario,
        variables: scenario.variables.map((variable, index) => ({
          ...variable,
          gifts: variable.gifts.map((gift, step) => ((step + index) % 3 === 2 ? ('none' as const) : gift)),
        })),
      };
      const history = await runScenario(gappy, oneGroup(gappy), subject.start);
      for (const { before, after, gradient, step } of visits(gappy, history)) {
        if (gradient) continue;
        expect(sameState(before, after)).toBe(true);
        // one optimizer: it steps as soon as any variable has a gradient
        if (before.steps) {
          expect(after.steps).toEqual([before.steps[0] + 1, before.steps[1]]);
          gaps++;
        } else {
          expect(after.steps, `first gradient after step ${step + 1}`).toBeNull();
        }
      }
    });
    expect(gaps).toBeGreaterThan(20);
  });

  it('gaps leave the plain optimizer where it was: excluded variables resume as if the gap had not been', async () => {
    const arbitrary = scenarios({ minSteps: 4, maxVariables: 1 }).map((scenario) => ({
      ...excluding(scenario),
      learningRates: scenario.learningRates.map(() => 0.01),
    }));
    await holds(subject, 15, arbitrary, async (scenario) => {
      const [variable] = scenario.variables as [Scenario['variables'][number]];
      const history = await runScenario(scenario, oneGroup(scenario), subject.start);
      const kept = variable.gifts.flatMap((gift, step) =>
        gift === 'none' ? [] : [gradientsOf(scenario, step)],
      );
      const dense = { ...scenario, learningRates: kept.map(() => 0.01) };
      const withoutGaps = await runScenario(dense, oneGroup(dense), subject.start, kept);
      const [a, b] = [history.states.at(-1)?.get(nameOf(0)), withoutGaps.states.at(-1)?.get(nameOf(0))];
      expect(sameState(a, b)).toBe(true);
    });
  });

  it('gives the same bits twice', async () => {
    await holds(subject, 8, scenarios(), async (scenario) => {
      const first = await runScenario(scenario, oneGroup(scenario), subject.start);
      const second = await runScenario(scenario, oneGroup(scenario), subject.start);
      for (const [step, state] of first.states.entries()) {
        for (const index of scenario.variables.keys()) {
          expect(sameState(state.get(nameOf(index)), second.states[step]?.get(nameOf(index)))).toBe(true);
        }
      }
    });
  });
});
