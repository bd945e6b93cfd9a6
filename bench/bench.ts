/** Runs the suites one trial after the other and gathers the report. */

import { buildCudaBench, runCuda } from './cuda.js';
import { formatCuda } from './cuda_tables.js';
import { describeEnvironment } from './environment.js';
import { runKernels } from './kernels.js';
import { listNamed } from './lists/index.js';
import { buildNativeBench } from './native.js';
import { type BenchOptions, planCuda, planKernels, planMemory, planSteps, planTrain } from './plan.js';
import {
  formatClosing,
  formatEnvironment,
  formatKernels,
  formatMemory,
  formatStep,
  formatTrain,
} from './report.js';
import { runTrial } from './runner.js';
import { type BenchReport, SCHEMA_VERSION } from './schema.js';
import { Unavailable } from './specs.js';
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

  private async kernels(): Promise<void> {
    const program = await this.attempt('kernels: build', () => buildNativeBench('kernel_bench'));
    if (program === null) return;
    for (const spec of planKernels(this.options)) {
      const what = `kernels: ${listNamed(spec.list).label}`;
      const runs = await this.attempt(what, () => runKernels(program, spec));
      for (const run of runs ?? []) {
        this.report.kernels.push(run);
        print(formatKernels(run));
      }
    }
  }

  private async steps(): Promise<void> {
    const { specs, leftOut } = planSteps(this.options);
    this.report.leftOut.push(...leftOut);
    for (const spec of specs) {
      const what = `step: ${spec.backend}, ${listNamed(spec.list).label}`;
      const run = await this.attempt(what, () => runTrial(spec));
      if (run === null) continue;
      this.report.step.push(run);
      print(formatStep(run));
    }
    for (const spec of planMemory(this.options)) {
      const what = `memory: ${spec.backend}, ${listNamed(spec.list).label}, ${spec.contender}`;
      const run = await this.attempt(what, () => runTrial(spec));
      if (run !== null) this.report.memory.push(run);
    }
    print(formatMemory(this.report.memory));
  }

  private async train(): Promise<void> {
    const run = await this.attempt('train', () => runTrial(planTrain(this.options)));
    if (run === null) return;
    this.report.train.push(run);
    print(formatTrain(run));
  }

  private async cuda(): Promise<void> {
    const program = await this.attempt('cuda: build', buildCudaBench);
    if (program === null) return;
    for (const spec of planCuda(this.options)) {
      const what = `cuda: ${spec.label}`;
      const report = await this.attempt(what, () => runCuda(program, spec));
      if (report === null) continue;
      this.report.cuda.push(report);
      for (const { what: part, reason } of report.leftOut) {
        this.report.leftOut.push({ what: `${what}, ${part}`, reason, failed: false });
      }
      print(formatCuda([report]));
    }
  }

  async run(): Promise<BenchReport> {
    const { suites, quick, targets } = this.options;
    print(formatEnvironment(this.report.environment));
    if (suites.includes('kernels')) await this.kernels();
    if (suites.includes('step')) await this.steps();
    if (suites.includes('train')) await this.train();
    if (suites.includes('cuda')) await this.cuda();
    this.report.targets = judgeTargets(this.report, !quick);
    print(formatClosing(this.report, targets));
    return this.report;
  }
}

/** Runs what was asked for, prints tables as they come, and returns all of it. */
export function runBench(options: BenchOptions): Promise<BenchReport> {
  return new Bench(options).run();
}
