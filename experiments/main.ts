/** `npm run experiments -- NAME`: the command line. README.md says what there is. */
import { resolve } from 'node:path';
import { Argument, Command, InvalidArgumentError } from 'commander';
import { progressBar } from '../demo/progress.js';
import { startTensorFlow } from '../demo/runtime.js';
import { count } from '../tools/cli_values.js';
import { MissingData } from './data/packages.js';
import { METHOD_NAMES, METHODS, type MethodName, type Settings } from './methods.js';
import { REPORTS, RUNS } from './paths.js';
import { runSeries, type SeriesEvents } from './series.js';
import { meanOf } from './statistics.js';
import { type Run, RunStore } from './store.js';
import type { Task } from './task.js';
import { TASKS } from './tasks/index.js';

interface Options {
  quick: boolean;
  methods?: MethodName[];
  seeds: number;
  trace: boolean;
  runs: string;
  report: boolean;
  out: string;
}

function methodNames(text: string): MethodName[] {
  const names = text.split(',');
  const unknown = names.find((name) => !(name in METHODS));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`'${unknown}' is none of ${METHOD_NAMES.join(', ')}.`);
  }
  return names as MethodName[];
}

function formatSettings({ learningRate, warmup, headRate, ...own }: Settings): string {
  const numbers = Object.entries(own).map(([name, value]) => `${name} ${value}`);
  return [`rate ${learningRate}`, `warm-up ${warmup}`, `head x${headRate}`, ...numbers].join(', ');
}

/** Shows a bar on a terminal, and a line per run everywhere. */
function terminal(): SeriesEvents & { stop(): void } {
  let bar: { title: string; update(done: number, note?: string): void; stop(): void } | undefined;
  const stop = () => {
    bar?.stop();
    bar = undefined;
  };
  return {
    stop,
    say(text) {
      stop();
      console.log(text);
    },
    onProgress(title, done, all, note) {
      if (bar?.title !== title) {
        stop();
        bar = { title, ...progressBar(title, all) };
      }
      bar.update(done, note);
    },
    onRun(run: Run, number, all, secondsLeft) {
      stop();
      const { key, inDistribution, domains } = run;
      const shifted = meanOf(domains.filter(({ kind }) => kind === 'shift').map(({ result }) => result.mean));
      const spoilt = meanOf(
        domains.filter(({ kind }) => kind === 'corruption').map(({ result }) => result.mean),
      );
      const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
      console.log(
        `${number} of ${all}: ${key.method}, seed ${key.seed}, ${formatSettings(key.settings)}: ` +
          `validation ${percent(run.validation.mean)}, ID ${percent(inDistribution.mean)}, ` +
          `shifted ${percent(shifted)}, corrupted ${percent(spoilt)}; ` +
          `${(1000 * run.secondsPerStep).toFixed(0)} ms a step; about ${Math.ceil(secondsLeft / 60)} min left`,
      );
    },
  };
}

async function main(name: string, options: Options): Promise<void> {
  const { quick, methods, seeds, trace, report, out } = options;
  const task = TASKS.find((candidate) => candidate.name === name) as Task;
  const store = new RunStore(resolve(options.runs));
  const protocol = task.protocol(quick);
  if (report) {
    const { writeReport } = await import('./report.js');
    for (const file of await writeReport(task, store, protocol, seeds, resolve(out))) console.log(file);
    return;
  }
  const { backend, tensorflow, threads } = await startTensorFlow();
  console.log(`${task.title}: TensorFlow ${tensorflow} through tfjs backend ${backend}, ${threads} threads`);
  const events = terminal();
  try {
    await runSeries(task, store, { seeds, protocol, trace, ...(methods && { methods }) }, events);
  } finally {
    events.stop();
  }
}

const command = new Command('npm run experiments --')
  .description(
    'Fine-tunes with each method and tests in and out of distribution. Runs that are there are not run again.',
  )
  .addArgument(new Argument('<task>', 'what to run').choices(TASKS.map(({ name }) => name)))
  .option('--quick', 'fewer steps and corruptions', false)
  .option(
    '--methods <names>',
    `some of ${METHOD_NAMES.join(',')}, joined by commas; default all`,
    methodNames,
  )
  .option('--seeds <n>', 'seeds; settings are chosen with the first', count, 3)
  .option('--no-trace', 'leave out the runs that only the picture over the learning rate needs')
  .option('--runs <folder>', 'where finished runs are kept', RUNS)
  .option('--report', 'run nothing; write tables and charts of the runs that are there', false)
  .option('--out <folder>', 'where the report goes', REPORTS);

try {
  const { args } = await command.parseAsync();
  await main(args[0] as string, command.opts<Options>());
} catch (error) {
  const expected = error instanceof MissingData;
  console.error(expected ? `experiments: left out: ${error.message}` : error);
  process.exitCode = 1;
}
