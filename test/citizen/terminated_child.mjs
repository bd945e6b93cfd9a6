// Ends one worker after the other while it takes steps that fail: each throws from native code, at times into a worker
// that can run no JavaScript any more.
import { isMainThread, parentPort, Worker } from 'node:worker_threads';

const WORKERS = 40;

if (isMainThread) {
  for (let i = 0; i < WORKERS; ++i) {
    const worker = new Worker(new URL(import.meta.url));
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    await new Promise((resolve) => setTimeout(resolve, i % 20));
    await worker.terminate();
  }
  console.log('ended all');
} else {
  const { createFusedStep } = await import('tfjs-ftp/native');
  const variables = Array.from({ length: 20 }, (_, i) => ({
    name: `w${i}`,
    shape: [3000],
    weights: new Float32Array(3000).fill(1),
  }));
  const step = createFusedStep({ base: 'adamw', learningRate: 1e-3, variables });
  const gradients = variables.map(() => new Float32Array(3000).fill(Number.NaN));
  parentPort.postMessage('ready');
  for (;;) {
    try {
      step.step(gradients);
    } catch (error) {
      if (error.code !== 'NON_FINITE_GRADIENT') throw error;
    }
  }
}
