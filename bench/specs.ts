/** What a child process is told to measure. */

import type { InterleaveOptions } from './measure.js';
import type { MemoryRun, StepRun, TrainRun } from './schema.js';

export type BackendName = 'tensorflow' | 'wasm' | 'cpu';

/** How long and how often; the least number of warm-up steps is the trial's own. */
export type Timing = Omit<InterleaveOptions, 'warmUpSteps'>;

export interface StepSpec {
  kind: 'step';
  backend: BackendName;
  list: string;
  contenders: string[];
  timing: Timing;
}

export interface MemorySpec {
  kind: 'memory';
  backend: BackendName;
  list: string;
  contender: string;
}

export interface TrainSpec {
  kind: 'train';
  timing: Timing;
  batchSize: number;
}

export type TrialSpec = StepSpec | MemorySpec | TrainSpec;

/** What comes back for each kind. */
export interface TrialResults {
  step: StepRun;
  memory: MemoryRun;
  train: TrainRun;
}

/** What the child sends, once. `unavailable`: this machine lacks something, such as TensorFlow. */
export type TrialMessage =
  | { status: 'done'; result: TrialResults[keyof TrialResults] }
  | { status: 'unavailable' | 'failed'; reason: string };

/** Thrown in a child where this machine lacks what the trial needs. */
export class Unavailable extends Error {}
