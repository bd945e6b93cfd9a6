/** Starts a tfjs backend in a child process. */

import * as tf from '@tensorflow/tfjs-core';
import { Unavailable } from './suite.js';

export type BackendName = 'tensorflow' | 'wasm' | 'cpu';

/** The wasm backend's memory ends at 4 GB; some of it is always lost between blocks. */
export const WASM_BYTES = 3.7e9;

/**
 * Loads a backend and makes it the active one.
 *
 * @returns version of libtensorflow, or null on other backends
 * @throws Unavailable where TensorFlow is not set up
 */
export async function startBackend(name: BackendName): Promise<string | null> {
  if (name === 'tensorflow') {
    try {
      await import('@tensorflow/tfjs-node');
    } catch (error) {
      const reason = (error as Error).message.split('\n')[0];
      throw new Unavailable(
        `@tensorflow/tfjs-node does not load (${reason}); \`npx tfjs-ftp doctor\` says more`,
      );
    }
  } else if (name === 'wasm') {
    await import('@tensorflow/tfjs-backend-wasm');
  } else {
    await import('@tensorflow/tfjs-backend-cpu');
  }
  if (!(await tf.setBackend(name))) throw new Error(`tfjs could not start its backend '${name}'`);
  await tf.ready();
  if (name !== 'tensorflow') return null;
  return (tf.backend() as unknown as { binding: { TF_Version: string } }).binding.TF_Version;
}
