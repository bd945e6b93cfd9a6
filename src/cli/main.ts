#!/usr/bin/env node
/** The `tfjs-ftp` command: `doctor`, `setup-tensorflow`, `demo`, `bench`. */

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { examine, formatReport } from './doctor.js';

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

/**
 * What the demo needs beside the package itself: development dependencies, which installing the package leaves out.
 * Fonts and the drawing library only where no image folder is given.
 */
function missingDemoPackages(args: readonly string[]): string[] {
  const { devDependencies } = require('../../package.json') as { devDependencies: Record<string, string> };
  const always = /^(@tensorflow\/tfjs(-layers)?|sharp|cli-progress|cli-table3|pure-rand|vega|vega-lite)$/;
  const toDraw = /^(@fontsource\/.*|@napi-rs\/canvas)$/;
  const ownImages = args.some((arg) => arg === '--data' || arg.startsWith('--data='));
  const needed = Object.keys(devDependencies).filter(
    (name) => always.test(name) || (!ownImages && toDraw.test(name)),
  );
  return needed.filter((name) => {
    try {
      require.resolve(`${name}/package.json`);
      return false;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
    }
  });
}

function runDemo(args: string[]): void {
  const missing = missingDemoPackages(args);
  if (missing.length > 0) {
    process.stderr.write(
      'tfjs-ftp: the demo needs packages that are not installed with tfjs-ftp. Install them with\n' +
        `  npm install --no-save --ignore-scripts ${missing.join(' ')}\n`,
    );
    process.exitCode = 1;
    return;
  }
  forward('dist/tools/demo/main.js', args);
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
  forward('scripts/setup_tensorflow.mjs', args),
);
forwarding('demo', 'fine-tune a pre-trained model with plain AdamW and with FTP, and compare', runDemo);
forwarding('bench', 'time the fused step against stock optimizers', (args) =>
  forward('dist/tools/bench/main.js', args),
);

await program.parseAsync();
