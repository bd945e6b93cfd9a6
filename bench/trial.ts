/** A child process of the benchmark: measures what its arguments say, sends one message, ends. */

import 'tfjs-ftp/compat';
import { Unavailable } from './suite.js';

/** By kind. Each loads what it needs and no more. */
const TRIALS = {
  step: async () => (await import('./suites/step.js')).stepTrial,
  memory: async () => (await import('./suites/memory.js')).memoryTrial,
  train: async () => (await import('./suites/train.js')).trainTrial,
};

export type Trials = { [Kind in keyof typeof TRIALS]: Awaited<ReturnType<(typeof TRIALS)[Kind]>> };

/** What the child sends, once. `unavailable`: this machine lacks something, such as TensorFlow. */
export type TrialMessage =
  | { status: 'done'; result: unknown }
  | { status: 'unavailable' | 'failed'; reason: string };

async function measure(kind: keyof Trials, spec: string): Promise<TrialMessage> {
  try {
    const trial = (await TRIALS[kind]()) as (parsed: unknown) => Promise<unknown>;
    return { status: 'done', result: await trial(JSON.parse(spec)) };
  } catch (error) {
    if (error instanceof Unavailable) return { status: 'unavailable', reason: error.message };
    return {
      status: 'failed',
      reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
}

const [kind, spec] = process.argv.slice(2) as [keyof Trials, string];
const message = await measure(kind, spec);
// Once it is sent: tearing down libtensorflow's tensors one by one would take a while.
process.send?.(message, () => process.exit(0));
