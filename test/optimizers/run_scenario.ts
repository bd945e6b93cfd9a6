/** Runs a scenario on a subject and keeps the state before and after every step. */
import type { Replay, ReplayGroup, ReplayState, StartReplay } from '../backends/golden_replay.js';
import { gradientsOf, type Scenario } from './scenario.js';

export type Snapshot = Map<string, ReplayState>;

export interface History {
  groups: ReplayGroup[];
  /** [0]: before the first step; [i]: after step i. */
  states: Snapshot[];
  /** Gradients of step i at [i - 1]. */
  gradients: Map<string, Float32Array | null>[];
}

export async function runScenario(
  scenario: Scenario,
  groups: ReplayGroup[],
  start: StartReplay,
  gradients = scenario.learningRates.map((_, step) => gradientsOf(scenario, step)),
): Promise<History> {
  const replay: Replay = await start(groups);
  try {
    const states = [await replay.read()];
    for (const [step, learningRate] of scenario.learningRates.entries()) {
      await replay.step(
        groups.map(() => learningRate),
        gradients[step] as Map<string, Float32Array | null>,
      );
      states.push(await replay.read());
    }
    return { groups, states, gradients };
  } finally {
    replay.dispose();
  }
}
