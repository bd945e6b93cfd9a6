/** `npm run bench`: the command line. bench/README.md says how to read what it prints. */

import fs from 'node:fs';
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { count, number } from '../tools/cli_values.js';

const TARGETS = "also hold the numbers against the project's targets";

interface RunOptions {
  suite: 'all' | 'step' | 'kernels' | 'train' | 'cuda';
  list?: 'vit' | 'resnet' | 'tiny';
  rounds?: number;
  json?: string;
  quick: boolean;
  targets: boolean;
}

interface CompareOptions {
  failAbove?: number;
  tolerance?: number;
  relativeTo?: string;
}

/** So that a long run does not end with a file that cannot be written. */
function writableFile(text: string): string {
  const file = path.resolve(text);
  try {
    fs.closeSync(fs.openSync(file, 'a'));
  } catch (error) {
    throw new InvalidArgumentError(`It cannot be written: ${(error as Error).message}.`);
  }
  return file;
}

async function run({ suite, list, rounds, json, quick, targets }: RunOptions): Promise<void> {
  const { runBench } = await import('./run.js');
  const { LIST_CHOICES, SUITES } = await import('./suite.js');
  const report = await runBench({
    suites: suite === 'all' ? SUITES : [suite],
    lists: list === undefined ? LIST_CHOICES : [list],
    ...(rounds === undefined ? {} : { rounds }),
    quick,
    targets,
  });
  if (json !== undefined) fs.writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  // Targets that are not met are a result; trials that failed are an error.
  if (report.leftOut.some(({ failed }) => failed)) process.exitCode = 1;
}

async function compare(a: string, b: string, { failAbove, ...options }: CompareOptions): Promise<void> {
  const { readReport } = await import('./report_file.js');
  const { casesAbove, compareReports, formatComparison } = await import('./compare.js');
  const comparison = compareReports(readReport(a), readReport(b), options);
  console.log(formatComparison(comparison, options));
  if (failAbove === undefined) return;
  const above = casesAbove(comparison, failAbove);
  if (above.length === 0) return;
  const names = above.map(({ group, label, ratio }) => `  ${group}: ${label}: ${ratio.toFixed(3)}`);
  throw new Error([`slower than ${failAbove} times:`, ...names].join('\n'));
}

async function roofline(input: string, { output, only }: { output: string; only?: string }): Promise<void> {
  const { readReport } = await import('./report_file.js');
  const { describeOrigin } = await import('./cases.js');
  const { rooflinePanels } = await import('./roofs.js');
  const { drawRoofline } = await import('./roofline.js');
  const file = readReport(input);
  const panels = rooflinePanels(file).filter(({ title }) => only === undefined || title.includes(only));
  if (panels.length === 0) throw new Error(`${input} holds no run whose title contains '${only}'`);
  fs.writeFileSync(output, `${await drawRoofline(panels, describeOrigin(file))}\n`);
}

async function show(files: string[], { targets }: { targets: boolean }): Promise<void> {
  const { readReport } = await import('./report_file.js');
  const { formatFiles } = await import('./show.js');
  console.log(formatFiles(files.map(readReport), targets));
}

/** What is wrong with a file is a message, not a stack. */
function withMessage<Args extends unknown[]>(action: (...args: Args) => Promise<void>) {
  return async (...args: Args): Promise<void> => {
    try {
      await action(...args);
    } catch (error) {
      process.stderr.write(`error: ${(error as Error).message}\n`);
      process.exitCode = 1;
    }
  };
}

function runCommand(): Command {
  return new Command('run')
    .description(
      "Times the native FTP step against tfjs's own optimizers and against memcpy, all contenders in turns. Absolute " +
        'times are of this machine; ratios are what the targets speak of.',
    )
    .addOption(
      new Option('--suite <name>', 'what to measure')
        .choices(['step', 'kernels', 'train', 'cuda', 'all'])
        .default('all'),
    )
    .addOption(new Option('--list <name>', 'only this list of variables').choices(['vit', 'resnet', 'tiny']))
    .option('--rounds <n>', "rounds of each trial, in place of the suite's own number", count)
    .option('--json <file>', 'write everything to this file', writableFile)
    .option('--quick', 'small lists and few rounds, to see that all works; not judged', false)
    .option('--targets', TARGETS, false)
    .allowExcessArguments(false)
    .action(run);
}

function main(): Promise<Command> {
  const measure = runCommand();
  const program = new Command('npm run bench --')
    .description('Benchmarks. Without a command: run.')
    .addHelpText('after', () => `\nrun:\n${measure.helpInformation()}`);
  program.addCommand(measure, { isDefault: true });
  program
    .command('compare')
    .description('Compares two JSON files case by case; says what is outside of the noise.')
    .argument('<a>', 'JSON file')
    .argument('<b>', 'JSON file; ratios are b over a')
    .option(
      '--fail-above <ratio>',
      'exit code 1 where a case is slower by more than this',
      number('> 0', (x) => x > 0),
    )
    .option(
      '--tolerance <share>',
      'what two runs may differ by',
      number('>= 0', (x) => x >= 0),
    )
    .option('--relative-to <contender>', 'compare times over those of this contender of the same run')
    .action(withMessage(compare));
  for (const [set, what] of [
    ['methods', 'each method'],
    ['options', 'ftp.adamw with clipping, groups, an average of the weights, and accumulation'],
  ] as const) {
    program
      .command(set)
      .description(`Times a step of ${what} over that of ftp.adamw, all in turns, under tfjs-node.`)
      .addOption(
        new Option('--list <name>', 'list of variables').choices(['vit', 'resnet', 'tiny']).default('vit'),
      )
      .option('--rounds <n>', 'rounds', count, 15)
      .action(
        withMessage(async ({ list, rounds }: { list: string; rounds: number }) => {
          const { benchSteps } = await import('./steps.js');
          await benchSteps(set, list, rounds);
        }),
      );
  }
  program
    .command('roofline')
    .description('Draws the runs of the suites kernels and cuda under the roofs of the machine.')
    .argument('<json>', 'JSON file')
    .requiredOption('-o, --output <svg>', 'file to write', writableFile)
    .option('--only <text>', 'only runs whose title contains this')
    .action(withMessage(roofline));
  program
    .command('show')
    .description('Prints the tables of JSON files; those of a GPU side by side, PyTorch beside ours.')
    .argument('<json...>', 'JSON files')
    .option('--targets', TARGETS, false)
    .action(withMessage(show));
  return program.parseAsync();
}

await main();
