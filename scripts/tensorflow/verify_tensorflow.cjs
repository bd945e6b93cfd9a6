// Loads a tfjs-node package folder and runs an op; with --worker also in a worker thread. Run as a child process:
//   node verify_tensorflow.cjs FOLDER [--worker]
// Prints one JSON line: {version, milliseconds, worker?}. Any failure ends it with code 1 and the reason on stderr.
'use strict';
require('../../compat.cjs');
const { isMainThread, parentPort, Worker, workerData } = require('node:worker_threads');

function addNumbers(directory) {
  const start = performance.now();
  const tf = require(directory);
  const sum = tf.tidy(() => Array.from(tf.add(tf.tensor1d([1, 2, 3]), tf.tensor1d([4, 5, 6])).dataSync()));
  if (tf.getBackend() !== 'tensorflow') throw new Error(`backend is ${tf.getBackend()}, expected tensorflow`);
  if (sum.join() !== '5,7,9') throw new Error(`[1,2,3] + [4,5,6] gave [${sum.join()}]`);
  const version = tf.backend().binding.TF_Version;
  return { version, milliseconds: Math.round(performance.now() - start) };
}

if (isMainThread) {
  const result = addNumbers(process.argv[2]);
  if (process.argv.includes('--worker')) {
    const worker = new Worker(__filename, { workerData: process.argv[2] });
    worker.on('message', (inWorker) => {
      process.stdout.write(`${JSON.stringify({ ...result, worker: inWorker })}\n`);
    });
  } else {
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
} else {
  parentPort.postMessage(addNumbers(workerData));
}
