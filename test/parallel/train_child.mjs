// One rank of trainings. The argument: a JSON of cases, trained one after the other. Writes a
// report on each to a file named by its rank.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import '../../compat.cjs';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers'; // registers gradients
import { adamw, ftp, spd } from 'tfjs-ftp';
import { Checkpointer } from 'tfjs-ftp/checkpoint';
import { mpi, parallel } from 'tfjs-ftp/parallel';

const cases = JSON.parse(process.argv[2]);
const backend = process.env.TEST_BACKEND ?? 'cpu';
await import(backend === 'tensorflow' ? '@tensorflow/tfjs-node' : '@tensorflow/tfjs-backend-cpu');
await tf.setBackend(backend);

const world = await mpi({ timeoutSeconds: 100 });
const { rank, size } = world;
const isLast = rank === size - 1;

/** Repeatable numbers in (-1, 1). */
function numbers(length, seed) {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

function makeVariables() {
  // Other starts on other ranks: that of rank 0 counts.
  const shapes = { 'a/kernel': [7, 33], 'a/bias': [33], 'b/kernel': [33, 5], 'b/scale': [] };
  return Object.entries(shapes).map(([name, shape], i) => {
    const values = numbers(tf.util.sizeFromShape(shape), 1 + i + 1000 * rank);
    return tf.tidy(() => tf.variable(tf.tensor(values, shape), true, name));
  });
}

const METHODS = {
  ftp: (options) => ftp.adamw(0.02, { weightDecay: 0.01, ...options }),
  ftpSgd: (options) => ftp.sgd(0.05, { momentum: 0.9, ...options }),
  adamw: (options) => adamw(0.02, options),
  spd: (options) => spd.adamw(0.02, options),
  wrap: (options) => ftp.wrap(tf.train.adam(0.02), options),
};
const EACH = 4;

/** Rows of the joined batch of a step: those of a rank, or of one process all. */
function batchOf(step, { parts = size }) {
  const rows = parts * EACH;
  const all = tf.tensor2d(numbers(rows * 7, 50 + step), [rows, 7]);
  if (size > 1) return tf.slice(all, [rank * EACH, 0], [EACH, 7]);
  return all;
}

function loss(step, [w1, b1, w2, scale], given) {
  const out = tf.mul(tf.matMul(tf.tanh(tf.add(tf.matMul(batchOf(step, given), w1), b1)), w2), scale);
  // Its gradient is that of the mean over the batch.
  return tf.mul(tf.sum(tf.square(tf.sub(out, 0.3))), 1 / out.size);
}

function attempt(action) {
  try {
    action();
    return null;
  } catch (error) {
    return `${error.code ?? error.name}: ${error.message}`;
  }
}

function digest(arrays) {
  const hash = createHash('sha256');
  for (const { buffer, byteOffset, byteLength } of arrays) {
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest('hex').slice(0, 16);
}

async function train(given) {
  const { method = 'ftp', steps = 5, options = {}, sharing = {}, directory } = given;
  const variables = makeVariables();
  const optimizer = parallel(METHODS[method](options), world, sharing);
  const checkpoints = directory && new Checkpointer(directory, { variables, optimizer, world });
  const { step: first } = checkpoints ? await checkpoints.resume() : { step: 0 };
  console.log(`ready ${rank} ${first}`);
  const errors = [];
  for (let step = first; step < steps; ++step) {
    if (given.failAt === step && isLast) throw new Error('this rank fails');
    if (given.exitAt === step && isLast) process.exit(0);
    if (given.nanAt === step) {
      const value = isLast ? Number.NaN : 1;
      errors.push(
        attempt(() => {
          optimizer.applyGradients(
            variables.map(({ name, shape }, i) => ({ name, tensor: tf.fill(shape, i === 2 ? value : 1) })),
          );
        }),
      );
    }
    if (given.badAt === step) {
      const tensor = tf.zeros(isLast ? [3] : [33]);
      errors.push(attempt(() => optimizer.applyGradients([{ name: 'a/bias', tensor }])));
    }
    if (given.otherAt === step) {
      const name = isLast ? 'a/bias' : 'a/kernel';
      const tensor = tf.zeros(isLast ? [33] : [7, 33]);
      errors.push(attempt(() => optimizer.applyGradients([{ name, tensor }])));
    }
    optimizer.minimize(() => loss(step, variables, given), false, variables);
    if (given.pause) await new Promise((resolve) => setTimeout(resolve, given.pause));
    if (checkpoints && (step + 1) % 2 === 0) await checkpoints.save(step + 1);
  }
  const average = given.swap ? optimizer.swapEma() && digest(variables.map((one) => one.dataSync())) : null;
  if (given.swap) optimizer.swapEma();
  const state = await optimizer.getWeights();
  const sorted = state.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const report = {
    weights: digest(variables.map((one) => one.dataSync())),
    state: digest(sorted.flatMap(({ name, tensor }) => [new TextEncoder().encode(name), tensor.dataSync()])),
    names: state.map(({ name }) => name),
    average,
    norm: optimizer.lastGradientNorm,
    skipped: optimizer.skippedSteps,
    iterations: optimizer.iterations,
    learned: optimizer.learned().map(({ value }) => value),
    errors,
    own: (await optimizer.constraints()).length,
    values: given.tell ? variables.flatMap((one) => [...one.dataSync()]) : null,
  };
  tf.dispose(state.map(({ tensor }) => tensor));
  optimizer.dispose();
  tf.dispose(variables);
  return report;
}

/** What the functions of a world give. */
async function talk() {
  const floats = Float32Array.of(rank, -rank, 0.5);
  const half = await world.split(rank % 2, -rank);
  const bytes = await world.broadcast(new TextEncoder().encode(`from ${rank}`), size - 1);
  await world.barrier();
  return {
    rank,
    size,
    library: world.library,
    same: (await mpi()) === world,
    sum: await world.allReduce(rank + 1),
    mean: [...(await world.allReduce(floats, 'mean'))],
    max: [...(await world.allReduce(Int32Array.of(rank, -rank), 'max'))],
    min: await world.allReduce(rank, 'min'),
    given: [...floats],
    told: new TextDecoder().decode(bytes),
    half: [half.rank, half.size, await half.allReduce(rank)],
  };
}

const reports = [];
for (const given of cases) {
  const before = tf.memory().numTensors;
  const report = given.talk ? await talk() : await train(given);
  // Gradients that this file makes for errors are not its optimizer's.
  const isLoose = given.nanAt ?? given.badAt ?? given.otherAt;
  reports.push({ ...report, leaked: isLoose ? 0 : tf.memory().numTensors - before });
}
// Launchers mix what the ranks write to their output.
fs.writeFileSync(path.join(process.env.TEST_RESULTS, `${rank}.json`), JSON.stringify(reports));
