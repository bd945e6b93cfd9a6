// A learning rate that is learned while training, against fixed ones and a cosine, started far too low and far too high.
// After `npm run demo`, which writes the images: node examples/learned_rate.mjs [steps] [seeds]
// Writes docs/images/learned_rate.svg and prints the table of docs/hyper-optimizers.md.
import 'tfjs-ftp/compat'; // for Node 23 and newer; does nothing on older ones
import { writeFile } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs-node';
import { adamw, schedules } from 'tfjs-ftp';
import { imageFolder } from 'tfjs-ftp/data';

const [steps, seeds] = [Number(process.argv[2] ?? 600), Number(process.argv[3] ?? 3)];
const BATCH = 32;
const RATES = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1];
/** Every fifth image is held out. */
const FOLD = 5;
const START = 1e-6;
/** Steps over which the loss of a point in the picture is the mean. */
const WINDOW = 10;

/** What the pre-trained net makes of the images of the folder, x [images, 128] with y [images, classes], in two parts. */
async function load() {
  const images = await imageFolder('demo-output/serial-codes', {
    imageSize: 32,
    batchSize: 32,
    shuffle: false,
  });
  const batches = await images.toArray();
  const pretrained = await tf.loadLayersModel('file://demo/assets/pretrained/model.json');
  const features = tf.model({ inputs: pretrained.inputs, outputs: pretrained.getLayer('features').output });
  const x = tf.concat(batches.map(({ xs }) => features.predict(xs)));
  const y = tf.concat(batches.map(({ ys }) => ys));
  const part = (isOf) => {
    const rows = Array.from({ length: x.shape[0] }, (_, i) => i).filter((i) => isOf(i % FOLD === 0));
    return { x: tf.gather(x, rows), y: tf.gather(y, rows) };
  };
  return { train: part((isHeldOut) => !isHeldOut), heldOut: part((isHeldOut) => isHeldOut) };
}

/** Two layers on top of the features; logits come out. */
function build(features, classes, seed) {
  const layer = (units, options) =>
    tf.layers.dense({
      units,
      kernelInitializer: tf.initializers.heNormal({ seed: seed + units }),
      ...options,
    });
  return tf.sequential({
    layers: [layer(128, { inputShape: [features], activation: 'relu' }), layer(classes)],
  });
}

/** Indices of the batches: every image once, in an order by the seed, over and over. */
function* batches(count, seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  let left = [];
  for (;;) {
    if (left.length < BATCH) {
      left = Array.from({ length: count }, (_, i) => i);
      for (let i = count - 1; i > 0; --i) {
        const j = Math.floor(next() * (i + 1));
        [left[i], left[j]] = [left[j], left[i]];
      }
    }
    yield left.splice(0, BATCH);
  }
}

/** Trains new layers; the loss and the learning rate of every step. */
async function train({ train: { x, y }, heldOut }, seed, optimizer) {
  const model = build(x.shape[1], y.shape[1], seed);
  const order = batches(x.shape[0], seed);
  const losses = [];
  const rates = [];
  for (let step = 0; step < steps; ++step) {
    const index = tf.tensor1d(order.next().value, 'int32');
    const [bx, by] = [tf.gather(x, index), tf.gather(y, index)];
    rates.push(optimizer.learningRate);
    const loss = optimizer.minimize(
      () => tf.losses.softmaxCrossEntropy(by, model.apply(bx, { training: true })),
      true,
    );
    losses.push(loss.dataSync()[0]);
    tf.dispose([index, bx, by, loss]);
  }
  const last = rates.at(-1);
  const [loss, accuracy] = tf.tidy(() => {
    const logits = model.predict(heldOut.x);
    const right = tf.equal(tf.argMax(logits, 1), tf.argMax(heldOut.y, 1));
    return [tf.losses.softmaxCrossEntropy(heldOut.y, logits).dataSync()[0], tf.mean(right).dataSync()[0]];
  });
  optimizer.dispose();
  model.dispose();
  return { losses, rates, last, loss, accuracy };
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

const data = await load();
const tuning = [];
for (const rate of RATES) {
  const { loss } = await train(data, 100, adamw(rate));
  tuning.push({ rate, loss });
  console.log(`fixed ${rate}: held-out loss ${loss.toFixed(3)}`);
}
const best = tuning.filter(({ loss }) => Number.isFinite(loss)).sort((a, b) => a.loss - b.loss)[0].rate;
const high = 10 * best;
const [low, tuned, much] = [START, best, high].map((rate) => rate.toExponential());
const cosine = schedules.warmupCosine({ initialLearningRate: best, decaySteps: steps });
const fast = { learningRate: { rate: 0.1, bounds: [1e-9, 1] } };
const ARMS = [
  [`fixed ${low}`, () => adamw(START)],
  [`learned from ${low}`, () => adamw(START, { learn: { learningRate: true } })],
  [`learned from ${low}, rate 0.1`, () => adamw(START, { learn: fast })],
  [`fixed ${much}`, () => adamw(high)],
  [`learned from ${much}`, () => adamw(high, { learn: { learningRate: true } })],
  [`learned from ${much}, rate 0.1`, () => adamw(high, { learn: fast })],
  [`fixed ${tuned} (tuned)`, () => adamw(best)],
  [`cosine from ${tuned}`, () => adamw(cosine)],
  [`cosine from ${tuned}, learned`, () => adamw(cosine, { learn: { learningRate: true } })],
];

const points = [];
const rows = [];
for (const [arm, make] of ARMS) {
  const runs = [];
  for (let seed = 1; seed <= seeds; ++seed) runs.push(await train(data, seed, make()));
  const each = (text) => runs.map(text).join(', ');
  rows.push([
    arm,
    each(({ losses }) => mean(losses.slice(-WINDOW)).toFixed(4)),
    each(({ loss }) => loss.toFixed(3)),
    each(({ accuracy }) => (100 * accuracy).toFixed(1)),
    each(({ last }) => last.toExponential(1)),
  ]);
  console.log(`| ${rows.at(-1).join(' | ')} |`);
  for (let step = 0; step < steps; step += WINDOW) {
    const window = ({ losses }) => mean(losses.slice(step, step + WINDOW));
    points.push({
      arm,
      step,
      loss: mean(runs.map(window)),
      rate: mean(runs.map(({ rates }) => rates[step])),
    });
  }
}

// The picture needs what `npm ci` and `npm run build` in a clone bring.
const { drawSvg } = await import('../dist/tools/tools/vega_svg.js');
const panel = (field, title) => ({
  width: 420,
  height: 280,
  mark: { type: 'line', strokeWidth: 1.5 },
  encoding: {
    x: { field: 'step', type: 'quantitative', axis: { title: 'step', grid: false } },
    y: { field, type: 'quantitative', scale: { type: 'log' }, axis: { title, format: '~g' } },
    color: { field: 'arm', type: 'nominal', sort: null, legend: { title: null, orient: 'right' } },
  },
});
const shown = points.filter(({ loss, rate }) => loss > 0 && rate > 0);
const svg = await drawSvg({
  data: { values: shown },
  hconcat: [panel('loss', 'training loss, mean of seeds'), panel('rate', 'learning rate')],
});
await writeFile('docs/images/learned_rate.svg', `${svg}\n`);
