/** `npm run demo`: robust fine-tuning, FTP beside four other methods. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { FtpError } from 'tfjs-ftp';
import { drawSweep } from './chart.js';
import { type DemoOptions, parseOptions } from './cli_options.js';
import { closingText } from './closing.js';
import { type Row, runMethod, shiftedColumns } from './comparison.js';
import { writeContactSheet } from './contact_sheet.js';
import { folderTask } from './folder_task.js';
import { glyphTask } from './glyph_task.js';
import { kindTask } from './kind_task.js';
import { METHODS, type MethodName } from './methods.js';
import { type Runtime, startTensorFlow } from './runtime.js';
import { formatTable } from './table.js';
import type { Task } from './task.js';

/** The picture's learning rates and methods. */
const SWEEP_RATES = [1e-3, 3e-3, 1e-2];
const SWEEP_METHODS: readonly MethodName[] = ['adamw', 'ftp'];

function openTask(options: DemoOptions): Promise<Task> {
  const { data, model, val, ood, freeze, pixels, seed, batchSize, samples, out } = options;
  if (data === undefined || model === undefined) {
    const glyphs = { seed, batchSize, samples, out };
    return options.task === 'codes' ? glyphTask(glyphs) : kindTask(glyphs);
  }
  return folderTask({ data, model, validation: val, shifted: ood, freeze, range: pixels, seed, batchSize });
}

function printHeader(task: Task, options: DemoOptions, { backend, tensorflow, threads }: Runtime): void {
  const runs =
    tensorflow === undefined ? `tfjs backend ${backend}` : `TensorFlow ${tensorflow} through tfjs-node`;
  console.log(`tfjs-ftp demo: ${task.title}`);
  console.log(`${runs}, ${threads} threads, Node ${process.versions.node}; seed ${options.seed}`);
  console.log(
    `${options.steps} steps of ${Math.min(options.batchSize, task.trainingImages)} images a method; ` +
      `not trained: ${task.transfer.frozen.join(', ') || 'nothing'}`,
  );
}

/** One row a method, in the order of the command line. */
async function compare(task: Task, options: DemoOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [i, name] of options.methods.entries()) {
    const { settings } = METHODS[name];
    const learningRate = options.lr ?? settings.learningRate;
    const place = `method ${i + 1} of ${options.methods.length}`;
    const row = await runMethod(task, name, options, { ...settings, learningRate }, place);
    rows.push(row);
    if (rows.length === 1) console.log(`optimizer step: ${row.implementation}\n`);
    if (!process.stderr.isTTY) {
      console.log(
        `${place}: ${row.label}: ID ${(100 * row.id).toFixed(1)}%, mean OOD ${(100 * row.meanOod).toFixed(1)}%`,
      );
    }
  }
  return rows;
}

/** AdamW and FTP over the learning rates; rows of the table that fit are taken over. */
async function sweep(task: Task, options: DemoOptions, known: readonly Row[]): Promise<Row[]> {
  const rows: Row[] = [];
  const runs = SWEEP_METHODS.flatMap((name) => SWEEP_RATES.map((learningRate) => ({ name, learningRate })));
  for (const [i, { name, learningRate }] of runs.entries()) {
    const same = known.find((row) => row.method === name && row.learningRate === learningRate);
    const settings = { ...METHODS[name].settings, learningRate };
    rows.push(same ?? (await runMethod(task, name, options, settings, `sweep ${i + 1} of ${runs.length}`)));
  }
  return rows;
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  const started = performance.now();
  const runtime = await startTensorFlow(options.backend);
  const task = await openTask(options);
  printHeader(task, options, runtime);
  const out = resolve(options.out);
  if (options.sheet) {
    await mkdir(out, { recursive: true });
    await writeContactSheet(join(out, 'sheet.png'), task, options.seed);
    console.log(`test images: ${join(out, 'sheet.png')}`);
  }
  const rows = await compare(task, options);
  const columns = shiftedColumns(task);
  console.log(`\nAccuracy in percent\n${formatTable(rows, columns)}`);
  let sweepRows: Row[] | null = null;
  if (options.sweep) {
    sweepRows = await sweep(task, options, rows);
    await mkdir(out, { recursive: true });
    await writeFile(join(out, 'sweep.svg'), await drawSweep(sweepRows));
    console.log(`\nAccuracy in percent over the learning rate\n${formatTable(sweepRows, columns)}`);
    console.log(`picture: ${join(out, 'sweep.svg')}`);
  }
  console.log(closingText(rows, options));
  if (options.json !== undefined) {
    const file = resolve(options.json);
    await mkdir(dirname(file), { recursive: true });
    const { seed, steps, batchSize } = options;
    const results = {
      task: task.title,
      ...runtime,
      node: process.versions.node,
      settings: { seed, steps, batchSize },
      classes: task.classNames,
      frozen: task.transfer.frozen,
      columns,
      rows,
      sweep: sweepRows,
    };
    await writeFile(file, `${JSON.stringify(results, null, 2)}\n`);
    console.log(`results: ${file}`);
  }
  task.transfer.dispose();
  console.log(`${((performance.now() - started) / 1000).toFixed(0)} s in all`);
}

try {
  await main();
} catch (error) {
  // A wrong path or a missing package needs its message, not a stack; anything else is a bug and shows where.
  const expected = error instanceof FtpError || (error instanceof Error && error.constructor === Error);
  console.error(expected && !process.env.DEBUG ? `demo: ${(error as Error).message}` : error);
  process.exitCode = 1;
}
