/** Part of suite `step`: peak memory of one optimizer, in a process of its own. */

import fs from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { table } from '../../tools/table.js';
import { type BackendName, startBackend } from '../backends.js';
import { runTrial } from '../child.js';
import { fixed } from '../format.js';
import { listNamed, parametersOf, sizeOf } from '../lists.js';
import { collectGarbage } from '../measure.js';
import type { MemoryRun } from '../schema.js';
import { makeGradients, Subject } from '../subject.js';
import type { BenchOptions, Suite } from '../suite.js';
import { stepContender } from './step.js';

interface MemorySpec {
  backend: BackendName;
  list: string;
  contender: string;
}

const CHOICES: ReadonlyArray<{ backend: BackendName; contenders: readonly string[] }> = [
  {
    backend: 'tensorflow',
    contenders: ['tf-adam', 'tf-sgd', 'ftp-adamw', 'ftp-sgd', 'adamw', 'reference-adamw'],
  },
  { backend: 'wasm', contenders: ['tf-adam', 'ftp-adamw', 'ftp-sgd', 'adamw'] },
  { backend: 'cpu', contenders: ['tf-adam', 'ftp-adamw', 'ftp-sgd', 'adamw'] },
];

const STEPS = 4;
const BYTES_PER_WORD = 4;
const STATUS = '/proc/self/status';

/** A line of /proc/self/status in bytes; null where there is none. */
function processBytes(field: 'VmRSS' | 'VmHWM'): number | null {
  if (!fs.existsSync(STATUS)) return null;
  const [, kilobytes] =
    new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(fs.readFileSync(STATUS, 'utf8')) ?? [];
  return kilobytes === undefined ? null : 1024 * Number(kilobytes);
}

/** Makes VmHWM, the process's highest resident size, start anew from the present one. */
function resetHighWater(): void {
  fs.writeFileSync('/proc/self/clear_refs', '5');
}

async function settle(): Promise<void> {
  for (let i = 0; i < 3; ++i) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Lets the backend take a tensor's values over, which it may put off until their first use. */
function touch(tensor: tf.Tensor): void {
  tf.tidy(() => tf.max(tensor).dataSync());
}

export async function memoryTrial(spec: MemorySpec): Promise<MemoryRun> {
  await startBackend(spec.backend);
  const list = listNamed(spec.list);
  const contender = stepContender(spec.contender);
  const gradients = makeGradients(list);
  const subject = new Subject(contender, list, gradients);
  for (const tensor of [...gradients, ...subject.variables]) touch(tensor);
  await settle();

  const words = (bytes: number) => bytes / (BYTES_PER_WORD * parametersOf(list));
  const tensorsBefore = tf.memory().numBytes;
  const before = processBytes('VmRSS');
  if (before !== null) resetHighWater();
  for (let step = 0; step < STEPS; ++step) {
    subject.run();
    subject.finish();
  }
  await settle();
  const rest = processBytes('VmRSS');
  const highest = processBytes('VmHWM');
  const tensors = tf.memory().numBytes;
  subject.check();
  return {
    backend: spec.backend,
    list: sizeOf(list),
    contender: contender.name,
    label: contender.label,
    implementation: subject.implementation,
    tensorWords: words(tensors - tensorsBefore),
    restWords: before === null || rest === null ? null : words(rest - before),
    peakWords: before === null || highest === null ? null : words(highest - before),
  };
}

/** On one list: large enough that the runtime's own ups and downs do not show. */
function plan({ lists, quick }: BenchOptions): { specs: MemorySpec[] } {
  const quickest: MemorySpec = { backend: 'tensorflow', list: 'vit-ti', contender: 'ftp-adamw' };
  if (quick) return { specs: lists.includes('vit') ? [quickest] : [] };
  if (!lists.includes('resnet')) return { specs: [] };
  return {
    specs: CHOICES.flatMap(({ backend, contenders }) =>
      contenders.map((contender) => ({ backend, list: 'resnet', contender })),
    ),
  };
}

function format(runs: readonly MemoryRun[]): string {
  return [
    `Memory beside weights and gradients, in words (4 bytes) a parameter, ${runs[0]?.list.label}`,
    table(
      ['', 'backend', 'tensors kept', 'process at rest', 'process at most'],
      runs.map((run) => [
        run.label,
        run.backend,
        fixed(run.tensorWords, 2),
        fixed(run.restWords, 2),
        fixed(run.peakWords, 2),
      ]),
    ),
  ].join('\n');
}

export const memory: Suite<'memory', MemorySpec> = {
  part: 'memory',
  plan,
  describe: ({ backend, list, contender }) => `memory: ${backend}, ${listNamed(list).label}, ${contender}`,
  measure: async (spec) => [await runTrial('memory', spec)],
  format,
  oneTable: true,
};
