#!/usr/bin/env node
/** The `tfjs-ftp` command: `doctor`, `setup-tensorflow`, `demo`, `bench`. */

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { examine } from './doctor.js';
import { formatReport } from './format_report.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const require = createRequire(import.meta.url);

/** Runs a script of the package with the same Node; its exit code becomes ours. */
function forward(script: string, args: string[]): void {
  const file = path.join(root, script);
  if (!fs.existsSync(file)) {
    process.stderr.write(
      `tfjs-ftp: ${file} is missing; in a checkout of tfjs-ftp run \`npm run setup\` first\n`,
    );
    process.exitCode = 1;
    return;
  }
  const child = spawn(process.execPath, [file, ...args], { stdio: 'inherit' });
  // Ctrl-C reaches the child too, which ends in its own way; we only wait for it.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
  });
}

/** Runs a tool that needs development dependencies, fonts among them, which installing the package leaves out. */
function runInClone(name: 'demo' | 'bench', args: string[]): void {
  if (fs.existsSync(path.join(root, 'CMakeLists.txt'))) {
    forward(`dist/tools/${name}/main.js`, args);
    return;
  }
  const where =
    `tfjs-ftp: ${name} runs in a clone of the repository of tfjs-ftp, not in an installed package. In the clone:\n` +
    `  npm ci\n  npm run ${name} -- --help\n`;
  const asksForHelp = args.some((argument) => argument === '--help' || argument === '-h');
  (asksForHelp ? process.stdout : process.stderr).write(where);
  if (!asksForHelp) process.exitCode = 1;
}

async function runDoctor(options: { json?: boolean }): Promise<void> {
  const report = await examine(process.cwd());
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report));
  if (report.problems.length > 0) process.exitCode = 1;
}

const { version } = require('../../package.json') as { version: string };
const program = new Command('tfjs-ftp')
  .description('Fast Trainable Projection for TensorFlow.js: set-up, diagnosis, demo and benchmarks')
  .version(version)
  .enablePositionalOptions();

program
  .command('doctor')
  .description('show what was found (addon, TensorFlow, GPU) and which implementation each backend gets')
  .option('--json', 'print the report as JSON')
  .addHelpText(
    'after',
    `
Exit code 0: nothing is broken; parts that are not installed and TFJS_FTP_ADDON=none are no problem.
Exit code 1: there is at least one problem, each with what to do. Slow steps where fast ones are possible are one.`,
  )
  .action(runDoctor);

/** A command whose arguments, --help included, belong to another script. */
function forwarding(name: string, description: string, action: (args: string[]) => void): void {
  program
    .command(name)
    .description(description)
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .argument('[args...]')
    .action(action);
}

forwarding('setup-tensorflow', 'make @tensorflow/tfjs-node run (--gpu, --force, --from-wheel FILE)', (args) =>
  forward('scripts/tensorflow/setup_tensorflow.mjs', args),
);
forwarding('demo', 'in a clone: fine-tune with plain AdamW, with FTP and more, and compare', (args) =>
  runInClone('demo', args),
);
forwarding('bench', 'in a clone: time the fused step against stock optimizers', (args) =>
  runInClone('bench', args),
);

await program.parseAsync();
