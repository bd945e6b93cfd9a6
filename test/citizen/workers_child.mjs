// Trains on the main thread and on two worker threads at once; prints what came out, or ends while workers train.
// Arguments: tfjs backend, then `finish`, `terminate` or `exit`; or `in-turn`: two workers, one after the other, in a
// process whose main thread never loads tfjs or the addon.
import { createHash } from 'node:crypto';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import '../../compat.cjs';

const [backend, mode] = isMainThread ? process.argv.slice(2) : workerData;
if (isMainThread && mode === 'in-turn') {
  const results = [];
  const codes = [];
  const failures = [];
  for (let i = 0; i < 2; ++i) {
    const worker = new Worker(new URL(import.meta.url), { workerData: [backend, 'finish'] });
    worker.on('message', (message) => message === 'training' || results.push(message));
    worker.on('error', (error) => failures.push(String(error)));
    codes.push(await new Promise((resolve) => worker.once('exit', resolve)));
  }
  // Time for threads that run code which was unloaded with the worker.
  await new Promise((resolve) => setTimeout(resolve, 100));
  console.log(`results ${JSON.stringify({ results, codes, failures })}`);
  process.exit(0);
}

const tf =
  backend === 'tensorflow'
    ? (await import('@tensorflow/tfjs-node')).default
    : (await import('@tensorflow/tfjs')).default;
await tf.setBackend(backend);
const { ftp } = await import('tfjs-ftp');

const UNITS = 150;

/** One optimizer, `steps` steps on two variables large enough for all threads of the step. */
function makeTraining() {
  const shapes = { w: [300, UNITS], b: [UNITS] };
  const variables = Object.entries(shapes).map(([name, shape], i) =>
    tf.variable(tf.randomUniform(shape, -1, 1, 'float32', 1 + i), true, name),
  );
  const optimizer = ftp.adamw(0.01, { implementation: 'native' });
  const step = (i) =>
    tf.tidy(() => {
      const gradients = Object.entries(shapes).map(([name, shape], j) => ({
        name,
        tensor: tf.randomUniform(shape, -1, 1, 'float32', 10 + (i % 5) + j),
      }));
      optimizer.applyGradients(gradients);
    });
  const finish = () => {
    const hash = createHash('sha256');
    for (const variable of variables) hash.update(Buffer.from(variable.dataSync().buffer));
    const { implementation } = optimizer;
    for (const disposable of [optimizer, ...variables]) disposable.dispose();
    return `${implementation} ${hash.digest('hex')}`;
  };
  return { step, finish };
}

function trainFor(steps) {
  const { step, finish } = makeTraining();
  for (let i = 0; i < steps; ++i) step(i);
  return finish();
}

if (!isMainThread) {
  parentPort.postMessage('training');
  if (mode === 'finish') {
    parentPort.postMessage(trainFor(60));
  } else {
    const { step } = makeTraining();
    for (let i = 0; ; ++i) step(i);
  }
} else {
  const alone = trainFor(60);
  const workers = [0, 1].map(() => new Worker(new URL(import.meta.url), { workerData: [backend, mode] }));
  const ends = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
  const failures = [];
  const results = workers.map(() => []);
  const training = workers.map(
    (worker, i) =>
      new Promise((resolve) => {
        worker.on('error', (error) => failures.push(String(error)));
        worker.on('message', (message) => {
          if (message === 'training') resolve();
          else results[i].push(message);
        });
      }),
  );
  await Promise.race([Promise.all(training), Promise.all(ends)]);
  const beside = trainFor(60);
  if (mode === 'exit') {
    console.log(`results ${JSON.stringify({ alone, beside, failures })}`);
    process.exit(0);
  }
  if (mode === 'terminate') await Promise.all(workers.map((worker) => worker.terminate()));
  const codes = await Promise.all(ends);
  const after = trainFor(60);
  console.log(`results ${JSON.stringify({ alone, beside, after, results, codes, failures })}`);
}
