// Started by lifetime.test.ts as `node --expose-gc lifetime_child.mjs MODE`; prints one JSON line of bytes that are free
// on the device: before, while memory is held (the least that was seen), and after it was given up.
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { createFusedStep, DeviceBuffer, deviceMemory } from 'tfjs-ftp/native';

const FLOATS = 1 << 20;
const free = () => deviceMemory().free;

/** Several buffers; nothing keeps them but the returned array. */
const allocate = (count) => Array.from({ length: count }, () => DeviceBuffer.alloc(FLOATS));

/** A step in flight over 4 MB of weights, with 16 MB of state. */
function stepInFlight() {
  const weights = DeviceBuffer.alloc(FLOATS);
  const gradient = DeviceBuffer.alloc(FLOATS);
  const variables = [{ name: 'w', weights, shape: [FLOATS >> 10, 1 << 10] }];
  const fused = createFusedStep({ base: 'adamw', learningRate: 0.1, nonFinite: 'ignore', variables });
  fused.step([gradient]);
  return fused;
}

/** Kernels and page-locked memory that stay when they were used once are not what is measured. */
function warmUp() {
  const buffers = [DeviceBuffer.alloc(4), DeviceBuffer.alloc(4)];
  const variables = [{ name: 'w', weights: buffers[0], shape: [2, 2] }];
  const fused = createFusedStep({ base: 'adamw', learningRate: 0.1, variables });
  fused.step([buffers[1]]);
  fused.dispose();
  for (const buffer of buffers) buffer.free();
}

/** Collects until at least `wanted` bytes are free, or a while has passed. */
async function collect(wanted) {
  for (let i = 0; i < 200 && free() < wanted; ++i) {
    globalThis.gc();
    await setImmediate();
  }
  return free();
}

/** What `hold` allocates goes when it is dropped. */
async function dropped(hold, bytes) {
  const before = free();
  let held = hold();
  const during = free();
  held = held && null;
  return { before, during, after: await collect(before - bytes / 8) };
}

/** The garbage collector runs by itself where much is allocated, since V8 knows how much hangs on the buffers. */
async function underPressure() {
  const before = free();
  let during = before;
  for (let i = 0; i < 400; ++i) {
    DeviceBuffer.alloc(FLOATS);
    during = Math.min(during, free());
    await setImmediate();
  }
  return { before, during, after: free() };
}

/** A worker that ends by itself or is terminated, with buffers and a step that nobody freed. */
async function inWorker(end) {
  const before = free();
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: end });
  let during = before;
  const code = await new Promise((resolve, reject) => {
    worker.on('message', () => {
      during = free();
      if (end === 'terminate') worker.terminate();
      else worker.postMessage('end');
    });
    worker.on('error', reject);
    worker.on('exit', resolve);
  });
  return { before, during, after: free(), code };
}

async function worker() {
  globalThis.held = [...allocate(8), stepInFlight()];
  parentPort.postMessage('holding');
  if (workerData === 'terminate') for (;;) await setImmediate();
  parentPort.once('message', () => parentPort.close());
}

const MODES = {
  buffers: () => dropped(() => allocate(16), 16 * 4 * FLOATS),
  step: () => dropped(stepInFlight, 6 * 4 * FLOATS),
  pressure: underPressure,
  worker: () => inWorker('end'),
  terminate: () => inWorker('terminate'),
  exit: () => {
    globalThis.held = [...allocate(2), stepInFlight()];
    return { before: 0, during: 0, after: 0 };
  },
};

if (isMainThread) {
  warmUp();
  console.log(`results ${JSON.stringify(await MODES[process.argv[2]]())}`);
} else await worker();
