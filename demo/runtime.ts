/** Starts TensorFlow under tfjs and says what runs. */
import { availableParallelism } from 'node:os';
import * as tf from '@tensorflow/tfjs-core';
// tfjs-node calls functions that Node 23 removed; this puts them back.
import 'tfjs-ftp/compat';

export interface Runtime {
  /** The tfjs backend in use. */
  backend: string;
  /** Version of libtensorflow, or undefined on other backends. */
  tensorflow: string | undefined;
  /** Cores that this process may use. */
  threads: number;
}

/**
 * Loads tfjs-node and makes its backend the current one.
 *
 * @param backend `'tensorflow'` (default) or `'cpu'`, the slow plain-JavaScript backend. The WebAssembly
 *   backend cannot train convolutions: tfjs 4.22 has no kernel there for the gradient of their filters.
 * @throws Error saying what to run where tfjs-node's native binding is missing
 */
export async function startTensorFlow(backend = 'tensorflow'): Promise<Runtime> {
  const threads = availableParallelism();
  if (backend === 'cpu') {
    await import('@tensorflow/tfjs-backend-cpu');
    // Gradients and chained methods (`a.add(b)`) come with the union package.
    await import('@tensorflow/tfjs');
    await tf.setBackend('cpu');
    return { backend, tensorflow: undefined, threads };
  }
  // TensorFlow's start-up notes would run into the progress bars; errors still come through.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  try {
    await import('@tensorflow/tfjs-node');
  } catch (error) {
    throw new Error(
      'TensorFlow is not ready here: run `npx tfjs-ftp setup-tensorflow`, then again; ' +
        `\`npx tfjs-ftp doctor\` says what was found. tfjs-node said: ${error instanceof Error ? error.message.split('\n')[0] : error}`,
    );
  }
  await tf.setBackend('tensorflow');
  await tf.ready();
  const { binding } = tf.backend() as unknown as { binding: { TF_Version: string } };
  return { backend: tf.getBackend(), tensorflow: binding.TF_Version, threads };
}
