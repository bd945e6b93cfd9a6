/**
 * Asks the library itself what it would choose, in the process of its own in which `doctor` runs it:
 *
 * - `node probe.js tensorflow FOLDER` loads a tfjs-node package, runs an op and registers the custom ops;
 * - `node probe.js others JSON` makes other backends active one after the other; JSON: their packages' folders by name,
 *   null for backends that exist in browsers only, for which a stand-in is asked about.
 *
 * Prints one JSON line.
 */

import { createRequire } from 'node:module';
import type * as tfjs from '@tensorflow/tfjs-core';
import '../../compat.cjs';
import type { TensorflowStatus } from '../native/addon.js';
import { findNative } from '../native/addon.js';

/** What would compute the steps under a backend. */
export interface Choice {
  /** `reference`: tfjs operations; `none`: no step can be taken. */
  implementation: 'tensorflow-gpu' | 'tensorflow-cpu' | 'wasm' | 'cpu' | 'reference' | 'none';
  reason: string;
}

/** What the probe of tfjs-node prints. */
export interface TfjsNodeProbe {
  loads: boolean;
  /** TensorFlow's version. */
  tensorflow?: string;
  /** Whether tfjs-node computes on a GPU. */
  gpu?: boolean;
  /** Why it does not load. */
  reason?: string;
  /** What registering the ops said; absent without an addon. */
  ops?: TensorflowStatus;
  /** Absent where it does not load. */
  choice?: Choice;
}

/** What the probe of the other backends prints. */
export type BackendsProbe = Record<string, Choice>;

const require = createRequire(import.meta.url);

const NATIVE_REASONS: Record<string, string> = {
  'tensorflow-gpu': 'custom op with a GPU kernel',
  'tensorflow-cpu': 'custom op with a CPU kernel',
};

/** What an optimizer would choose under a backend. Errors are those that it would throw. */
async function choose(backend: string): Promise<Choice> {
  try {
    // Not from the start: without tfjs-core there is more to say than that.
    const { engine } = await import('@tensorflow/tfjs-core');
    const { selectImplementation } = await import('../backends/select.js');
    if (!(await engine().setBackend(backend))) throw new Error(`the ${backend} backend does not start`);
    const { implementation, reason } = selectImplementation('auto');
    const { name } = implementation;
    const native = NATIVE_REASONS[name] ?? "addon on the backend's own buffers";
    return { implementation: name as Choice['implementation'], reason: reason ?? native };
  } catch (error) {
    return { implementation: 'none', reason: (error as Error).message.split('\n')[0] as string };
  }
}

async function probeTensorflow(directory: string): Promise<TfjsNodeProbe> {
  const tf = require(directory) as typeof tfjs;
  const [three] = tf.tidy(() => tf.add(tf.scalar(1), tf.scalar(2)).dataSync());
  if (three !== 3) return { loads: false, reason: `1 + 2 gave ${three}` };
  const { binding, isUsingGpuDevice: gpu } = tf.backend() as unknown as {
    binding: { TF_Version: string };
    isUsingGpuDevice: boolean;
  };
  const { addon } = findNative();
  return {
    loads: true,
    tensorflow: binding.TF_Version,
    gpu,
    ...(addon && { ops: addon.tensorflow() }),
    choice: await choose('tensorflow'),
  };
}

async function probeOthers(packages: Record<string, string | null>): Promise<BackendsProbe> {
  const choices: BackendsProbe = {};
  for (const [backend, directory] of Object.entries(packages)) {
    try {
      if (directory !== null) require(directory);
      else {
        const { KernelBackend, registerBackend } = await import('@tensorflow/tfjs-core');
        registerBackend(backend, () => new KernelBackend());
      }
      choices[backend] = await choose(backend);
    } catch (error) {
      const [reason = ''] = (error as Error).message.split('\n');
      choices[backend] = { implementation: 'none', reason: `the backend does not load: ${reason}` };
    }
  }
  return choices;
}

const [kind, argument] = process.argv.slice(2);
if (argument === undefined || (kind !== 'tensorflow' && kind !== 'others')) {
  throw new Error('usage: node probe.js tensorflow FOLDER | others JSON');
}
const result = kind === 'tensorflow' ? probeTensorflow(argument) : probeOthers(JSON.parse(argument));
process.stdout.write(`\n${JSON.stringify({ result: await result })}\n`);
