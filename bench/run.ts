/** Runs the suites one trial after the other and gathers the report. */

import { describeEnvironment } from './environment.js';
import { formatClosing, formatEnvironment } from './format.js';
import { type BenchReport, SCHEMA_VERSION } from './schema.js';
import { type BenchOptions, type Measured, type RunOf, type Suite, Unavailable } from './suite.js';
import { cuda } from './suites/cuda.js';
import { kernels } from './suites/kernels.js';
import { memory } from './suites/memory.js';
import { step } from './suites/step.js';
import { train } from './suites/train.js';
import { judgeTargets } from './targets.js';

function print(text: string): void {
  if (text !== '') process.stdout.write(`${text}\n\n`);
}

class Bench {
  readonly report: BenchReport;

  constructor(private readonly options: BenchOptions) {
    const { suites, lists, rounds, quick } = options;
    this.report = {
      schemaVersion: SCHEMA_VERSION,
      environment: describeEnvironment(),
      settings: { suites: [...suites], lists: [...lists], rounds: rounds ?? null, quick },
      step: [],
      memory: [],
      kernels: [],
      train: [],
      cuda: [],
      targets: [],
      leftOut: [],
    };
  }

  /** One trial: its result, or null and an entry in `leftOut`. */
  private async attempt<T>(what: string, measure: () => Promise<T>): Promise<T | null> {
    const start = performance.now();
    process.stderr.write(`${what} ...`);
    try {
      const result = await measure();
      process.stderr.write(` ${((performance.now() - start) / 1000).toFixed(0)} s\n`);
      return result;
    } catch (error) {
      const failed = !(error instanceof Unavailable);
      process.stderr.write(failed ? ' failed\n' : ' left out\n');
      this.report.leftOut.push({ what, reason: (error as Error).message, failed });
      return null;
    }
  }

  private async suite<Part extends keyof Measured, Spec>(suite: Suite<Part, Spec>): Promise<void> {
    const { part, build } = suite;
    const program = build === undefined ? '' : await this.attempt(`${part}: build`, build);
    if (program === null) return;
    const { specs, leftOut = [] } = suite.plan(this.options);
    this.report.leftOut.push(...leftOut);
    const all = this.report[part] as Array<RunOf<Part>>;
    for (const spec of specs) {
      const what = suite.describe(spec);
      const runs = await this.attempt(what, () => suite.measure(spec, program));
      if (runs === null) continue;
      all.push(...runs);
      for (const run of runs) {
        // What a program says that it left out.
        const parts = 'leftOut' in run ? run.leftOut : [];
        for (const { what: left, reason } of parts) {
          this.report.leftOut.push({ what: `${what}, ${left}`, reason, failed: false });
        }
        if (!suite.oneTable) print(suite.format([run]));
      }
    }
    if (suite.oneTable && all.length > 0) print(suite.format(all));
  }

  async run(): Promise<BenchReport> {
    const { suites, quick, targets } = this.options;
    print(formatEnvironment(this.report.environment));
    if (suites.includes('kernels')) await this.suite(kernels);
    if (suites.includes('step')) {
      await this.suite(step);
      await this.suite(memory);
    }
    if (suites.includes('train')) await this.suite(train);
    if (suites.includes('cuda')) await this.suite(cuda);
    this.report.targets = judgeTargets(this.report, !quick);
    print(formatClosing(this.report, targets));
    return this.report;
  }
}

/** Runs what was asked for, prints tables as they come, and returns all of it. */
export function runBench(options: BenchOptions): Promise<BenchReport> {
  return new Bench(options).run();
}
