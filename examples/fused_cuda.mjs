// Fused FTP steps without tfjs: a least-squares model whose weights, gradient and state lie on the GPU where CUDA finds
// one, and in Float32Arrays where it does not. Run: node examples/fused_cuda.mjs
import { constraintTable, createFusedStep, cudaInfo, DeviceBuffer } from 'tfjs-ftp/native';

const INPUTS = 8;
const OUTPUTS = 3;
const SAMPLES = 64;
const STEPS = 200;

const { available, devices, reason } = cudaInfo();
console.log(available ? `on CUDA device 0, ${devices[0].name}` : `on the processor, since ${reason}`);
const place = (values) => (available ? DeviceBuffer.from(values) : values);
const fetch = (array) => (available ? array.download() : array);

// Repeatable numbers from -1 to 1, and y = x W for a matrix W (INPUTS, OUTPUTS).
let seed = 1;
const random = () => {
  seed = (seed * 48271) % 0x7fffffff;
  return (2 * seed) / 0x7fffffff - 1;
};
const numbers = (count) => Float32Array.from({ length: count }, random);
const predict = (x, w) =>
  Array.from({ length: OUTPUTS }, (_, o) => x.reduce((sum, value, i) => sum + value * w[i * OUTPUTS + o], 0));

// What was learnt before, and a new task close to it.
const pretrained = numbers(INPUTS * OUTPUTS);
const task = pretrained.map((w) => w + 0.3 * random());
const samples = Array.from({ length: SAMPLES }, () => {
  const x = numbers(INPUTS);
  return { x, y: predict(x, task) };
});

/** The mean squared error and its gradient. Code of your own could write it at `gradient.address` with CUDA. */
function lossAndGradient(w) {
  const gradient = new Float32Array(w.length);
  let loss = 0;
  for (const { x, y } of samples) {
    const error = predict(x, w).map((value, o) => value - y[o]);
    for (const [o, e] of error.entries()) {
      loss += (e * e) / SAMPLES;
      for (const [i, value] of x.entries()) gradient[i * OUTPUTS + o] += (2 * e * value) / SAMPLES;
    }
  }
  return { loss, gradient };
}

const weights = place(pretrained.slice());
const fused = createFusedStep({
  base: 'adamw',
  learningRate: 1e-2,
  variables: [{ name: 'kernel', weights, shape: [INPUTS, OUTPUTS] }], // anchored at what the weights are now
});
const gradient = place(new Float32Array(INPUTS * OUTPUTS));
for (let step = 0; step < STEPS; ++step) {
  const { loss, gradient: values } = lossAndGradient(fetch(weights));
  if (step % 40 === 0) console.log(`step ${step}: loss ${loss.toFixed(5)}`);
  if (available) gradient.upload(values);
  else gradient.set(values);
  fused.step([gradient]);
}
console.log(`step ${STEPS}: loss ${lossAndGradient(fetch(weights)).loss.toFixed(5)}`);
console.table(constraintTable(fused.constraints())); // gamma: how far a row may be from its anchor; norm: how far it is

fused.dispose();
if (available) for (const buffer of [weights, gradient]) buffer.free();
