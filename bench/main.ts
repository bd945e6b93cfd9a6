/** `npm run bench`: the command line. bench/README.md says how to read what it prints. */

import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';

/** Development dependencies, which installing the package leaves out. */
const NEEDED = ['simple-statistics', 'cli-table3'];

interface Options {
  suite: 'all' | 'step' | 'kernels' | 'train';
  list?: 'vit' | 'resnet' | 'tiny';
  rounds?: number;
  json?: string;
  quick: boolean;
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number > 0.');
  return value;
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

function missingPackages(): string[] {
  const require = createRequire(import.meta.url);
  return NEEDED.filter((name) => {
    try {
      require.resolve(name);
      return false;
    } catch {
      return true;
    }
  });
}

async function main(): Promise<void> {
  const command = new Command('npm run bench --')
    .description(
      "Times the fused FTP step against tfjs's own optimizers and against memcpy, all contenders in turns. Absolute " +
        'times are of this machine; ratios are what the targets speak of.',
    )
    .addOption(
      new Option('--suite <name>', 'what to measure')
        .choices(['step', 'kernels', 'train', 'all'])
        .default('all'),
    )
    .addOption(new Option('--list <name>', 'only this list of variables').choices(['vit', 'resnet', 'tiny']))
    .option('--rounds <n>', "rounds of each trial, in place of the suite's own number", count)
    .option('--json <file>', 'write everything to this file', writableFile)
    .option('--quick', 'small lists and few rounds, to see that all works; not judged', false)
    .allowExcessArguments(false)
    .parse();
  const { suite, list, rounds, json, quick } = command.opts<Options>();
  const missing = missingPackages();
  if (missing.length > 0) {
    command.error(`error: the benchmark needs: npm install --no-save --ignore-scripts ${missing.join(' ')}`);
  }
  const { runBench } = await import('./bench.js');
  const { LIST_CHOICES, SUITES } = await import('./plan.js');
  const report = await runBench({
    suites: suite === 'all' ? SUITES : [suite],
    lists: list === undefined ? LIST_CHOICES : [list],
    ...(rounds === undefined ? {} : { rounds }),
    quick,
  });
  if (json !== undefined) fs.writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  // Targets that are not met are a result; trials that failed are an error.
  if (report.leftOut.some(({ failed }) => failed)) process.exitCode = 1;
}

await main();
