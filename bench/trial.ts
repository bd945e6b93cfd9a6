/** A child process of the benchmark: measures what its argument says, sends one message, ends. */

import 'tfjs-ftp/compat';
import { runMemoryTrial } from './memory_trial.js';
import { type TrialMessage, type TrialSpec, Unavailable } from './specs.js';
import { runStepTrial } from './step_trial.js';

async function run(spec: TrialSpec) {
  if (spec.kind === 'step') return runStepTrial(spec);
  if (spec.kind === 'memory') return runMemoryTrial(spec);
  // Loads tfjs-layers and the demo's code, which the other kinds do without.
  const { runTrainTrial } = await import('./train_trial.js');
  return runTrainTrial(spec);
}

async function measure(): Promise<TrialMessage> {
  try {
    return { status: 'done', result: await run(JSON.parse(process.argv[2] as string) as TrialSpec) };
  } catch (error) {
    if (error instanceof Unavailable) return { status: 'unavailable', reason: error.message };
    return {
      status: 'failed',
      reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
}

const message = await measure();
// Once it is sent: tearing down libtensorflow's tensors one by one would take a while.
process.send?.(message, () => process.exit(0));
