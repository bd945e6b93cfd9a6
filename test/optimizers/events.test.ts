/**
 * Random runs in which the user assigns other weights between steps, or makes the present weights the anchors: every step
 * is still what the oracle says from the state before it.
 */
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import type { ReplayState } from '../backends/golden_replay.js';
import { describeSubjects } from '../backends/subjects.js';
import { gradientsOf, oneGroup, randomArray, randomNumbers, scenarios } from './scenario.js';
import { checkStep } from './step_check.js';

describeSubjects('events between steps', (subject) => {
  beforeAll(() => subject.prepare());

  it('assigned weights and new anchors are taken up as the oracle does', async () => {
    let assignments = 0;
    let reanchors = 0;
    await fc.assert(
      fc.asyncProperty(scenarios({ minSteps: 4, maxVariables: 2 }), fc.integer(), async (scenario, seed) => {
        const random = randomNumbers(seed);
        const groups = oneGroup(scenario);
        const [group] = groups as [(typeof groups)[number]];
        const replay = await subject.start(groups);
        try {
          const assigned = new Set<string>();
          for (const [step, learningRate] of scenario.learningRates.entries()) {
            let before = await replay.read();
            // before its first step a variable's anchor is not settled
            const stepped = (name: string) => before.get(name)?.steps != null;
            if (random() < 0.25 && group.variables.every(({ name }) => stepped(name))) {
              replay.reanchor();
              reanchors++;
            }
            for (const { name, outputAxis, shape } of group.variables) {
              if (!stepped(name) || random() > 0.3) continue;
              const weights = (before.get(name) as ReplayState).weights;
              const scale = weights.reduce((largest, w) => Math.max(largest, Math.abs(w)), 0);
              const offset = randomArray(
                weights.length,
                0.1 * scale,
                seed + step + shape.length + (outputAxis ?? 0),
              );
              replay.assign(
                name,
                weights.map((w, i) => w + (offset[i] as number)),
              );
              assigned.add(name);
              assignments++;
            }
            before = await replay.read();
            const gradients = gradientsOf(scenario, step);
            await replay.step([learningRate], gradients);
            const after = await replay.read();
            for (const variable of group.variables) {
              const gradient = gradients.get(variable.name);
              if (!gradient) continue;
              const report = checkStep({
                group,
                variable,
                before: before.get(variable.name) as ReplayState,
                after: after.get(variable.name) as ReplayState,
                gradient,
                learningRate,
                native: subject.native,
                assigned: assigned.has(variable.name),
              });
              expect(report.problems, `${variable.name} at step ${step + 1}`).toEqual([]);
              assigned.delete(variable.name);
            }
          }
        } finally {
          replay.dispose();
        }
      }),
      { seed: 7, numRuns: 25 * Number(process.env.TFJS_FTP_PROPERTY_RUNS ?? 1) },
    );
    expect(assignments).toBeGreaterThan(20);
    expect(reanchors).toBeGreaterThan(10);
  });
});
