/**
 * Loads a tfjs-node package, runs an op and registers the custom ops, in the process of its own in which `doctor` runs
 * it: `node probe.js FOLDER`. Prints one JSON line.
 */

import { createRequire } from 'node:module';
import type * as tfjs from '@tensorflow/tfjs-core';
import '../../compat.cjs';
import type { TensorflowStatus } from '../native.js';
import { findNative } from '../native.js';

/** What the probe prints. */
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
}

function probe(directory: string): TfjsNodeProbe {
  const tf = createRequire(import.meta.url)(directory) as typeof tfjs;
  const [three] = tf.tidy(() => tf.add(tf.scalar(1), tf.scalar(2)).dataSync());
  if (three !== 3) return { loads: false, reason: `1 + 2 gave ${three}` };
  const { binding, isUsingGpuDevice: gpu } = tf.backend() as unknown as {
    binding: { TF_Version: string };
    isUsingGpuDevice: boolean;
  };
  const { addon } = findNative();
  return { loads: true, tensorflow: binding.TF_Version, gpu, ...(addon && { ops: addon.tensorflow() }) };
}

const directory = process.argv[2];
if (directory === undefined) throw new Error('usage: node probe.js FOLDER');
process.stdout.write(`${JSON.stringify(probe(directory))}\n`);
