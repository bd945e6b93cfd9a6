/** What a suite is: its trials, what each measures, and its table. suites/ has a file per suite. */

import type { InterleaveOptions } from './measure.js';
import type { BenchReport } from './schema.js';

/** What `--suite` takes. */
export const SUITES = ['step', 'kernels', 'train', 'cuda'] as const;

/** What `--list` takes. ViT stands for ViT-B/16 and, where that is too much, ViT-Ti/16. */
export const LIST_CHOICES = ['vit', 'resnet', 'tiny'] as const;
export type ListChoice = (typeof LIST_CHOICES)[number];

export interface BenchOptions {
  suites: ReadonlyArray<(typeof SUITES)[number]>;
  lists: readonly ListChoice[];
  /** In place of each suite's own number. */
  rounds?: number;
  /** Small lists, few rounds: to see that everything works. */
  quick: boolean;
  /** Whether to print the project's targets. */
  targets: boolean;
}

/** The parts of a report that suites measure. */
export type Measured = Pick<BenchReport, 'kernels' | 'step' | 'memory' | 'train' | 'cuda'>;
export type RunOf<Part extends keyof Measured> = Measured[Part][number];
export type LeftOut = BenchReport['leftOut'];

export interface Suite<Part extends keyof Measured, Spec> {
  /** Where its runs stand in the report. */
  part: Part;
  /** Builds the program of its trials. @throws Unavailable */
  build?(): Promise<string>;
  /** Its trials, and what is not run although it was asked for. */
  plan(options: BenchOptions): { specs: Spec[]; leftOut?: LeftOut };
  /** A trial, for people. */
  describe(spec: Spec): string;
  /** Runs a trial, `program` being what `build` returned. @throws Unavailable */
  measure(spec: Spec, program: string): Promise<Array<RunOf<Part>>>;
  /** Tables of all these runs, at least one. */
  format(runs: ReadonlyArray<RunOf<Part>>): string;
  /** Whether one table holds all of the suite's runs, so that it is printed behind the last. */
  oneTable?: boolean;
}

/** How long and how often; the least number of warm-up steps is the trial's own. */
export type Timing = Omit<InterleaveOptions, 'warmUpSteps'>;

export const QUICK_ROUNDS = 3;
/** Samples shorter than this take several steps. */
export const MIN_SAMPLE_SECONDS = 0.05;
export const QUICK_SAMPLE_SECONDS = 0.002;
const WARM_UP_SECONDS = 0.5;

export function timing(
  { rounds, quick }: BenchOptions,
  usualRounds: number,
  minSampleSeconds = MIN_SAMPLE_SECONDS,
): Timing {
  return quick
    ? { rounds: rounds ?? QUICK_ROUNDS, minSampleSeconds: QUICK_SAMPLE_SECONDS, warmUpSeconds: 0 }
    : { rounds: rounds ?? usualRounds, minSampleSeconds, warmUpSeconds: WARM_UP_SECONDS };
}

/** Thrown where this machine lacks what a trial needs, such as TensorFlow. */
export class Unavailable extends Error {}
