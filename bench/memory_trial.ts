/** Peak memory of one optimizer, in a child process of its own. */

import fs from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { startBackend } from './backends.js';
import { stepContender } from './contenders.js';
import { listNamed, parametersOf, sizeOf } from './lists/index.js';
import type { MemoryRun } from './schema.js';
import type { MemorySpec } from './specs.js';
import { makeGradients, Subject } from './subject.js';

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
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error('the benchmark must run under node --expose-gc');
  for (let i = 0; i < 3; ++i) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Lets the backend take a tensor's values over, which it may put off until their first use. */
function touch(tensor: tf.Tensor): void {
  tf.tidy(() => tf.max(tensor).dataSync());
}

export async function runMemoryTrial(spec: MemorySpec): Promise<MemoryRun> {
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
